//! Handshake datagrams, types 1 to 6: one view over bytes whose every header field has been checked (PROTOCOL 2.4).
//!
//! ```text
//! 0  type      1 I0, 2 R0, 3 I1, 4 R1, 5 I2, 6 R2
//! 1  version   1
//! 2  fragment  index (high nibble), count (low nibble)
//! 3  zero
//! 4  sender index    0 in R0 only
//! 8  receiver index  0 in I0 and I1 only
//! 12 message id
//! 16 body part       at most 1184, all parts but the last exactly that
//! -  mac1 16         over all before
//! -  mac2 16         over all before, mac1 too
//! ```

use super::field::{Malformed, Reader};
use crate::types::limits::{FRAGMENT_BODY_BYTES, FRAGMENTS_MAX, TAG_BYTES, WIRE_VERSION};
use crate::types::policy::Suite;

/// Bytes before the body part.
const HEADER_BYTES: usize = 16;
/// Bytes of mac1 and of mac2.
pub const MAC_BYTES: usize = 16;
/// Bytes of the sealed slots of I2: 448 and a tag.
pub const P3_BYTES: usize = 448 + TAG_BYTES;

/// The six messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MessageType {
    /// The initiator asks for a cookie.
    I0 = 1,
    /// The cookie.
    R0 = 2,
    /// The initiator shows who it is and states its terms.
    I1 = 3,
    /// The responder does.
    R1 = 4,
    /// The initiator names its QKD keys.
    I2 = 5,
    /// The responder says which of them it has.
    R2 = 6,
}

impl MessageType {
    /// From the type byte; `None` for every other type.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::I0, Self::R0, Self::I1, Self::R1, Self::I2, Self::R2].into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Bytes of the whole message's body (PROTOCOL 2.4, 2.5).
    pub const fn body_bytes(self, suite: Suite) -> usize {
        let (ek, ct) = (suite.ek_bytes(), suite.ct_bytes());
        match self {
            Self::I0 | Self::R0 => 48,
            Self::I1 => 4 + 32 + ek + ct + 48 + 80,
            Self::R1 => 32 + ct + ct + 80,
            Self::I2 => P3_BYTES,
            Self::R2 => 48,
        }
    }

    /// Datagrams of the whole message.
    pub const fn parts(self, suite: Suite) -> usize {
        self.body_bytes(suite).div_ceil(FRAGMENT_BODY_BYTES)
    }

    /// Bytes of the body part with this index; `None` if the message has no such part.
    pub fn part_bytes(self, suite: Suite, index: usize) -> Option<usize> {
        let before = index.checked_mul(FRAGMENT_BODY_BYTES)?;
        let rest = self.body_bytes(suite).checked_sub(before).filter(|rest| *rest > 0)?;
        Some(rest.min(FRAGMENT_BODY_BYTES))
    }
}

const _: () = {
    assert!(MessageType::I1.parts(Suite::MlKem1024) <= FRAGMENTS_MAX);
    assert!(MessageType::R1.parts(Suite::MlKem1024) <= MessageType::I1.parts(Suite::MlKem1024));
    assert!(MessageType::R1.parts(Suite::MlKem768) <= MessageType::I1.parts(Suite::MlKem768));
};

/// One datagram. Its header is well-formed and its part has the length that one of the suites gives it; nothing in it
/// is authentic before mac1 and mac2 were compared.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeDatagram<'a> {
    /// Which message it is a part of.
    pub kind: MessageType,
    /// Index of the part, below `parts`.
    pub part: u8,
    /// Parts of the message.
    pub parts: u8,
    /// The sender's handshake index; 0 in R0.
    pub sender: u32,
    /// The receiver's handshake index; 0 in I0 and I1.
    pub receiver: u32,
    /// The same in all parts of one message and in its verbatim resends.
    pub message_id: u32,
    /// The part of the body.
    pub body: &'a [u8],
    mac1_input: &'a [u8],
    mac1: &'a [u8; MAC_BYTES],
    mac2_input: &'a [u8],
    mac2: &'a [u8; MAC_BYTES],
}

