//! Attempts of both ends that meet: who goes first, who waits, what is dropped (PROTOCOL 2.4, 2.6).

use std::collections::BTreeSet;
use std::time::Duration;

use plait::engine::output::{Command, State};
use plait::keys::request::KeyRequestKind;

use crate::world::{Config, Fate, Passing, Side, World};

const I0: u8 = 1;
const I1: u8 = 3;
const R1: u8 = 4;
const I2: u8 = 5;
const R2: u8 = 6;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn calm() -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(3600);
    config.policy.full = seconds(7200);
    config
}

/// Loses what is said; side 0 is the primary.
fn without(lost: impl Fn(&Passing) -> bool + 'static) -> Fate {
    Box::new(move |passing| if lost(passing) { Vec::new() } else { vec![Duration::from_millis(5)] })
}

fn sent(world: &World, side: Side, kind: u8) -> Vec<Vec<u8>> {
    world
        .seen
        .iter()
        .filter(|(from, bytes)| *from == side && bytes[0] == kind)
        .map(|(_, bytes)| bytes.clone())
        .collect()
}

fn count(world: &World, side: Side, kind: u8) -> usize {
    sent(world, side, kind).len()
}

fn refused(world: &World, side: Side, reason: &str) -> u64 {
    let status = world.status(side).unwrap();
    status.refusals.iter().filter(|(name, _)| *name == reason).map(|(_, count)| *count).sum()
}

fn new_keys_asked(world: &World, side: Side) -> usize {
    let is_new = |kind: &KeyRequestKind| matches!(kind, KeyRequestKind::New { .. });
    world.nodes[side].requests.iter().filter(|(_, request)| is_new(&request.kind)).count()
}

#[test]
fn the_primary_awaiting_r2_drops_the_others_i2_for_six_seconds_and_then_gives_way() {
    let mut world = World::new(120, [calm(), calm()]);
    // The secondary has a pending state at the primary, whose own I0 is not heard for six seconds.
    world.fate = without(|passing| passing.from == 0 && [I0, R1].contains(&passing.kind));
    world.start(1);
    world.start(0);
    world.run_for(seconds(6));
    // Now it is: it has its R1 and sends I2, which is lost. The secondary was not answered lately, so it did not park.
    world.fate = without(|passing| passing.from == 0 && [R1, I2].contains(&passing.kind));
    world.run_to("I2 of the primary", seconds(3), |w| count(w, 0, I2) > 0);
    let first = world.left_at(0, I2)[0];
    // The R1 that the secondary waits for comes as well.
    world.fate = without(|passing| passing.from == 0 && passing.kind == I2);
    world.run_to("I2 of the secondary", seconds(3), |w| count(w, 1, I2) > 0);
    world.run_to("R2 of the primary", seconds(10), |w| count(w, 0, R2) > 0);
    assert!(refused(&world, 0, "own attempt awaits R2") > 0);
    let gave_way = world.now - first;
    assert!((6000..7500).contains(&gave_way.as_millis()), "{gave_way:?}");
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    // Its own attempt is abandoned, and a late R2 for it is nobody's.
    let before = count(&world, 0, I2);
    world.run_for(seconds(40));
    assert_eq!(count(&world, 0, I2), before);
    assert_eq!(world.status(0).unwrap().handshakes.full, 1);
}

#[test]
fn a_parked_attempt_asks_no_kme_for_ten_seconds() {
    let mut world = World::new(121, [calm(), calm()]);
    world.fate = without(|passing| passing.from == 0 && [I0, R1].contains(&passing.kind));
    world.start(1);
    world.start(0);
    world.run_for(seconds(2));
    // The primary is heard: the secondary answers and parks. Then its own R1 comes, but no I2 of the primary.
    world.fate = without(|passing| passing.from == 0 && [R1, I2].contains(&passing.kind));
    world.run_to("R1 of the secondary", seconds(3), |w| count(w, 1, R1) > 0);
    let parked = world.now;
    world.fate = without(|passing| passing.from == 0 && passing.kind == I2);
    world.run_until(parked + Duration::from_millis(9_900));
    assert_eq!((new_keys_asked(&world, 1), count(&world, 1, I2)), (0, 0));
    world.run_until(parked + Duration::from_millis(10_200));
    assert_eq!((new_keys_asked(&world, 1), count(&world, 1, I2)), (1, 1), "it goes on by itself");
    world.run_to("HYBRID", seconds(5), |w| w.both(State::Hybrid));
}

