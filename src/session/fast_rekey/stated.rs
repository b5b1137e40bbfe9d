//! The permission to be short of QKD keys: what a message says of it, and what holds here (PROTOCOL 2.8 `waiver`, `left`).

use super::epoch::FastRefusal;
use crate::keys::policy::{Exchange, LeftSeconds, QkdWaiver, WaiverKind, waive};
use crate::schedule::confirm::demanded_waiver;
use crate::types::id::SourceMask;
use crate::types::policy::QkdPolicy;
use crate::types::terms::Agreed;
use crate::wire::field::Malformed;

/// What a message says of its permission to be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) waiver: Option<WaiverKind>,
    pub(super) left: LeftSeconds,
}

impl Stated {
    /// What is to be said with keys of these sources; `None` if they are too few and the permission does not cover it.
    pub(super) fn for_keys(agreed: &Agreed, keys: SourceMask, permit: Option<&QkdWaiver>) -> Option<Self> {
        let waiver = demanded_waiver(agreed, keys);
        let left = match waiver {
            None | Some(WaiverKind::Off) => LeftSeconds::UNLIMITED,
            Some(demanded) => permit.filter(|permit| permit.kind() == demanded)?.left(),
        };
        Some(Self { waiver, left })
    }

    /// Whether there is a deadline that may come.
    pub(super) fn is_short(self) -> bool {
        matches!(self.waiver, Some(WaiverKind::Holdover | WaiverKind::Degraded))
    }

    pub(super) fn parse(waiver: u8, left: u32) -> Result<Self, FastRefusal> {
        let (waiver, left) = (parse_waiver(waiver)?, LeftSeconds(left));
        let stated = Self { waiver, left };
        if stated.is_short() || left == LeftSeconds::UNLIMITED { Ok(stated) } else { Err(FastRefusal::Left) }
    }

    /// Refuses a waiver other than the one that keys of these sources demand.
    pub(super) fn check(self, agreed: &Agreed, keys: SourceMask) -> Result<(), FastRefusal> {
        if self.waiver == demanded_waiver(agreed, keys) { Ok(()) } else { Err(FastRefusal::Waiver) }
    }
}

fn parse_waiver(byte: u8) -> Result<Option<WaiverKind>, FastRefusal> {
    match (byte, WaiverKind::from_byte(byte)) {
        (0, _) => Ok(None),
        (_, Some(kind)) => Ok(Some(kind)),
        (_, None) => Err(Malformed::Value("waiver").into()),
    }
}

/// With policy off the permission always holds; otherwise it is what the caller has.
pub(super) fn off_or(agreed: &Agreed, permit: Option<QkdWaiver>) -> Option<QkdWaiver> {
    match agreed.policy {
        QkdPolicy::Off => waive(QkdPolicy::Off, Exchange::FastRekey, LeftSeconds::UNLIMITED),
        QkdPolicy::Preferred | QkdPolicy::Required => permit,
    }
}
