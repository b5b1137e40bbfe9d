//! The self-test passes with every backend and names a backend that is broken in any one operation.

use super::*;
use crate::crypto::kem::{KemKeyPair, all, default_backend};
use crate::types::secret::SecretBytes;

#[test]
fn every_backend_passes() {
    for kem in all() {
        assert_eq!(run(kem), Ok(()), "{}", kem.name());
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    OtherKey,
    OtherCiphertext,
    OtherShared,
    NoImplicitRejection,
    NoModulusCheck,
}

/// The default backend with one fault in the 768-bit set.
struct Broken(Fault);

impl Broken {
    fn has(&self, fault: Fault, suite: Suite) -> bool {
        self.0 == fault && suite == Suite::MlKem768
    }
}

impl Kem for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn takes_m(&self) -> bool {
        true
    }

    fn generate(&self, suite: Suite, seed: &Secret<SEED_BYTES>) -> KemKeyPair {
        if self.has(Fault::OtherKey, suite) {
            return default_backend().generate(suite, &Secret::zero());
        }
        default_backend().generate(suite, seed)
    }

    fn is_valid_ek(&self, suite: Suite, ek: &[u8]) -> bool {
        default_backend().is_valid_ek(suite, ek)
    }

    fn encapsulate(
        &self,
        suite: Suite,
        ek: &[u8],
        m: &Secret<SHARED_BYTES>,
    ) -> Option<(Vec<u8>, Secret<SHARED_BYTES>)> {
        if self.has(Fault::OtherCiphertext, suite) {
            return default_backend().encapsulate(suite, ek, &Secret::zero());
        }
        if self.has(Fault::NoModulusCheck, suite) && !self.is_valid_ek(suite, ek) {
            return Some((vec![0; suite.ct_bytes()], Secret::zero()));
        }
        default_backend().encapsulate(suite, ek, m)
    }

    fn decapsulate(&self, suite: Suite, dk: &SecretBytes, ct: &[u8]) -> Option<Secret<SHARED_BYTES>> {
        if self.has(Fault::OtherShared, suite) {
            return Some(Secret::zero());
        }
        if self.has(Fault::NoImplicitRejection, suite) {
            let mut first = ct.to_vec();
            first[0] = GOOD_FIRST_BYTE_768;
            return default_backend().decapsulate(suite, dk, &first);
        }
        default_backend().decapsulate(suite, dk, ct)
    }
}

/// First byte of the ciphertext of the known answer.
const GOOD_FIRST_BYTE_768: u8 = 73;

#[test]
fn a_fault_in_any_operation_is_found_and_named() {
    assert_eq!(run(&Broken(Fault::None)), Ok(()));
    for fault in
        [Fault::OtherKey, Fault::OtherCiphertext, Fault::OtherShared, Fault::NoImplicitRejection, Fault::NoModulusCheck]
    {
        let failure = run(&Broken(fault)).unwrap_err();
        assert_eq!(failure, SelfTestFailure(Primitive::MlKem(Suite::MlKem768)), "{fault:?}");
    }
    let said = SelfTestFailure(Primitive::Aead(Cipher::Aes256Gcm, AeadBackend::AwsLc)).to_string();
    assert_eq!(said, "self-test failed: aes-256-gcm (aws-lc) gives a wrong answer on this machine; refusing to start");
}
