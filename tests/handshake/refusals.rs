//! What the states refuse beyond the published negative vectors, and that they go on as if it had not come.

use plait::crypto::kdf::{expand, hash, hmac, hmac_tag, length_prefix};
use plait::handshake::initiator::{AwaitCookie, AwaitR1};
use plait::handshake::reassembly::WholeI1;
use plait::handshake::refusal::Refusal;
use plait::handshake::responder::open_i1;
use plait::schedule::trace::Step;
use plait::types::limits::PROTO;
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Reason, Suite};
use plait::wire::handshake::HandshakeDatagram;

use super::ends::{Ends, Source};
use super::fixture::{Seeded, ends, store};
use super::pair::{Event, Initiator, Pair, Responder};

fn new_pair(ends: Ends) -> Pair {
    Pair::new(ends, Box::new(Seeded::new(1)))
}

/// What is sent back, which must be something.
fn answer(pair: &mut Pair, bytes: &[u8]) -> Vec<Vec<u8>> {
    match pair.deliver(bytes) {
        Event::Send(datagrams) => datagrams,
        other => panic!("{other:?}"),
    }
}

/// The answer to the last part.
fn answer_to_all(pair: &mut Pair, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (last, before) = parts.split_last().unwrap();
    for part in before {
        assert_eq!(pair.deliver(part), Event::Silence);
    }
    answer(pair, last)
}

/// I0, R0, I1, R1, I2, R2 of a whole run.
fn whole_run() -> [Vec<Vec<u8>>; 6] {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = vec![pair.i0()];
    let r0 = answer_to_all(&mut pair, &i0);
    let i1 = answer_to_all(&mut pair, &r0);
    let r1 = answer_to_all(&mut pair, &i1);
    let i2 = answer_to_all(&mut pair, &r1);
    let r2 = answer_to_all(&mut pair, &i2);
    assert_eq!(pair.deliver(&r2[0]), Event::Established);
    [i0, r0, i1, r1, i2, r2]
}

#[test]
fn a_message_that_a_state_does_not_wait_for_is_unexpected() {
    let run = whole_run();
    let parsed: Vec<HandshakeDatagram<'_>> =
        run.iter().map(|message| HandshakeDatagram::parse(&message[0]).unwrap()).collect();
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let Initiator::AwaitCookie(state) = &pair.initiator else { panic!("I0 was answered") };
    for (at, datagram) in parsed.iter().enumerate().filter(|(at, _)| *at != 1) {
        assert_eq!(state.accept_r0(datagram).err(), Some(Refusal::Unexpected), "message {at}");
    }
    assert_eq!(pair.deliver(&run[4][0]), Event::Drop(Refusal::Unexpected), "I2 before I1");
    answer(&mut pair, &run[1][0]);
    assert_eq!(pair.deliver(&run[5][0]), Event::Drop(Refusal::Unexpected), "R2 before R1");
    answer_to_all(&mut pair, &run[2]);
    let Responder::AwaitI2(state) = &pair.responder else { panic!("no R1") };
    for (at, datagram) in parsed.iter().enumerate().filter(|(at, _)| *at != 4) {
        assert_eq!(state.accept_i2(datagram).err(), Some(Refusal::Unexpected), "message {at}");
    }
    answer_to_all(&mut pair, &run[3]);
    let Initiator::AwaitR2(state) = &pair.initiator else { panic!("no I2") };
    for (at, datagram) in parsed.iter().enumerate().filter(|(at, _)| *at != 5) {
        assert_eq!(state.accept_r2(datagram, None).err(), Some(Refusal::Unexpected), "message {at}");
    }
}

