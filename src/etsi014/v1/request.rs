//! The bodies of requests: key request (V1.1.1, 6.2, table 10) and key ids (6.4, table 12).

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::json::{self, Malformed, Object};

/// Keys one request may name or ask for on our side of the wire: what a client does not need, a server need not hold.
pub const KEYS_PER_REQUEST_MAX: u64 = 128;

/// Body of `enc_keys` as a client writes it: only what it means, no empty lists, no nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewKeys {
    /// How many.
    pub number: u32,
    /// Bits of each.
    pub size: u32,
}

impl NewKeys {
    /// The JSON text.
    pub fn to_json(self) -> String {
        format!("{{\"number\":{},\"size\":{}}}", self.number, self.size)
    }
}

/// Body of `dec_keys` as a client writes it: an object for each id, never plain strings.
pub fn key_ids_json<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    #[derive(Serialize)]
    struct Id<'a> {
        #[serde(rename = "key_ID")]
        key_id: &'a str,
    }
    #[derive(Serialize)]
    struct Ids<'a> {
        #[serde(rename = "key_IDs")]
        key_ids: Vec<Id<'a>>,
    }
    let ids = Ids { key_ids: ids.map(|key_id| Id { key_id }).collect() };
    serde_json::to_string(&ids).unwrap_or_default()
}

/// Body of `enc_keys` as a server reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncKeys {
    /// How many keys; 1 if left out.
    pub number: Option<u64>,
    /// Bits of each; `key_size` of the status if left out.
    pub size: Option<u64>,
    /// Further slaves that shall get the same keys.
    pub additional_slaves: Vec<String>,
    /// Names of the extensions that must be honoured or refused.
    pub mandatory_extensions: Vec<String>,
}

#[derive(Deserialize)]
struct RawEncKeys {
    #[serde(default, deserialize_with = "json::integer")]
    number: Option<u64>,
    #[serde(default, deserialize_with = "json::integer")]
    size: Option<u64>,
    #[serde(default, rename = "additional_slave_SAE_IDs", deserialize_with = "json::list")]
    additional_slaves: Vec<String>,
    #[serde(default, deserialize_with = "json::list")]
    extension_mandatory: Vec<BTreeMap<String, IgnoredAny>>,
}

impl EncKeys {
    /// Reads the body; an empty one asks for everything by default, as old clients send it.
    ///
    /// # Errors
    /// [`Malformed`] if it is not empty and not an object of table 10.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let raw: RawEncKeys = json::read(body)?;
        let mandatory_extensions = raw.extension_mandatory.into_iter().flat_map(BTreeMap::into_keys).collect();
        Ok(Self { number: raw.number, size: raw.size, additional_slaves: raw.additional_slaves, mandatory_extensions })
    }
}

#[derive(Deserialize)]
struct RawKeyIds {
    #[serde(default, rename = "key_IDs")]
    key_ids: Option<Vec<Object<RawKeyId>>>,
}

#[derive(Deserialize)]
struct RawKeyId {
    #[serde(rename = "key_ID")]
    key_id: String,
}

/// Reads the body of `dec_keys` as a server: the ids as they came.
///
/// # Errors
/// [`Malformed`] if it is not an object of table 12.
pub fn read_key_ids(body: &[u8]) -> Result<Vec<String>, Malformed> {
    let raw: RawKeyIds = json::read(body)?;
    let ids = raw.key_ids.ok_or(Malformed::Missing("key_IDs"))?;
    Ok(ids.into_iter().map(|Object(id)| id.key_id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_read() {
        let asked = |text: &str| EncKeys::read(text.as_bytes()).unwrap();
        assert_eq!(asked(""), EncKeys::default());
        assert_eq!(asked(" \r\n"), EncKeys::default());
        assert_eq!(asked("{}"), EncKeys::default());
        let body = r#"{"number":2,"size":"256","additional_target_sae_ids":[],"extension_mandatory":[],
                       "additional_slave_SAE_IDs":null,"extension_optional":[{"v_x":1}]}"#;
        assert_eq!(asked(body), EncKeys { number: Some(2), size: Some(256), ..EncKeys::default() });
        let body = r#"{"additional_slave_SAE_IDs":["C"],"extension_mandatory":[{"v_route":"direct"}]}"#;
        let expected = EncKeys {
            additional_slaves: vec!["C".to_owned()],
            mandatory_extensions: vec!["v_route".to_owned()],
            ..EncKeys::default()
        };
        assert_eq!(asked(body), expected);
    }

    #[test]
    fn a_body_of_another_form_is_refused() {
        for wrong in ["[]", "1", "{", r#"{"number":-1}"#, r#"{"size":{}}"#, r#"{"extension_mandatory":["x"]}"#] {
            assert!(EncKeys::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in
            ["", "{}", r#"{"key_IDs":["a"]}"#, r#"{"key_IDs":[["a"]]}"#, r#"{"key_IDs":[{}]}"#, r#"{"key_IDs":null}"#]
        {
            assert!(read_key_ids(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn written_bodies_read_back() {
        let written = NewKeys { number: 1, size: 256 }.to_json();
        assert_eq!(EncKeys::read(written.as_bytes()).unwrap().size, Some(256));
        let written = key_ids_json(["A\"b", "c"].into_iter());
        assert_eq!(read_key_ids(written.as_bytes()).unwrap(), ["A\"b", "c"]);
    }
}
