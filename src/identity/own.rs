//! The own identity: the secret file's content, expanded for use (PROTOCOL 2.2).

use super::armour::{DH_BYTES, SECRET_BYTES};
use super::error::IdentityError;
use super::fingerprint::Fingerprint;
use super::public::PublicIdentity;
use crate::crypto::dh;
use crate::crypto::kem::{Kem, SEED_BYTES};
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// Who this end is. The expanded decapsulation key exists only here, in memory.
pub struct Identity {
    kem: &'static dyn Kem,
    static_secret: Secret<SECRET_BYTES>,
    dh_secret: Secret<DH_BYTES>,
    dk: SecretBytes,
    public: PublicIdentity,
}

impl Identity {
    /// Expands the 96 bytes; the public half passes the same checks as a peer's.
    pub fn from_secret(
        kem: &'static dyn Kem,
        suite: Suite,
        static_secret: Secret<SECRET_BYTES>,
    ) -> Result<Self, IdentityError> {
        let (scalar, seed) = static_secret.expose().split_at(DH_BYTES);
        let dh_secret = Secret::<DH_BYTES>::filled(|out| out.copy_from_slice(scalar));
        let seed = Secret::<SEED_BYTES>::filled(|out| out.copy_from_slice(seed));
        let pair = kem.generate(suite, &seed);
        let public = PublicIdentity::new(kem, suite, dh::public(&dh_secret), pair.ek)?;
        Ok(Self { kem, static_secret, dh_secret, dk: pair.dk, public })
    }

    /// What the peers know.
    pub fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// The own fingerprint.
    pub fn fp(&self) -> &Fingerprint {
        self.public.fp()
    }

    /// The suite of the key file.
    pub fn suite(&self) -> Suite {
        self.public.suite()
    }

    /// The X25519 scalar.
    pub fn dh_secret(&self) -> &Secret<DH_BYTES> {
        &self.dh_secret
    }

    /// The expanded decapsulation key, for [`kem`](Self::kem).
    pub fn dk(&self) -> &SecretBytes {
        &self.dk
    }

    /// The backend the identity was expanded with.
    pub fn kem(&self) -> &'static dyn Kem {
        self.kem
    }

    /// The 96 bytes of the file: the key of the randomness hedge.
    pub fn static_secret(&self) -> &Secret<SECRET_BYTES> {
        &self.static_secret
    }
}
