//! libcrux-ml-kem: the default backend.

use std::ops::IndexMut;

use libcrux_ml_kem::MlKemPrivateKey;
use zeroize::Zeroize;

use super::api::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};
use super::stack::leaving_nothing;
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// Formally verified, constant-time, as fast as assembly; takes seed and `m`.
pub(super) struct LibcruxKem;

macro_rules! libcrux {
    ($module:ident, $seed:expr => generate) => {{
        let (mut dk, ek) = libcrux_ml_kem::$module::generate_key_pair(*$seed.expose()).into_parts();
        let bytes = SecretBytes::new(dk.as_slice().to_vec());
        dk.index_mut(..bytes.len()).zeroize();
        KemKeyPair { ek: ek.as_slice().to_vec(), dk: bytes }
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
        let ct = <&[u8; _]>::try_from($ct).ok()?.into();
        // The library's key type does not wipe itself.
        let mut dk: MlKemPrivateKey<_> = <&[u8; _]>::try_from($dk.expose()).ok()?.into();
        let shared = libcrux_ml_kem::$module::validate_private_key(&dk, &ct)
            .then(|| Secret::take(&mut libcrux_ml_kem::$module::decapsulate(&dk, &ct)));
        dk.index_mut(..$dk.len()).zeroize();
        shared?
    }};
}

impl Kem for LibcruxKem {
    fn name(&self) -> &'static str {
        "libcrux-ml-kem"
    }

    fn takes_m(&self) -> bool {
        true
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        leaving_nothing(|| match suite {
            Suite::MlKem1024 => libcrux!(mlkem1024, seed => generate),
            Suite::MlKem768 => libcrux!(mlkem768, seed => generate),
        })
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
        leaving_nothing(|| {
            Some(match suite {
                Suite::MlKem1024 => libcrux!(mlkem1024, ek, m => encapsulate),
                Suite::MlKem768 => libcrux!(mlkem768, ek, m => encapsulate),
            })
        })
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        leaving_nothing(|| {
            Some(match suite {
                Suite::MlKem1024 => libcrux!(mlkem1024, dk, ct => decapsulate),
                Suite::MlKem768 => libcrux!(mlkem768, dk, ct => decapsulate),
            })
        })
    }
}
