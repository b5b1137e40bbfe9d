//! Which session comes out, or why none.

use plait::handshake::initiator::R2Outcome;
use plait::handshake::terms::NewSession;
use plait::keys::policy::WaiverKind;
use plait::types::id::SourceMask;
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Reason, Suite};
use plait::types::secret::Secret;

use super::ends::{Ends, KmeAnswer, Source};
use super::fixture::{RATCHET, Seeded, ends, store};
use super::pair::{Event, Initiator, Pair, Responder};

/// Carries every datagram to the other end until nobody answers; gives the last event.
fn run(ends: Ends) -> (Pair, Event) {
    let mut pair = Pair::new(ends, Box::new(Seeded::new(1)));
    let mut outbox = vec![pair.i0()];
    let mut last = Event::Silence;
    while !outbox.is_empty() {
        last = pair.deliver(&outbox.remove(0));
        if let Event::Send(more) = &mut last {
            outbox.append(more);
        }
    }
    (pair, last)
}

/// The same session at both ends.
fn session(ends: Ends) -> Box<NewSession> {
    let (pair, last) = run(ends);
    assert_eq!(last, Event::Established);
    let Initiator::Done(outcome) = pair.initiator else { panic!("the initiator waits") };
    let R2Outcome::Established(ours) = *outcome else { panic!("no session") };
    let Responder::Done(done) = pair.responder else { panic!("the responder waits") };
    let theirs = done.1.outcome.unwrap();
    assert_eq!((ours.hs, &ours.mixed, &ours.agreed), (theirs.hs, &theirs.mixed, &theirs.agreed));
    assert!(ours.t_i2r.ct_eq(&theirs.t_i2r) && ours.t_r2i.ct_eq(&theirs.t_r2i));
    assert!(ours.root.ct_eq(&theirs.root) && ours.rs.rs.ct_eq(&theirs.rs.rs) && ours.rs.id == theirs.rs.id);
    assert_eq!((ours.reasons, ours.waiver), (theirs.reasons, theirs.waiver));
    ours
}

fn no_session(ends: Ends) -> (Pair, String) {
    match run(ends) {
        (pair, Event::NoSession(why)) => (pair, why),
        (_, other) => panic!("ended with {other:?}"),
    }
}

fn configured(change: impl FnOnce(&mut Ends)) -> Ends {
    let mut ends = ends(Suite::MlKem1024);
    change(&mut ends);
    ends
}

fn with_policy(policy: QkdPolicy, min_sources: u8, sources: u8) -> Ends {
    configured(|ends| {
        for end in [&mut ends.initiator, &mut ends.responder] {
            end.terms.qkd_policy = policy;
            end.terms.min_sources = min_sources;
            end.terms.source_mask = SourceMask::from_bits(sources).unwrap();
        }
    })
}

fn key(byte: u8) -> KmeAnswer {
    Ok((format!("key-{byte}"), vec![byte; 32]))
}

fn source(initiator: KmeAnswer, responder: Option<KmeAnswer>) -> Source {
    Source { initiator: Some(initiator), responder }
}

#[test]
fn both_suites_make_a_session() {
    for suite in [Suite::MlKem1024, Suite::MlKem768] {
        let session = session(ends(suite));
        assert_eq!((session.mixed.len(), session.waiver), (1, None));
        assert!(session.psk_used && session.ratchet_used.is_some());
    }
}

#[test]
fn without_a_psk_the_session_says_so() {
    assert!(!session(configured(|ends| ends.psk = Secret::zero())).psk_used);
}

#[test]
fn the_responder_chooses_the_cipher_by_its_own_order() {
    use Cipher::{Aes256Gcm, ChaCha20Poly1305};
    let chosen = |initiator: &[Cipher], responder: &[Cipher]| {
        session(configured(|ends| {
            ends.initiator.terms.ciphers = initiator.to_vec();
            ends.responder.terms.ciphers = responder.to_vec();
        }))
        .agreed
        .cipher
    };
    assert_eq!(chosen(&[ChaCha20Poly1305, Aes256Gcm], &[Aes256Gcm, ChaCha20Poly1305]), Aes256Gcm);
    assert_eq!(chosen(&[ChaCha20Poly1305], &[Aes256Gcm, ChaCha20Poly1305]), ChaCha20Poly1305);
}

#[test]
fn a_source_that_only_one_end_has_is_not_asked() {
    let mut ends = with_policy(QkdPolicy::Required, 1, 0b11);
    ends.responder.terms.source_mask = SourceMask::from_bits(0b101).unwrap();
    ends.sources[1] = source(key(1), None);
    let session = session(ends);
    assert_eq!((session.agreed.asked.bits(), session.mixed.len(), session.reasons), (1, 1, [None; 6]));
}

#[test]
fn a_short_preferred_handshake_needs_time_on_both_clocks() {
    let short = |initiator: u32, responder: u32| {
        let mut ends = with_policy(QkdPolicy::Preferred, 1, 1);
        ends.sources[0] = source(key(1), Some(Err(Reason::Deadline)));
        (ends.initiator.terms.degrade_for, ends.responder.terms.degrade_for) = (initiator, responder);
        ends
    };
    let session = session(short(60, 60));
    assert_eq!((session.waiver, session.reasons[0]), (Some(WaiverKind::Degraded), Some(Reason::Deadline)));
    for (initiator, responder) in [(0, 60), (60, 0)] {
        let (pair, why) = no_session(short(initiator, responder));
        assert_eq!(why, "BLOCKED");
        let Responder::Done(done) = pair.responder else { panic!("no R2") };
        assert!(done.1.outcome.is_none());
        assert_eq!(done.1.datagram.len(), 96, "a refusal is as long as an answer");
    }
}

