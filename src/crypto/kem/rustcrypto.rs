//! The ml-kem crate: the reference backend, pure Rust.

use ml_kem::{Decapsulate, EncapsulationKey, KeyExport, MlKem768, MlKem1024};
use zeroize::Zeroize;

use super::api::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// What the other backends are compared with; takes seed and `m`. Also expands keys for libraries that take no seed.
pub(super) struct RustCryptoKem;

/// The expanded form is needed to speak the same bytes as the other backends. It is made here from the seed and never
/// stored, so that the reason it is deprecated (keys from outside need validation) does not arise.
#[expect(deprecated, reason = "expanded keys stay in memory and come from this process")]
mod expanded {
    use super::{Secret, SecretBytes, Zeroize};
    use ml_kem::{ExpandedKeyEncoding, FromSeed};

    pub(super) fn from_seed<K>(seed: &Secret<64>) -> (K::EncapsulationKey, SecretBytes)
    where
        K: FromSeed<SeedSize = ml_kem::array::sizes::U64>,
        K::DecapsulationKey: ExpandedKeyEncoding,
    {
        let mut copy = (*seed.expose()).into();
        let (dk, ek) = K::from_seed(&copy);
        copy.zeroize();
        let mut expanded = dk.to_expanded_bytes();
        let bytes = SecretBytes::new(expanded.to_vec());
        expanded.zeroize();
        (ek, bytes)
    }

    pub(super) fn parse<D: ExpandedKeyEncoding>(dk: &SecretBytes) -> Option<D> {
        D::from_expanded_bytes(dk.expose().try_into().ok()?).ok()
    }
}

macro_rules! rustcrypto {
    ($kem:ty, $seed:expr => generate) => {{
        let (ek, dk) = expanded::from_seed::<$kem>($seed);
        KemKeyPair { ek: ek.to_bytes().to_vec(), dk }
    }};
    ($kem:ty, $ek:expr => parse) => {
        $ek.try_into().ok().and_then(|ek| EncapsulationKey::<$kem>::new(ek).ok())
    };
    ($kem:ty, $ek:expr, $m:expr => encapsulate) => {{
        let ek = rustcrypto!($kem, $ek => parse)?;
        let mut m = (*$m.expose()).into();
        let (ct, shared) = ek.encapsulate_deterministic(&m);
        m.zeroize();
        (ct.to_vec(), Secret::take(&mut shared.into()))
    }};
    ($kem:ty, $dk:expr, $ct:expr => decapsulate) => {{
        let dk = expanded::parse::<ml_kem::DecapsulationKey<$kem>>($dk)?;
        Secret::take(&mut dk.decapsulate($ct.try_into().ok()?).into())
    }};
}

impl Kem for RustCryptoKem {
    fn name(&self) -> &'static str {
        "ml-kem"
    }

    fn takes_m(&self) -> bool {
        true
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        match suite {
            Suite::MlKem1024 => rustcrypto!(MlKem1024, seed => generate),
            Suite::MlKem768 => rustcrypto!(MlKem768, seed => generate),
        }
    }

    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool {
        match suite {
            Suite::MlKem1024 => rustcrypto!(MlKem1024, ek => parse).is_some(),
            Suite::MlKem768 => rustcrypto!(MlKem768, ek => parse).is_some(),
        }
    }

    fn encapsulate(
        &self,
        suite: Suite,
        ek: &[u8],
        m: &Secret<SHARED_BYTES>,
    ) -> Option<(Vec<u8>, Secret<SHARED_BYTES>)> {
        Some(match suite {
            Suite::MlKem1024 => rustcrypto!(MlKem1024, ek, m => encapsulate),
            Suite::MlKem768 => rustcrypto!(MlKem768, ek, m => encapsulate),
        })
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        Some(match suite {
            Suite::MlKem1024 => rustcrypto!(MlKem1024, dk, ct => decapsulate),
            Suite::MlKem768 => rustcrypto!(MlKem768, dk, ct => decapsulate),
        })
    }
}
