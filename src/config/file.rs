//! The configuration as written: every key an operator can write, each value with its place in the text.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::error::{ConfigError, Place};
use super::value::Written;
use crate::types::nearest::nearest;

/// A value that may be left out, with its place.
type Key<T> = Option<Spanned<T>>;

/// `/etc/plait/NAME.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// This end.
    pub interface: Key<InterfaceSection>,
    /// The policy of all peers.
    pub policy: Key<PolicySection>,
    /// Key sources.
    #[serde(default)]
    pub qkd: Vec<Spanned<QkdSection>>,
    /// The other ends.
    #[serde(default)]
    pub peer: Vec<Spanned<PeerSection>>,
    /// The status page.
    pub status: Key<StatusSection>,
}

/// `[interface]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceSection {
    /// Secret file of this end.
    pub private_key_file: Key<String>,
    /// UDP address and port.
    pub listen: Key<String>,
    /// Addresses of the interface.
    pub address: Option<Vec<Spanned<String>>>,
    /// `"auto"` or bytes.
    pub mtu: Key<Written>,
    /// `"auto"`, `"off"` or a number.
    pub table: Key<Written>,
    /// TUN backend.
    pub backend: Key<String>,
    /// `"auto"`, `"off"` or switches.
    pub offload: Key<OffloadWritten>,
    /// TUN queues.
    pub queues: Key<Written>,
    /// Record of what protected the traffic.
    pub audit: Key<String>,
    /// Firewall beside the tunnel.
    pub killswitch: Key<Written>,
}

/// `offload`: one word for all of it, or a switch for each.
#[derive(Debug)]
pub(super) enum OffloadWritten {
    /// `"auto"` or `"off"`.
    Word(String),
    /// `{ tso = true, .. }`.
    Switches(OffloadSection),
}

/// The switches of `offload`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OffloadSection {
    /// TCP super-packets at the TUN interface.
    pub tso: Key<Written>,
    /// UDP super-packets at the TUN interface.
    pub uso: Key<Written>,
    /// Trains of datagrams in one send.
    pub gso: Key<Written>,
    /// Trains of datagrams in one receive.
    pub gro: Key<Written>,
    /// Small packets together in one record.
    pub bundle: Key<Written>,
}

impl<'de> Deserialize<'de> for OffloadWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrSwitches)
    }
}

struct WordOrSwitches;

impl<'de> Visitor<'de> for WordOrSwitches {
    type Value = OffloadWritten;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\", \"off\" or switches such as { uso = false }")
    }

    fn visit_str<E>(self, word: &str) -> Result<OffloadWritten, E> {
        Ok(OffloadWritten::Word(word.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, switches: A) -> Result<OffloadWritten, A::Error> {
        OffloadSection::deserialize(MapAccessDeserializer::new(switches)).map(OffloadWritten::Switches)
    }
}

/// `[policy]` and `[peer.policy]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicySection {
    /// `"required"`, `"preferred"` or `"off"`.
    pub qkd: Key<String>,
    /// Distinct sources that must be mixed.
    pub min_sources: Key<Written>,
    /// Time without QKD under `required`.
    pub hold_last: Key<Written>,
    /// Time without QKD under `preferred`.
    pub degrade_for: Key<Written>,
    /// Interval of fast rekeys.
    pub rekey: Key<Written>,
    /// Lower end of `rekey = "auto"`.
    pub rekey_min: Key<Written>,
    /// Upper end of `rekey = "auto"`.
    pub rekey_max: Key<Written>,
    /// Interval of full handshakes.
    pub full: Key<Written>,
}

/// `[[qkd]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QkdSection {
    /// 0..5, the same at both sites.
    pub id: Key<Written>,
    /// Name of the peer that it keys.
    pub peer: Key<String>,
    /// Name in output.
    pub name: Key<String>,
    /// Kind of source.
    #[serde(rename = "type")]
    pub kind: Key<String>,
    /// Base URL of the KME.
    pub url: Key<String>,
    /// Our SAE id.
    pub local_sae: Key<String>,
    /// The peer's SAE id.
    pub remote_sae: Key<String>,
    /// Who signs the KME's certificate.
    pub ca_file: Key<String>,
    /// Our client certificate.
    pub cert_file: Key<String>,
    /// Its key.
    pub key_file: Key<String>,
    /// Password of a PKCS#12 file.
    pub key_password_file: Key<String>,
    /// Expected name of the KME.
    pub server_name: Key<String>,
    /// Expected certificate of the KME.
    pub pin_sha256: Key<String>,
    /// Of one request.
    pub timeout: Key<Written>,
    /// `"any"` or `"pq"`.
    pub kme_tls: Key<String>,
    /// `"post"` or `"get"`.
    pub method: Key<String>,
}

/// `[[peer]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerSection {
    /// Name in output and of state files.
    pub name: Key<String>,
    /// Public file of the peer.
    pub public_key_file: Key<String>,
    /// Where it is.
    pub endpoint: Key<String>,
    /// Inner addresses behind it.
    pub allowed_ips: Option<Vec<Spanned<String>>>,
    /// Data cipher.
    pub cipher: Key<String>,
    /// Interval of keepalives.
    pub keepalive: Key<Written>,
    /// Pre-shared key.
    pub psk_file: Key<String>,
    /// Use of the ratchet.
    pub ratchet: Key<String>,
    /// Whether the endpoint stays as configured.
    pub pin_endpoint: Key<Written>,
    /// Overrides, key by key.
    pub policy: Option<PolicySection>,
}

/// `[status]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusSection {
    /// HTTP address and port.
    pub listen: Key<String>,
}

/// Reads the text as it is written; the first mistake of form (syntax, unknown key, wrong type) ends it.
pub(super) fn written(text: &str) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| placed(text, &error))
}

fn placed(text: &str, error: &toml::de::Error) -> ConfigError {
    let place = Place::of(text, error.span().map_or(0, |span| span.start));
    let message = error.message().trim().replace('\n', "; ");
    let Some(rest) = message.strip_prefix("unknown field ") else { return ConfigError::other(place, message) };
    // serde writes: unknown field `x`, expected one of `a`, `b`
    let mut names = rest.split('`').skip(1).step_by(2);
    let came = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let guess = nearest(came, known.iter().copied());
    ConfigError::other(place, format!("unknown key `{came}`, expected one of {}{guess}", known.join(", ")))
}