#[test]
fn the_first_r0_to_an_i1_is_kept_and_no_other() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    pair.from.set_port(1);
    let first = answer(&mut pair, &i1[0]);
    pair.from.set_port(2);
    let second = answer(&mut pair, &i1[0]);
    assert_ne!(first, second);
    assert_eq!(pair.deliver(&i1[1]), Event::Drop(Refusal::Mac2), "only part 0 gets an R0");
    assert_eq!(pair.deliver(&first[0]), Event::Silence);
    let Initiator::AwaitR1(state) = &pair.initiator else { panic!("gave up") };
    let kept = state.kept_cookie();
    assert_eq!(pair.deliver(&second[0]), Event::Drop(Refusal::CookieKept));
    let Initiator::AwaitR1(state) = &pair.initiator else { panic!("gave up") };
    assert_eq!(state.kept_cookie(), kept);
    // The first I1 still works while its cookie does; the new one is for its own address.
    pair.from.set_port(1);
    let Event::Send(new_i1) = pair.resend_i1() else { panic!("no I1") };
    assert_ne!(new_i1[0][12..16], i1[0][12..16], "another message id");
    assert_eq!(new_i1[0][4..8], i1[0][4..8], "the same sender index");
    assert_ne!(new_i1[0][20..52], i1[0][20..52], "fresh ephemerals");
    assert_eq!(answer_to_all(&mut pair, &new_i1).len(), 3);
}

#[test]
fn a_cookie_is_good_for_its_address_port_index_and_240_seconds() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    let from = pair.from;
    for other in ["192.0.2.1:51901", "192.0.2.2:51900", "[2001:db8::1]:51900"] {
        pair.from = other.parse().unwrap();
        assert!(matches!(pair.deliver(&i1[0]), Event::Send(r0) if r0[0][0] == 2), "{other}");
    }
    pair.from = "[::ffff:192.0.2.1]:51900".parse().unwrap();
    assert_eq!(pair.deliver(&i1[0]), Event::Silence, "the same address in its IPv6 form");
    pair.from = from;
    pair.rotate();
    assert_eq!(pair.deliver(&i1[1]), Event::Silence, "the previous secret");
    pair.rotate();
    assert_eq!(pair.deliver(&i1[2]), Event::Drop(Refusal::Mac2));
}

#[test]
fn without_a_common_cipher_there_is_no_r1() {
    let mut ends = ends(Suite::MlKem1024);
    ends.initiator.terms.ciphers = vec![Cipher::ChaCha20Poly1305];
    ends.responder.terms.ciphers = vec![Cipher::Aes256Gcm];
    let mut pair = new_pair(ends);
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    assert_eq!(pair.deliver(&i1[0]), Event::Silence);
    assert_eq!(pair.deliver(&i1[1]), Event::Silence);
    assert_eq!(pair.deliver(&i1[2]), Event::Drop(Refusal::NoCommonCipher));
}

#[test]
fn no_i2_is_accepted_where_the_ratchet_is_required_and_lost() {
    let i2 = whole_run()[4][0].clone();
    let mut ends = ends(Suite::MlKem1024);
    ends.responder.terms.ratchet_policy = RatchetPolicy::Require;
    ends.responder.ratchet = store(&[]);
    let mut pair = new_pair(ends);
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    answer_to_all(&mut pair, &i1);
    assert_eq!(pair.deliver(&i2), Event::Drop(Refusal::RatchetRequired));
}

#[test]
fn an_entry_that_is_gone_since_it_was_offered_is_not_mixed() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    let r1 = answer_to_all(&mut pair, &i1);
    let old = std::mem::replace(&mut pair.ends.initiator.ratchet, store(&[[3; 32]]));
    assert_eq!(pair.deliver(&r1[0]), Event::Silence);
    assert_eq!(pair.deliver(&r1[1]), Event::Silence);
    assert_eq!(pair.deliver(&r1[2]), Event::Drop(Refusal::RatchetNotOffered));
    pair.ends.initiator.ratchet = old;
    assert_eq!(answer_to_all(&mut pair, &r1).len(), 1);
}

