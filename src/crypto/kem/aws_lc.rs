//! aws-lc-rs: the fast C and assembly backend. Its interface takes neither seed nor `m`.

use aws_lc_rs::kem::{Algorithm, AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768, ML_KEM_1024};

use super::api::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};
use super::modulus;
use super::rustcrypto::RustCryptoKem;
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// A partner to compare with. The reference backend expands its keys; `m` is ignored, the library draws its own.
pub(super) struct AwsLcKem;

fn algorithm(suite: Suite) -> &'static Algorithm<AlgorithmId> {
    match suite {
        Suite::MlKem1024 => &ML_KEM_1024,
        Suite::MlKem768 => &ML_KEM_768,
    }
}

impl Kem for AwsLcKem {
    fn name(&self) -> &'static str {
        "aws-lc-rs"
    }

    fn takes_m(&self) -> bool {
        false
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        RustCryptoKem.generate(suite, seed)
    }

    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool {
        // The library itself checks only when it encapsulates.
        modulus::is_valid_ek(suite, ek)
    }

    fn encapsulate(
        &self,
        suite: Suite,
        ek: &[u8],
        _m: &Secret<SHARED_BYTES>,
    ) -> Option<(Vec<u8>, Secret<SHARED_BYTES>)> {
        if !self.is_valid_ek(suite, ek) {
            return None;
        }
        let (ct, shared) = EncapsulationKey::new(algorithm(suite), ek).ok()?.encapsulate().ok()?;
        Some((ct.as_ref().to_vec(), Secret::from_slice(shared.as_ref())?))
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        let shared =
            DecapsulationKey::new(algorithm(suite), dk.expose()).ok()?.decapsulate(Ciphertext::from(ct)).ok()?;
        Secret::from_slice(shared.as_ref())
    }
}
