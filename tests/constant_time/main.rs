//! Our own code neither branches on secret bytes nor uses them as an index: they are marked as undefined for valgrind's memcheck, which
//! reports both. `scripts/constant_time.sh` runs it; without valgrind the same calls only compute.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod memcheck;

use std::hint::black_box;

use memcheck::{declassify, errors, is_running, secret};
use plait::crypto::kdf;
use plait::types::secret::{Secret, SecretBytes, tags_equal};

/// What `work` adds to the errors that memcheck found.
fn reports(work: impl FnOnce()) -> usize {
    if std::env::var_os("PLAIT_NEEDS_MEMCHECK").is_some() {
        assert!(is_running(), "valgrind does not run this");
    }
    let before = errors();
    work();
    errors() - before
}

fn key<const N: usize>(fill: u8) -> Secret<N> {
    let key = Secret::take(&mut [fill; N]);
    secret(key.expose());
    key
}

/// Whether two keys are equal is public, their bytes are not.
fn public(mut outcome: bool) -> bool {
    declassify(std::slice::from_mut(&mut outcome));
    outcome
}

#[test]
fn a_compare_that_leaves_early_is_reported() {
    let (a, b) = (key::<32>(1), key::<32>(1));
    let found = reports(|| {
        let same = a.expose().iter().zip(b.expose()).all(|(a, b)| black_box(*a) == black_box(*b));
        black_box(same);
    });
    assert!(found > 0 || !is_running(), "the check sees nothing");
}

#[test]
fn an_index_by_a_secret_is_reported() {
    let (key, table) = (key::<32>(1), black_box([7_u8; 256]));
    let found = reports(|| {
        black_box(table[usize::from(key.expose()[0])]);
    });
    assert!(found > 0 || !is_running(), "the check sees nothing");
}

#[test]
fn secrets_are_compared_in_constant_time() {
    let found = reports(|| {
        assert!(public(key::<32>(1).ct_eq(&key(1))));
        assert!(!public(key::<48>(1).ct_eq(&key(2))));
        assert!(!public(key::<96>(1).is_zero()));
        assert!(public(key::<32>(0).is_zero()));
    });
    assert_eq!(found, 0);
}

#[test]
fn tags_and_fingerprints_are_compared_in_constant_time() {
    for len in [16, 24, 32, 48] {
        let (mut a, mut b) = (vec![1; len], vec![1; len]);
        b[len - 1] = 2;
        secret(&a);
        secret(&b);
        let found = reports(|| {
            assert!(public(tags_equal(&a, &a.clone())));
            assert!(!public(tags_equal(&a, &b)));
        });
        declassify(&mut a);
        declassify(&mut b);
        assert_eq!(found, 0, "{len} bytes");
    }
}

#[test]
fn moving_a_secret_reads_none_of_it() {
    let found = reports(|| {
        let copy = Secret::<32>::from_slice(key::<32>(3).expose()).unwrap().duplicate();
        let bytes = SecretBytes::new(copy.expose().to_vec());
        assert_eq!((bytes.len(), bytes.is_empty()), (32, false));
    });
    assert_eq!(found, 0);
}

#[test]
fn the_key_derivation_reads_keys_in_constant_time() {
    let found = reports(|| {
        let prk = kdf::hmac(key::<32>(4).expose(), &[b"label", key::<32>(5).expose()]);
        let mut out = [0; 96];
        kdf::expand(&prk, &[b"info"], &mut out);
        let mut tag: [u8; 16] = kdf::hmac_tag(&out, &[b"tag"]);
        assert!(!public(tags_equal(&tag, &[0; 16])));
        declassify(&mut tag);
    });
    assert_eq!(found, 0);
}
