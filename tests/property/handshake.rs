//! The handshake: no session comes of a datagram with one bit changed, and every key depends on every secret.

use plait::handshake::initiator::R2Outcome;
use plait::types::policy::Suite;
use plait::types::secret::Secret;
use plait::wire::handshake::HandshakeDatagram;
use proptest::prelude::*;

use super::fixture::{self, PSK, RATCHET, Seeded, flip, store};
use super::pair::{Event, Initiator, Pair};

/// Carries every datagram to the other end until nobody answers, the one at `change` through `alter` first.
fn run(pair: &mut Pair, change: Option<usize>, alter: &dyn Fn(&mut Vec<u8>)) -> Vec<Event> {
    let (mut outbox, mut events) = (vec![pair.i0()], Vec::new());
    let mut position = 0;
    while position < outbox.len() {
        let mut bytes = outbox[position].clone();
        if change == Some(position) {
            alter(&mut bytes);
            events.push(pair.deliver(&bytes));
            return events;
        }
        let event = pair.deliver(&bytes);
        if let Event::Send(more) = &event {
            outbox.extend(more.iter().cloned());
        }
        events.push(event);
        position += 1;
    }
    events
}

fn new_pair(suite: Suite, seed: u64) -> Pair {
    Pair::new(fixture::ends(suite), Box::new(Seeded::new(seed)))
}

/// I0, R0, three parts of I1, three of R1, I2, R2.
const DATAGRAMS: usize = 10;

/// Session id, `T_i2r`, `T_r2i`, root and ratchet secret of the session that the initiator has.
fn keys(pair: Pair) -> Vec<Vec<u8>> {
    let Initiator::Done(outcome) = pair.initiator else { panic!("the initiator waits") };
    let R2Outcome::Established(session) = *outcome else { panic!("no session") };
    let (i2r, r2i) = (session.t_i2r.expose().to_vec(), session.t_r2i.expose().to_vec());
    vec![session.hs.to_vec(), i2r, r2i, session.root.expose().to_vec(), session.rs.rs.expose().to_vec()]
}

/// The secrets of a handshake, one changed at both ends that hold it.
#[derive(Clone, Copy, Debug)]
enum Changed {
    Nothing,
    Draw(&'static str),
    Psk,
    Ratchet,
    Qkd,
}

const CHANGES: [Changed; 9] = [
    Changed::Draw("e_i"),
    Changed::Draw("ek"),
    Changed::Draw("ct_r"),
    Changed::Draw("e_r"),
    Changed::Draw("ct_e"),
    Changed::Draw("ct_i"),
    Changed::Psk,
    Changed::Ratchet,
    Changed::Qkd,
];

/// The keys of a run. `bit` is one of the 240 that X25519 does not clamp, and in `d` of a KEM seed.
fn keys_with(changed: Changed, bit: usize) -> Vec<Vec<u8>> {
    let (mut ends, mut rng) = (fixture::ends(Suite::MlKem1024), Seeded::new(1));
    let flipped = |mut bytes: [u8; 32]| {
        flip(&mut bytes, bit);
        bytes
    };
    match changed {
        Changed::Nothing => {}
        Changed::Draw(name) => rng.flip = Some((name, bit)),
        Changed::Psk => ends.psk = Secret::take(&mut flipped(PSK)),
        Changed::Ratchet => {
            for end in [&mut ends.initiator, &mut ends.responder] {
                end.ratchet = store(&[flipped(RATCHET)]);
            }
        }
        Changed::Qkd => {
            for answer in [&mut ends.sources[0].initiator, &mut ends.sources[0].responder] {
                flip(&mut answer.as_mut().unwrap().as_mut().unwrap().1, bit);
            }
        }
    }
    let mut pair = Pair::new(ends, Box::new(rng));
    assert_eq!(run(&mut pair, None, &|_| {}).last(), Some(&Event::Established));
    keys(pair)
}

#[test]
fn the_runs_that_are_altered_are_whole_without_that() {
    let mut pair = new_pair(Suite::MlKem1024, 1);
    let events = run(&mut pair, None, &|_| {});
    assert_eq!((events.len(), events.last()), (DATAGRAMS, Some(&Event::Established)));
    assert_eq!(keys(pair), keys_with(Changed::Nothing, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Every bit of every datagram is under mac1 and mac2: a flipped one is dropped, or gets the R0 of a refused I1.
    #[test]
    fn one_flipped_bit_is_dropped(at in 0..DATAGRAMS, bit: prop::sample::Index, seed in 0..4u64) {
        let mut pair = new_pair(Suite::MlKem1024, seed);
        let events = run(&mut pair, Some(at), &|bytes| {
            let bits = bytes.len() * 8;
            flip(bytes, bit.index(bits));
        });
        match events.last().unwrap() {
            Event::Drop(_) => {}
            Event::Send(r0) => prop_assert!(at == 2 && r0.len() == 1 && r0[0][0] == 2),
            other @ (Event::Silence | Event::Established | Event::NoSession(_)) => prop_assert!(false, "{other:?}"),
        }
    }

    /// A datagram cut short, or with bytes added, is dropped.
    #[test]
    fn another_length_is_dropped(at in 0..DATAGRAMS, length in 0..1400usize) {
        let mut pair = new_pair(Suite::MlKem1024, 1);
        let is_same = std::cell::Cell::new(false);
        let events = run(&mut pair, Some(at), &|bytes| {
            is_same.set(bytes.len() == length);
            bytes.resize(length, 0);
        });
        prop_assert!(is_same.get() || matches!(events.last(), Some(Event::Drop(_))), "{events:?}");
    }

    /// Each secret alone changes every key, and the session id.
    #[test]
    fn every_secret_changes_every_key(which in 0..CHANGES.len(), bit in 8..248usize) {
        let (unchanged, changed) = (keys_with(Changed::Nothing, 0), keys_with(CHANGES[which], bit));
        for (number, (before, after)) in unchanged.iter().zip(&changed).enumerate() {
            prop_assert_ne!(before, after, "output {} of {:?}", number, CHANGES[which]);
        }
    }

    /// No bytes make a state panic, or answer.
    #[test]
    fn arbitrary_bytes_are_dropped(at in 0..DATAGRAMS, bytes in prop::collection::vec(any::<u8>(), 0..1300)) {
        let mut pair = new_pair(Suite::MlKem1024, 1);
        let events = run(&mut pair, Some(at), &|datagram| *datagram = bytes.clone());
        prop_assert!(matches!(events.last(), Some(Event::Drop(_))));
    }

    /// Nor do bytes behind a header that a state waits for.
    #[test]
    fn arbitrary_bytes_behind_a_true_header_are_dropped(at in 0..DATAGRAMS, fill: u64) {
        let mut pair = new_pair(Suite::MlKem1024, 1);
        let events = run(&mut pair, Some(at), &|datagram| {
            let mut state = fill | 1;
            for byte in &mut datagram[16..] {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            assert!(HandshakeDatagram::parse(datagram).is_ok());
        });
        prop_assert!(matches!(events.last(), Some(Event::Drop(_))));
    }
}
