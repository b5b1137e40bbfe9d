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
    /// FIPS 203 6.1, from the seed `d || z`.
    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair;
    /// FIPS 203 7.2: length and modulus check of a received encapsulation key.
    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool;
    /// FIPS 203 6.2 with the randomness `m` as an input; `None` if `ek` fails the check of 7.2.
    fn encapsulate(&self, suite: Suite, ek: &[u8], m: &Secret<SHARED_BYTES>)
    -> Option<(Vec<u8>, Secret<SHARED_BYTES>)>;
    /// FIPS 203 7.3; never fails for a ciphertext of the right length (implicit rejection), `None` for another length.
    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>>;
}

/// The default: libcrux, formally verified, with seed and `m` as inputs.
pub struct LibcruxKem;

macro_rules! libcrux {
    ($module:ident, $seed:expr => generate) => {{
        let pair = libcrux_ml_kem::$module::generate_key_pair(*$seed.expose());
        KemKeyPair { ek: pair.pk().to_vec(), dk: SecretBytes::new(pair.sk().to_vec()) }
    }};
    ($module:ident, $ek:expr => valid) => {
        <&[u8; _]>::try_from($ek).is_ok_and(|ek| libcrux_ml_kem::$module::validate_public_key(&ek.into()))
    };
    ($module:ident, $ek:expr, $m:expr => encapsulate) => {{
        let ek = <&[u8; _]>::try_from($ek).ok()?;
        let (ct, mut shared) = libcrux_ml_kem::$module::encapsulate(&ek.into(), *$m.expose());
        (ct.as_slice().to_vec(), Secret::take(&mut shared))
    }};
    ($module:ident, $dk:expr, $ct:expr => decapsulate) => {{
        let dk = <&[u8; _]>::try_from($dk.expose()).ok()?;
        let ct = <&[u8; _]>::try_from($ct).ok()?;
        Secret::take(&mut libcrux_ml_kem::$module::decapsulate(&dk.into(), &ct.into()))
    }};
}

impl Kem for LibcruxKem {
    fn name(&self) -> &'static str {
        "libcrux-ml-kem"
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        match suite {
            Suite::MlKem1024 => libcrux!(mlkem1024, seed => generate),
            Suite::MlKem768 => libcrux!(mlkem768, seed => generate),
        }
    }

    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool {
        match suite {
            Suite::MlKem1024 => libcrux!(mlkem1024, ek => valid),
            Suite::MlKem768 => libcrux!(mlkem768, ek => valid),
        }
    }

    fn encapsulate(
        &self,
        suite: Suite,
        ek: &[u8],
        m: &Secret<SHARED_BYTES>,
    ) -> Option<(Vec<u8>, Secret<SHARED_BYTES>)> {
        if !self.is_valid_ek(suite, ek) {
            return None;
        }
        Some(match suite {
            Suite::MlKem1024 => libcrux!(mlkem1024, ek, m => encapsulate),
            Suite::MlKem768 => libcrux!(mlkem768, ek, m => encapsulate),
        })
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        Some(match suite {
            Suite::MlKem1024 => libcrux!(mlkem1024, dk, ct => decapsulate),
            Suite::MlKem768 => libcrux!(mlkem768, dk, ct => decapsulate),
        })
    }
}
