//! Words and bytes with their length in front, in both forms.

use crate::wire::field::{Malformed, Reader};

/// Bytes of a text at most: what its length can say.
pub(super) const TEXT_BYTES_MAX: usize = u16::MAX as usize;

/// Length, 2 bytes; the bytes, cut if they are longer than it can say.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(bytes);
}

/// See [`put_bytes`].
pub(super) fn bytes<'a>(fields: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let length = fields.u16()?;
    fields.take(usize::from(length))
}

/// Bytes that are UTF-8.
pub(super) fn text<'a>(fields: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    std::str::from_utf8(bytes(fields)?).map_err(|_| Malformed::Value("text"))
}

/// 0 or 1.
pub(super) fn flag(fields: &mut Reader<'_>) -> Result<bool, Malformed> {
    match fields.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::Value("flag")),
    }
}

/// A flag, and what follows it if it is 1.
pub(super) fn option<'a, T>(
    fields: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    if flag(fields)? { read(fields).map(Some) } else { Ok(None) }
}

/// See [`option`].
pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}
