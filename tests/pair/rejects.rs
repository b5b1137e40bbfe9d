//! For each "dropped", "ignored", "refused" and "silence" of PROTOCOL 2.4 to 2.9 that is the engine's: what comes of it is nothing.

use std::time::Duration;

use plait::dataplane::report::PumpEvent;
use plait::engine::output::State;
use plait::keys::request::{KeyDelivery, RequestId, SourceFailure};
use plait::session::epoch::EpochTag;
use plait::types::id::{PeerId, SourceId};
use plait::types::policy::Reason;
use plait::wire::transport::DataHeader;

use crate::kme::Mood;
use crate::world::{Config, Side, World};

const I1: u8 = 3;
const R1: u8 = 4;
const I2: u8 = 5;
const R2: u8 = 6;
const CONTROL: u8 = 17;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn calm() -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(3600);
    config.policy.full = seconds(7200);
    config
}

/// Side 0 initiates: side 1 knows no endpoint.
fn configs(config: &Config) -> [Config; 2] {
    let mut passive = config.clone();
    passive.knows_endpoint = false;
    [config.clone(), passive]
}

fn hybrid(config: &Config) -> World {
    let mut world = World::started(100, configs(config));
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_millis(100));
    world
}

fn of_kind(world: &World, side: Side, kind: u8) -> Vec<Vec<u8>> {
    world
        .seen
        .iter()
        .filter(|(from, bytes)| *from == side && bytes[0] == kind)
        .map(|(_, bytes)| bytes.clone())
        .collect()
}

fn refused(world: &World, side: Side, reason: &str) -> u64 {
    let status = world.status(side).unwrap();
    status.refusals.iter().filter(|(name, _)| *name == reason).map(|(_, count)| *count).sum()
}

fn stranger_refused(world: &World, side: Side, reason: &str) -> u64 {
    let engine = world.nodes[side].engine.as_ref().unwrap();
    engine.refusals().filter(|(name, _)| *name == reason).map(|(_, count)| count).sum()
}

/// The newest epoch that an end receives under.
fn newest(world: &World, side: Side) -> EpochTag {
    let snapshot = world.nodes[side].snapshot.clone().unwrap();
    snapshot.receive.iter().map(|receiving| receiving.epoch.tag()).max().unwrap()
}

fn control(world: &mut World, side: Side, tag: EpochTag, bytes: Vec<u8>) {
    let from = world.nodes[1 - side].address;
    world.tell_engine(side, vec![PumpEvent::Control { tag, from, local: None, bytes }]);
}

fn inject(world: &mut World, to: Side, bytes: &[u8]) {
    let from = world.nodes[1 - to].address;
    world.inject(to, from, bytes.to_vec());
    world.run_for(Duration::from_millis(30));
}

