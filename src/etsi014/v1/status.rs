//! The status of a KME towards one slave SAE (V1.1.1, 6.1, table 9): advisory, no request is decided by it.

use serde::{Deserialize, Serialize};

use super::json::{self, Malformed};

/// Status as read from any KME or written by ours; ours fills all members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The KME that answers.
    #[serde(default, rename = "source_KME_ID", skip_serializing_if = "Option::is_none")]
    pub source_kme: Option<String>,
    /// The KME of the slave SAE.
    #[serde(default, rename = "target_KME_ID", skip_serializing_if = "Option::is_none")]
    pub target_kme: Option<String>,
    /// The SAE that asks.
    #[serde(default, rename = "master_SAE_ID", skip_serializing_if = "Option::is_none")]
    pub master_sae: Option<String>,
    /// The SAE in the path.
    #[serde(default, rename = "slave_SAE_ID", skip_serializing_if = "Option::is_none")]
    pub slave_sae: Option<String>,
    /// Bits of a key if a request names none.
    #[serde(default, deserialize_with = "json::integer", skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u64>,
    /// Keys that can be had now. Two of four KMEs seen in the field count something else here.
    #[serde(default, deserialize_with = "json::integer", skip_serializing_if = "Option::is_none")]
    pub stored_key_count: Option<u64>,
    /// Most keys it stores.
    #[serde(default, deserialize_with = "json::integer", skip_serializing_if = "Option::is_none")]
    pub max_key_count: Option<u64>,
    /// Most keys of one request.
    #[serde(default, deserialize_with = "json::integer", skip_serializing_if = "Option::is_none")]
    pub max_key_per_request: Option<u64>,
    /// Bits of the longest key.
    #[serde(default, deserialize_with = "json::integer", skip_serializing_if = "Option::is_none")]
    pub max_key_size: Option<u64>,
    /// Bits of the shortest key.
    #[serde(default, deserialize_with = "json::integer", skip_serializing_if = "Option::is_none")]
    pub min_key_size: Option<u64>,
    /// Most additional slaves; 0: no multicast.
    #[serde(
        default,
        rename = "max_SAE_ID_count",
        deserialize_with = "json::integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_sae_count: Option<u64>,
}

impl Status {
    /// Reads a status; members may be missing.
    ///
    /// # Errors
    /// [`Malformed`] if it is not an object, or a member has another type.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        json::read(body)
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full status with names of the standard's example form.
    const FULL: &str = r#"{"source_KME_ID":"A","target_KME_ID":"B","master_SAE_ID":"a","slave_SAE_ID":"b","key_size":256,"stored_key_count":100,"max_key_count":1000,"max_key_per_request":128,"max_key_size":1024,"min_key_size":64,"max_SAE_ID_count":0}"#;

    #[test]
    fn all_members_make_the_round_trip() {
        let status = Status::read(FULL.as_bytes()).unwrap();
        assert_eq!((status.stored_key_count, status.max_sae_count), (Some(100), Some(0)));
        assert_eq!(status.to_json(), FULL);
    }

    #[test]
    fn missing_null_and_foreign_members_are_tolerated_and_wrong_types_are_not() {
        let status = Status::read(br#"{"key_size":"512","status_extension":null,"vendor":[1],"max_key_count":null}"#);
        assert_eq!(status, Ok(Status { key_size: Some(512), ..Status::default() }));
        assert!(Status::read(br#"{"key_size":true}"#).is_err());
        assert!(Status::read(b"<html>").is_err());
    }
}
