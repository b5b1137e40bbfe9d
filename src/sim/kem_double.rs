//! A stand-in for ML-KEM: the right lengths and the right shape, no security, a hundredth of the time.

use crate::crypto::digest::sha256;
use crate::crypto::kem::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// Bytes that tell one key from another; the rest of a key or ciphertext is filling.
const NAME_BYTES: usize = 32;

/// The stand-in. The shared secret is a hash of the public key and `m`, and the ciphertext carries `m` in clear.
pub struct KemDouble;

fn filled(name: &[u8; NAME_BYTES], length: usize) -> Vec<u8> {
    let mut out = name.to_vec();
    out.resize(length, 0);
    out
}

fn shared(ek: &[u8], m: &[u8]) -> Secret<SHARED_BYTES> {
    let input: Vec<u8> = ek.iter().take(NAME_BYTES).chain(m).copied().collect();
    Secret::take(&mut sha256(&input))
}

impl Kem for KemDouble {
    fn name(&self) -> &'static str {
        "double"
    }

    fn takes_m(&self) -> bool {
        true
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        let name = sha256(seed.expose());
        KemKeyPair { ek: filled(&name, suite.ek_bytes()), dk: SecretBytes::new(filled(&name, suite.dk_bytes())) }
    }

    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool {
        ek.len() == suite.ek_bytes()
    }

    fn encapsulate(
        &self,
        suite: Suite,
        ek: &[u8],
        m: &Secret<SHARED_BYTES>,
    ) -> Option<(Vec<u8>, Secret<SHARED_BYTES>)> {
        let ct = filled(m.expose(), suite.ct_bytes());
        self.is_valid_ek(suite, ek).then(|| (ct, shared(ek, m.expose())))
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        let m = ct.get(..SHARED_BYTES).filter(|_| ct.len() == suite.ct_bytes())?;
        Some(shared(dk.expose(), m))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_share_and_another_key_does_not() {
        for suite in [Suite::MlKem1024, Suite::MlKem768] {
            let pair = |byte| KemDouble.generate(suite, &Secret::take(&mut [byte; SEED_BYTES]));
            let (one, other) = (pair(1), pair(2));
            let (ct, sent) = KemDouble.encapsulate(suite, &one.ek, &Secret::take(&mut [9; 32])).unwrap();
            assert!(sent.ct_eq(&KemDouble.decapsulate(suite, &one.dk, &ct).unwrap()));
            assert!(!sent.ct_eq(&KemDouble.decapsulate(suite, &other.dk, &ct).unwrap()));
            assert!(KemDouble.decapsulate(suite, &one.dk, &ct[1..]).is_none());
            assert!(KemDouble.encapsulate(suite, &one.ek[1..], &Secret::take(&mut [9; 32])).is_none());
        }
    }
}
