//! What a fast rekey is about: the try, the epoch that comes of it, and why a message was dropped.

use crate::crypto::kdf::HASH_BYTES;
use crate::keys::policy::{LeftSeconds, WaiverKind};
use crate::schedule::confirm::EpochSecrets;
use crate::types::id::{KeyId, SessionIndex, SourceId};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::policy::Reason;
use crate::types::secret::Secret;
use crate::wire::field::Malformed;

/// One try for the next epoch. Each try has a fresh index and fresh keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastTry {
    /// The current epoch's number and one.
    pub epoch: u32,
    /// 0, and one more each time.
    pub number: u8,
    /// Where we shall receive data packets of the new epoch.
    pub data_index: SessionIndex,
}

/// The epoch that a fast rekey gives: made once, consumed by the session.
pub struct NewEpoch {
    /// Its number in the session.
    pub number: u32,
    /// Its transcript hash; log only its first 8 bytes.
    pub hs: [u8; HASH_BYTES],
    /// Traffic key from the session's initiator to its responder.
    pub t_i2r: Secret<32>,
    /// Traffic key from the session's responder to its initiator.
    pub t_r2i: Secret<32>,
    /// Root of the next fast rekey.
    pub root: Secret<HASH_BYTES>,
    /// The QKD keys in it, ascending by source.
    pub mixed: Vec<(SourceId, KeyId)>,
    /// By source: why an asked source was not mixed.
    pub reasons: [Option<Reason>; QKD_SOURCES_MAX],
    /// Why it was allowed to have fewer keys than the policy needs.
    pub waiver: Option<WaiverKind>,
    /// With HOLDOVER or DEGRADED what remains, of both ends the smaller; else unlimited.
    pub left: LeftSeconds,
    /// Where we receive its data packets.
    pub local_data_index: SessionIndex,
    /// Where the peer receives them.
    pub remote_data_index: SessionIndex,
}

impl NewEpoch {
    pub(super) fn new(
        number: u32,
        secrets: EpochSecrets,
        reasons: [Option<Reason>; QKD_SOURCES_MAX],
        left: LeftSeconds,
        (local_data_index, remote_data_index): (SessionIndex, SessionIndex),
    ) -> Self {
        let EpochSecrets { hs, t_i2r, t_r2i, root, mixed, waiver } = secrets;
        Self { number, hs, t_i2r, t_r2i, root, mixed, reasons, waiver, left, local_data_index, remote_data_index }
    }
}

/// Why an FR1 or FR2 was dropped: one for each "drop" of PROTOCOL 2.8. The state it was meant for is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FastRefusal {
    /// The bytes are no such message.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// FR1 from someone who has the traffic keys and not the root.
    #[error("auth differs")]
    Auth,
    /// The waiver does not fit the keys, the policy and `min_sources`.
    #[error("the waiver does not fit the keys and the policy")]
    Waiver,
    /// `left` does not fit the waiver, or is more than what was offered.
    #[error("the time left does not fit the waiver")]
    Left,
    /// Not for the next epoch.
    #[error("for another epoch")]
    OtherEpoch,
    /// FR1 of a lower try than the one answered.
    #[error("of a try that was replaced")]
    OldTry,
    /// FR2 to another try.
    #[error("to another try")]
    OtherTry,
    /// An ephemeral X25519 value of small order.
    #[error("an X25519 value of small order")]
    SmallOrder,
    /// `ok` does not open although no key was mixed: not a matter of the KMEs.
    #[error("ok does not open")]
    Unconfirmed,
    /// A short epoch that the policy does not allow here.
    #[error("short of QKD keys, and the policy does not allow it")]
    NotPermitted,
}

impl FastRefusal {
    /// The name of its counter.
    pub fn counter(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "fast_rekey_malformed",
            Self::Auth => "fast_rekey_auth",
            Self::Waiver => "fast_rekey_waiver",
            Self::Left => "fast_rekey_left",
            Self::OtherEpoch => "fast_rekey_other_epoch",
            Self::OldTry => "fast_rekey_old_try",
            Self::OtherTry => "fast_rekey_other_try",
            Self::SmallOrder => "fast_rekey_small_order",
            Self::Unconfirmed => "fast_rekey_unconfirmed",
            Self::NotPermitted => "fast_rekey_not_permitted",
        }
    }
}
