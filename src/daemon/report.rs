//! What `plait status` shows, put together from the engine, the sources and the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fetch::Fetchers;
use crate::config::{Config, Policy};
use crate::control::report::{
    EpochReport, HandshakeReport, KeyIdReport, OverrideReport, PeerReport, PolicyReport, SCHEMA, SourceReport,
    StatusReport, TransferReport, is_stale,
};
use crate::control::sandbox::Sandbox;
use crate::control::time::{rate, rfc3339, seconds};
use crate::engine::Engine;
use crate::engine::output::State;
use crate::engine::status::{EpochStatus, PeerStatus};
use crate::io::source::SourceSnapshot;
use crate::keys::estimate::Rates;
use crate::types::id::{PeerId, SourceId};
use crate::types::offload::{Offload, OffloadSet};
use crate::types::policy::Suite;

/// What of a peer's configuration is shown.
pub(super) struct PeerFacts {
    /// Of its public key.
    pub(super) fingerprint: String,
    /// Inner prefixes behind it.
    pub(super) allowed_ips: Vec<String>,
    /// This end's policy for it.
    pub(super) policy: PolicyReport,
}

/// How the processes that see foreign bytes are confined.
#[derive(Clone)]
pub struct Sandboxes {
    /// That of the packets.
    pub packets: Sandbox,
    /// That of the KMEs.
    pub keys: Sandbox,
}

/// What changes only with the configuration.
pub(super) struct Facts {
    /// Name of the interface.
    pub(super) interface: String,
    /// Of this end.
    pub(super) fingerprint: String,
    /// UDP address and port.
    pub(super) listen: String,
    /// Help of the kernel that is to be used.
    pub(super) offload: OffloadSet,
    /// Of the key files.
    pub(super) suite: Suite,
    /// `[policy]`.
    pub(super) policy: PolicyReport,
    /// How this process and the keys process are confined.
    pub(super) sandboxes: Sandboxes,
    /// In the order of the configuration.
    pub(super) peers: Vec<PeerFacts>,
}

/// The facts of a configuration; identity and offloads are those of `own`. `fingerprints` are the peers', in their order.
pub(super) fn facts(config: &Config, own: &Facts, fingerprints: Vec<String>, listen: String) -> Facts {
    let peers = config.peers.iter().zip(fingerprints);
    Facts {
        interface: own.interface.clone(),
        fingerprint: own.fingerprint.clone(),
        listen,
        offload: own.offload,
        suite: own.suite,
        policy: policy(&config.policy),
        sandboxes: own.sandboxes.clone(),
        peers: peers
            .map(|(peer, fingerprint)| PeerFacts {
                fingerprint,
                allowed_ips: peer.allowed_ips.iter().map(ToString::to_string).collect(),
                policy: policy(&peer.policy),
            })
            .collect(),
    }
}

/// What of the interface may be another at any moment.
pub(super) struct InUse {
    /// In bytes.
    pub(super) mtu: u16,
    /// Help of the kernel.
    pub(super) offload: OffloadSet,
}

/// Counts that belong to no peer.
pub(super) struct Nobodys {
    refused: BTreeMap<String, u64>,
    unclaimed: BTreeMap<String, u64>,
}

