//! The responder's status in R2 and FR2: which sources were mixed, and why the others were not (PROTOCOL 2.5 R2, 2.8).
//!
//! ```text
//! 0  mixed u8        bitmap of the sources mixed
//! 1  zero
//! 2  reason 6 x u8   of a slot with a key that was not mixed; else zero
//! 8  check 6 x u8    of a mixed source; else zero
//! 14 zero 2
//! ```

use super::field::{Malformed, Reader, put_zero};
use super::slots::Slot;
use crate::types::id::{SourceId, SourceMask};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::policy::Reason;

/// Bytes of a status.
pub const STATUS_BYTES: usize = 16;

/// What the responder did with the slots of I2 or FR1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The sources whose key both ends mix.
    pub mixed: SourceMask,
    /// By source: why a key that was offered is not mixed.
    pub reasons: [Option<Reason>; QKD_SOURCES_MAX],
    /// By source: one byte that tells different keys apart before `ok` is tried.
    pub check: [u8; QKD_SOURCES_MAX],
}

/// Reads a status that answers these slots.
pub fn parse(bytes: &[u8], slots: &[Slot; QKD_SOURCES_MAX]) -> Result<Status, Malformed> {
    let mut fields = Reader::new(bytes);
    let mixed = SourceMask::from_bits(fields.u8()?).ok_or(Malformed::Value("bitmap"))?;
    fields.zero(1)?;
    let reasons = fields.array::<QKD_SOURCES_MAX>()?.map(Reason::from_byte);
    let check = *fields.array::<QKD_SOURCES_MAX>()?;
    fields.zero(2)?;
    fields.end()?;
    for (((source, slot), reason), check) in SourceId::all().zip(slots).zip(&reasons).zip(check) {
        let (has_key, is_mixed) = (slot.key_id().is_some(), mixed.has(source));
        if is_mixed && !has_key {
            return Err(Malformed::Value("bitmap"));
        }
        if reason.is_some() != (has_key && !is_mixed) {
            return Err(Malformed::Value("status reason"));
        }
        if check != 0 && !is_mixed {
            return Err(Malformed::NotZero);
        }
    }
    Ok(Status { mixed, reasons, check })
}

impl Status {
    /// Appends the status, [`STATUS_BYTES`] long.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.mixed.bits(), 0]);
        out.extend(self.reasons.map(|reason| reason.map_or(0, |r| r as u8)));
        out.extend_from_slice(&self.check);
        put_zero(out, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id::KeyId;

    fn slots() -> [Slot; 6] {
        let key = || Slot::Key { key_id: KeyId::new(b"k").unwrap(), size_bits: 256 };
        [key(), key(), Slot::Failed(Reason::Deadline), Slot::None, Slot::None, Slot::None]
    }

    /// Source 0 mixed, source 1 not.
    const GOOD: [u8; STATUS_BYTES] = [1, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn what_is_written_is_read_back() {
        let status = parse(&GOOD, &slots()).unwrap();
        assert_eq!((status.mixed.bits(), status.reasons[1], status.check[0]), (1, Some(Reason::Deadline), 0x5a));
        let mut out = Vec::new();
        status.write(&mut out);
        assert_eq!(out, GOOD);
    }

    #[test]
    fn every_broken_field_is_refused() {
        let broken = [
            ("bit of a source that failed", 0, 0b101),
            ("bit of a source outside the asked set", 0, 0b1001),
            ("bit 6", 0, 0x41),
            ("byte 1", 1, 1),
            ("reason for a mixed source", 2, 3),
            ("no reason for a key that is not mixed", 3, 0),
            ("reason for a source without a key", 4, 3),
            ("check of a source that is not mixed", 9, 1),
            ("byte 14", 14, 1),
            ("byte 15", 15, 1),
        ];
        for (what, at, value) in broken {
            let mut bytes = GOOD;
            bytes[at] = value;
            assert!(parse(&bytes, &slots()).is_err(), "{what}");
        }
        assert_eq!(parse(&GOOD[..15], &slots()), Err(Malformed::Length));
        assert_eq!(parse(&[GOOD.as_slice(), &[0]].concat(), &slots()), Err(Malformed::Length));
    }
}
