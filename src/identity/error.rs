//! Why a key file, a key or a set of keys is refused (PROTOCOL 2.2, load-time checks).

use super::armour::{ArmourError, Label};
use super::distinct::Shared;
use crate::types::policy::Suite;

/// Says what was expected, what came and what to do; holds no key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The text is not a key file.
    #[error(transparent)]
    Armour(#[from] ArmourError),
    /// A key file, but of another kind.
    #[error("expected a {expected} file, this is a {} file", found.kind())]
    WrongKind {
        /// The kind asked for.
        expected: &'static str,
        /// What the file says it is.
        found: Label,
    },
    /// The bytes of a public identity have another length than those of the suite.
    #[error("a public key of suite {} has {expected} bytes, this one has {found}", *suite as u16)]
    PublicLength {
        /// The suite asked for.
        suite: Suite,
        /// 32 and the bytes of an encapsulation key.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// The X25519 value is at or above 2^255 - 19.
    #[error(
        "the X25519 part of the public key is not canonical (2^255 - 19 or above): ask the peer for its file again"
    )]
    DhNotCanonical,
    /// The X25519 value has small order and would give no secret.
    #[error("the X25519 part of the public key is of small order and gives no secret: do not use this key")]
    DhSmallOrder,
    /// The encapsulation key fails the modulus check of FIPS 203 7.2.
    #[error("the {} part of the public key fails the modulus check of FIPS 203 7.2: ask the peer for its file again", .0.kem_name())]
    EkInvalid(Suite),
    /// A PSK of another length.
    #[error("a PSK has 32 bytes, this one has {0}")]
    PskLength(usize),
    /// 32 zero bytes stand for "no PSK" in the protocol.
    #[error("the PSK is all zero, which means no PSK: make one with `plait genpsk`")]
    PskZero,
    /// A peer's key is of another suite than the own key.
    #[error(
        "peer {} uses suite {} ({}), this end uses suite {} ({}): both ends need keys of one suite",
        peer + 1, *theirs as u16, theirs.kem_name(), *own as u16, own.kem_name()
    )]
    SuiteDiffers {
        /// Which peer, counted from 0.
        peer: usize,
        /// The suite of the own key.
        own: Suite,
        /// The suite of the peer's key.
        theirs: Suite,
    },
    /// A peer is configured with the own key or a part of it.
    #[error("peer {} has this end's own {what}: its public key file must come from the other site", peer + 1)]
    SharedWithOwn {
        /// Which peer, counted from 0.
        peer: usize,
        /// What they share.
        what: Shared,
    },
    /// Two peers have the same key or a part of it.
    #[error("peers {} and {} have the same {what}: each site needs its own key", first + 1, second + 1)]
    SharedByPeers {
        /// The one, counted from 0.
        first: usize,
        /// The other, counted from 0.
        second: usize,
        /// What they share.
        what: Shared,
    },
}
