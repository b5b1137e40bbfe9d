//! One session's chain: what a full handshake agreed, and the root that each fast rekey moves on (PROTOCOL 2.8).

use crate::crypto::kdf::HASH_BYTES;
use crate::session::fast_rekey::EpochRoot;
use crate::types::id::{KeyId, SourceId};
use crate::types::policy::Cipher;
use crate::types::terms::{Agreed, Role};
use crate::types::time::Instant;

/// What an epoch's packets are protected by, for decisions and for `status`.
pub(super) struct EpochFacts {
    /// Made by a full handshake, else by a fast rekey.
    pub(super) full: bool,
    /// Sources mixed into this very epoch.
    pub(super) mixed: Vec<(SourceId, KeyId)>,
    /// Fewer than the policy needs.
    pub(super) short: bool,
    /// Of its traffic.
    pub(super) cipher: Cipher,
    /// The handshake hash of this very epoch: its name at both ends (PROTOCOL 2.8).
    pub(super) hs: [u8; HASH_BYTES],
}

/// A session that can still rekey.
pub(super) struct Chain {
    /// The engine's running number: the later made is the newer.
    pub(super) session: u32,
    /// Who issues FR1.
    pub(super) role: Role,
    /// What both ends agreed.
    pub(super) agreed: Agreed,
    /// Number of the epoch that `root` belongs to.
    pub(super) epoch: u32,
    /// Of that epoch.
    pub(super) root: EpochRoot,
    /// At the responder: the root of an epoch made and not yet confirmed.
    pub(super) next: Option<(u32, EpochRoot)>,
    /// Dates.
    pub(super) dates: ChainDates,
    /// What else is on the chain.
    pub(super) layers: Layers,
}

/// When things happened to a chain and when it ends.
pub(super) struct ChainDates {
    /// The full handshake.
    pub(super) born: Instant,
    /// The next regular full handshake of this end (PROTOCOL 2.6 "Timers").
    pub(super) full_at: Instant,
    /// The session's end; `None` while HOLDOVER lasts (PROTOCOL 2.8a).
    pub(super) ends_at: Option<Instant>,
    /// The last epoch that mixed a QKD key.
    pub(super) last_qkd: Option<Instant>,
    /// Whether the other end has shown that it has the keys of any epoch of it.
    pub(super) confirmed: bool,
    /// Agreed under a policy that has become stricter since: HOLDOVER does not put its end off.
    pub(super) condemned: bool,
}

/// Secrets on a chain besides X25519, ML-KEM and QKD.
pub(super) struct Layers {
    /// A PSK was mixed.
    pub(super) psk: bool,
    /// A ratchet secret was mixed.
    pub(super) ratchet: bool,
    /// The ratchet entry this session stored, if it did.
    pub(super) rs_id: Option<[u8; 8]>,
}
