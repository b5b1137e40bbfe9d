//! What an operator is shown of each peer, as data.

use std::net::SocketAddr;
use std::time::Duration;

use super::output::{Now, State};
use super::overriding::OverrideOrder;
use super::peer::Peer;
use crate::crypto::check_words::CheckWords;
use crate::crypto::kdf::HASH_BYTES;
use crate::dataplane::traffic::Traffic;
use crate::keys::clock::limit;
use crate::keys::policy::LeftSeconds;
use crate::types::id::{KeyId, PeerId, SourceId};
use crate::types::policy::{Cipher, QkdPolicy, Reason};
use crate::types::time::UnixTime;

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its number.
    pub id: PeerId,
    /// Its configured name.
    pub name: String,
    /// The word.
    pub state: State,
    /// Where it is.
    pub endpoint: Option<SocketAddr>,
    /// Its own policy, once it has said so.
    pub peer_qkd: Option<QkdPolicy>,
    /// The stricter of both, once there was a session.
    pub effective_qkd: Option<QkdPolicy>,
    /// Sources that both ends want mixed, once there was a session.
    pub effective_need: Option<u8>,
    /// How long both allow traffic without QKD keys; `None` if that has no end, and until there was a session.
    pub effective_limit: Option<Duration>,
    /// Interval of its fast rekeys at present.
    pub rekey: Duration,
    /// The epoch in use.
    pub epoch: Option<EpochStatus>,
    /// What remains of the policy clock; `None` while it does not run or has no end.
    pub deadline: Option<Duration>,
    /// The policy is weaker for a time.
    pub over: Option<OverrideStatus>,
    /// Handshakes.
    pub handshakes: HandshakeTotals,
    /// Packets.
    pub transfer: Transfer,
    /// Refused datagrams of the control side, by reason.
    pub refusals: Vec<(&'static str, u64)>,
    /// Sources that count as failed, and why.
    pub failed_sources: Vec<(SourceId, Reason)>,
}

/// An override of the policy.
#[derive(Clone, Debug)]
pub struct OverrideStatus {
    /// As ordered.
    pub order: OverrideOrder,
    /// Until it ends.
    pub left: Duration,
    /// The same as a moment.
    pub ends: UnixTime,
}

/// The epoch that seals.
#[derive(Clone, Debug)]
pub struct EpochStatus {
    /// Confirmed epochs since the start.
    pub number: u64,
    /// Since it was made.
    pub age: Duration,
    /// Since the last QKD key on its chain; `None` if there is none.
    pub qkd_age: Option<Duration>,
    /// Of its packets.
    pub cipher: Cipher,
    /// The handshake hash that is its name at both ends, whole: not secret, and no more than 8 bytes of it belong in a log.
    pub hs: [u8; HASH_BYTES],
    /// Read aloud between sites.
    pub check_words: String,
    /// A PSK is on the chain.
    pub psk: bool,
    /// A ratchet secret is on the chain.
    pub ratchet: bool,
    /// Sources mixed into this very epoch, with their key_IDs.
    pub mixed: Vec<(SourceId, String, KeyId)>,
}

/// Inner packets since the start, and those that went no further.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transfer {
    /// Delivered.
    pub received_bytes: u64,
    /// Delivered.
    pub received_packets: u64,
    /// Sealed.
    pub sent_bytes: u64,
    /// Sealed.
    pub sent_packets: u64,
    /// Dropped, by reason.
    pub drops: [(&'static str, u64); 11],
}

impl Transfer {
    fn of(traffic: &Traffic) -> Self {
        let drops = &traffic.drops;
        Self {
            received_bytes: traffic.received_bytes.total(),
            received_packets: traffic.received_packets.total(),
            sent_bytes: traffic.sent_bytes.total(),
            sent_packets: traffic.sent_packets.total(),
            drops: [
                ("replay", drops.replay.total()),
                ("auth", drops.auth.total()),
                ("no_epoch", drops.no_epoch.total()),
                ("malformed", drops.malformed.total()),
                ("source", drops.source.total()),
                ("congestion", drops.congestion.total()),
                ("too_big", drops.too_big.total()),
                ("no_endpoint", drops.no_endpoint.total()),
                ("queue", drops.queue.total()),
                ("send", drops.send.total()),
                ("tun", drops.tun.total()),
            ],
        }
    }
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandshakeTotals {
    /// Full handshakes confirmed.
    pub full: u64,
    /// Fast rekeys confirmed.
    pub fast: u64,
    /// Exchanges that came to nothing.
    pub failed: u64,
    /// Fast rekeys among those.
    pub failed_fast: u64,
    /// The last full handshake.
    pub last_full: Option<UnixTime>,
}

impl Peer {
    pub(super) fn status(&self, now: Now) -> PeerStatus {
        let failed = self.keys.rules.probes.failed_sources();
        let reason = |source| self.keys.rules.probes.reason(source).map(|reason| (source, reason));
        PeerStatus {
            id: self.id,
            name: self.setup.name.clone(),
            state: self.state(now.at),
            endpoint: self.link.endpoint.or_else(|| self.configured()).map(|endpoint| endpoint.to),
            peer_qkd: self.tally.peer_policy,
            effective_qkd: self.chain().map(|chain| chain.agreed.policy),
            effective_need: self.chain().map(|chain| chain.agreed.need),
            effective_limit: self.chain().and_then(|chain| {
                let agreed = &chain.agreed;
                let limit = limit(agreed.policy, agreed.hold_last, agreed.degrade_for);
                (limit != LeftSeconds::UNLIMITED).then(|| Duration::from_secs(u64::from(limit.0)))
            }),
            rekey: self.pace.interval,
            epoch: self.epoch_status(now),
            deadline: self.deadline(now.at),
            over: self.keys.over.as_ref().map(|over| OverrideStatus {
                order: over.order.clone(),
                left: over.until.since(now.at),
                ends: over.ends,
            }),
            handshakes: HandshakeTotals {
                full: self.tally.full,
                fast: self.tally.fast,
                failed: self.tally.failed,
                failed_fast: self.tally.failed_fast,
                last_full: self.tally.last_full,
            },
            transfer: Transfer::of(&self.link.traffic),
            refusals: self.tally.refusals.iter().map(|(name, count)| (*name, *count)).collect(),
            failed_sources: failed.iter().filter_map(reason).collect(),
        }
    }

    fn epoch_status(&self, now: Now) -> Option<EpochStatus> {
        let epoch = self.keys.ring.sealing()?;
        let chain = self.keys.chains.iter().find(|chain| chain.session == epoch.tag.session)?;
        let named = |(source, key_id): &(SourceId, KeyId)| {
            (*source, self.setup.source_name(*source).to_owned(), key_id.clone())
        };
        Some(EpochStatus {
            number: self.tally.confirmed_epochs,
            age: now.at.since(epoch.born),
            qkd_age: chain.dates.last_qkd.map(|last| now.at.since(last)),
            cipher: epoch.facts.cipher,
            hs: epoch.facts.hs,
            check_words: CheckWords::of_epoch(&epoch.facts.hs).to_string(),
            psk: chain.layers.psk,
            ratchet: chain.layers.ratchet,
            mixed: epoch.facts.mixed.iter().map(named).collect(),
        })
    }
}