#[test]
fn a_resent_i1_gets_the_same_r1_part_for_part_until_its_state_is_gone() {
    let mut world = World::new(101, configs(&calm()));
    // R1 is seen on the way and lost.
    world.fate = Box::new(|passing| if passing.kind == R1 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.start(0);
    world.start(1);
    world.run_for(Duration::from_millis(25));
    let (i1, r1) = (of_kind(&world, 0, I1), of_kind(&world, 1, R1));
    assert_eq!((i1.len(), r1.len()), (3, 3));
    for part in [2, 0, 1] {
        inject(&mut world, 1, &i1[part]);
        assert_eq!(of_kind(&world, 1, R1).last(), Some(&r1[part]));
    }
    // From elsewhere it is another's: its cookie is not for that address.
    let before = world.seen.len();
    world.inject(1, ([203, 0, 113, 5], 5).into(), i1[1].clone());
    world.run_for(Duration::from_millis(20));
    assert!(world.seen[before..].iter().all(|(_, bytes)| bytes[0] != R1));
}

#[test]
fn a_repeated_i2_gets_silence_then_the_cached_r2_then_silence() {
    let mut world = World::new(102, configs(&calm()));
    world.kme.delay = Duration::from_millis(200);
    // No data gets through, so the session stays unconfirmed at R.
    world.fate = Box::new(|passing| if passing.kind > R2 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.start(0);
    world.start(1);
    world.run_to("I2", seconds(1), |w| !of_kind(w, 0, I2).is_empty());
    let i2 = of_kind(&world, 0, I2).remove(0);
    inject(&mut world, 1, &i2);
    assert!(of_kind(&world, 1, R2).is_empty(), "silence while the KME is asked");
    world.run_to("R2", seconds(1), |w| !of_kind(w, 1, R2).is_empty());
    let r2 = of_kind(&world, 1, R2).remove(0);
    let (requests, answers) = (world.nodes[1].requests.len(), of_kind(&world, 1, R2).len());
    inject(&mut world, 1, &i2);
    assert_eq!(of_kind(&world, 1, R2)[answers..], std::slice::from_ref(&r2)[..], "the cached answer");
    // Something that is not the I2 that was accepted.
    for at in [9, 20, 40, 100, i2.len() - 20, i2.len() - 1] {
        let mut other = i2.clone();
        other[at] ^= 1;
        inject(&mut world, 1, &other);
    }
    assert_eq!(of_kind(&world, 1, R2).len(), answers + 1);
    assert_eq!(world.nodes[1].requests.len(), requests, "and no KME is asked again");
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(10), |w| w.both(State::Hybrid));
    let (answers, unknown) = (of_kind(&world, 1, R2).len(), stranger_refused(&world, 1, "unknown index"));
    inject(&mut world, 1, &i2);
    assert_eq!(of_kind(&world, 1, R2).len(), answers, "silence once the session has received data");
    assert_eq!(stranger_refused(&world, 1, "unknown index"), unknown + 1);
}

#[test]
fn messages_for_an_index_of_another_kind_are_refused() {
    let mut world = hybrid(&calm());
    let mut count = [0, 0];
    for (side, kind) in [(0, R1), (0, R2), (0, 2), (1, I2)] {
        let sent = of_kind(&world, 1 - side, kind);
        inject(&mut world, side, &sent[0]);
        count[side] += 1;
        assert_eq!(stranger_refused(&world, side, "unknown index"), count[side], "type {kind} at {side}");
    }
}

#[test]
fn eight_pending_states_and_one_for_the_known_address_are_the_limit() {
    // A restarted initiator has a new index each time; no I2 arrives, so every state stays pending.
    let mut world = World::new(103, [calm(), calm()]);
    world.fate = Box::new(|passing| if passing.kind == I2 { Vec::new() } else { vec![Duration::from_millis(1)] });
    world.start(1);
    for _ in 0..12 {
        world.start(0);
        world.run_for(Duration::from_millis(60));
    }
    assert_eq!(refused(&world, 1, "too many pending handshakes"), 3, "nine of twelve");
    // Five seconds later the oldest makes room.
    world.run_for(seconds(6));
    let before = refused(&world, 1, "too many pending handshakes");
    world.start(0);
    world.run_for(Duration::from_millis(60));
    assert_eq!(refused(&world, 1, "too many pending handshakes"), before);
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(70), |w| w.both(State::Hybrid));
}

#[test]
fn an_address_that_is_not_known_has_eight_places() {
    let mut configs = configs(&calm());
    configs[0].policy.full = seconds(7200);
    let mut world = World::new(104, configs);
    world.fate = Box::new(|passing| if passing.kind == I2 { Vec::new() } else { vec![Duration::from_millis(1)] });
    world.start(1);
    for _ in 0..12 {
        world.start(0);
        world.run_for(Duration::from_millis(60));
    }
    assert_eq!(refused(&world, 1, "too many pending handshakes"), 4, "eight of twelve");
}

#[test]
fn the_primary_that_was_answered_drops_the_others_i1_and_i2() {
    let mut world = World::new(105, [calm(), calm()]);
    // The primary's I2 is lost; its attempt goes on.
    world.fate = Box::new(|passing| {
        let lost = passing.kind == I2 && passing.from == 0;
        if lost { Vec::new() } else { vec![Duration::from_millis(5)] }
    });
    world.start(0);
    world.start(1);
    world.run_for(Duration::from_millis(100));
    assert!(refused(&world, 0, "own attempt goes first") > 0);
    assert!(of_kind(&world, 0, R1).is_empty());
    assert_eq!(of_kind(&world, 1, R1).len(), 3, "the secondary answers and parks its own");
    assert!(of_kind(&world, 1, I2).is_empty());
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(3), |w| w.both(State::Hybrid));
    assert_eq!(world.kme.issued.len(), 1, "parking asks no KME");
}

#[test]
fn the_primary_awaiting_r2_drops_the_others_i2_for_six_seconds() {
    // The primary alone is heard at first, but its I2 is lost; R1 of the secondary's own attempt comes from before that.
    let mut world = World::new(106, [calm(), calm()]);
    world.fate = Box::new(|passing| {
        let lost = passing.kind == I2 && passing.from == 0;
        if lost { Vec::new() } else { vec![Duration::from_millis(5)] }
    });
    world.start(1);
    // The secondary has its R1 before the primary's attempt is answered.
    world.start(0);
    world.run_for(seconds(40));
    assert!(world.both(State::Hybrid), "it converges though no I2 of the primary ever arrives");
    let first_i2 = world.left_at(0, I2).first().copied();
    let other_r2 = world.left_at(0, R2).first().copied().unwrap();
    assert!(first_i2.is_none_or(|sent| other_r2 - sent >= seconds(6)), "{first_i2:?} {other_r2:?}");
}

