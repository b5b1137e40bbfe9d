//! pqcrypto-kyber: PQClean's C code, which follows the ML-KEM draft and gives the same bytes. Built with `kem-pqcrypto`.

use pqcrypto_kyber::{kyber768, kyber1024};
use pqcrypto_traits::kem::{Ciphertext, PublicKey, SecretKey, SharedSecret};

use super::api::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};
use super::modulus;
use super::rustcrypto::RustCryptoKem;
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// A partner to compare with, never the default: unmaintained (RUSTSEC-2024-0381), not hardened since, no modulus check
/// of its own (ours stands before it), copies of the decapsulation key are not wiped. The reference backend expands its
/// keys; `m` is ignored, the library draws its own.
pub(super) struct PqcryptoKem;

macro_rules! pqcrypto {
    ($module:ident, $ek:expr => encapsulate) => {{
        let (shared, ct) = $module::encapsulate(&$module::PublicKey::from_bytes($ek).ok()?);
        (ct.as_bytes().to_vec(), Secret::from_slice(shared.as_bytes())?)
    }};
    ($module:ident, $dk:expr, $ct:expr => decapsulate) => {{
        let dk = $module::SecretKey::from_bytes($dk.expose()).ok()?;
        let ct = $module::Ciphertext::from_bytes($ct).ok()?;
        Secret::from_slice($module::decapsulate(&ct, &dk).as_bytes())
    }};
}

impl Kem for PqcryptoKem {
    fn name(&self) -> &'static str {
        "pqcrypto-kyber"
    }

    fn takes_m(&self) -> bool {
        false
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        RustCryptoKem.generate(suite, seed)
    }

    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool {
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
        Some(match suite {
            Suite::MlKem1024 => pqcrypto!(kyber1024, ek => encapsulate),
            Suite::MlKem768 => pqcrypto!(kyber768, ek => encapsulate),
        })
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        match suite {
            Suite::MlKem1024 => pqcrypto!(kyber1024, dk, ct => decapsulate),
            Suite::MlKem768 => pqcrypto!(kyber768, dk, ct => decapsulate),
        }
    }
}