#[test]
fn three_unfinished_r1_are_one_too_many() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    let mut answers = Vec::new();
    for _ in 0..3 {
        pair.responder = Responder::Idle;
        answers.push(answer_to_all(&mut pair, &i1));
    }
    assert_eq!(pair.deliver(&answers[0][0]), Event::Silence);
    assert_eq!(pair.deliver(&answers[1][0]), Event::Silence);
    assert_eq!(pair.deliver(&answers[2][0]), Event::Drop(Refusal::TooManyParts));
    assert_eq!(pair.deliver(&answers[1][1]), Event::Silence);
    assert_eq!(answer(&mut pair, &answers[1][2]).len(), 1);
}

#[test]
fn parts_of_another_suites_r1_are_refused() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let i1 = answer(&mut pair, &r0[0]);
    let r1 = answer_to_all(&mut pair, &i1);
    // The first part of a message in two parts, as suite 2 has it: not authentic, and refused for that first.
    let mut other = r1[0].clone();
    other[2] = 0x02;
    assert_eq!(pair.deliver(&other), Event::Drop(Refusal::Mac1));
    let other = ends(Suite::MlKem768);
    let Initiator::AwaitR1(state) = &mut pair.initiator else { panic!("no I1") };
    let part = HandshakeDatagram::parse(&r1[0]).unwrap();
    let refused = state.accept_r1(&other.initiator.me, &[], &part);
    assert_eq!(refused.err(), Some(Refusal::Suite));
}

/// A whole I1 that a party with the responder's public file alone can make passes the cookie, and ends at `id`.
#[test]
fn a_forged_i1_ends_at_the_sealed_identity() {
    let ends = ends(Suite::MlKem1024);
    let body_bytes = 3300;
    let mut body = vec![0; body_bytes];
    body[1] = 1;
    body[4] = 9;
    body[36..36 + 1568].copy_from_slice(fresh_ek().as_slice());
    let cookie = plait::handshake::cookie::Cookie([0; 16]);
    let whole = WholeI1 { body, cookie, sender: 1, message_id: 1, from: ends.from };
    let open = |whole: &WholeI1| open_i1(&ends.responder.me, &[], &|fp| ends.find_initiator(fp), whole).err();
    assert_eq!(open(&whole), Some(Refusal::Unopened("id")));
    assert_eq!(open(&WholeI1 { sender: 0, ..whole.clone() }), Some(Refusal::Index));
    assert!(matches!(open(&WholeI1 { body: vec![0; 8], ..whole }), Some(Refusal::Malformed(_))));
}

fn fresh_ek() -> Vec<u8> {
    let kem = plait::crypto::kem::default_backend();
    kem.generate(Suite::MlKem1024, &plait::types::secret::Secret::take(&mut [7; 64])).ek
}

/// mac1 alone, which every holder of the public file can make, opens no door behind the cookie.
#[test]
fn a_good_mac1_is_not_enough() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = pair.i0();
    let r0 = answer(&mut pair, &i0);
    let mut i1 = answer(&mut pair, &r0[0])[1].clone();
    i1[100] ^= 1;
    seal_mac1(&mut i1, &pair);
    assert_eq!(pair.deliver(&i1), Event::Drop(Refusal::Mac2));
}

#[test]
fn resends_are_verbatim() {
    let states = |pair: &Pair| match &pair.initiator {
        Initiator::AwaitCookie(state) => vec![AwaitCookie::datagram(state).to_vec()],
        Initiator::AwaitR1(state) => AwaitR1::datagrams(state).to_vec(),
        Initiator::AwaitR2(state) => vec![state.datagram().to_vec()],
        _ => panic!("nothing to resend"),
    };
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = states(&pair);
    let r0 = answer_to_all(&mut pair, &i0);
    assert_eq!(answer_to_all(&mut pair, &i0), r0, "no state was kept");
    let i1 = answer_to_all(&mut pair, &r0);
    assert_eq!(states(&pair), i1);
    let r1 = answer_to_all(&mut pair, &i1);
    for (part, cached) in i1.iter().zip(&r1) {
        assert_eq!(answer(&mut pair, part), std::slice::from_ref(cached));
    }
    let i2 = answer_to_all(&mut pair, &r1);
    assert_eq!(states(&pair), i2);
    let r2 = answer_to_all(&mut pair, &i2);
    assert_eq!(answer_to_all(&mut pair, &i2), r2);
}

