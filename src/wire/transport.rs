//! The 16-byte header of data packets (PROTOCOL 2.9).
//!
//! ```text
//! off len
//! 0   1  type: 16 data, 17 control, 18 segment, 19 bundle
//! 1   1  version = 1
//! 2   2  zero
//! 4   4  receiver index, big-endian
//! 8   7  number within the lane, little-endian
//! 15  1  lane, 0..=7
//! 16  n  ciphertext
//! -   16 tag
//! ```

use crate::types::id::SessionIndex;
use crate::types::limits::{DATA_HEADER_BYTES, LANES, TAG_BYTES, WIRE_VERSION};
use crate::wire::field::{Malformed, Reader};

/// Bytes of a datagram with an empty plaintext: header and tag.
pub const RECORD_BYTES_MIN: usize = DATA_HEADER_BYTES + TAG_BYTES;
/// Bits of the counter below the lane (PROTOCOL 2.9).
const NUMBER_BITS: u32 = 56;

/// What a record's plaintext is (PROTOCOL 2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// One IP packet, padded; empty: keepalive.
    Data = 16,
    /// A control message (PROTOCOL 2.8).
    Control = 17,
    /// One segment of a super-packet.
    Segment = 18,
    /// Several small IP packets.
    Bundle = 19,
}

impl RecordKind {
    /// From the type byte; `None` outside 16..=19.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Data, Self::Control, Self::Segment, Self::Bundle].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A counter: the lane in the top byte, the number below it. It is the nonce, so none is used twice under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter(u64);

impl Counter {
    /// `None` if the lane is above 7 or the number needs more than 56 bits.
    pub fn new(lane: u8, number: u64) -> Option<Self> {
        (usize::from(lane) < LANES && number >> NUMBER_BITS == 0)
            .then_some(Self(u64::from(lane) << NUMBER_BITS | number))
    }

    /// The lane, 0..=7.
    pub fn lane(self) -> usize {
        (self.0 >> NUMBER_BITS) as usize
    }

    /// The number within the lane, below 2^56.
    pub fn number(self) -> u64 {
        self.0 & !(u64::MAX << NUMBER_BITS)
    }

    /// The nonce of both ciphers: four zero bytes and the counter as in the header.
    pub fn nonce(self) -> [u8; 12] {
        let [a, b, c, d, e, f, g, h] = self.0.to_le_bytes();
        [0, 0, 0, 0, a, b, c, d, e, f, g, h]
    }
}

/// The header, which is also the associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// What the plaintext is.
    pub kind: RecordKind,
    /// The data receiver index that the other end gave to the epoch.
    pub receiver: SessionIndex,
    /// Lane and number.
    pub counter: Counter,
}

impl DataHeader {
    /// Reads the header of a datagram that has room for a tag as well.
    ///
    /// # Errors
    /// [`Malformed`] for a shorter datagram, another type or version, a zero field that is not zero, index 0, a lane above 7.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        if datagram.len() < RECORD_BYTES_MIN {
            return Err(Malformed::Length);
        }
        let mut reader = Reader::new(datagram);
        let kind = RecordKind::from_byte(reader.u8()?).ok_or(Malformed::Type)?;
        if reader.u8()? != WIRE_VERSION {
            return Err(Malformed::Version);
        }
        reader.zero(2)?;
        let receiver = SessionIndex::new(reader.u32()?).ok_or(Malformed::Index)?;
        let counter = Counter(u64::from_le_bytes(*reader.array()?));
        if counter.lane() >= LANES {
            return Err(Malformed::Value("lane"));
        }
        Ok(Self { kind, receiver, counter })
    }

    /// The 16 bytes on the wire.
    pub fn to_bytes(self) -> [u8; DATA_HEADER_BYTES] {
        let [r0, r1, r2, r3] = self.receiver.to_bytes();
        let [a, b, c, d, e, f, g, h] = self.counter.0.to_le_bytes();
        [self.kind as u8, WIRE_VERSION, 0, 0, r0, r1, r2, r3, a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> DataHeader {
        let receiver = SessionIndex::new(0x0102_0304).unwrap();
        DataHeader { kind: RecordKind::Control, receiver, counter: Counter::new(7, 0x0a_0b0c_0d0e_0f10).unwrap() }
    }

    #[test]
    fn a_header_survives_the_wire() {
        let mut datagram = header().to_bytes().to_vec();
        datagram.extend_from_slice(&[0; TAG_BYTES]);
        assert_eq!(datagram[8..16], [0x10, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 7]);
        assert_eq!(DataHeader::parse(&datagram), Ok(header()));
        assert_eq!(header().counter.lane(), 7);
        assert_eq!(header().counter.number(), 0x0a_0b0c_0d0e_0f10);
    }

    #[test]
    fn every_wrong_field_is_refused() {
        let mut good = header().to_bytes().to_vec();
        good.extend_from_slice(&[0; TAG_BYTES]);
        let changed = |at: usize, to: u8| {
            let mut datagram = good.clone();
            datagram[at] = to;
            DataHeader::parse(&datagram)
        };
        for kind in (0..16).chain(20..=255) {
            assert_eq!(changed(0, kind), Err(Malformed::Type), "type {kind}");
        }
        assert_eq!(changed(1, 0), Err(Malformed::Version));
        assert_eq!(changed(1, 2), Err(Malformed::Version));
        assert_eq!(changed(2, 1), Err(Malformed::NotZero));
        assert_eq!(changed(3, 1), Err(Malformed::NotZero));
        for lane in 8..=255 {
            assert_eq!(changed(15, lane), Err(Malformed::Value("lane")), "lane {lane}");
        }
        let mut no_index = good.clone();
        no_index[4..8].fill(0);
        assert_eq!(DataHeader::parse(&no_index), Err(Malformed::Index));
        assert_eq!(DataHeader::parse(&good[..RECORD_BYTES_MIN - 1]), Err(Malformed::Length));
    }

    #[test]
    fn a_counter_has_eight_lanes_of_56_bits() {
        assert!(Counter::new(8, 0).is_none());
        assert!(Counter::new(0, 1 << 56).is_none());
        assert_eq!(Counter::new(3, 1).unwrap().nonce(), [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3]);
    }
}
