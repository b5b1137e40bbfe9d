//! The verbs that ask a KME: status, get-key, get-key-ids; and the fingerprint of a key.

use super::target::Found;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::output;
use crate::crypto::kdf::hmac_tag;
use crate::etsi014::v1::container::{self, ContainerKey};
use crate::etsi014::v1::request::NewKeys;
use crate::io::kme_client::methods;
use crate::keys::request::SourceFailure;
use crate::types::id::KeyId;

/// Salt of the fingerprints that two sites compare: they say nothing about a key used elsewhere.
const FINGERPRINT_SALT: &[u8] = b"PLAIT1 kme test";

/// Prints the standard's JSON; over which TLS it came goes to stderr.
pub(super) async fn status(kme: &Found) -> Outcome {
    let status = taken(kme.client.status(kme.timeout).await)?;
    output::data(&format!("{}\n", status.to_json()))
}

/// Prints new keys as the standard's JSON.
pub(super) async fn get_key(kme: &Found, asked: NewKeys) -> Outcome {
    print(&taken(kme.client.enc_keys(kme.timeout, asked).await)?)
}

/// Prints the keys of these ids as the standard's JSON.
pub(super) async fn get_key_ids(kme: &Found, ids: &[String]) -> Outcome {
    let ids: Result<Vec<String>, Failure> = ids.iter().map(|id| checked(id.clone())).collect();
    print(&taken(kme.client.dec_keys(kme.timeout, &ids?).await)?)
}

fn print(keys: &[ContainerKey]) -> Outcome {
    let json = container::write(keys);
    output::data(std::str::from_utf8(json.expose()).unwrap_or_default())?;
    output::data("\n")
}

/// A key_ID as typed.
pub(super) fn checked(id: String) -> Result<String, Failure> {
    let expected = "expected a key_ID of 1 to 64 printable ASCII characters without space";
    KeyId::new(id.as_bytes()).map(|_| id).ok_or_else(|| Failure::new(Exit::Usage, expected))
}

/// The value, or the failure in words; over which TLS it was asked goes to stderr either way.
fn taken<T>(outcome: methods::Outcome<T>) -> Result<T, Failure> {
    if let Some(tls) = &outcome.tls {
        output::talk(&format!("over {tls}"));
    }
    outcome
        .result
        .map_err(|SourceFailure { reason, text }| Failure::new(Exit::Failure, format!("{}: {text}", reason.as_str())))
}

/// 64 bits of a keyed hash of key and key_ID: equal only if both sites hold the same key under the same name.
pub(super) fn fingerprint(key: &ContainerKey) -> String {
    let id = key.key_id.as_str().to_ascii_lowercase();
    let tag: [u8; 8] = hmac_tag(key.material.expose(), &[FINGERPRINT_SALT, id.as_bytes()]);
    let digits = data_encoding::HEXLOWER.encode(&tag);
    let groups: Vec<&str> = (0..4).filter_map(|group| digits.get(4 * group..4 * group + 4)).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::secret::SecretBytes;

    #[test]
    fn a_fingerprint_depends_on_key_and_id_but_not_on_the_ids_case() {
        let shown = |id: &[u8], byte| {
            let material = SecretBytes::new(vec![byte; 32]);
            fingerprint(&ContainerKey { key_id: KeyId::new(id).unwrap(), material })
        };
        assert_eq!(shown(b"aB", 1), shown(b"Ab", 1));
        assert_ne!(shown(b"aB", 1), shown(b"aB", 2));
        assert_ne!(shown(b"aB", 1), shown(b"aC", 1));
        assert_eq!(shown(b"aB", 1).len(), 19);
    }
}
