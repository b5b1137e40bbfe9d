//! What is erased, when: epochs and roots, at the deadline, with the switch, with the session (PROTOCOL 2.8, 2.8a, 2.9).

use std::time::Duration;

use plait::engine::output::{Command, State};

use crate::kme::Mood;
use crate::world::{Config, Fate, Passing, Side, World};

const R2: u8 = 6;
const DATA: u8 = 16;
const CONTROL: u8 = 17;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn config(hold_last: u64) -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(2);
    config.policy.full = seconds(7200);
    config.policy.hold_last = Some(seconds(hold_last));
    config
}

/// Side 0 initiates.
fn hybrid(config: &Config) -> World {
    let mut passive = config.clone();
    passive.knows_endpoint = false;
    let mut world = World::started(130, [config.clone(), passive]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_millis(50));
    world
}

fn without(lost: impl Fn(&Passing) -> bool + 'static) -> Fate {
    Box::new(move |passing| if lost(passing) { Vec::new() } else { vec![Duration::from_millis(5)] })
}

fn roots(world: &World, side: Side) -> usize {
    world.nodes[side].engine.as_ref().unwrap().live_roots()
}

fn receiving(world: &World, side: Side) -> usize {
    world.nodes[side].snapshot.as_ref().unwrap().receive.len()
}

#[test]
fn a_root_is_gone_with_the_next_epoch_and_an_old_session_with_the_next() {
    let mut config = config(60);
    config.policy.full = seconds(10);
    let mut world = hybrid(&config);
    for _ in 0..200 {
        world.run_for(Duration::from_millis(500));
        assert!((0..2).all(|side| roots(&world, side) <= 2), "{} {}", roots(&world, 0), roots(&world, 1));
    }
    world.run_to("a moment without an exchange", seconds(3), |w| (0..2).all(|side| roots(w, side) == 1));
}

#[test]
fn the_deadline_leaves_no_root_and_no_epoch() {
    let mut world = hybrid(&config(5));
    world.kme.both(Mood::Unreachable);
    world.run_to("BLOCKED", seconds(10), |w| w.both(State::Blocked));
    world.run_for(Duration::from_millis(500));
    for side in [0, 1] {
        assert_eq!((roots(&world, side), receiving(&world, side)), (0, 0));
        assert!(world.nodes[side].snapshot.as_ref().unwrap().peers[0].blocked);
    }
}

#[test]
fn the_deadline_takes_an_unconfirmed_epoch_if_it_is_short() {
    let mut world = hybrid(&config(5));
    world.kme.both(Mood::Unreachable);
    // The responder makes the short epoch and hears nothing more.
    world.run_to("FR2", seconds(4), |w| !w.left_at(1, CONTROL).is_empty());
    world.fate = without(|passing| passing.from == 0);
    assert_eq!(roots(&world, 1), 2);
    world.run_for(seconds(6));
    assert_eq!(world.state(1), Some(State::Blocked));
    assert_eq!((roots(&world, 1), receiving(&world, 1)), (0, 0));
}

#[test]
fn the_deadline_leaves_an_unconfirmed_epoch_that_is_not_short_with_its_root_alone() {
    let mut world = hybrid(&config(8));
    world.kme.both(Mood::Unreachable);
    world.run_to("HOLDOVER", seconds(4), |w| w.both(State::Holdover));
    world.run_for(Duration::from_millis(300));
    world.kme.both(Mood::Good);
    // Keys are back; the responder makes an epoch with them and hears nothing until after the deadline.
    let asked = world.nodes[1].requests.len();
    world.run_to("dec_keys", seconds(7), |w| w.nodes[1].requests.len() > asked);
    let before = world.left_at(1, CONTROL).len();
    world.run_to("FR2", seconds(2), |w| w.left_at(1, CONTROL).len() > before);
    world.fate = without(|passing| passing.from == 0);
    world.run_to("the deadline", seconds(8), |w| w.state(1) == Some(State::Blocked));
    world.run_for(Duration::from_millis(1));
    assert_eq!((roots(&world, 1), receiving(&world, 1)), (1, 1));
    assert!(world.status(1).unwrap().epoch.is_none(), "nothing is sealed");
    let delivered = world.nodes[1].delivered.len();
    // The way back: the first packet under it.
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(10), |w| w.both(State::Hybrid));
    assert_eq!(world.nodes[1].delivered.len(), delivered);
    world.run_for(seconds(20));
    assert!(world.both(State::Hybrid), "and rekeys go on");
}

#[test]
fn a_stop_erases_everything() {
    let mut world = hybrid(&config(60));
    world.command(0, Command::Stop);
    assert_eq!((roots(&world, 0), receiving(&world, 0)), (0, 0));
    world.run_for(seconds(20));
    assert!(world.left_at(0, 1).len() == 1, "and begins nothing");
}

#[test]
fn sessions_that_nobody_confirms_do_not_pile_up() {
    let mut config = config(60);
    config.ratchet = plait::types::policy::RatchetPolicy::Off;
    let mut passive = config.clone();
    passive.knows_endpoint = false;
    let mut world = World::new(131, [config, passive]);
    world.fate = without(|passing| passing.kind > R2);
    world.start(0);
    world.start(1);
    for _ in 0..60 {
        world.run_for(seconds(10));
        for side in [0, 1] {
            assert!(receiving(&world, side) <= 6 && roots(&world, side) <= 6, "{}", roots(&world, side));
        }
    }
    assert!(world.left_at(0, DATA).len() > 10);
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(60), |w| w.both(State::Hybrid));
}