#[test]
fn no_own_attempt_within_five_seconds_of_answering() {
    let mut world = World::new(107, [calm(), calm()]);
    // R1 never arrives, so nothing comes of an answer.
    world.fate = Box::new(|passing| if passing.kind == R1 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.start(1);
    for _ in 0..6 {
        // A new I1 every four seconds: the secondary, not answered for long, goes on answering.
        world.start(0);
        world.run_for(seconds(4));
    }
    world.kill(0);
    world.run_for(seconds(120));
    let mut answers: Vec<(Vec<u8>, Duration)> = Vec::new();
    for ((from, bytes), at) in world.seen.iter().zip(&world.seen_at) {
        if *from == 1 && bytes[0] == R1 && !answers.iter().any(|(known, _)| known == bytes) {
            answers.push((bytes.clone(), *at));
        }
    }
    let mut indices: Vec<(Vec<u8>, Duration)> = Vec::new();
    for ((from, bytes), at) in world.seen.iter().zip(&world.seen_at) {
        if *from == 1 && bytes[0] == 1 && !indices.iter().any(|(known, _)| known[..] == bytes[4..8]) {
            indices.push((bytes[4..8].to_vec(), *at));
        }
    }
    assert!(answers.len() >= 6 && indices.len() >= 2, "{} {}", answers.len(), indices.len());
    for (_, start) in &indices {
        let early = answers.iter().any(|(_, at)| at <= start && *start - *at < seconds(5));
        assert!(!early, "an attempt began at {start:?}");
    }
}

/// The plaintext of a control record on its way to `to`, which must not have opened it yet.
fn opened(world: &World, to: Side, bytes: &[u8]) -> (EpochTag, Vec<u8>) {
    let header = DataHeader::parse(bytes).unwrap();
    let snapshot = world.nodes[to].snapshot.clone().unwrap();
    let receiving = snapshot.receiving(header.receiver).unwrap();
    let mut copy = bytes.to_vec();
    let (text, _) = receiving.epoch.open(header, &mut copy).unwrap();
    (receiving.epoch.tag(), text.to_vec())
}

/// Loses every control record from now on and waits for the next one of `side`.
fn catch_control(world: &mut World, side: Side) -> Vec<u8> {
    let before = of_kind(world, side, CONTROL).len();
    world.fate = Box::new(|passing| if passing.kind == CONTROL { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.run_to("a control record", seconds(10), |w| of_kind(w, side, CONTROL).len() > before);
    of_kind(world, side, CONTROL).remove(before)
}

#[test]
fn an_initiator_answers_no_fr1_not_even_its_own() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    let mut world = hybrid(&config);
    let fr1 = catch_control(&mut world, 0);
    let (_, text) = opened(&world, 1, &fr1);
    let (tag, requests) = (newest(&world, 0), world.nodes[0].requests.len());
    control(&mut world, 0, tag, text.clone());
    assert_eq!(world.nodes[0].requests.len(), requests, "reflected: the root is the same at both ends");
    // Where it belongs it is answered, once.
    let tag = newest(&world, 1);
    let requests = world.nodes[1].requests.len();
    for _ in 0..3 {
        control(&mut world, 1, tag, text.clone());
    }
    assert_eq!(world.nodes[1].requests.len(), requests + 1);
    let sent = of_kind(&world, 1, CONTROL).len();
    world.run_for(Duration::from_millis(50));
    assert_eq!(of_kind(&world, 1, CONTROL).len(), sent + 1, "silence meanwhile, then FR2");
    control(&mut world, 1, tag, text.clone());
    assert_eq!(of_kind(&world, 1, CONTROL).len(), sent + 2, "the cached FR2");
    // Altered anywhere it is nothing.
    for at in 0..text.len() {
        let mut other = text.clone();
        other[at] ^= 1;
        control(&mut world, 1, tag, other);
    }
    assert_eq!(world.nodes[1].requests.len(), requests + 1);
    assert_eq!(of_kind(&world, 1, CONTROL).len(), sent + 2);
}

#[test]
fn an_fr2_is_taken_once_and_an_altered_one_not_at_all() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    let mut world = hybrid(&config);
    world.fate = Box::new(|passing| {
        let lost = passing.kind == CONTROL && passing.from == 1;
        if lost { Vec::new() } else { vec![Duration::from_millis(5)] }
    });
    world.run_to("FR2", seconds(4), |w| !of_kind(w, 1, CONTROL).is_empty());
    let fr2 = of_kind(&world, 1, CONTROL).remove(0);
    let (tag, text) = opened(&world, 0, &fr2);
    let before = newest(&world, 0);
    // Op, try, waiver and epoch. With anything else altered `ok` says that the keys differ, and that is heard.
    for at in 0..8 {
        let mut other = text.clone();
        other[at] ^= 1;
        control(&mut world, 0, tag, other);
        assert_eq!(newest(&world, 0), before, "byte {at}");
    }
    for _ in 0..3 {
        control(&mut world, 0, tag, text.clone());
    }
    let made = newest(&world, 0);
    assert_eq!((made.session, made.number), (before.session, before.number + 1));
    assert_eq!(world.nodes[0].snapshot.clone().unwrap().receive.len(), 2, "one new epoch");
}

#[test]
fn please_rekey_is_for_the_initiator_and_for_the_epoch_in_use() {
    let mut world = hybrid(&calm());
    let requests = |world: &World| world.nodes.iter().map(|node| node.requests.len()).sum::<usize>();
    let (first, before) = (newest(&world, 0), requests(&world));
    let tag = newest(&world, 1);
    control(&mut world, 1, tag, vec![3]);
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before, "the responder issues no FR1");
    for _ in 0..5 {
        control(&mut world, 0, first, vec![3]);
    }
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before + 2, "one rekey for all of them");
    control(&mut world, 0, first, vec![3]);
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before + 2, "asked for under an epoch that is no longer in use");
    let now = newest(&world, 0);
    control(&mut world, 0, now, vec![3]);
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before + 4);
}

