//! No two identities of one interface may share anything: else an attack on one is an attack on both (PROTOCOL 2.2).

use std::fmt;

use super::error::IdentityError;
use super::public::PublicIdentity;

/// What two identities have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Everything: the fingerprint.
    Fingerprint,
    /// The X25519 value `S`.
    DhPublic,
    /// The encapsulation key `EK`.
    EncapsulationKey,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fingerprint => "public key",
            Self::DhPublic => "X25519 public value",
            Self::EncapsulationKey => "ML-KEM encapsulation key",
        })
    }
}

/// Refuses peers of another suite and identities that share fingerprint, `S` or `EK` with each other or with the own one.
pub fn check_distinct(own: &PublicIdentity, peers: &[&PublicIdentity]) -> Result<(), IdentityError> {
    for (peer, theirs) in peers.iter().enumerate() {
        if theirs.suite() != own.suite() {
            return Err(IdentityError::SuiteDiffers { peer, own: own.suite(), theirs: theirs.suite() });
        }
        if let Some(what) = shared(own, theirs) {
            return Err(IdentityError::SharedWithOwn { peer, what });
        }
        for (first, other) in peers.iter().enumerate().take(peer) {
            if let Some(what) = shared(other, theirs) {
                return Err(IdentityError::SharedByPeers { first, second: peer, what });
            }
        }
    }
    Ok(())
}

fn shared(a: &PublicIdentity, b: &PublicIdentity) -> Option<Shared> {
    if a.fp() == b.fp() {
        return Some(Shared::Fingerprint);
    }
    if a.s() == b.s() {
        return Some(Shared::DhPublic);
    }
    (a.ek() == b.ek()).then_some(Shared::EncapsulationKey)
}
