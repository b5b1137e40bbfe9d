//! Hex and members of a vector file, for tests that may panic.

use serde_json::Value;

/// The bytes of a lower-case hex string.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("not a string: {value}"));
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The bytes of a hex string of exactly `N` bytes.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap_or_else(|v: Vec<u8>| panic!("{} bytes instead of {N}", v.len()))
}
