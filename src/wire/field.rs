//! A reader, small writers and single fields for fixed layouts: they cannot overrun, whatever bytes come.

/// Why bytes are not a message of this protocol. The sender is at fault; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter or longer than the layout.
    #[error("wrong length")]
    Length,
    /// A type byte that names no message.
    #[error("unknown message type")]
    Type,
    /// Another protocol version.
    #[error("unknown version")]
    Version,
    /// A field that must be zero is not.
    #[error("a zero field is not zero")]
    NotZero,
    /// An index or count of parts outside its range.
    #[error("impossible fragment number or length")]
    Fragment,
    /// A handshake or data index that is zero or not zero where the other is demanded.
    #[error("impossible index")]
    Index,
    /// A value outside the set that the protocol names.
    #[error("{0} has no such value")]
    Value(&'static str),
}

/// Reads fields one after the other from bytes that may be too short.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|&[byte]| byte)
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Skips `length` bytes that must all be zero.
    pub fn zero(&mut self, length: usize) -> Result<(), Malformed> {
        all_zero(self.take(length)?)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Ends the reading: nothing may be left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Length) }
    }
}

/// Refuses bytes of which one is not zero.
pub fn all_zero(bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Malformed::NotZero) }
}

/// Appends `length` zero bytes.
pub fn put_zero(out: &mut Vec<u8>, length: usize) {
    out.resize(out.len() + length, 0);
}

/// A big-endian field; `None` beyond the end.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

/// A big-endian field; `None` beyond the end.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_be_bytes(*field))
}

/// Overwrites a field; nothing happens if it would go beyond the end.
pub fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = field;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_in_order_and_ends() {
        let mut fields = Reader::new(&[1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 9, 9, 0]);
        assert_eq!(fields.u8(), Ok(1));
        assert_eq!(fields.u16(), Ok(2));
        assert_eq!(fields.u32(), Ok(3));
        assert_eq!(fields.u64(), Ok(4));
        assert_eq!(fields.take(2), Ok([9, 9].as_slice()));
        assert_eq!(fields.zero(1), Ok(()));
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn too_short_too_long_and_not_zero_are_refused() {
        assert_eq!(Reader::new(&[1]).u16(), Err(Malformed::Length));
        assert_eq!(Reader::new(&[1]).take(2), Err(Malformed::Length));
        assert_eq!(Reader::new(&[1]).end(), Err(Malformed::Length));
        assert_eq!(Reader::new(&[0, 1]).zero(2), Err(Malformed::NotZero));
    }

    #[test]
    fn fields_at_a_place_are_read_within_the_bytes_only() {
        let bytes = [9, 1, 2, 3, 4];
        assert_eq!((u16_at(&bytes, 3), u16_at(&bytes, 4)), (Some(0x0304), None));
        assert_eq!((u32_at(&bytes, 1), u32_at(&bytes, 2)), (Some(0x0102_0304), None));
    }
}
