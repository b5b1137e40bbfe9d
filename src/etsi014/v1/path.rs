//! Paths and queries of the three methods (V1.1.1, 5.1, table 2): built by the client, read by the server.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::types::id::SaeId;

/// What stands before the SAE id.
pub const ROOT: &str = "/api/v1/keys";

/// Everything but the unreserved characters of RFC 3986 is escaped, "/" too: an id is one segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The three methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Method 1, get status.
    Status,
    /// Method 2, get key.
    EncKeys,
    /// Method 3, get key with key ids.
    DecKeys,
}

impl Method {
    /// Last segment of the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::EncKeys => "enc_keys",
            Self::DecKeys => "dec_keys",
        }
    }
}

/// Path of a method for the *other* SAE: slave in `status` and `enc_keys`, master in `dec_keys`.
pub fn path(prefix: &str, sae: &SaeId, method: Method) -> String {
    format!("{prefix}{ROOT}/{}/{}", segment(sae.as_str()), method.as_str())
}

/// Query of a simple `enc_keys` by GET.
pub fn enc_keys_query(number: u32, size_bits: u32) -> String {
    format!("number={number}&size={size_bits}")
}

/// Query of a `dec_keys` by GET: exactly one id.
pub fn dec_keys_query(key_id: &str) -> String {
    format!("key_ID={}", segment(key_id))
}

fn segment(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, SEGMENT)
}

/// The other SAE and the method that a path names; `None` if it names no method of the standard.
pub fn parse(path: &str) -> Option<(SaeId, Method)> {
    let rest = path.strip_prefix(ROOT)?.strip_prefix('/')?;
    let (sae, method) = rest.split_once('/')?;
    let method = [Method::Status, Method::EncKeys, Method::DecKeys].into_iter().find(|m| m.as_str() == method)?;
    let sae = percent_decode_str(sae).decode_utf8().ok()?;
    Some((SaeId::new(&sae)?, method))
}

/// The value of a query's member, unescaped; `None` if it is absent or not UTF-8.
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    pair.and_then(|(_, value)| percent_decode_str(value).decode_utf8().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_sae_id_is_one_segment_and_comes_back() {
        for id in ["SAE-B", "a/b c", "../x?y#z", "Zürich", "100%", "a+b", "550e8400-e29b-41d4-a716-446655440000"] {
            let sae = SaeId::new(id).unwrap();
            let path = path("", &sae, Method::EncKeys);
            assert_eq!(path.matches('/').count(), 5, "{path}");
            assert!(path.is_ascii() && !path.contains(['?', '#', ' ']));
            assert_eq!(parse(&path), Some((sae, Method::EncKeys)), "{path}");
        }
    }

    #[test]
    fn other_paths_name_no_method() {
        for wrong in [
            "/",
            "/api/v1/keys",
            "/api/v1/keys/A",
            "/api/v1/keys//status",
            "/api/v1/keys/A/other",
            "/api/v1/keys/A/status/",
            "/api/v2/keys/A/status",
            "/x/api/v1/keys/A/status",
            "/api/v1/keys/%ff/status",
            "/api/v1/keys/a%00/status",
            "/api/v1/keysA/status",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn queries_are_read() {
        let query = format!("{}&{}", enc_keys_query(3, 256), dec_keys_query("a/b&c"));
        assert_eq!(query_value(&query, "number").as_deref(), Some("3"));
        assert_eq!(query_value(&query, "size").as_deref(), Some("256"));
        assert_eq!(query_value(&query, "key_ID").as_deref(), Some("a/b&c"));
        assert_eq!(query_value(&query, "none"), None);
        assert_eq!(query_value("", "number"), None);
    }
}
