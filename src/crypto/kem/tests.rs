//! The backends against each other: all pairings of generate, encapsulate and decapsulate, in both suites.

use super::*;
use crate::types::policy::Suite;
use crate::types::secret::Secret;

const SUITES: [Suite; 2] = [Suite::MlKem1024, Suite::MlKem768];

fn seed() -> Secret<SEED_BYTES> {
    Secret::filled(|out| out.iter_mut().zip(0x20..).for_each(|(byte, value)| *byte = value))
}

fn m(fill: u8) -> Secret<SHARED_BYTES> {
    Secret::take(&mut [fill; SHARED_BYTES])
}

#[test]
fn all_backends_of_this_build_are_compared() {
    let names: Vec<_> = all().iter().map(|kem| kem.name()).collect();
    let expected = ["libcrux-ml-kem", "ml-kem", "aws-lc-rs", "pqcrypto-kyber"];
    assert_eq!(names, expected[..if cfg!(feature = "kem-pqcrypto") { 4 } else { 3 }]);
    assert!(default_backend().takes_m() && reference().takes_m());
}

#[test]
fn every_pairing_agrees() {
    for suite in SUITES {
        for generating in all() {
            let pair = generating.generate(suite, &seed());
            assert_eq!((pair.ek.len(), pair.dk.len()), (suite.ek_bytes(), suite.dk_bytes()));
            assert_eq!(pair.ek, reference().generate(suite, &seed()).ek, "{}", generating.name());
            for encapsulating in all() {
                let (ct, sent) = encapsulating.encapsulate(suite, &pair.ek, &m(9)).unwrap();
                assert_eq!(ct.len(), suite.ct_bytes());
                for decapsulating in all() {
                    let got = decapsulating.decapsulate(suite, &pair.dk, &ct).unwrap();
                    let names = [generating.name(), encapsulating.name(), decapsulating.name()];
                    assert!(got.ct_eq(&sent), "{suite:?} {names:?}");
                }
            }
        }
    }
}

#[test]
fn m_decides_the_ciphertext_exactly_where_a_backend_takes_it() {
    for suite in SUITES {
        let pair = reference().generate(suite, &seed());
        for kem in all() {
            let ct = |fill| kem.encapsulate(suite, &pair.ek, &m(fill)).unwrap().0;
            assert_eq!(ct(1) == ct(1), kem.takes_m(), "{}", kem.name());
            assert_ne!(ct(1), ct(2), "{}", kem.name());
            if kem.takes_m() {
                assert_eq!(ct(3), reference().encapsulate(suite, &pair.ek, &m(3)).unwrap().0, "{}", kem.name());
            }
        }
    }
}

#[test]
fn implicit_rejection_is_the_same_everywhere() {
    for suite in SUITES {
        let pair = reference().generate(suite, &seed());
        let (ct, sent) = reference().encapsulate(suite, &pair.ek, &m(4)).unwrap();
        for at in [0, 1, ct.len() / 2, ct.len() - 1] {
            let mut changed = ct.clone();
            changed[at] ^= 1;
            let rejected = reference().decapsulate(suite, &pair.dk, &changed).unwrap();
            assert!(!rejected.ct_eq(&sent));
            for kem in all() {
                let got = kem.decapsulate(suite, &pair.dk, &changed).unwrap();
                assert!(got.ct_eq(&rejected), "{suite:?} {} at {at}", kem.name());
            }
        }
    }
}

#[test]
fn an_encapsulation_key_that_is_not_canonical_is_refused_by_all() {
    for suite in SUITES {
        let good = reference().generate(suite, &seed()).ek;
        let coefficient_bytes = good.len() - 32;
        for at in [0, 3, coefficient_bytes / 2 / 3 * 3, coefficient_bytes - 3] {
            let mut bad = good.clone();
            // 3329 = 0xd01 in the first coefficient of the triple.
            (bad[at], bad[at + 1]) = (0x01, bad[at + 1] & 0xf0 | 0x0d);
            for kem in all() {
                assert!(kem.is_valid_ek(suite, &good), "{}", kem.name());
                assert!(!kem.is_valid_ek(suite, &bad), "{} at {at}", kem.name());
                assert!(kem.encapsulate(suite, &bad, &m(5)).is_none(), "{} at {at}", kem.name());
            }
        }
    }
}

#[test]
fn other_lengths_are_refused_by_all() {
    for suite in SUITES {
        let pair = reference().generate(suite, &seed());
        let (ct, _) = reference().encapsulate(suite, &pair.ek, &m(6)).unwrap();
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        for kem in all() {
            for ek in [&[][..], &pair.ek[1..], &longer(&pair.ek)] {
                assert!(!kem.is_valid_ek(suite, ek) && kem.encapsulate(suite, ek, &m(6)).is_none(), "{}", kem.name());
            }
            for ct in [&[][..], &ct[1..], &longer(&ct)] {
                assert!(kem.decapsulate(suite, &pair.dk, ct).is_none(), "{}", kem.name());
            }
        }
    }
}
