//! The figures of `plait status`: the members of `--json`, which scripts rely on. Add to them, do not change them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sandbox::Sandbox;
use crate::keys::estimate::STALE_AFTER;

/// Number of this form.
pub const SCHEMA: u32 = 1;

/// A polled figure older than this is stale.
pub const STALE_AFTER_SECONDS: f64 = STALE_AFTER.as_secs_f64();

/// Whether a figure of this age is stale.
pub fn is_stale(age_seconds: f64) -> bool {
    age_seconds > STALE_AFTER_SECONDS
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the interface.
    pub interface: String,
    /// That of the worst peer.
    pub state: String,
    /// Fingerprint of this end.
    pub fingerprint: String,
    /// UDP address and port.
    pub listen: String,
    /// Of the interface, in bytes: what all peers with a session take.
    pub mtu: u16,
    /// Help of the kernel that is in use: `tso`, `uso`, `gso`, `gro`, `bundle`.
    #[serde(default)]
    pub offload: Vec<String>,
    /// Help that is configured and not in use, because the kernel refused it or failed at it.
    #[serde(default)]
    pub offload_given_up: Vec<String>,
    /// Since the daemon started.
    pub uptime_seconds: f64,
    /// `[policy]`.
    pub policy: PolicyReport,
    /// In the order of the configuration.
    pub peers: Vec<PeerReport>,
    /// Of all peers.
    pub sources: Vec<SourceReport>,
    /// Datagrams refused before a peer was known, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Packets and datagrams that belong to no peer and went no further, by reason: from the interface `no_route` (in no
    /// peer's `allowed_ips`) and `not_ip`, from the network `unknown_index`, `malformed` and `queue`.
    #[serde(default)]
    pub unclaimed: BTreeMap<String, u64>,
    /// How the packet process is confined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// The same of the process that speaks to KMEs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_sandbox: Option<Sandbox>,
    /// How often that process was started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_restarts: Option<u64>,
}

/// A policy as configured; a limit that is not set or unlimited is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// `required`, `preferred` or `off`.
    pub qkd: String,
    /// Distinct sources that must be mixed.
    pub min_sources: u8,
    /// Under `required`.
    pub hold_last_seconds: Option<u64>,
    /// Under `preferred`.
    pub degrade_for_seconds: Option<u64>,
    /// Fast rekey: of a peer at present, else as configured; with `rekey = "auto"` the longest.
    pub rekey_seconds: u64,
    /// With `rekey = "auto"` the shortest interval; null if it is fixed.
    #[serde(default)]
    pub rekey_min_seconds: Option<u64>,
    /// With `rekey = "auto"` the longest interval; null if it is fixed.
    #[serde(default)]
    pub rekey_max_seconds: Option<u64>,
    /// Full handshake.
    pub full_seconds: u64,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerReport {
    /// As configured.
    pub name: String,
    /// The word.
    pub state: String,
    /// Of its public key.
    pub fingerprint: String,
    /// Where it is; null if that is not known yet.
    pub endpoint: Option<String>,
    /// Inner prefixes behind it.
    pub allowed_ips: Vec<String>,
    /// Its own policy; null until it said so.
    pub peer_qkd: Option<String>,
    /// The stricter of both; null until there was a session.
    pub effective_qkd: Option<String>,
    /// The greater `min_sources` of both; null until there was a session.
    #[serde(default)]
    pub effective_min_sources: Option<u8>,
    /// How long both allow traffic without QKD keys: the smaller `hold_last` or `degrade_for`; null if that has no end,
    /// and until there was a session.
    #[serde(default)]
    pub effective_limit_seconds: Option<u64>,
    /// This end's policy for the peer.
    pub policy: PolicyReport,
    /// The epoch that seals; null while there is none.
    pub epoch: Option<EpochReport>,
    /// The policy is weaker than configured, for a time; null if it is not.
    #[serde(default, rename = "override")]
    pub over: Option<OverrideReport>,
    /// Until traffic stops for want of QKD keys; null while that clock does not run or has no end.
    pub deadline_seconds: Option<f64>,
    /// Since the start.
    pub handshakes: HandshakeReport,
    /// Since the start.
    pub transfer: TransferReport,
    /// Since the start, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Control datagrams refused since the start, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// An override of the policy: what an operator wants for a time, as far as the other end allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverrideReport {
    /// `preferred` or `off`, in place of the configured one.
    pub qkd: String,
    /// Until it ends.
    pub remaining_seconds: f64,
    /// The same moment, RFC 3339.
    pub ends: String,
    /// What the operator gave.
    pub reason: String,
}

