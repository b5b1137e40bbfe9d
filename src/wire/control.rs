//! Control packets, the plaintext of type 17: which operation it is, and that its length fits (PROTOCOL 2.8).
//!
//! ```text
//! 1 FR1 496    2 FR2 80    3 PLEASE_REKEY 1    4 CLOSE 1    others: ignored, counted
//! ```

use super::field::Malformed;

/// First byte of FR1.
pub const FR1: u8 = 1;
/// First byte of FR2.
pub const FR2: u8 = 2;
/// The whole of PLEASE_REKEY.
pub const PLEASE_REKEY: u8 = 3;
/// The whole of CLOSE: the sender stops (PROTOCOL 2.8a).
pub const CLOSE: u8 = 4;

/// Bytes of FR1.
pub const FR1_BYTES: usize = 496;
/// Bytes of FR2.
pub const FR2_BYTES: usize = 80;

/// One operation between two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// The session initiator offers the next epoch.
    Fr1(&'a [u8; FR1_BYTES]),
    /// The responder's answer.
    Fr2(&'a [u8; FR2_BYTES]),
    /// The responder asks for a fast rekey.
    PleaseRekey,
    /// The sender stops.
    Close,
    /// An operation of a later version: ignored and counted.
    Unknown(u8),
}

impl<'a> Control<'a> {
    /// Reads the operation; the content of FR1 and FR2 is not looked at.
    ///
    /// # Errors
    /// [`Malformed::Length`] if it is empty or a known operation has another length.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, Malformed> {
        let (&op, rest) = plaintext.split_first().ok_or(Malformed::Length)?;
        match (op, rest) {
            (FR1, _) => plaintext.try_into().map(Self::Fr1).map_err(|_| Malformed::Length),
            (FR2, _) => plaintext.try_into().map(Self::Fr2).map_err(|_| Malformed::Length),
            (PLEASE_REKEY, []) => Ok(Self::PleaseRekey),
            (CLOSE, []) => Ok(Self::Close),
            (PLEASE_REKEY | CLOSE, _) => Err(Malformed::Length),
            (unknown, _) => Ok(Self::Unknown(unknown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = op;
        bytes
    }

    #[test]
    fn each_operation_has_one_length() {
        for length in 1..600 {
            assert_eq!(Control::parse(&op(FR1, length)).is_ok(), length == FR1_BYTES, "FR1 of {length}");
            assert_eq!(Control::parse(&op(FR2, length)).is_ok(), length == FR2_BYTES, "FR2 of {length}");
            assert_eq!(Control::parse(&op(PLEASE_REKEY, length)).is_ok(), length == 1, "PLEASE_REKEY of {length}");
            assert_eq!(Control::parse(&op(CLOSE, length)).is_ok(), length == 1, "CLOSE of {length}");
        }
        assert_eq!(Control::parse(&[]), Err(Malformed::Length));
    }

    #[test]
    fn unknown_operations_are_named_whatever_follows() {
        for unknown in [0, 5, 6, 17, 255] {
            for length in [1, 2, 80, 496] {
                assert_eq!(Control::parse(&op(unknown, length)), Ok(Control::Unknown(unknown)));
            }
        }
    }
}