#[test]
fn the_cached_r1_is_for_the_very_i1_that_it_answered() {
    let mut pair = new_pair(ends(Suite::MlKem1024));
    let i0 = vec![pair.i0()];
    let r0 = answer_to_all(&mut pair, &i0);
    let i1 = answer_to_all(&mut pair, &r0);
    let r1 = answer_to_all(&mut pair, &i1);
    let Responder::AwaitI2(state) = &pair.responder else { panic!("no R1 was made") };
    // The type's number, the sender's index and the message's number.
    for (at, is_cached) in [(usize::MAX, true), (4, false), (5, false), (12, false), (15, false)] {
        let mut part = i1[0].clone();
        if let Some(byte) = part.get_mut(at) {
            *byte ^= 1;
        }
        let cached = state.cached_r1(&HandshakeDatagram::parse(&part).unwrap());
        assert_eq!(cached, is_cached.then_some(&r1[0][..]), "byte {at}");
    }
}

/// A party inside the handshake, who can make mac2 and not the session's keys: nothing could differ between KMEs that gave
/// nothing, so no source is said to be wrong, and the honest R2 still counts.
#[test]
fn an_r2_without_keys_whose_ok_does_not_open_is_refused_and_blames_no_source() {
    let mut ends = ends(Suite::MlKem1024);
    for end in [&mut ends.initiator, &mut ends.responder] {
        end.terms.qkd_policy = QkdPolicy::Preferred;
    }
    ends.sources[0] = Source { initiator: Some(Err(Reason::NoKeyNow)), responder: None };
    let mut pair = new_pair(ends);
    let i0 = vec![pair.i0()];
    let r0 = answer_to_all(&mut pair, &i0);
    let i1 = answer_to_all(&mut pair, &r0);
    let made = pair.initiator_trace.last().unwrap().clone();
    let r1 = answer_to_all(&mut pair, &i1);
    let i2 = answer_to_all(&mut pair, &r1);
    let r2 = answer_to_all(&mut pair, &i2)[0].clone();
    let mut forged = r2.clone();
    let end = forged.len() - 32;
    forged[end - 1] ^= 1;
    seal_macs(&mut forged, &pair, &made);
    assert_eq!(pair.deliver(&forged), Event::Drop(Refusal::Unopened("ok")));
    let mut same = r2.clone();
    seal_macs(&mut same, &pair, &made);
    assert_eq!(same, r2, "the MACs are those of an honest responder");
    assert_eq!(pair.deliver(&r2), Event::Established);
}

/// mac1 of a datagram anew.
fn seal_mac1(datagram: &mut [u8], pair: &Pair) {
    let end = datagram.len() - 32;
    let key = hash(&[b"PLAIT1 mac1", pair.ends.responder.me.fp().as_bytes()]);
    let mac1: [u8; 16] = hmac_tag(&key, &[&datagram[..end]]);
    datagram[end..end + 16].copy_from_slice(&mac1);
}

/// Both MACs of a datagram anew; `made`: the state after I1.
fn seal_macs(datagram: &mut [u8], pair: &Pair, made: &Step) {
    seal_mac1(datagram, pair);
    let mut fragment_key = [0; 48];
    let info: [&[u8]; 5] = [&length_prefix(PROTO), PROTO, &length_prefix(b"frag"), b"frag", &made.h];
    expand(&hmac(&made.ck, &[&[0; 32]]), &info, &mut fragment_key);
    let (before, mac2) = datagram.split_at_mut(datagram.len() - 16);
    mac2.copy_from_slice(&hmac_tag::<16>(&fragment_key, &[before]));
}