impl Nobodys {
    /// Of this moment.
    pub(super) fn of(engine: &Engine) -> Self {
        let owned = |(reason, count): (&'static str, u64)| (reason.to_owned(), count);
        Self {
            refused: engine.refusals().map(owned).collect(),
            unclaimed: engine.unclaimed().into_iter().map(owned).collect(),
        }
    }
}

/// A policy as it is shown.
pub(super) fn policy(policy: &Policy) -> PolicyReport {
    PolicyReport {
        qkd: policy.qkd.as_str().to_owned(),
        min_sources: policy.min_sources,
        hold_last_seconds: policy.hold_last.map(|span| span.as_secs()),
        degrade_for_seconds: policy.degrade_for.map(|span| span.as_secs()),
        rekey_seconds: policy.rekey.as_secs(),
        rekey_min_seconds: policy.rekey_min.map(|shortest| shortest.as_secs()),
        rekey_max_seconds: policy.rekey_min.map(|_| policy.rekey.as_secs()),
        full_seconds: policy.full.as_secs(),
    }
}

/// The whole report.
pub(super) fn status(
    facts: &Facts,
    in_use: &InUse,
    uptime: Duration,
    peers: Vec<PeerStatus>,
    nobodys: Nobodys,
    (fetchers, rates): (&Fetchers, &dyn Fn(PeerId, SourceId, u64) -> Rates),
) -> StatusReport {
    let worst = peers.iter().map(|peer| peer.state).max().unwrap_or(State::Holding);
    let by_id: BTreeMap<PeerId, &PeerStatus> = peers.iter().map(|peer| (peer.id, peer)).collect();
    let of_peer = |id: PeerId, source_id, figures: SourceSnapshot| {
        let peer = by_id.get(&id);
        let not_used = peer.and_then(|peer| not_used(peer, source_id));
        let rates = rates(id, source_id, figures.keys_used);
        source(peer.map(|peer| peer.name.clone()).unwrap_or_default(), figures, rates, not_used)
    };
    let sources = fetchers.figures().map(|(peer, id, figures)| of_peer(peer, id, figures)).collect();
    StatusReport {
        schema: SCHEMA,
        interface: facts.interface.clone(),
        state: worst.as_str().to_owned(),
        fingerprint: facts.fingerprint.clone(),
        listen: facts.listen.clone(),
        mtu: in_use.mtu,
        offload: offloads(|offload| in_use.offload.has(offload)),
        offload_given_up: offloads(|offload| facts.offload.has(offload) && !in_use.offload.has(offload)),
        uptime_seconds: seconds(uptime),
        policy: facts.policy.clone(),
        sources,
        refused: nobodys.refused,
        unclaimed: nobodys.unclaimed,
        sandbox: Some(facts.sandboxes.packets.clone()),
        keys_sandbox: Some(facts.sandboxes.keys.clone()),
        keys_restarts: Some(fetchers.restarts()),
        peers: peers.into_iter().zip(&facts.peers).map(|(status, of)| peer(status, of, facts.suite)).collect(),
    }
}

fn offloads(is: impl Fn(Offload) -> bool) -> Vec<String> {
    Offload::ALL.into_iter().filter(|offload| is(*offload)).map(|offload| offload.name().to_owned()).collect()
}

fn peer(status: PeerStatus, facts: &PeerFacts, suite: Suite) -> PeerReport {
    let word = |policy: crate::types::policy::QkdPolicy| policy.as_str().to_owned();
    PeerReport {
        name: status.name,
        state: status.state.as_str().to_owned(),
        fingerprint: facts.fingerprint.clone(),
        endpoint: status.endpoint.map(|endpoint| endpoint.to_string()),
        allowed_ips: facts.allowed_ips.clone(),
        peer_qkd: status.peer_qkd.map(word),
        effective_qkd: status.effective_qkd.map(word),
        effective_min_sources: status.effective_need,
        effective_limit_seconds: status.effective_limit.map(|limit| limit.as_secs()),
        policy: PolicyReport { rekey_seconds: status.rekey.as_secs(), ..facts.policy.clone() },
        epoch: status.epoch.map(|of| epoch(of, suite)),
        over: status.over.map(|over| OverrideReport {
            qkd: over.order.qkd.as_str().to_owned(),
            remaining_seconds: seconds(over.left),
            ends: rfc3339(over.ends),
            reason: over.order.reason,
        }),
        deadline_seconds: status.deadline.map(seconds),
        handshakes: HandshakeReport {
            full: status.handshakes.full,
            fast: status.handshakes.fast,
            failed: status.handshakes.failed,
            failed_fast: status.handshakes.failed_fast,
            last_full: status.handshakes.last_full.map(rfc3339),
        },
        transfer: TransferReport {
            received_bytes: status.transfer.received_bytes,
            sent_bytes: status.transfer.sent_bytes,
            received_packets: status.transfer.received_packets,
            sent_packets: status.transfer.sent_packets,
        },
        drops: status.transfer.drops.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
        refused: status.refusals.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
    }
}

fn epoch(status: EpochStatus, suite: Suite) -> EpochReport {
    let mut mixed = vec!["x25519".to_owned(), suite.kem_name().to_owned()];
    mixed.extend(status.psk.then(|| "psk".to_owned()));
    mixed.extend(status.ratchet.then(|| "ratchet".to_owned()));
    mixed.extend(status.mixed.iter().map(|(_, name, _)| name.clone()));
    let key_id = |(_, source, key_id): (_, String, crate::types::id::KeyId)| KeyIdReport {
        source,
        key_id: key_id.as_str().to_owned(),
    };
    EpochReport {
        number: status.number,
        age_seconds: seconds(status.age),
        qkd_age_seconds: status.qkd_age.map(seconds),
        cipher: status.cipher.as_str().to_owned(),
        check_words: status.check_words,
        mixed,
        key_ids: status.mixed.into_iter().map(key_id).collect(),
    }
}

/// Why the tunnel gets no keys from a source. An end whose peer asks its own KME first is not told why there is no key.
fn not_used(peer: &PeerStatus, id: SourceId) -> Option<&'static str> {
    let known = peer.failed_sources.iter().find(|(source, _)| *source == id);
    let is_mixed = peer.epoch.as_ref().is_some_and(|epoch| epoch.mixed.iter().any(|(source, ..)| *source == id));
    let is_short = matches!(peer.state, State::Holdover | State::Degraded | State::Blocked);
    let unknown = (is_short && !is_mixed).then_some("no key of it in use");
    known.map(|(_, reason)| reason.as_str()).or(unknown)
}

fn source(peer: String, figures: SourceSnapshot, rates: Rates, not_used: Option<&str>) -> SourceReport {
    let (stored_keys, stored_keys_age_seconds) = figures.stored_keys.map(|(keys, age)| (keys, seconds(age))).unzip();
    let (last_error, last_error_age_seconds) = figures.last_error.map(|(text, age)| (text, seconds(age))).unzip();
    SourceReport {
        name: figures.name,
        peer,
        kind: figures.kind.to_owned(),
        state: figures.state.as_str().to_owned(),
        not_used: not_used.map(str::to_owned),
        stored_keys,
        stored_keys_age_seconds,
        stored_keys_stale: stored_keys_age_seconds.map(is_stale),
        rate_in_per_second: rates.income.map(rate),
        rate_out_per_second: rates.used.map(rate),
        lasts_seconds: rates.lasts.map(|lasts| lasts.as_secs_f64().round()),
        tls: figures.tls,
        keys_used: figures.keys_used,
        requests_ok: figures.requests_ok,
        requests_failed: figures.requests_failed,
        last_error,
        last_error_age_seconds,
        certificate_expiry: figures.certificate_expiry.map(rfc3339),
    }
}