#[test]
fn a_state_with_an_accepted_i2_makes_no_room_for_others() {
    let mut configs = [calm(), calm()];
    configs[1].knows_endpoint = false;
    let mut world = World::new(122, configs);
    world.fate = without(|passing| passing.kind > R2);
    world.start(0);
    world.start(1);
    world.run_to("R2", seconds(1), |w| count(w, 1, R2) > 0);
    let i2 = sent(&world, 0, I2).remove(0);
    world.fate = without(|passing| passing.kind >= I2);
    world.run_for(seconds(6));
    for _ in 0..20 {
        world.start(0);
        world.run_for(Duration::from_millis(60));
    }
    assert!(refused(&world, 1, "too many pending handshakes") > 0);
    let before = count(&world, 1, R2);
    let from = world.nodes[0].address;
    world.inject(1, from, i2);
    world.run_for(Duration::from_millis(10));
    assert_eq!(count(&world, 1, R2), before + 1, "the cached R2");
}

#[test]
fn one_address_has_no_more_than_its_share_of_private_key_operations() {
    let mut configs = [calm(), calm()];
    configs[1].knows_endpoint = false;
    let mut world = World::new(123, configs);
    world.fate = Box::new(|passing| if passing.kind >= R1 { Vec::new() } else { vec![Duration::from_micros(500)] });
    world.start(1);
    for _ in 0..60 {
        world.start(0);
        world.run_for(Duration::from_millis(4));
    }
    let engine = world.nodes[1].engine.as_ref().unwrap();
    let over: u64 = engine.refusals().filter(|(name, _)| *name == "over the work limit").map(|(_, n)| n).sum();
    assert!((20..=28).contains(&over), "32 at once and 16 a second: {over} of 60 in a quarter of a second");
}

#[test]
fn an_attempt_is_renewed_at_most_three_times_by_cookies() {
    let mut configs = [calm(), calm()];
    configs[1].knows_endpoint = false;
    let mut world = World::new(124, configs);
    world.fate = without(|passing| passing.kind == R1);
    world.start(0);
    world.start(1);
    world.run_for(Duration::from_millis(100));
    // Every restart of the responder has a new cookie secret, so it answers each I1 by R0.
    for _ in 0..8 {
        world.start(1);
        world.run_for(seconds(3));
    }
    let (mut senders, mut messages) = (BTreeSet::new(), BTreeSet::new());
    for i1 in sent(&world, 0, I1) {
        senders.insert(i1[4..8].to_vec());
        messages.insert(i1[12..16].to_vec());
    }
    assert_eq!((senders.len(), messages.len()), (1, 4), "one attempt, one I1 and three more");
}

#[test]
fn without_a_session_the_secondary_waits_five_seconds() {
    for secondary in [1, 0] {
        let mut world = World::started(125, [calm(), calm()]);
        world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
        world.run_for(seconds(10));
        world.command(1 - secondary, Command::Stop);
        world.kill(1 - secondary);
        world.run_to("HOLDING", seconds(1), |w| w.state(secondary) == Some(State::Holding));
        let lost = world.now;
        world.run_for(seconds(7));
        let began = world.left_at(secondary, I0).into_iter().find(|at| *at >= lost).unwrap() - lost;
        let pause = if secondary == 1 { 5000 } else { 0 };
        assert!((pause..pause + 100).contains(&began.as_millis()), "{began:?}");
    }
}

#[test]
fn no_fast_rekey_starts_while_r2_is_awaited() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    config.policy.full = seconds(10);
    let mut configs = [config.clone(), config];
    configs[1].knows_endpoint = false;
    let mut world = World::started(126, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    let before = count(&world, 0, I2);
    world.fate = without(|passing| passing.kind == R2);
    world.run_to("I2", seconds(15), |w| count(w, 0, I2) > before);
    let from = world.now;
    world.run_for(seconds(8));
    assert!(count(&world, 0, I2) > before + 5, "it is resent");
    assert!(world.left_at(0, 17).iter().all(|at| *at <= from), "no FR1 meanwhile");
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(40), |w| w.both(State::Hybrid));
}
