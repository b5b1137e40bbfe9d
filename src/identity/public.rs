//! The public half of an identity, checked when it is made (PROTOCOL 2.2).

use std::fmt;

use super::armour::DH_BYTES;
use super::error::IdentityError;
use super::fingerprint::Fingerprint;
use crate::crypto::dh;
use crate::crypto::kem::Kem;
use crate::types::policy::Suite;

/// X25519 value, encapsulation key and the fingerprint of both. One that exists has passed every load-time check.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicIdentity {
    suite: Suite,
    s: [u8; DH_BYTES],
    ek: Vec<u8>,
    fp: Fingerprint,
}

impl PublicIdentity {
    /// Checks length, X25519 value (canonical, not of small order) and encapsulation key (FIPS 203 7.2).
    pub fn new(kem: &dyn Kem, suite: Suite, s: [u8; DH_BYTES], ek: Vec<u8>) -> Result<Self, IdentityError> {
        if ek.len() != suite.ek_bytes() {
            let (expected, found) = (DH_BYTES + suite.ek_bytes(), DH_BYTES + ek.len());
            return Err(IdentityError::PublicLength { suite, expected, found });
        }
        if !dh::is_canonical(&s) {
            return Err(IdentityError::DhNotCanonical);
        }
        if !dh::is_valid_static_public(&s) {
            return Err(IdentityError::DhSmallOrder);
        }
        if !kem.is_valid_ek(suite, &ek) {
            return Err(IdentityError::EkInvalid(suite));
        }
        let fp = Fingerprint::compute(suite, &s, &ek);
        Ok(Self { suite, s, ek, fp })
    }

    /// From the content of a public file: 32 bytes `S`, the rest `EK`.
    pub fn from_bytes(kem: &dyn Kem, suite: Suite, bytes: &[u8]) -> Result<Self, IdentityError> {
        let Some((s, ek)) = bytes.split_first_chunk::<DH_BYTES>() else {
            let expected = DH_BYTES + suite.ek_bytes();
            return Err(IdentityError::PublicLength { suite, expected, found: bytes.len() });
        };
        Self::new(kem, suite, *s, ek.to_vec())
    }

    /// The content of a public file.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.s.as_slice(), &self.ek].concat()
    }

    /// The suite of the key file.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The X25519 value `S`.
    pub fn s(&self) -> &[u8; DH_BYTES] {
        &self.s
    }

    /// The encapsulation key `EK`, [`Suite::ek_bytes`] long.
    pub fn ek(&self) -> &[u8] {
        &self.ek
    }

    /// The fingerprint.
    pub fn fp(&self) -> &Fingerprint {
        &self.fp
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicIdentity({})", self.fp)
    }
}
