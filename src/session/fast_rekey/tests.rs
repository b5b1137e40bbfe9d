//! One test for each "drop" of PROTOCOL 2.8, on messages that are good but for one thing.

use super::message::FR1_AUTHENTIC_BYTES;
use super::*;
use crate::keys::offer::{SlotAnswer, SlotOffer};
use crate::keys::policy::{Exchange, LeftSeconds, QkdWaiver, WaiverKind, waive};
use crate::keys::request::DeliveredKey;
use crate::schedule::confirm::TooFewKeys;
use crate::types::id::{KeyId, SessionIndex, SourceMask};
use crate::types::policy::{Cipher, QkdPolicy, Reason};
use crate::types::random::Randomness;
use crate::types::secret::{Secret, SecretBytes};
use crate::types::terms::Agreed;
use crate::wire::field::Malformed;

/// The points of small order with a canonical encoding (RFC 7748 6.1): 0, 1, two of order 8, p - 1.
const SMALL_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

struct Counting(u8);

impl Randomness for Counting {
    fn secret(&mut self, _label: &'static str, out: &mut [u8]) {
        self.0 += 1;
        out.fill(self.0);
    }

    fn public(&mut self, _name: &'static str, _out: &mut [u8]) {
        unreachable!("a fast rekey draws nothing public");
    }
}

fn agreed(policy: QkdPolicy, need: u8, asked: u8) -> Agreed {
    Agreed {
        policy,
        need,
        asked: SourceMask::from_bits(asked).unwrap(),
        cipher: Cipher::ChaCha20Poly1305,
        features: 0,
        inner_mtu: 1420,
        hold_last: 3600,
        degrade_for: u32::MAX,
        clock: 0,
    }
}

fn required() -> Agreed {
    agreed(QkdPolicy::Required, 1, 0b11)
}

fn root() -> EpochRoot {
    EpochRoot { hs: [7; 48], root: Secret::take(&mut [9; 48]) }
}

fn index(n: u32) -> SessionIndex {
    SessionIndex::new(n).unwrap()
}

fn key(n: u8) -> DeliveredKey {
    let name = format!("key-{n}");
    DeliveredKey { key_id: KeyId::new(name.as_bytes()).unwrap(), material: SecretBytes::new(vec![n; 32]) }
}

fn permit(policy: QkdPolicy, left: u32) -> Option<QkdWaiver> {
    waive(policy, Exchange::FastRekey, LeftSeconds(left))
}

/// FR1 of epoch 5, try 2; `have` are the asked sources with a key.
fn try_fr1(agreed: &Agreed, have: &[u8], left: u32) -> Result<AwaitFr2, TooFewKeys> {
    let attempt = FastTry { epoch: 5, number: 2, data_index: index(0x11) };
    let mut offers = [const { SlotOffer::Failed(Reason::NoKeyNow) }; 6];
    for &source in have {
        offers[usize::from(source)] = SlotOffer::Key(key(source));
    }
    create_fr1(&root(), agreed, attempt, offers, permit(agreed.policy, left).as_ref(), &mut Counting(0))
}

fn fr1(agreed: &Agreed, have: &[u8]) -> AwaitFr2 {
    try_fr1(agreed, have, 100).unwrap()
}

/// The responder's answer with these keys; `[n, m]`: source n gives key m.
fn fr2(agreed: &Agreed, waiting: &AwaitFr2, have: &[[u8; 2]], left: u32) -> Fr2Made {
    let opened = open_fr1(&root(), agreed, waiting.plaintext()).unwrap();
    let mut answers = [const { SlotAnswer::Failed(Reason::UnknownKeyId) }; 6];
    for &[source, material] in have {
        let named = DeliveredKey { key_id: key(source).key_id, ..key(material) };
        answers[usize::from(source)] = SlotAnswer::Key(named);
    }
    opened.create_fr2(index(0x22), answers, permit(agreed.policy, left), &mut Counting(100))
}