/// The epoch that seals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Confirmed epochs since the start.
    pub number: u64,
    /// Since it was made.
    pub age_seconds: f64,
    /// Since the last QKD key on its chain; null if there is none.
    pub qkd_age_seconds: Option<f64>,
    /// Of its packets.
    pub cipher: String,
    /// To read aloud (PROTOCOL 2.9).
    pub check_words: String,
    /// What its key rests on.
    pub mixed: Vec<String>,
    /// Of the QKD keys mixed into this very epoch.
    pub key_ids: Vec<KeyIdReport>,
}

/// One QKD key of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyIdReport {
    /// Name of the source.
    pub source: String,
    /// Whole, as the KME gave it.
    pub key_id: String,
}

/// Counts of exchanges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandshakeReport {
    /// Full handshakes confirmed.
    pub full: u64,
    /// Fast rekeys confirmed.
    pub fast: u64,
    /// Exchanges that came to nothing.
    pub failed: u64,
    /// Fast rekeys among those.
    #[serde(default)]
    pub failed_fast: u64,
    /// RFC 3339; null before the first.
    pub last_full: Option<String>,
}

/// Inner packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReport {
    /// Delivered.
    pub received_bytes: u64,
    /// Sealed.
    pub sent_bytes: u64,
    /// Delivered.
    pub received_packets: u64,
    /// Sealed.
    pub sent_packets: u64,
}

/// One key source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    /// As configured.
    pub name: String,
    /// Name of the peer that it keys.
    pub peer: String,
    /// As configured.
    #[serde(rename = "type")]
    pub kind: String,
    /// `unknown`, `ok` or `failing`: what came of this end's last key request.
    pub state: String,
    /// Why the tunnel gets no keys from it at present, whichever end's KME it is that fails; null if it does.
    #[serde(default)]
    pub not_used: Option<String>,
    /// What the KME said last; null if it never did.
    pub stored_keys: Option<u64>,
    /// Since it said so.
    pub stored_keys_age_seconds: Option<f64>,
    /// Whether that is so long ago that the figure says little: over [`STALE_AFTER_SECONDS`]. Null while there is none.
    #[serde(default)]
    pub stored_keys_stale: Option<bool>,
    /// Keys a second that came into the stock for this end in the last ten minutes; a full stock takes no more than is
    /// used. Null before a minute was seen, and while the figure is stale.
    #[serde(default)]
    pub rate_in_per_second: Option<f64>,
    /// Keys a second that this end used in that time; null likewise.
    #[serde(default)]
    pub rate_out_per_second: Option<f64>,
    /// How long the stock lasts if it goes on to fall as in that time, whoever takes from it; null while it does not.
    #[serde(default)]
    pub lasts_seconds: Option<f64>,
    /// Of the last connection.
    pub tls: Option<String>,
    /// Delivered to the engine.
    pub keys_used: u64,
    /// Since the start.
    pub requests_ok: u64,
    /// Since the start.
    pub requests_failed: u64,
    /// In words; null if there was none.
    pub last_error: Option<String>,
    /// Since the last error.
    pub last_error_age_seconds: Option<f64>,
    /// RFC 3339: end of our client certificate.
    pub certificate_expiry: Option<String>,
}

/// How much a state asks of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// HYBRID, OFF.
    None,
    /// HOLDOVER, DEGRADED: traffic flows, and may stop.
    Soon,
    /// HOLDING, BLOCKED, DOWN: no traffic. Also a word this version does not know.
    Now,
}

impl StatusReport {
    /// What the worst peer asks for.
    pub fn urgency(&self) -> Urgency {
        match self.state.as_str() {
            "HYBRID" | "OFF" => Urgency::None,
            "HOLDOVER" | "DEGRADED" => Urgency::Soon,
            _ => Urgency::Now,
        }
    }
}

#[cfg(test)]
pub(super) mod sample;
