//! What the engine asks of key sources and what comes back: plain data, so that daemon, simulator and tests answer alike.

use std::time::Duration;

use crate::types::id::{KeyId, PeerId, SourceId};
use crate::types::policy::Reason;
use crate::types::secret::SecretBytes;

/// Names one request, so that a late answer finds its exchange or is thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One call to one key source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// Echoed in the delivery.
    pub id: RequestId,
    /// The peer whose link is keyed.
    pub peer: PeerId,
    /// Which of the peer's sources.
    pub source: SourceId,
    /// New key or key by id.
    pub kind: KeyRequestKind,
    /// Counted from sending; an answer after it is thrown away (PROTOCOL 2.5).
    pub deadline: Duration,
}

/// Which of the two calls of ETSI GS QKD 014 (V1.1.1, 5.3 and 5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRequestKind {
    /// `enc_keys`: one new key of this many bits.
    New {
        /// Bits asked for.
        bits: u16,
    },
    /// `dec_keys`: the key that the initiator's KME named.
    ById {
        /// The id, byte for byte as it came.
        key_id: KeyId,
    },
}

/// One QKD key as a source delivered it: moved on use.
pub struct DeliveredKey {
    /// Its name.
    pub key_id: KeyId,
    /// The material, as long as the KME made it.
    pub material: SecretBytes,
}

/// The answer to one [`KeyRequest`].
pub struct KeyDelivery {
    /// Of the request.
    pub id: RequestId,
    /// Of the request.
    pub peer: PeerId,
    /// Of the request.
    pub source: SourceId,
    /// The key, or why there is none.
    pub outcome: Result<DeliveredKey, SourceFailure>,
}

/// Why a source gave no key: a class the protocol can carry, and words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// The class, as the protocol reports it (PROTOCOL 2.5).
    pub reason: Reason,
    /// For the log and `status`: what was expected, what came. Never key material.
    pub text: String,
}
