//! The QKD policy: alone issues a waiver, the recorded permission to build an epoch with too few QKD keys (PROTOCOL 2.5, 2.8, 2.8a).

use crate::types::policy::QkdPolicy;

/// Seconds to the deadline as on the wire: rounded up, `u32::MAX` is unlimited, 0 is none left (PROTOCOL 2.8 `left`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftSeconds(pub u32);

impl LeftSeconds {
    /// No deadline.
    pub const UNLIMITED: Self = Self(u32::MAX);
    /// The deadline has come.
    pub const NONE: Self = Self(0);
}

/// Which permission an epoch was built with (PROTOCOL 2.8 `waiver`). Numbers as on the wire; 0 there means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WaiverKind {
    /// Policy required, short, within `hold_last`: on an existing session, by fast rekey only.
    Holdover = 1,
    /// Policy preferred, short, within `degrade_for`.
    Degraded = 2,
    /// Policy off at both ends.
    Off = 3,
}

impl WaiverKind {
    /// From the wire; `None` for 0 and for unknown numbers.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Holdover, Self::Degraded, Self::Off].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What the epoch is to be built by: only a fast rekey may hold over (PROTOCOL 2.8a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// A full handshake.
    Handshake,
    /// A fast rekey on an existing session.
    FastRekey,
}

/// Permission to build one epoch that mixed fewer QKD keys than the policy needs. Only [`waive`] makes one; it is
/// bound into the transcript and consumed with the epoch.
#[derive(Debug)]
pub struct QkdWaiver {
    kind: WaiverKind,
    left: LeftSeconds,
}

impl QkdWaiver {
    /// Which permission.
    pub fn kind(&self) -> WaiverKind {
        self.kind
    }

    /// What remained to the deadline when it was issued.
    pub fn left(&self) -> LeftSeconds {
        self.left
    }
}

/// Issues a waiver if the effective policy allows a short epoch by this exchange with this much time left; `None` is a refusal.
pub fn waive(effective: QkdPolicy, exchange: Exchange, left: LeftSeconds) -> Option<QkdWaiver> {
    let kind = match (effective, exchange) {
        (QkdPolicy::Off, Exchange::Handshake | Exchange::FastRekey) => {
            return Some(QkdWaiver { kind: WaiverKind::Off, left: LeftSeconds::UNLIMITED });
        }
        (QkdPolicy::Preferred, Exchange::Handshake | Exchange::FastRekey) => WaiverKind::Degraded,
        (QkdPolicy::Required, Exchange::FastRekey) => WaiverKind::Holdover,
        (QkdPolicy::Required, Exchange::Handshake) => return None,
    };
    (left > LeftSeconds::NONE).then_some(QkdWaiver { kind, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_holds_over_by_fast_rekey_only() {
        assert!(waive(QkdPolicy::Required, Exchange::Handshake, LeftSeconds::UNLIMITED).is_none());
        let waiver = waive(QkdPolicy::Required, Exchange::FastRekey, LeftSeconds(1)).unwrap();
        assert_eq!((waiver.kind(), waiver.left()), (WaiverKind::Holdover, LeftSeconds(1)));
    }

    #[test]
    fn no_time_left_is_a_refusal() {
        for exchange in [Exchange::Handshake, Exchange::FastRekey] {
            assert!(waive(QkdPolicy::Preferred, exchange, LeftSeconds::NONE).is_none());
            assert!(waive(QkdPolicy::Required, exchange, LeftSeconds::NONE).is_none());
            assert!(waive(QkdPolicy::Off, exchange, LeftSeconds::NONE).is_some());
        }
    }

    #[test]
    fn a_kind_comes_back_from_its_number_and_no_other_number_is_one() {
        let kinds = [0, 1, 2, 3, 4, 255].map(WaiverKind::from_byte);
        assert_eq!(
            kinds,
            [None, Some(WaiverKind::Holdover), Some(WaiverKind::Degraded), Some(WaiverKind::Off), None, None]
        );
    }
}