#[test]
fn unknown_and_malformed_control_messages_are_counted_and_nothing_else() {
    let mut world = hybrid(&calm());
    let tag = newest(&world, 0);
    let (seen, words) = (world.seen.len(), world.status(0).unwrap().epoch.unwrap().check_words);
    for bytes in [vec![], vec![0], vec![5], vec![255; 80], vec![1], vec![2; 79], vec![3, 0], vec![4, 0], vec![2; 80]] {
        control(&mut world, 0, tag, bytes);
    }
    assert_eq!(world.seen.len(), seen);
    assert_eq!(world.status(0).unwrap().epoch.unwrap().check_words, words);
    assert!(refused(&world, 0, "unknown control message") >= 3);
    assert!(refused(&world, 0, "malformed control message") >= 4);
}

#[test]
fn close_under_an_older_epoch_leaves_the_newer_unless_it_is_short() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    for short in [false, true] {
        let mut world = hybrid(&config);
        if short {
            world.kme.both(Mood::Dry);
        }
        let old = newest(&world, 1);
        let state = if short { State::Holdover } else { State::Hybrid };
        world.run_to("the next epoch", seconds(4), |w| w.both(state) && newest(w, 1) > old && newest(w, 0).number > 0);
        world.run_for(Duration::from_millis(100));
        control(&mut world, 1, old, vec![4]);
        assert_eq!(world.status(1).unwrap().epoch.is_some(), !short);
    }
}

#[test]
fn close_under_the_epoch_in_use_ends_the_session_and_under_a_stranger_nothing() {
    let mut world = hybrid(&calm());
    let tag = newest(&world, 1);
    for wrong in [EpochTag { session: tag.session.wrapping_sub(1), ..tag }, EpochTag { peer: PeerId(7), ..tag }] {
        control(&mut world, 1, wrong, vec![4]);
        assert!(world.status(1).unwrap().epoch.is_some());
    }
    control(&mut world, 1, tag, vec![4]);
    assert!(world.status(1).unwrap().epoch.is_none());
    assert_eq!(world.state(1), Some(State::Holding));
}

#[test]
fn an_answer_that_nobody_asked_for_is_thrown_away() {
    let mut world = hybrid(&calm());
    let seen = world.seen.len();
    for (id, peer) in [(1, 0), (2, 0), (999, 0), (1, 5)] {
        let outcome = Err(SourceFailure { reason: Reason::Unreachable, text: String::new() });
        let source = SourceId::new(0).unwrap();
        let delivery = KeyDelivery { id: RequestId(id), peer: PeerId(peer), source, outcome };
        let now = world.clock();
        world.nodes[0].engine.as_mut().unwrap().handle_keys(now, delivery);
    }
    assert_eq!(world.seen.len(), seen);
    assert!(world.both(State::Hybrid));
    assert!(world.status(0).unwrap().failed_sources.is_empty());
}

#[test]
fn a_key_that_comes_after_its_exchange_went_on_is_thrown_away() {
    let mut config = calm();
    config.policy.rekey = seconds(3);
    config.policy.hold_last = Some(seconds(3600));
    let mut world = hybrid(&config);
    world.kme.moods[0] = Mood::Late;
    world.run_to("HOLDOVER", seconds(20), |w| w.both(State::Holdover));
    // A second later the key comes; FR1 left without it, and it is in no epoch.
    world.run_for(seconds(2));
    let late = world.kme.issued.last().cloned().unwrap();
    world.kme.moods[0] = Mood::Good;
    world.run_to("HYBRID", seconds(30), |w| w.both(State::Hybrid));
    assert!(!world.kme.fetched.contains(&late));
}
