//! Handshakes: for each "dropped", "refused" and "silence" of PROTOCOL 2.4 to 2.6 that is the engine's, what comes of it is nothing.

use std::time::Duration;

use plait::dataplane::report::PumpEvent;
use plait::engine::output::State;
use plait::session::epoch::EpochTag;

use crate::world::{Config, Side, World};

pub(crate) const I1: u8 = 3;
pub(crate) const R1: u8 = 4;
pub(crate) const I2: u8 = 5;
pub(crate) const R2: u8 = 6;
pub(crate) const CONTROL: u8 = 17;

pub(crate) fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub(crate) fn calm() -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(3600);
    config.policy.full = seconds(7200);
    config
}

/// Side 0 initiates: side 1 knows no endpoint.
pub(crate) fn configs(config: &Config) -> [Config; 2] {
    let mut passive = config.clone();
    passive.knows_endpoint = false;
    [config.clone(), passive]
}

pub(crate) fn hybrid(config: &Config) -> World {
    let mut world = World::started(100, configs(config));
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_millis(100));
    world
}

pub(crate) fn of_kind(world: &World, side: Side, kind: u8) -> Vec<Vec<u8>> {
    world
        .seen
        .iter()
        .filter(|(from, bytes)| *from == side && bytes[0] == kind)
        .map(|(_, bytes)| bytes.clone())
        .collect()
}

pub(crate) fn refused(world: &World, side: Side, reason: &str) -> u64 {
    let status = world.status(side).unwrap();
    status.refusals.iter().filter(|(name, _)| *name == reason).map(|(_, count)| *count).sum()
}

pub(crate) fn stranger_refused(world: &World, side: Side, reason: &str) -> u64 {
    let engine = world.nodes[side].engine.as_ref().unwrap();
    engine.refusals().filter(|(name, _)| *name == reason).map(|(_, count)| count).sum()
}

/// The newest epoch that an end receives under.
pub(crate) fn newest(world: &World, side: Side) -> EpochTag {
    let snapshot = world.nodes[side].snapshot.clone().unwrap();
    snapshot.receive.iter().map(|receiving| receiving.epoch.tag()).max().unwrap()
}

pub(crate) fn control(world: &mut World, side: Side, tag: EpochTag, bytes: Vec<u8>) {
    let from = world.nodes[1 - side].address;
    world.tell_engine(side, vec![PumpEvent::Control { tag, from, local: None, bytes }]);
}

pub(crate) fn inject(world: &mut World, to: Side, bytes: &[u8]) {
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