#[test]
fn an_initiator_that_is_out_of_time_takes_no_short_session_that_the_responder_made() {
    let mut ends = with_policy(QkdPolicy::Preferred, 1, 1);
    ends.sources[0] = source(Err(Reason::NoKeyNow), None);
    let mut pair = Pair::new(ends, Box::new(Seeded::new(1)));
    let mut outbox = vec![pair.i0()];
    while let Some(bytes) = outbox.pop() {
        if bytes[0] == 6 {
            // Between I2 and R2 the last of the time runs out at the initiator alone.
            pair.has_waiver = false;
            assert_eq!(pair.deliver(&bytes), Event::NoSession("BLOCKED".to_owned()));
        } else if let Event::Send(more) = pair.deliver(&bytes) {
            outbox.extend(more);
        }
    }
    let Responder::Done(done) = pair.responder else { panic!("no R2") };
    assert!(done.1.outcome.is_some());
}

#[test]
fn required_and_short_is_no_session() {
    for (sources, min_sources) in [
        ([source(Err(Reason::NoKeyNow), None), Source::default()], 1),
        ([source(key(1), Some(Err(Reason::UnknownKeyId))), Source::default()], 1),
        ([source(key(1), Some(key(1))), source(key(2), Some(Err(Reason::Deadline)))], 2),
        ([source(key(1), None), source(Err(Reason::Refused), None)], 2),
    ] {
        let mut ends = with_policy(QkdPolicy::Required, min_sources, 0b11);
        [ends.sources[0], ends.sources[1]] = sources;
        if ends.sources[1].initiator.is_none() {
            ends.sources[1] = source(Err(Reason::NotAsked), None);
        }
        let (pair, why) = no_session(ends);
        assert_eq!(why, "QKD_REQUIRED_MISSING");
        let Responder::Done(done) = pair.responder else { panic!("no R2") };
        assert!(done.1.outcome.is_none());
    }
}

#[test]
fn different_keys_of_one_source_are_told_apart() {
    let mut ends = with_policy(QkdPolicy::Required, 1, 0b11);
    ends.sources[1] = source(key(7), Some(Ok(("key-7".to_owned(), vec![8; 32]))));
    assert_eq!(no_session(ends).1, "QKD_MISMATCH [1]");
}

#[test]
fn a_key_of_another_length_or_name_is_not_mixed() {
    let answers: [(KmeAnswer, Reason); 2] = [
        (Ok(("key-1".to_owned(), vec![1; 64])), Reason::WrongSize),
        (Ok(("key-2".to_owned(), vec![1; 32])), Reason::Malformed),
    ];
    for (answer, reason) in answers {
        let mut ends = with_policy(QkdPolicy::Required, 1, 0b11);
        ends.sources[1] = source(key(1), Some(answer));
        let session = session(ends);
        assert_eq!((session.mixed.len(), session.reasons[1]), (1, Some(reason)));
    }
}

#[test]
fn the_ratchet_is_lost_only_where_an_end_requires_it() {
    use RatchetPolicy::{Off, Prefer, Require, RequireOpen};
    let with = |initiator: RatchetPolicy, responder: RatchetPolicy| {
        configured(|ends| {
            (ends.initiator.terms.ratchet_policy, ends.responder.terms.ratchet_policy) = (initiator, responder);
            ends.responder.ratchet = store(&[[1; 32]]);
        })
    };
    for (initiator, responder) in [(Prefer, Prefer), (RequireOpen, RequireOpen), (Prefer, RequireOpen), (Off, Prefer)] {
        assert_eq!(session(with(initiator, responder)).ratchet_used, None);
    }
    for (initiator, responder) in [(Require, Prefer), (Prefer, Require), (Off, RequireOpen), (RequireOpen, Off)] {
        let (pair, why) = no_session(with(initiator, responder));
        assert_eq!(why, "RATCHET_LOST");
        let Responder::AwaitI2(state) = &pair.responder else { panic!("no R1") };
        assert!(!state.accepts_i2());
    }
}

#[test]
fn an_end_whose_ratchet_is_off_neither_offers_nor_selects() {
    let off = |initiator: bool| {
        configured(|ends| {
            let end = if initiator { &mut ends.initiator } else { &mut ends.responder };
            end.terms.ratchet_policy = RatchetPolicy::Off;
        })
    };
    assert_eq!(session(off(true)).ratchet_used, None);
    assert_eq!(session(off(false)).ratchet_used, None);
}

#[test]
fn the_responders_newest_entry_that_is_offered_is_mixed() {
    let used = |responder: &[[u8; 32]]| {
        session(configured(|ends| {
            ends.initiator.ratchet = store(&[RATCHET, [9; 32]]);
            ends.responder.ratchet = store(responder);
        }))
        .ratchet_used
    };
    let id = |secret: [u8; 32]| Some(store(&[secret]).offers()[0].0);
    assert_eq!(used(&[RATCHET, [9; 32]]), id([9; 32]));
    assert_eq!(used(&[[9; 32], RATCHET]), id(RATCHET));
    assert_eq!(used(&[[8; 32]]), None);
}
