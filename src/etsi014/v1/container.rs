//! The key container, answer of both key methods (V1.1.1, 6.3, table 11).

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::base64;
use super::json::{self, Malformed, Object};
use crate::types::id::KeyId;
use crate::types::secret::SecretBytes;

/// Bytes of a container with `number` keys of `size_bits`: base64, a 64-byte id, names, and room for vendor extensions.
pub fn container_bytes_max(number: u64, size_bits: u64) -> usize {
    const BESIDES_A_KEY: u64 = 1024;
    const BESIDES_THE_KEYS: u64 = 64 * 1024;
    let one = (size_bits / 6).saturating_add(BESIDES_A_KEY);
    let all = number.saturating_mul(one).saturating_add(BESIDES_THE_KEYS);
    usize::try_from(all).unwrap_or(usize::MAX)
}

/// One key of a container.
pub struct ContainerKey {
    /// Its name, byte for byte as the KME gave it.
    pub key_id: KeyId,
    /// The material.
    pub material: SecretBytes,
}

#[derive(Deserialize)]
struct RawContainer<'a> {
    /// Table 11 prints "Keys", every example "keys": both are read.
    #[serde(borrow, default, alias = "Keys")]
    keys: Option<Vec<Object<RawKey<'a>>>>,
}

#[derive(Deserialize)]
struct RawKey<'a> {
    #[serde(borrow, default, rename = "key_ID")]
    key_id: Option<Cow<'a, str>>,
    /// Borrowed, never owned: the only copy of the text is the body, which is wiped.
    #[serde(borrow, default)]
    key: Option<&'a str>,
}

/// Reads a container and wipes its body.
///
/// # Errors
/// [`Malformed`] for anything but a list of keys with distinct, usable ids and canonical base64. How many there are and
/// how long they are is for the caller to judge.
pub fn read(mut body: Zeroizing<Vec<u8>>) -> Result<Vec<ContainerKey>, Malformed> {
    json::unescape_in_place(&mut body);
    let raw: RawContainer<'_> = json::read(&body)?;
    let raw = raw.keys.ok_or(Malformed::Missing("keys"))?;
    let mut ids = BTreeSet::new();
    let mut keys = Vec::with_capacity(raw.len());
    for Object(key) in raw {
        let id = key.key_id.ok_or(Malformed::Missing("key_ID"))?;
        let key_id = KeyId::new(id.as_bytes()).ok_or(Malformed::KeyId)?;
        if !ids.insert(key_id.clone()) {
            return Err(Malformed::DoubleKeyId);
        }
        let text = key.key.ok_or(Malformed::Missing("key"))?;
        keys.push(ContainerKey { key_id, material: base64::decode(text).ok_or(Malformed::Key)? });
    }
    Ok(keys)
}

/// Writes a container: the members of table 11 without extensions, which strict clients refuse.
pub fn write(keys: &[ContainerKey]) -> SecretBytes {
    let texts: Vec<SecretBytes> = keys.iter().map(|key| base64::encode(key.material.expose())).collect();
    let parts = keys.iter().zip(&texts).map(|(key, text)| quoted_id(&key.key_id).len() + text.len() + 32);
    // Reserved once: a vector that grows would leave copies of keys behind.
    let mut out = Vec::with_capacity(16 + parts.sum::<usize>());
    out.extend_from_slice(b"{\"keys\":[");
    for (at, (key, text)) in keys.iter().zip(&texts).enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"key_ID\":" } else { b",{\"key_ID\":" });
        out.extend_from_slice(quoted_id(&key.key_id).as_bytes());
        out.extend_from_slice(b",\"key\":\"");
        out.extend_from_slice(text.expose());
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"]}");
    SecretBytes::new(out)
}

