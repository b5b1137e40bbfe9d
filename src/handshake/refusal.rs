//! Why a handshake message was dropped: one name and one counter for each reason; the state it met is unchanged.

use crate::identity::Fingerprint;
use crate::wire::field::Malformed;

/// One reason for each "drop" of PROTOCOL 2.4 and 2.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no such message.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// A message that this state does not wait for.
    #[error("a message that nobody waits for")]
    Unexpected,
    /// The sender or receiver index is not the one of this handshake.
    #[error("an index of another handshake")]
    Index,
    /// mac1 was made for another responder.
    #[error("mac1 differs")]
    Mac1,
    /// mac2 was not made with the cookie or the fragment key.
    #[error("mac2 differs")]
    Mac2,
    /// An R0 that echoes neither our nonce nor our ephemeral value, or came to another message.
    #[error("an R0 to something else")]
    Echo,
    /// A second R0 to the same I1.
    #[error("a cookie is already kept")]
    CookieKept,
    /// The parts of the message have the lengths of another suite.
    #[error("parts of another suite")]
    Suite,
    /// More messages in parts than the state keeps.
    #[error("too many messages in parts")]
    TooManyParts,
    /// An ephemeral X25519 value of small order.
    #[error("an X25519 value of small order")]
    SmallOrder,
    /// An ephemeral encapsulation key that fails the modulus check.
    #[error("an invalid encapsulation key")]
    EphemeralKey,
    /// An ephemeral encapsulation key that is someone's static one.
    #[error("a static encapsulation key used as ephemeral")]
    StaticAsEphemeral,
    /// A ciphertext that the KEM does not take.
    #[error("a ciphertext of the wrong length")]
    Ciphertext,
    /// A sealed field that is not authentic.
    #[error("{0} does not open")]
    Unopened(&'static str),
    /// The sealed identity is that of no peer.
    #[error("from an unknown identity")]
    UnknownPeer,
    /// The sealed identity is our own.
    #[error("from our own identity")]
    OwnIdentity,
    /// The identity is a peer's, but the proof of it fails: another PSK, or a forger (PROTOCOL 2.2).
    #[error("PSK or identity differs for the peer {0}")]
    PskOrIdentity(Fingerprint),
    /// None of the ciphers offered is one of ours.
    #[error("no data cipher in common")]
    NoCommonCipher,
    /// The responder chose a cipher that was not offered.
    #[error("a cipher that was not offered")]
    CipherNotOffered,
    /// The responder selected a ratchet entry that was not offered, or that is gone.
    #[error("a ratchet entry that was not offered")]
    RatchetNotOffered,
    /// An I2 where the ratchet is required and no entry is common (PROTOCOL 2.7).
    #[error("the ratchet is required and nothing is in common")]
    RatchetRequired,
}

impl Refusal {
    /// Name of its counter in `status` and metrics.
    pub fn counter(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unexpected => "unexpected",
            Self::Index => "index",
            Self::Mac1 => "mac1",
            Self::Mac2 => "mac2",
            Self::Echo => "echo",
            Self::CookieKept => "cookie_kept",
            Self::Suite => "suite",
            Self::TooManyParts => "too_many_parts",
            Self::SmallOrder => "small_order",
            Self::EphemeralKey => "ephemeral_key",
            Self::StaticAsEphemeral => "static_as_ephemeral",
            Self::Ciphertext => "ciphertext",
            Self::Unopened(_) => "unopened",
            Self::UnknownPeer => "unknown_peer",
            Self::OwnIdentity => "own_identity",
            Self::PskOrIdentity(_) => "psk_or_identity",
            Self::NoCommonCipher => "no_common_cipher",
            Self::CipherNotOffered => "cipher_not_offered",
            Self::RatchetNotOffered => "ratchet_not_offered",
            Self::RatchetRequired => "ratchet_required",
        }
    }
}
