//! The layout of FR1 and FR2 (PROTOCOL 2.8).
//!
//! ```text
//!      0 op   1 zero   2 try   3 waiver   4 epoch u32   8 new data receiver index u32   12 left u32   16 e 32
//! FR1: 48 slots 6 x 72    480 auth 16
//! FR2: 48 status 16       64 ok 16
//! ```

use super::epoch::FastRefusal;
use super::stated::Stated;
use crate::crypto::dh::DH_BYTES;
use crate::keys::policy::{LeftSeconds, WaiverKind};
use crate::schedule::confirm::{OK_BYTES, REFUSAL_OK};
use crate::schedule::fast_stages::AUTH_BYTES;
use crate::types::id::SessionIndex;
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::terms::Agreed;
use crate::wire::control::{FR1, FR2};
use crate::wire::field::{Malformed, Reader, all_zero};
use crate::wire::slots::{self, SLOTS_BYTES, Slot, sources_with_key};
use crate::wire::status::{self, STATUS_BYTES, Status};

/// What both messages begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) try_number: u8,
    pub(super) epoch: u32,
    pub(super) stated: Stated,
    /// None only in a refusing FR2.
    pub(super) data_index: Option<SessionIndex>,
    /// `e` or `e'`; zero in a refusing FR2.
    pub(super) e: [u8; DH_BYTES],
}

impl Head {
    fn write(&self, op: u8, out: &mut Vec<u8>) {
        let waiver = self.stated.waiver.map_or(0, |kind| kind as u8);
        out.extend_from_slice(&[op, 0, self.try_number, waiver]);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.data_index.map_or([0; 4], SessionIndex::to_bytes));
        out.extend_from_slice(&self.stated.left.0.to_be_bytes());
        out.extend_from_slice(&self.e);
    }

    fn parse(op: u8, fields: &mut Reader<'_>) -> Result<Self, FastRefusal> {
        if fields.u8()? != op {
            return Err(Malformed::Type.into());
        }
        fields.zero(1)?;
        let (try_number, waiver, epoch) = (fields.u8()?, fields.u8()?, fields.u32()?);
        let data_index = SessionIndex::new(fields.u32()?);
        let stated = Stated::parse(waiver, fields.u32()?)?;
        Ok(Self { try_number, epoch, stated, data_index, e: *fields.array()? })
    }
}

/// FR1 before its `auth`.
pub(super) struct Fr1 {
    pub(super) head: Head,
    pub(super) slots: [Slot; QKD_SOURCES_MAX],
}

/// Bytes of FR1 that `auth` covers.
pub(super) const FR1_AUTHENTIC_BYTES: usize = 48 + SLOTS_BYTES;

impl Fr1 {
    /// Without `auth`.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FR1_AUTHENTIC_BYTES + AUTH_BYTES);
        self.head.write(FR1, &mut out);
        slots::write(&self.slots, &mut out);
        out
    }

    /// From the bytes that `auth` covers.
    pub(super) fn parse(bytes: &[u8], agreed: &Agreed) -> Result<(Self, SessionIndex), FastRefusal> {
        let mut fields = Reader::new(bytes);
        let head = Head::parse(FR1, &mut fields)?;
        let slots = slots::parse(fields.rest(), agreed.asked)?;
        let data_index = head.data_index.ok_or(Malformed::Index)?;
        head.stated.check(agreed, sources_with_key(&slots))?;
        Ok((Self { head, slots }, data_index))
    }
}

/// FR2 with its `ok`.
pub(super) struct Fr2 {
    pub(super) head: Head,
    pub(super) status: Status,
    pub(super) ok: [u8; OK_BYTES],
}

/// Bytes of FR2 before `ok`.
pub(super) const FR2_BEFORE_OK_BYTES: usize = 48 + STATUS_BYTES;

impl Fr2 {
    /// Without `ok`.
    pub(super) fn write(head: &Head, status: &Status) -> Vec<u8> {
        let mut out = Vec::with_capacity(FR2_BEFORE_OK_BYTES + OK_BYTES);
        head.write(FR2, &mut out);
        status.write(&mut out);
        out
    }

    /// From the whole message, which answers these slots.
    pub(super) fn parse(bytes: &[u8], slots: &[Slot; QKD_SOURCES_MAX], agreed: &Agreed) -> Result<Self, FastRefusal> {
        let mut fields = Reader::new(bytes);
        let head = Head::parse(FR2, &mut fields)?;
        let status = status::parse(fields.take(STATUS_BYTES)?, slots)?;
        let ok = *fields.array()?;
        fields.end()?;
        head.stated.check(agreed, status.mixed)?;
        Ok(Self { head, status, ok })
    }

    /// The waiver that the responder does not give: short, with zeros in place of `ok`.
    ///
    /// # Errors
    /// A refusal whose `left`, index or `e'` is not zero.
    pub(super) fn refused(&self) -> Result<Option<WaiverKind>, FastRefusal> {
        if !self.head.stated.is_short() || self.ok != REFUSAL_OK {
            return Ok(None);
        }
        if self.head.data_index.is_some() {
            return Err(Malformed::Index.into());
        }
        all_zero(&self.head.e)?;
        if self.head.stated.left != LeftSeconds::NONE {
            return Err(FastRefusal::Left);
        }
        Ok(self.head.stated.waiver)
    }
}