fn changed(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// FR1 with a changed field and a good `auth`, as only a faulty peer makes it.
fn resigned(fr1: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = changed(&fr1[..FR1_AUTHENTIC_BYTES], at, with);
    let auth = root().auth(&bytes);
    bytes.extend_from_slice(&auth);
    bytes
}

fn fr1_fault(agreed: &Agreed, plaintext: &[u8]) -> Option<FastRefusal> {
    open_fr1(&root(), agreed, plaintext).err()
}

fn point(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

mod fr1_at_the_responder {
    use super::*;

    #[test]
    fn auth_is_verified_before_anything_else() {
        let terms = required();
        let good = fr1(&terms, &[0, 1]);
        assert_eq!(fr1_fault(&terms, good.plaintext()), None);
        for bit in 0..good.plaintext().len() * 8 {
            let mut bad = good.plaintext().to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(fr1_fault(&terms, &bad), Some(FastRefusal::Auth), "bit {bit}");
        }
        let other = [EpochRoot { hs: [8; 48], ..root() }, EpochRoot { root: Secret::take(&mut [8; 48]), ..root() }];
        for root in other {
            assert_eq!(open_fr1(&root, &terms, good.plaintext()).err(), Some(FastRefusal::Auth));
        }
    }

    #[test]
    fn the_length_is_exact() {
        let terms = required();
        let good = fr1(&terms, &[0]).plaintext().to_vec();
        for length in 0..good.len() {
            assert_eq!(fr1_fault(&terms, &good[..length]), Some(Malformed::Length.into()), "length {length}");
        }
        assert_eq!(fr1_fault(&terms, &[good, vec![0]].concat()), Some(Malformed::Length.into()));
    }

    #[test]
    fn every_broken_field_is_refused_though_authentic() {
        let terms = required();
        let good = fr1(&terms, &[0, 1]).plaintext().to_vec();
        let cases: [(&str, usize, &[u8], FastRefusal); 11] = [
            ("another operation", 0, &[2], Malformed::Type.into()),
            ("zero byte", 1, &[1], Malformed::NotZero.into()),
            ("unknown waiver", 3, &[4], Malformed::Value("waiver").into()),
            ("left without waiver", 12, &[0, 0, 0, 9], FastRefusal::Left),
            ("left 0 without waiver", 12, &[0; 4], FastRefusal::Left),
            ("left with policy off", 3, &[3, 0, 0, 0, 5, 0, 0, 0, 0x11, 0, 0, 0, 9], FastRefusal::Left),
            ("no data index", 8, &[0; 4], Malformed::Index.into()),
            ("a slot outside the asked set", 48 + 2 * 72, &[2, 3], Malformed::Value("slot state").into()),
            ("an empty slot of the asked set", 48, &[0; 72], Malformed::Value("slot state").into()),
            ("a size of 248 bits", 50, &[0, 248], Malformed::Value("slot size").into()),
            ("a space in a key_ID", 56, b" ", Malformed::Value("key_ID").into()),
        ];
        for (what, at, with, fault) in cases {
            assert_eq!(fr1_fault(&terms, &resigned(&good, at, with)), Some(fault), "{what}");
        }
        assert_eq!(fr1_fault(&terms, &resigned(&good, 0, &[1])), None, "the same bytes again are good");
    }

    #[test]
    fn the_waiver_must_fit_slots_policy_and_min_sources() {
        let preferred = agreed(QkdPolicy::Preferred, 1, 0b11);
        let two = agreed(QkdPolicy::Required, 2, 0b11);
        let off = agreed(QkdPolicy::Off, 0, 0);
        let cases: [(&str, &Agreed, &[u8], u8); 6] = [
            ("required, enough keys", &required(), &[0], 0),
            ("required, no key", &required(), &[], 1),
            ("required 2, one key", &two, &[0], 1),
            ("required 2, two keys", &two, &[0, 1], 0),
            ("preferred, no key", &preferred, &[], 2),
            ("policy off", &off, &[], 3),
        ];
        for (what, terms, have, fitting) in cases {
            let good = fr1(terms, have).plaintext().to_vec();
            assert_eq!(good[3], fitting, "{what}");
            for waiver in (0..4).filter(|waiver| *waiver != fitting) {
                let bad = changed(&resigned(&good, 3, &[waiver]), 12, &[0xff; 4]);
                let bad = resigned(&bad, 12, &[0xff; 4]);
                assert_eq!(fr1_fault(terms, &bad), Some(FastRefusal::Waiver), "{what}, waiver {waiver}");
            }
        }
    }

    #[test]
    fn an_ephemeral_of_small_order_is_refused() {
        let terms = required();
        let good = fr1(&terms, &[0]).plaintext().to_vec();
        for hex in SMALL_ORDER {
            assert_eq!(fr1_fault(&terms, &resigned(&good, 16, &point(hex))), Some(FastRefusal::SmallOrder), "{hex}");
        }
    }

    #[test]
    fn what_was_opened_says_what_was_sent() {
        let terms = agreed(QkdPolicy::Required, 2, 0b11);
        let opened = open_fr1(&root(), &terms, fr1(&terms, &[1]).plaintext()).unwrap();
        assert_eq!((opened.epoch(), opened.try_number()), (5, 2));
        assert_eq!((opened.waiver(), opened.left()), (Some(WaiverKind::Holdover), LeftSeconds(100)));
        assert_eq!(opened.named().bits(), 0b10);
        assert_eq!(opened.slots()[1].key_id(), Some(&key(1).key_id));
    }
}

mod fr2_at_the_responder {
    use super::*;

    #[test]
    fn left_is_the_smaller_of_both() {
        let terms = required();
        for (theirs, ours, expected) in [(100, 90, 90), (90, 100, 90), (u32::MAX, 7, 7), (7, u32::MAX, 7u32)] {
            let waiting = try_fr1(&terms, &[], theirs).unwrap();
            let made = fr2(&terms, &waiting, &[], ours);
            assert_eq!(made.plaintext[12..16], u32::to_be_bytes(expected));
            let epoch = made.outcome.unwrap();
            assert_eq!((epoch.waiver, epoch.left), (Some(WaiverKind::Holdover), LeftSeconds(expected)));
        }
    }

    #[test]
    fn without_permission_the_answer_is_a_refusal_and_no_epoch() {
        let two = agreed(QkdPolicy::Required, 2, 0b11);
        let preferred = agreed(QkdPolicy::Preferred, 1, 0b11);
        let made = [
            (1, fr2(&two, &fr1(&two, &[0, 1]), &[[0, 0]], 0)),
            (2, fr2(&preferred, &fr1(&preferred, &[0]), &[], 0)),
            (1, fr2(&required(), &fr1(&required(), &[]), &[], 0)),
        ];
        for (waiver, made) in made {
            assert!(made.outcome.is_none());
            assert_eq!(made.plaintext[..8], [2, 0, 2, waiver, 0, 0, 0, 5]);
            assert_eq!(made.plaintext[8..48], [0; 40], "index, left and e' are zero");
            assert_eq!(made.plaintext[64..], [0; 16], "in place of ok");
        }
    }

    #[test]
    fn an_initiator_with_no_time_left_is_refused() {
        let terms = required();
        let no_time = resigned(fr1(&terms, &[]).plaintext(), 12, &[0; 4]);
        let opened = open_fr1(&root(), &terms, &no_time).unwrap();
        let answers = [const { SlotAnswer::NotNeeded }; 6];
        let made = opened.create_fr2(index(0x22), answers, permit(terms.policy, 50), &mut Counting(100));
        assert!(made.outcome.is_none());
    }

    #[test]
    fn a_permission_of_another_policy_does_not_count() {
        let terms = required();
        let opened = open_fr1(&root(), &terms, fr1(&terms, &[]).plaintext()).unwrap();
        let answers = [const { SlotAnswer::NotNeeded }; 6];
        let foreign = permit(QkdPolicy::Preferred, 50);
        assert!(opened.create_fr2(index(0x22), answers, foreign, &mut Counting(100)).outcome.is_none());
    }
}

mod fr2_at_the_initiator {
    use super::*;

    enum Seen {
        Established,
        Mismatch(u8),
        Refused(WaiverKind),
        Dropped(FastRefusal),
    }

    fn accept(waiting: &AwaitFr2, terms: &Agreed, fr2: &[u8], left: u32) -> Seen {
        match waiting.accept_fr2(fr2, terms, permit(terms.policy, left)) {
            Ok(Fr2Outcome::Established(_)) => Seen::Established,
            Ok(Fr2Outcome::Mismatch { sources, .. }) => Seen::Mismatch(sources.bits()),
            Ok(Fr2Outcome::Refused { waiver, .. }) => Seen::Refused(waiver),
            Err(refusal) => Seen::Dropped(refusal),
        }
    }

    #[track_caller]
    fn assert_dropped(waiting: &AwaitFr2, terms: &Agreed, fr2: &[u8], fault: FastRefusal, what: &str) {
        assert!(matches!(accept(waiting, terms, fr2, 50), Seen::Dropped(seen) if seen == fault), "{what}");
    }

    #[test]
    fn every_broken_field_is_dropped_and_the_true_one_still_works() {
        let terms = required();
        let waiting = fr1(&terms, &[0]);
        let good = fr2(&terms, &waiting, &[[0, 0]], 50).plaintext;
        let cases: [(&str, usize, &[u8], FastRefusal); 15] = [
            ("another operation", 0, &[1], Malformed::Type.into()),
            ("zero byte", 1, &[1], Malformed::NotZero.into()),
            ("lower try", 2, &[1], FastRefusal::OtherTry),
            ("higher try", 2, &[3], FastRefusal::OtherTry),
            ("unknown waiver", 3, &[9], Malformed::Value("waiver").into()),
            ("current epoch", 4, &[0, 0, 0, 4], FastRefusal::OtherEpoch),
            ("epoch after next", 4, &[0, 0, 0, 6], FastRefusal::OtherEpoch),
            ("no data index", 8, &[0; 4], Malformed::Index.into()),
            ("left without waiver", 12, &[0, 0, 0, 9], FastRefusal::Left),
            ("bitmap with a source that has no key", 48, &[0b11], Malformed::Value("bitmap").into()),
            ("bitmap with bit 7", 48, &[0x81], Malformed::Value("bitmap").into()),
            ("byte 1 of the status", 49, &[1], Malformed::NotZero.into()),
            ("a reason for a mixed source", 50, &[3], Malformed::Value("status reason").into()),
            ("a check byte of a source not mixed", 57, &[3], Malformed::NotZero.into()),
            ("the last byte of the status", 63, &[1], Malformed::NotZero.into()),
        ];
        for (what, at, with, fault) in cases {
            assert_dropped(&waiting, &terms, &changed(&good, at, with), fault, what);
        }
        for length in 0..good.len() {
            assert_dropped(&waiting, &terms, &good[..length], Malformed::Length.into(), "cut");
        }
        assert_dropped(&waiting, &terms, &[good.as_slice(), &[0]].concat(), Malformed::Length.into(), "too long");
        for hex in SMALL_ORDER {
            assert_dropped(&waiting, &terms, &changed(&good, 16, &point(hex)), FastRefusal::SmallOrder, hex);
        }
        assert!(matches!(accept(&waiting, &terms, &good, 50), Seen::Established));
    }

    #[test]
    fn the_waiver_must_fit_the_bitmap() {
        let terms = required();
        let waiting = fr1(&terms, &[0]);
        let whole = fr2(&terms, &waiting, &[[0, 0]], 50).plaintext;
        for waiver in 1..4 {
            let bad = changed(&whole, 3, &[waiver]);
            assert_dropped(&waiting, &terms, &bad, FastRefusal::Waiver, "a waiver with enough keys");
        }
        let short = fr2(&terms, &waiting, &[], 50).plaintext;
        for waiver in [0, 2, 3] {
            let bad = changed(&changed(&short, 3, &[waiver]), 12, &[0xff; 4]);
            assert_dropped(&waiting, &terms, &bad, FastRefusal::Waiver, "another waiver with too few keys");
        }
    }

    #[test]
    fn left_may_not_be_more_than_offered_nor_nothing() {
        let terms = required();
        let waiting = try_fr1(&terms, &[], 100).unwrap();
        let good = fr2(&terms, &waiting, &[], 90).plaintext;
        for left in [101, u32::MAX] {
            let bad = changed(&good, 12, &left.to_be_bytes());
            assert_dropped(&waiting, &terms, &bad, FastRefusal::Left, "more than offered");
        }
        assert_dropped(&waiting, &terms, &changed(&good, 12, &[0; 4]), FastRefusal::Left, "no time and yet an epoch");
        assert!(matches!(accept(&waiting, &terms, &good, 100), Seen::Established));
    }

    #[test]
    fn a_short_epoch_needs_this_ends_permission_too() {
        let terms = required();
        let waiting = fr1(&terms, &[0]);
        let short = fr2(&terms, &waiting, &[], 50).plaintext;
        assert!(matches!(accept(&waiting, &terms, &short, 0), Seen::Dropped(FastRefusal::NotPermitted)));
        let foreign = waiting.accept_fr2(&short, &terms, permit(QkdPolicy::Preferred, 50));
        assert!(matches!(foreign, Err(FastRefusal::NotPermitted)));
        assert!(matches!(accept(&waiting, &terms, &short, 50), Seen::Established));
    }

    #[test]
    fn without_keys_and_permission_no_fr1_is_made() {
        assert!(try_fr1(&required(), &[], 0).is_err());
        assert!(try_fr1(&agreed(QkdPolicy::Required, 2, 0b11), &[1], 0).is_err());
        assert!(try_fr1(&agreed(QkdPolicy::Preferred, 1, 0b11), &[], 0).is_err());
        assert!(try_fr1(&agreed(QkdPolicy::Off, 0, 0), &[], 0).is_ok());
    }

    #[test]
    fn a_differing_check_byte_names_its_source() {
        let terms = agreed(QkdPolicy::Required, 2, 0b11);
        let waiting = fr1(&terms, &[0, 1]);
        let made = fr2(&terms, &waiting, &[[0, 0], [1, 77]], 50);
        assert!(matches!(accept(&waiting, &terms, &made.plaintext, 50), Seen::Mismatch(0b10)));
    }

    #[test]
    fn good_check_bytes_and_an_ok_that_does_not_open_blame_all_mixed_sources() {
        let terms = required();
        let waiting = fr1(&terms, &[0, 1]);
        let good = fr2(&terms, &waiting, &[[0, 0], [1, 1]], 50).plaintext;
        for at in [64, 79] {
            let bad = changed(&good, at, &[!good[at]]);
            assert!(matches!(accept(&waiting, &terms, &bad, 50), Seen::Mismatch(0b11)));
        }
        let zero = changed(&good, 64, &[0; 16]);
        assert!(matches!(accept(&waiting, &terms, &zero, 50), Seen::Mismatch(0b11)), "enough keys: not a refusal");
    }

    #[test]
    fn a_bad_ok_without_any_key_is_dropped() {
        let terms = agreed(QkdPolicy::Off, 0, 0);
        let waiting = fr1(&terms, &[]);
        let good = fr2(&terms, &waiting, &[], 0).plaintext;
        for ok in [[0; 16], [1; 16]] {
            assert_dropped(&waiting, &terms, &changed(&good, 64, &ok), FastRefusal::Unconfirmed, "bad ok");
        }
        assert!(matches!(accept(&waiting, &terms, &good, 0), Seen::Established));
    }

    #[test]
    fn a_refusal_is_short_with_zeros_and_its_check_bytes_are_looked_at_first() {
        let terms = agreed(QkdPolicy::Required, 2, 0b11);
        let waiting = fr1(&terms, &[0, 1]);
        let refusal = fr2(&terms, &waiting, &[[0, 0]], 0).plaintext;
        assert!(matches!(accept(&waiting, &terms, &refusal, 50), Seen::Refused(WaiverKind::Holdover)));
        let other_key = fr2(&terms, &waiting, &[[0, 77]], 0).plaintext;
        assert!(matches!(accept(&waiting, &terms, &other_key, 50), Seen::Mismatch(0b01)));
        let cases: [(&str, usize, &[u8], FastRefusal); 3] = [
            ("with a data index", 8, &[0, 0, 0, 1], Malformed::Index.into()),
            ("with time left", 12, &[0, 0, 0, 1], FastRefusal::Left),
            ("with e'", 47, &[1], Malformed::NotZero.into()),
        ];
        for (what, at, with, fault) in cases {
            assert_dropped(&waiting, &terms, &changed(&refusal, at, with), fault, what);
        }
    }

    #[test]
    fn an_fr2_to_another_fr1_of_the_same_try_is_no_epoch() {
        let terms = required();
        let waiting = fr1(&terms, &[0]);
        let attempt = FastTry { epoch: 5, number: 2, data_index: index(0x33) };
        let mut offers = [const { SlotOffer::Failed(Reason::NoKeyNow) }; 6];
        offers[0] = SlotOffer::Key(key(0));
        let other = create_fr1(&root(), &terms, attempt, offers, None, &mut Counting(50)).unwrap();
        let made = fr2(&terms, &other, &[[0, 0]], 50);
        assert!(!matches!(accept(&waiting, &terms, &made.plaintext, 50), Seen::Established));
    }
}

#[test]
fn what_waits_for_an_answer_says_for_which() {
    let waiting = fr1(&required(), &[0]);
    assert_eq!((waiting.epoch(), waiting.try_number()), (5, 2));
}

#[test]
fn every_refusal_has_a_counter_of_its_own() {
    let all = [
        FastRefusal::Malformed(Malformed::Length),
        FastRefusal::Auth,
        FastRefusal::Waiver,
        FastRefusal::Left,
        FastRefusal::OtherEpoch,
        FastRefusal::OldTry,
        FastRefusal::OtherTry,
        FastRefusal::SmallOrder,
        FastRefusal::Unconfirmed,
        FastRefusal::NotPermitted,
    ];
    let names: std::collections::BTreeSet<_> = all.iter().map(FastRefusal::counter).collect();
    assert!(names.len() == all.len() && names.iter().all(|name| name.starts_with("fast_rekey_")), "{names:?}");
}
