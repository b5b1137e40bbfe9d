//! What the engine is made of at start: identity, peers, policies, and what was kept over a restart.

use std::net::SocketAddr;
use std::time::Duration;

use crate::crypto::aead::AeadBackend;
use crate::handshake::terms::LocalTerms;
use crate::identity::{Identity, PublicIdentity};
use crate::types::id::{SourceId, SourceMask};
use crate::types::policy::{Cipher, QkdPolicy, RatchetPolicy};
use crate::types::prefix::Prefix;
use crate::types::random::Randomness;
use crate::types::secret::{Secret, SecretBytes};

/// Everything one interface needs.
pub struct EngineSetup {
    /// This end's identity.
    pub me: Identity,
    /// The peers; [`PeerId`](crate::types::id::PeerId) is the place in this list.
    pub peers: Vec<PeerSetup>,
    /// What each peer kept over a restart, in the same order.
    pub restored: Vec<Restored>,
    /// All draws of the protocol.
    pub rng: Box<dyn Randomness>,
    /// The implementation of the data ciphers.
    pub aead: AeadBackend,
}

/// One peer as configured.
pub struct PeerSetup {
    /// The name in configuration, status and logs.
    pub name: String,
    /// Its public identity.
    pub public: PublicIdentity,
    /// The pre-shared key, all zero if none is configured (PROTOCOL 2.2).
    pub psk: Secret<32>,
    /// Where to find it; `None` waits for it to come.
    pub endpoint: Option<SocketAddr>,
    /// The inner prefixes it owns.
    pub allowed_ips: Vec<Prefix>,
    /// What may happen without QKD.
    pub policy: PolicySetup,
    /// The key sources of this peer and their names.
    pub sources: Vec<(SourceId, String)>,
    /// Data ciphers in this end's order of preference.
    pub ciphers: Vec<Cipher>,
    /// Feature bits that this end offers (PROTOCOL 2.5).
    pub features: u8,
    /// Send something at least this often.
    pub keepalive: Option<Duration>,
    /// How the ratchet is used; `RequireOpen` is derived, never configured.
    pub ratchet: RatchetPolicy,
    /// Never follow the peer to another address.
    pub pin_endpoint: bool,
    /// Largest inner packet, bytes.
    pub inner_mtu: u16,
}

/// The policy of one peer, as configured at this end.
#[derive(Clone, Copy, Debug)]
pub struct PolicySetup {
    /// required, preferred or off.
    pub qkd: QkdPolicy,
    /// Distinct sources that must be mixed; 0 only with policy off.
    pub min_sources: u8,
    /// How long traffic may go on under `required` without fresh keys; `None` is not set.
    pub hold_last: Option<Duration>,
    /// The same under `preferred`; `None` is unlimited.
    pub degrade_for: Option<Duration>,
    /// `T_fast` (PROTOCOL 2.9).
    pub rekey: Duration,
    /// `T_full` (PROTOCOL 2.9).
    pub full: Duration,
}

/// The durable state of one peer, as its files hold it; `None` is an absent file.
#[derive(Default)]
pub struct Restored {
    /// The ratchet store (PROTOCOL 2.7).
    pub ratchet: Option<SecretBytes>,
    /// The policy clock (PROTOCOL 2.8a).
    pub clock: Option<SecretBytes>,
    /// The request budget (PROTOCOL 2.5).
    pub budget: Option<SecretBytes>,
    /// The seen table (PROTOCOL 2.5).
    pub seen: Option<SecretBytes>,
}

impl PeerSetup {
    /// The sources as a set.
    pub fn source_mask(&self) -> SourceMask {
        self.sources.iter().fold(SourceMask::EMPTY, |mask, (source, _)| mask.with(*source))
    }

    /// The configured name of a source.
    pub fn source_name(&self, source: SourceId) -> &str {
        self.sources.iter().find(|(id, _)| *id == source).map_or("?", |(_, name)| name)
    }

    /// What this end says of itself in payload1 or payload2 (PROTOCOL 2.5).
    pub fn terms(&self, ratchet: RatchetPolicy, clock: u16) -> LocalTerms {
        LocalTerms {
            qkd_policy: self.policy.qkd,
            min_sources: self.policy.min_sources,
            source_mask: self.source_mask(),
            ratchet_policy: ratchet,
            ciphers: self.ciphers.clone(),
            features: self.features,
            inner_mtu: self.inner_mtu,
            hold_last: seconds_or_unlimited(self.policy.hold_last),
            degrade_for: seconds_or_unlimited(self.policy.degrade_for),
            clock,
        }
    }
}

/// Whole seconds as payload1 carries a limit; `None` and what does not fit are unlimited.
fn seconds_or_unlimited(limit: Option<Duration>) -> u32 {
    limit.map_or(u32::MAX, |limit| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX))
}