/// A key_ID is printable ASCII: only quote and backslash need an escape.
fn quoted_id(id: &KeyId) -> String {
    format!("\"{}\"", id.as_str().replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let keys = read(Zeroizing::new(text.as_bytes().to_vec()))?;
        Ok(keys.iter().map(|key| (key.key_id.as_str().to_owned(), key.material.expose().to_vec())).collect())
    }

    #[test]
    fn what_the_field_sends_is_read() {
        let one = vec![("A-1".to_owned(), vec![1, 2])];
        for text in [
            r#"{"keys":[{"key_ID":"A-1","key":"AQI="}]}"#,
            r#"{"Keys":[{"key":"AQI=","key_ID":"A-1"}]}"#,
            r#"{"vendor_x":{"a":[1]},"key_container_extension":null,"keys":[{"key_ID":"A-1","key_ID_extension":null,
               "key":"AQI=","key_extension":{"x":1}}]}"#,
            r#"{"keys":[{"key_ID":"A\u002d1","key":"AQI\u003d"}]}"#,
        ] {
            assert_eq!(parse(text), Ok(one.clone()), "{text}");
        }
        assert_eq!(parse(r#"{"keys":[]}"#), Ok(Vec::new()));
        assert_eq!(parse(r#"{"keys":[{"key_ID":"s","key":"\/w=="}]}"#), Ok(vec![("s".to_owned(), vec![255])]));
    }

    #[test]
    fn what_is_no_container_is_refused() {
        let long = format!(r#"{{"keys":[{{"key_ID":"{}","key":"AQI="}}]}}"#, "a".repeat(65));
        for (text, wrong) in [
            (r#"{"keys":null}"#, Malformed::Missing("keys")),
            (r#"{"message":"key data access error"}"#, Malformed::Missing("keys")),
            (r#"{"keys":[{"key":"AQI="}]}"#, Malformed::Missing("key_ID")),
            (r#"{"keys":[{"key_ID":"a","key":null}]}"#, Malformed::Missing("key")),
            (r#"{"keys":[{"key_ID":"a","key":"AQ"}]}"#, Malformed::Key),
            (r#"{"keys":[{"key_ID":"a","key":""}]}"#, Malformed::Key),
            (r#"{"keys":[{"key_ID":"a b","key":"AQI="}]}"#, Malformed::KeyId),
            (r#"{"keys":[{"key_ID":"a\r\n","key":"AQI="}]}"#, Malformed::KeyId),
            (r#"{"keys":[{"key_ID":"a\u0000","key":"AQI="}]}"#, Malformed::KeyId),
            (r#"{"keys":[{"key_ID":"","key":"AQI="}]}"#, Malformed::KeyId),
            (&long, Malformed::KeyId),
            (r#"{"keys":[{"key_ID":"a","key":"AQI="},{"key_ID":"a","key":"AQM="}]}"#, Malformed::DoubleKeyId),
            (r#"{"keys":[{"key_ID":"a","key":"AQI="}"#, Malformed::Truncated),
            ("", Malformed::Truncated),
        ] {
            assert_eq!(parse(text), Err(wrong), "{text}");
        }
        for text in [
            r#"{"keys":{}}"#,
            r#"{"keys":["AQI="]}"#,
            r#"{"keys":[["a","AQI="]]}"#,
            r#"[]"#,
            "<html>",
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[],"Keys":[]}"#,
            r#"{"keys":[{"key_ID":1,"key":"AQI="}]}"#,
            r#"{"keys":[{"key_ID":"a","key":"A\nQI="}]}"#,
            r#"{"keys":[]} x"#,
        ] {
            assert!(matches!(parse(text), Err(Malformed::Form { .. } | Malformed::Syntax { .. })), "{text}");
        }
        assert!(read(Zeroizing::new(b"{\"keys\":[{\"key_ID\":\"\xff\"}]}".to_vec())).is_err());
    }

    #[test]
    fn a_written_container_reads_back() {
        let key = |id: &[u8], material: &[u8]| ContainerKey {
            key_id: KeyId::new(id).unwrap(),
            material: SecretBytes::new(material.to_vec()),
        };
        let text = write(&[key(b"a\"b\\c", &[9; 32]), key(b"d", &[0xff; 3])]);
        let back = parse(std::str::from_utf8(text.expose()).unwrap()).unwrap();
        assert_eq!(back, vec![("a\"b\\c".to_owned(), vec![9; 32]), ("d".to_owned(), vec![0xff; 3])]);
        assert_eq!(write(&[]).expose(), b"{\"keys\":[]}");
    }

    #[test]
    fn the_bound_of_a_body_grows_with_what_was_asked_and_never_wraps() {
        assert!(container_bytes_max(1, 256) >= 64 * 1024);
        assert!(container_bytes_max(128, 1024) > container_bytes_max(1, 1024));
        assert_eq!(container_bytes_max(u64::MAX, u64::MAX), usize::MAX);
    }

    #[test]
    fn a_container_has_room_for_its_keys_as_base64() {
        let beside_the_keys = 64 * 1024;
        assert_eq!(container_bytes_max(0, 4096), beside_the_keys);
        assert_eq!(container_bytes_max(2, 6 * 4096), 2 * (4096 + 1024) + beside_the_keys);
        assert_eq!(container_bytes_max(u64::MAX, u64::MAX), usize::MAX);
    }
}
