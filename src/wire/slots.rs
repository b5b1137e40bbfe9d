//! The six slots of I2 and FR1: for each key source a key_ID, or why there is none (PROTOCOL 2.5 payload3, 2.8).
//!
//! ```text
//! 0  state u8    0 none (all zero), 1 a key, 2 failed at the initiator (reason set, the rest zero)
//! 1  reason u8   0 with a key
//! 2  size u16    bits delivered, >= 256, a multiple of 8
//! 4  id_len u8   1..64
//! 5  zero 3
//! 8  key_ID 64   zero-padded
//! ```

use super::field::{Malformed, Reader, put_zero};
use crate::types::id::{KeyId, SourceId, SourceMask};
use crate::types::limits::{KEY_ID_BYTES_MAX, QKD_KEY_BITS, QKD_SOURCES_MAX};
use crate::types::policy::Reason;

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 72;
/// Bytes of all six.
pub const SLOTS_BYTES: usize = SLOT_BYTES * QKD_SOURCES_MAX;

const STATE_NONE: u8 = 0;
const STATE_KEY: u8 = 1;
const STATE_FAILED: u8 = 2;

/// What the initiator says about one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The source is not in the asked set.
    None,
    /// The initiator holds this key.
    Key {
        /// Its name, for the responder's KME.
        key_id: KeyId,
        /// Bits that the initiator's KME delivered.
        size_bits: u16,
    },
    /// The initiator has no key of this source.
    Failed(Reason),
}

impl Slot {
    /// The key_ID, if there is a key.
    pub fn key_id(&self) -> Option<&KeyId> {
        match self {
            Self::Key { key_id, .. } => Some(key_id),
            Self::None | Self::Failed(_) => None,
        }
    }
}

/// The sources whose slot names a key.
pub fn sources_with_key(slots: &[Slot; QKD_SOURCES_MAX]) -> SourceMask {
    let with_key = SourceId::all().zip(slots).filter(|(_, slot)| slot.key_id().is_some());
    with_key.fold(SourceMask::EMPTY, |mask, (source, _)| mask.with(source))
}

/// Reads six slots: a slot of the asked set has a key or a reason, every other slot is zero.
pub fn parse(bytes: &[u8], asked: SourceMask) -> Result<[Slot; QKD_SOURCES_MAX], Malformed> {
    let mut slots = [const { Slot::None }; QKD_SOURCES_MAX];
    let mut fields = Reader::new(bytes);
    for (source, slot) in SourceId::all().zip(&mut slots) {
        *slot = parse_slot(fields.array()?)?;
        if asked.has(source) == (*slot == Slot::None) {
            return Err(Malformed::Value("slot state"));
        }
    }
    fields.end()?;
    Ok(slots)
}

fn parse_slot(bytes: &[u8; SLOT_BYTES]) -> Result<Slot, Malformed> {
    let mut fields = Reader::new(bytes);
    let (state, reason, size_bits, id_len) = (fields.u8()?, fields.u8()?, fields.u16()?, fields.u8()?);
    fields.zero(3)?;
    let text = fields.array::<KEY_ID_BYTES_MAX>()?;
    match state {
        STATE_NONE | STATE_FAILED => {
            let is_rest_zero = size_bits == 0 && id_len == 0 && *text == [0; KEY_ID_BYTES_MAX];
            match (is_rest_zero, state, Reason::from_byte(reason)) {
                (true, STATE_NONE, None) => Ok(Slot::None),
                (true, STATE_FAILED, Some(reason)) => Ok(Slot::Failed(reason)),
                (false, _, _) => Err(Malformed::NotZero),
                (true, _, _) => Err(Malformed::Value("slot reason")),
            }
        }
        STATE_KEY => {
            if reason != 0 {
                return Err(Malformed::NotZero);
            }
            if size_bits < QKD_KEY_BITS || size_bits % 8 != 0 {
                return Err(Malformed::Value("slot size"));
            }
            let mut text = Reader::new(text);
            let key_id = KeyId::new(text.take(usize::from(id_len))?).ok_or(Malformed::Value("key_ID"))?;
            text.zero(KEY_ID_BYTES_MAX - usize::from(id_len))?;
            Ok(Slot::Key { key_id, size_bits })
        }
        _ => Err(Malformed::Value("slot state")),
    }
}