impl<'a> HandshakeDatagram<'a> {
    /// Checks everything about the datagram that needs no key.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mac2_input, mac2) = bytes.split_last_chunk().ok_or(Malformed::Length)?;
        let (mac1_input, mac1) = mac2_input.split_last_chunk().ok_or(Malformed::Length)?;
        let mut fields = Reader::new(mac1_input);
        let kind = MessageType::from_byte(fields.u8()?).ok_or(Malformed::Type)?;
        if fields.u8()? != WIRE_VERSION {
            return Err(Malformed::Version);
        }
        let fragment = fields.u8()?;
        let (part, parts) = (fragment >> 4, fragment & 0x0f);
        fields.zero(1)?;
        let (sender, receiver, message_id) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let body = fields.rest();
        let datagram =
            Self { kind, part, parts, sender, receiver, message_id, body, mac1_input, mac1, mac2_input, mac2 };
        datagram.check_indices()?;
        if ![Suite::MlKem1024, Suite::MlKem768].into_iter().any(|suite| datagram.fits(suite)) {
            return Err(Malformed::Fragment);
        }
        Ok(datagram)
    }

    fn check_indices(&self) -> Result<(), Malformed> {
        let is_sender_zero = self.kind == MessageType::R0;
        let is_receiver_zero = matches!(self.kind, MessageType::I0 | MessageType::I1);
        if (self.sender == 0) == is_sender_zero && (self.receiver == 0) == is_receiver_zero {
            Ok(())
        } else {
            Err(Malformed::Index)
        }
    }

    /// Whether count of parts and length of this one are those of the suite's message.
    pub fn fits(&self, suite: Suite) -> bool {
        usize::from(self.parts) == self.kind.parts(suite)
            && self.kind.part_bytes(suite, usize::from(self.part)) == Some(self.body.len())
    }

    /// What mac1 covers.
    pub fn mac1_input(&self) -> &'a [u8] {
        self.mac1_input
    }

    /// mac1 as it came.
    pub fn mac1(&self) -> &'a [u8; MAC_BYTES] {
        self.mac1
    }

    /// What mac2 covers: mac1 too.
    pub fn mac2_input(&self) -> &'a [u8] {
        self.mac2_input
    }

    /// mac2 as it came.
    pub fn mac2(&self) -> &'a [u8; MAC_BYTES] {
        self.mac2
    }
}

/// The header fields that are the same in all parts of one message.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Which message.
    pub kind: MessageType,
    /// Our handshake index; 0 in R0.
    pub sender: u32,
    /// The peer's; 0 in I0 and I1.
    pub receiver: u32,
    /// Drawn once for each message built.
    pub message_id: u32,
}

/// Cuts a body into datagrams that still lack both MACs.
pub fn cut(header: &Header, body: &[u8]) -> Vec<Vec<u8>> {
    let parts = body.len().div_ceil(FRAGMENT_BODY_BYTES);
    assert!((1..=FRAGMENTS_MAX).contains(&parts), "a message has 1 to 8 parts, this one {parts}");
    let with_index = body.chunks(FRAGMENT_BODY_BYTES).enumerate();
    with_index.map(|(index, part)| write_part(header, (index << 4 | parts) as u8, part)).collect()
}

