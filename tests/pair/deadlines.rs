//! What the policy clock keeps and what it forgets, and what no late timer may let through (PROTOCOL 2.8a, 2.9).

use std::time::Duration;

use plait::dataplane::report::PumpEvent;
use plait::engine::output::{Command, EventKind, State, StateFile};
use plait::keys::clock::PolicyClock;
use plait::keys::policy::LeftSeconds;
use plait::types::id::PeerId;
use plait::types::policy::QkdPolicy;
use plait::types::time::Instant;

use crate::kme::Mood;
use crate::world::{Config, Side, World};

const DATA: u8 = 16;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn quick(hold_last: u64) -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(2);
    config.policy.hold_last = Some(seconds(hold_last));
    config
}

fn hybrid(config: &Config) -> World {
    let mut world = World::started(50, [config.clone(), config.clone()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world
}

fn told_state(world: &World, side: Side, state: State) -> usize {
    world.told(side, |e| matches!(e, EventKind::State { to, .. } if *to == state))
}

/// What an end's clock file says, in seconds; `None`: not running.
fn written(world: &World, side: Side) -> Option<u32> {
    let file = world.nodes[side].files.get(&StateFile::Clock).map(Vec::as_slice);
    PolicyClock::from_file(Instant::ZERO, file).0.remaining(Instant::ZERO).map(|left| left.0)
}

#[test]
fn what_remained_at_the_peer_in_one_outage_is_no_limit_in_the_next() {
    let mut world = hybrid(&quick(5));
    for outage in 0..3 {
        world.kme.both(Mood::Dry);
        world.run_to("HOLDOVER", seconds(9), |w| w.both(State::Holdover));
        let began = world.now;
        world.run_to("BLOCKED", seconds(7), |w| w.both(State::Blocked));
        assert!(world.now - began >= seconds(4), "outage {outage}: held over for {:?} of 5 s", world.now - began);
        world.kme.both(Mood::Good);
        world.run_to("HYBRID again", seconds(70), |w| w.both(State::Hybrid));
        assert_eq!(written(&world, 0), None, "a confirmed epoch that is not short clears the clock");
    }
}

#[test]
fn the_clock_is_not_restarted_by_sessions_or_short_rekeys() {
    // Degraded sessions come and go; the deadline stays where it was.
    let mut config = quick(0);
    config.policy.qkd = QkdPolicy::Preferred;
    config.policy.degrade_for = Some(seconds(60));
    config.policy.full = seconds(10);
    let mut world = hybrid(&config);
    world.kme.both(Mood::Unreachable);
    world.run_to("DEGRADED", seconds(4), |w| w.both(State::Degraded));
    let began = world.now;
    world.run_to("BLOCKED", seconds(62), |w| w.both(State::Blocked));
    assert!(world.status(0).unwrap().handshakes.full >= 3, "new sessions were made meanwhile");
    assert!((58..=61).contains(&(world.now - began).as_secs()), "{:?}", world.now - began);
}

#[test]
fn a_responder_that_may_not_hold_over_refuses_by_fr2_and_both_are_blocked_at_once() {
    let mut configs = [quick(0), quick(0)];
    configs[1].knows_endpoint = false;
    let mut world = World::started(54, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.kme.moods[1] = Mood::Unreachable;
    world.run_to("BLOCKED", seconds(3), |w| w.both(State::Blocked));
    for side in [0, 1] {
        assert_eq!(told_state(&world, side, State::Holding), 0, "{side} knows why it stopped");
        assert_eq!(told_state(&world, side, State::Holdover), 0);
    }
}

#[test]
fn a_late_timer_seals_no_packet_past_the_deadline() {
    let mut world = hybrid(&quick(5));
    world.kme.both(Mood::Dry);
    world.run_to("HOLDOVER", seconds(4), |w| w.both(State::Holdover));
    let old = world.nodes[0].snapshot.clone().unwrap();
    let tag = old.receive.last().unwrap().epoch.tag();
    // Suspend: the first thing that the engine hears is a packet, not its timer.
    world.now += seconds(60);
    let before = world.seen.len();
    let mut packet = vec![0u8; 40];
    packet[0] = 0x45;
    packet[3] = 40;
    packet[16..20].copy_from_slice(&[10, 99, 1, 1]);
    world.tell_engine(0, vec![PumpEvent::NoEpoch { peer: PeerId(0), packet }, PumpEvent::OldEpoch { tag }]);
    assert!(world.seen[before..].iter().all(|(_, bytes)| bytes[0] != DATA), "sealed after the deadline");
    assert_eq!(world.state(0), Some(State::Blocked));
}

#[test]
fn a_late_timer_seals_no_packet_past_the_reject_limit() {
    let mut world = hybrid(&quick(3600));
    let tag = world.nodes[0].snapshot.clone().unwrap().receive.last().unwrap().epoch.tag();
    world.now += seconds(2 + 120 + 20);
    let before = world.seen.len();
    world.tell_engine(0, vec![PumpEvent::OldEpoch { tag }]);
    assert!(world.seen[before..].iter().all(|(_, bytes)| bytes[0] != DATA), "sealed under a rejected epoch");
}

#[test]
fn an_orderly_stop_right_after_the_clock_was_cleared_leaves_no_running_clock() {
    let mut world = hybrid(&quick(60));
    world.kme.both(Mood::Dry);
    world.run_to("HOLDOVER", seconds(4), |w| w.both(State::Holdover));
    world.run_for(seconds(5));
    assert!(written(&world, 0).is_some());
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", seconds(70), |w| w.state(0) == Some(State::Hybrid));
    world.command(0, Command::Stop);
    assert_eq!(written(&world, 0), None);
}

#[test]
fn an_orderly_stop_writes_exactly_what_remains() {
    let mut world = hybrid(&quick(3600));
    world.kme.both(Mood::Dry);
    world.run_to("HOLDOVER", seconds(4), |w| w.both(State::Holdover));
    world.run_for(seconds(30));
    let left = world.status(0).unwrap().deadline.unwrap();
    world.command(0, Command::Stop);
    let file = world.nodes[0].files.get(&StateFile::Clock).map(Vec::as_slice);
    let kept = PolicyClock::from_file(Instant::ZERO, file).0.runs_out_at().unwrap().since(Instant::ZERO);
    assert_eq!(kept, left);
}

#[test]
fn holdover_defers_the_sessions_end_and_degraded_does_not() {
    // No handshake gets through, only fast rekeys.
    let full = 10;
    let mut config = quick(3600);
    config.policy.full = seconds(full);
    let mut preferred = config.clone();
    preferred.policy.qkd = QkdPolicy::Preferred;

    let mut world = World::new(51, [preferred.clone(), preferred]);
    world.kme.both(Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_to("DEGRADED", seconds(15), |w| w.both(State::Degraded));
    world.fate = Box::new(|passing| if passing.kind <= 6 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.run_for(seconds(full + 170));
    assert!(world.status(0).unwrap().epoch.is_some());
    world.run_for(seconds(12));
    assert!((0..2).all(|side| world.status(side).unwrap().epoch.is_none()), "T_full + 180 s");

    let mut world = hybrid(&config);
    world.fate = Box::new(|passing| if passing.kind <= 6 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.kme.both(Mood::Dry);
    world.run_to("HOLDOVER", seconds(4), |w| w.both(State::Holdover));
    world.run_for(seconds(600));
    assert!(world.both(State::Holdover), "T_full + 180 s is long past");
    world.kme.both(Mood::Good);
    world.run_to("HYBRID by a fast rekey", seconds(70), |w| w.both(State::Hybrid));
    world.run_for(seconds(118));
    assert!((0..2).all(|side| world.status(side).unwrap().epoch.is_some()));
    world.run_for(seconds(4));
    assert!((0..2).all(|side| world.status(side).unwrap().epoch.is_none()), "120 s after HOLDOVER");
}

#[test]
fn a_mismatch_that_leaves_enough_other_sources_starts_no_clock() {
    let mut config = quick(60);
    config.sources = 2;
    let mut world = World::new(52, [config.clone(), config]);
    for side in [0, 1] {
        world.kme.source_moods.insert((side, 1), Mood::Wrong);
    }
    world.start(0);
    world.start(1);
    world.run_to("HYBRID", seconds(20), |w| w.both(State::Hybrid));
    for side in [0, 1] {
        assert_eq!(told_state(&world, side, State::Blocked), 0, "one of two keys is enough");
    }
}

#[test]
fn close_is_sent_three_times_a_tenth_of_a_second_apart() {
    let mut world = hybrid(&quick(5));
    world.kme.both(Mood::Dry);
    world.run_to("BLOCKED", seconds(15), |w| w.both(State::Blocked));
    let blocked = world.now;
    world.run_for(seconds(1));
    for side in [0, 1] {
        let left: Vec<_> = world.left_at(side, 17).into_iter().rev().take(3).map(|at| at.as_millis()).collect();
        assert_eq!((left[0] - left[1], left[1] - left[2]), (100, 100), "side {side}");
        assert!(left[2] + 10 >= blocked.as_millis());
    }
}

#[test]
fn one_close_of_three_is_enough() {
    for lost in [[0, 1], [0, 2], [1, 2]] {
        let mut world = hybrid(&quick(60));
        let mut count = 0;
        world.fate = Box::new(move |passing| {
            let is_close = passing.kind == 17 && passing.from == 0;
            count += usize::from(is_close);
            if is_close && lost.contains(&(count - 1)) { Vec::new() } else { vec![Duration::from_millis(5)] }
        });
        world.command(0, Command::Stop);
        world.kill(0);
        world.run_for(Duration::from_millis(300));
        assert!(world.status(1).unwrap().epoch.is_none(), "{lost:?}");
        assert_eq!(world.state(1), Some(State::Holding));
    }
}

/// A clock file with so much left.
fn clock_file(left: u32) -> Vec<u8> {
    let mut clock = PolicyClock::new();
    clock.start(Instant::ZERO, LeftSeconds(left));
    clock.stop_bytes(Instant::ZERO).expose().to_vec()
}

/// Both start without a session and without keys, with clocks as they were kept; side 0 initiates.
fn kept(left: [Option<u32>; 2]) -> World {
    let mut configs = [quick(100), quick(100)];
    configs[1].knows_endpoint = false;
    let mut world = World::new(55, configs);
    for (node, left) in world.nodes.iter_mut().zip(left) {
        if let Some(left) = left {
            node.files.insert(StateFile::Clock, clock_file(left));
        }
    }
    world.kme.both(Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_for(seconds(2));
    world
}

#[test]
fn the_smaller_of_what_remains_at_both_ends_holds_from_the_first_handshake() {
    for left in [[Some(50), Some(20)], [Some(20), Some(50)], [None, Some(20)], [Some(20), None]] {
        let world = kept(left);
        for side in [0, 1] {
            let deadline = world.status(side).unwrap().deadline.unwrap();
            assert!((17..=20).contains(&deadline.as_secs()), "{left:?}: {deadline:?} at {side}");
        }
    }
}

#[test]
fn what_remains_at_the_peer_starts_no_clock() {
    let mut configs = [quick(100), quick(100)];
    configs[1].knows_endpoint = false;
    let mut world = World::new(56, configs);
    world.nodes[0].files.insert(StateFile::Clock, clock_file(20));
    world.start(0);
    world.start(1);
    world.run_to("HYBRID", seconds(2), |w| w.both(State::Hybrid));
    assert_eq!(told_state(&world, 1, State::Blocked) + told_state(&world, 1, State::Holdover), 0);
    assert_eq!(written(&world, 1), None);
}

#[test]
fn what_remains_at_the_initiator_holds_at_a_responder_that_hears_of_it_late() {
    let mut configs = [quick(100), quick(100)];
    configs[1].knows_endpoint = false;
    let mut world = World::started(57, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    // The first try's FR1 never arrives, nor does any handshake.
    world.fate = Box::new(|passing| match passing.kind {
        1..=6 | 17 => Vec::new(),
        _ => vec![Duration::from_millis(5)],
    });
    world.kme.moods[0] = Mood::Unreachable;
    world.run_to("HOLDOVER at the initiator", seconds(4), |w| w.state(0) == Some(State::Holdover));
    let began = world.now;
    world.run_for(seconds(59));
    world.fate = Box::new(|passing| if passing.kind <= 6 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.run_to("HOLDOVER at the responder", seconds(7), |w| w.state(1) == Some(State::Holdover));
    // CLOSE does not arrive either.
    world.fate = Box::new(|_| Vec::new());
    world
        .run_to("BLOCKED at the responder", seconds(102) - (world.now - began), |w| w.state(1) == Some(State::Blocked));
}

#[test]
fn in_holdover_every_handshake_is_a_probe() {
    let mut config = quick(3600);
    config.policy.rekey = seconds(10);
    config.policy.full = seconds(10);
    let mut configs = [config.clone(), config];
    configs[1].knows_endpoint = false;
    let mut world = World::started(58, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.kme.both(Mood::Unreachable);
    world.run_to("HOLDOVER", seconds(15), |w| w.both(State::Holdover));
    let (from, attempts) = (world.now, |w: &World| w.left_at(0, 1).len() + w.left_at(1, 1).len());
    let before = attempts(&world);
    world.run_for(seconds(600));
    let probes = world.nodes.iter().flat_map(|node| &node.requests).filter(|(at, _)| *at > from).count();
    let made = attempts(&world) - before;
    assert!(made >= 5 && made <= probes, "{made} handshakes with {probes} requests");
    assert!(world.both(State::Holdover));
}
