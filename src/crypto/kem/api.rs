//! ML-KEM behind one trait over byte slices (FIPS 203); the backends speak the same bytes.

use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// Bytes of an ML-KEM seed `d || z`: what is stored (PROTOCOL 2.2).
pub const SEED_BYTES: usize = 64;
/// Bytes of an ML-KEM shared secret, and of the randomness `m` of an encapsulation.
pub const SHARED_BYTES: usize = 32;

/// A key pair: the public encapsulation key and the expanded decapsulation key, which exists only in memory.
pub struct KemKeyPair {
    /// Encapsulation key, [`Suite::ek_bytes`] long.
    pub ek: Vec<u8>,
    /// Expanded decapsulation key, [`Suite::dk_bytes`] long.
    pub dk: SecretBytes,
}

/// One implementation of ML-KEM-1024 and ML-KEM-768.
pub trait Kem: Send + Sync {
    /// A word for `plait version` and for tests.
    fn name(&self) -> &'static str;
    /// Whether [`encapsulate`](Self::encapsulate) uses the `m` it is given. A backend that does not draws from its own
    /// generator, outside the hedge of PROTOCOL 2.2, and is never the default.
    fn takes_m(&self) -> bool;
    /// FIPS 203 6.1, from the seed `d || z`.
    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair;
    /// FIPS 203 7.2: length and modulus check of a received encapsulation key.
    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool;
    /// FIPS 203 6.2 with the randomness `m` as an input where [`takes_m`](Self::takes_m), 7.2 with the backend's own
    /// randomness elsewhere; `None` if `ek` fails the check of 7.2.
    fn encapsulate(&self, suite: Suite, ek: &[u8], m: &Secret<SHARED_BYTES>)
    -> Option<(Vec<u8>, Secret<SHARED_BYTES>)>;
    /// FIPS 203 7.3; never fails for a ciphertext of the right length (implicit rejection). `None` for another length, and
    /// for a `dk` that fails the hash check of 7.3 (memory went bad), which all backends but pqcrypto make.
    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>>;
}