fn write_part(header: &Header, fragment: u8, part: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + part.len() + 2 * MAC_BYTES);
    out.extend_from_slice(&[header.kind as u8, WIRE_VERSION, fragment, 0]);
    for field in [header.sender, header.receiver, header.message_id] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(part);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::limits::HANDSHAKE_DATAGRAM_BYTES_MAX;

    const KINDS: [MessageType; 6] =
        [MessageType::I0, MessageType::R0, MessageType::I1, MessageType::R1, MessageType::I2, MessageType::R2];

    fn datagrams(kind: MessageType, suite: Suite) -> Vec<Vec<u8>> {
        let sender = if kind == MessageType::R0 { 0 } else { 7 };
        let receiver = if matches!(kind, MessageType::I0 | MessageType::I1) { 0 } else { 9 };
        let body: Vec<u8> = (0..kind.body_bytes(suite)).map(|i| (i % 251) as u8).collect();
        let mut all = cut(&Header { kind, sender, receiver, message_id: 5 }, &body);
        all.iter_mut().for_each(|datagram| datagram.resize(datagram.len() + 2 * MAC_BYTES, 0xaa));
        all
    }

    #[test]
    fn sizes_are_those_of_the_specification() {
        let sizes = |kind, suite| datagrams(kind, suite).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(MessageType::I0, Suite::MlKem1024), [96]);
        assert_eq!(sizes(MessageType::R0, Suite::MlKem1024), [96]);
        assert_eq!(sizes(MessageType::I1, Suite::MlKem1024), [1232, 1232, 980]);
        assert_eq!(sizes(MessageType::R1, Suite::MlKem1024), [1232, 1232, 928]);
        assert_eq!(sizes(MessageType::I2, Suite::MlKem1024), [512]);
        assert_eq!(sizes(MessageType::R2, Suite::MlKem1024), [96]);
        assert_eq!(sizes(MessageType::R1, Suite::MlKem768).len(), 2);
        assert!(sizes(MessageType::I1, Suite::MlKem768).iter().all(|size| *size <= HANDSHAKE_DATAGRAM_BYTES_MAX));
    }

    #[test]
    fn what_is_cut_is_read_back() {
        for suite in [Suite::MlKem1024, Suite::MlKem768] {
            for kind in KINDS {
                let all = datagrams(kind, suite);
                let mut body = Vec::new();
                for (index, bytes) in all.iter().enumerate() {
                    let read = HandshakeDatagram::parse(bytes).unwrap();
                    assert_eq!((read.kind, read.part, read.parts), (kind, index as u8, all.len() as u8));
                    assert!(read.fits(suite));
                    assert_eq!(read.mac2_input().len(), read.mac1_input().len() + MAC_BYTES);
                    body.extend_from_slice(read.body);
                }
                assert_eq!(body.len(), kind.body_bytes(suite));
            }
        }
    }

    #[test]
    fn every_broken_header_field_is_refused() {
        let good = datagrams(MessageType::I0, Suite::MlKem1024).remove(0);
        for (what, at, value, error) in [
            ("type 0", 0, 0, Malformed::Type),
            ("type 7", 0, 7, Malformed::Type),
            ("version 2", 1, 2, Malformed::Version),
            ("count 0", 2, 0x00, Malformed::Fragment),
            ("index 1 of 1", 2, 0x11, Malformed::Fragment),
            ("count 2", 2, 0x02, Malformed::Fragment),
            ("zero byte", 3, 1, Malformed::NotZero),
            ("sender 0", 7, 0, Malformed::Index),
            ("receiver not 0", 11, 1, Malformed::Index),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(HandshakeDatagram::parse(&bytes).err(), Some(error), "{what}");
        }
        let mut r0 = datagrams(MessageType::R0, Suite::MlKem1024).remove(0);
        r0[7] = 1;
        assert_eq!(HandshakeDatagram::parse(&r0).err(), Some(Malformed::Index), "R0 with a sender");
        let mut r2 = datagrams(MessageType::R2, Suite::MlKem1024).remove(0);
        r2[8..12].fill(0);
        assert_eq!(HandshakeDatagram::parse(&r2).err(), Some(Malformed::Index), "R2 without a receiver");
    }

    #[test]
    fn every_other_length_is_refused() {
        for kind in KINDS {
            for good in datagrams(kind, Suite::MlKem1024) {
                for length in (0..good.len()).chain([good.len() + 1]) {
                    let mut bytes = good.clone();
                    bytes.resize(length, 0);
                    let is_other_suite = HandshakeDatagram::parse(&bytes).is_ok_and(|read| read.fits(Suite::MlKem768));
                    assert!(is_other_suite || HandshakeDatagram::parse(&bytes).is_err(), "{kind:?} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_middle_part_marked_as_last_is_refused() {
        let mut bytes = datagrams(MessageType::I1, Suite::MlKem1024).remove(1);
        bytes[2] = 0x23;
        assert_eq!(HandshakeDatagram::parse(&bytes).err(), Some(Malformed::Fragment));
    }
}