/// Appends six slots, [`SLOTS_BYTES`] long.
pub fn write(slots: &[Slot; QKD_SOURCES_MAX], out: &mut Vec<u8>) {
    for slot in slots {
        match slot {
            Slot::None => put_zero(out, SLOT_BYTES),
            Slot::Failed(reason) => {
                out.extend_from_slice(&[STATE_FAILED, *reason as u8]);
                put_zero(out, SLOT_BYTES - 2);
            }
            Slot::Key { key_id, size_bits } => {
                let text = key_id.as_str().as_bytes();
                out.extend_from_slice(&[STATE_KEY, 0]);
                out.extend_from_slice(&size_bits.to_be_bytes());
                // A key_ID has at most 64 bytes.
                out.extend_from_slice(&[text.len() as u8, 0, 0, 0]);
                out.extend_from_slice(text);
                put_zero(out, KEY_ID_BYTES_MAX - text.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Slot {
        Slot::Key { key_id: KeyId::new(text.as_bytes()).unwrap(), size_bits: 256 }
    }

    fn sample() -> ([Slot; 6], SourceMask) {
        let failed = Slot::Failed(Reason::NoKeyNow);
        let longest = Slot::Key { key_id: KeyId::new(&[b'~'; 64]).unwrap(), size_bits: 16_384 };
        ([key("a-b"), Slot::None, failed, Slot::None, longest, Slot::None], SourceMask::from_bits(0b01_0101).unwrap())
    }

    fn bytes() -> Vec<u8> {
        let mut out = Vec::new();
        write(&sample().0, &mut out);
        out
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(bytes().len(), SLOTS_BYTES);
        assert_eq!(parse(&bytes(), sample().1), Ok(sample().0));
        assert_eq!(sources_with_key(&sample().0).bits(), 0b01_0001);
    }

    #[test]
    fn the_asked_set_decides_which_slots_are_filled() {
        for asked in (0..64).filter_map(SourceMask::from_bits) {
            assert_eq!(parse(&bytes(), asked).is_ok(), asked == sample().1, "{asked:?}");
        }
    }

    #[test]
    fn every_broken_field_is_refused() {
        let slot = |at: usize, value: u8| (at, value);
        let broken = [
            ("state 3", slot(0, 3)),
            ("none with the rest set", slot(0, 0)),
            ("failed with the rest set", slot(0, 2)),
            ("reason beside a key", slot(1, 3)),
            ("size below 256", slot(2, 0)),
            ("size no multiple of 8", slot(3, 1)),
            ("id_len 0", slot(4, 0)),
            ("id_len 65", slot(4, 65)),
            ("id_len too small", slot(4, 2)),
            ("id_len too large", slot(4, 4)),
            ("zero byte", slot(6, 1)),
            ("space in key_ID", slot(9, b' ')),
            ("byte 0x7f in key_ID", slot(9, 0x7f)),
            ("byte 0xe9 in key_ID", slot(9, 0xe9)),
            ("padding", slot(71, 1)),
            ("failed without reason", slot(145, 0)),
            ("failed with a size", slot(146, 1)),
            ("failed with an id_len", slot(148, 1)),
            ("failed with a key_ID", slot(152, b'x')),
            ("none with a reason", slot(73, 1)),
        ];
        for (what, (at, value)) in broken {
            let mut bytes = bytes();
            bytes[at] = value;
            assert!(parse(&bytes, sample().1).is_err(), "{what}");
        }
    }

    #[test]
    fn the_length_is_exact() {
        let (_, asked) = sample();
        assert_eq!(parse(&bytes()[..SLOTS_BYTES - 1], asked), Err(Malformed::Length));
        assert_eq!(parse(&[bytes(), vec![0]].concat(), asked), Err(Malformed::Length));
    }
}
