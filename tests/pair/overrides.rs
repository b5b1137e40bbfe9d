//! A policy that an operator weakens for a time: nothing without the other end, an end in time, and the clock goes on.

use std::time::Duration;

use plait::engine::arrange::Arranged;
use plait::engine::output::{EventKind, OverrideChange, State};
use plait::engine::overriding::OverrideOrder;
use plait::types::id::{PeerId, SourceMask};
use plait::types::policy::QkdPolicy;

use crate::kme::Mood;
use crate::world::{Config, World};

const PEER: PeerId = PeerId(0);

fn quick() -> Config {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(2);
    config.policy.hold_last = Some(Duration::from_secs(5));
    config
}

/// Both ends had a session, then no KME, and the policy's time ran out.
fn blocked() -> World {
    let mut world = World::started(78, [quick(), quick()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.kme.both(Mood::Unreachable);
    world.run_to("BLOCKED", seconds(15), |w| w.both(State::Blocked));
    world
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn weaken(world: &mut World, side: usize, qkd: QkdPolicy, lasts: u64) -> bool {
    let order = OverrideOrder { qkd, lasts: seconds(lasts), reason: "fibre work".to_owned() };
    world.ask(side, |engine, now| engine.begin_override(now, PEER, order))
}

/// Numbers of packets that came out at 1 of those sent by 0 in the next seconds, one each 100 ms.
fn passed(world: &mut World, for_seconds: u64) -> usize {
    let before = world.nodes[1].delivered.len();
    for number in 0..for_seconds as u32 * 10 {
        world.send_later(Duration::from_millis(100) * number, 0, number);
    }
    world.run_for(seconds(for_seconds));
    world.nodes[1].delivered.len() - before
}

/// What was told of overrides.
fn told(world: &World, side: usize) -> Vec<OverrideChange> {
    let events = world.nodes[side].events.iter();
    let of = |what: &EventKind| if let EventKind::Override(change) = what { Some(change.clone()) } else { None };
    events.filter_map(|(_, event)| of(&event.what)).collect()
}

#[test]
fn one_end_alone_brings_nothing_and_both_bring_traffic_until_the_end() {
    for (qkd, state) in [(QkdPolicy::Preferred, State::Degraded), (QkdPolicy::Off, State::Off)] {
        let mut world = blocked();
        assert!(weaken(&mut world, 0, qkd, 300));
        assert_eq!(passed(&mut world, 20), 0, "the other end requires");
        assert!(world.both(State::Blocked), "{:?} {:?}", world.state(0), world.state(1));
        assert!(weaken(&mut world, 1, qkd, 60));
        world.run_to("traffic", seconds(10), |w| w.both(state));
        let status = world.status(1).unwrap();
        assert!(status.deadline.unwrap() <= seconds(60), "the end is shown: {:?}", status.deadline);
        assert_eq!(status.over.unwrap().order.reason, "fibre work");
        assert_eq!(passed(&mut world, 30), 300);
        world.run_for(seconds(35));
        assert!(world.both(State::Blocked), "{:?} {:?}", world.state(0), world.state(1));
        assert_eq!(passed(&mut world, 30), 0, "its time is up");
        assert!(matches!(told(&world, 1)[..], [OverrideChange::Began { .. }, OverrideChange::Ended { early: false }]));
        world.kme.both(Mood::Good);
        world.run_to("HYBRID", seconds(90), |w| w.both(State::Hybrid));
    }
}

#[test]
fn holdover_becomes_degraded_without_a_loss_and_the_clock_of_the_policy_goes_on() {
    let mut config = quick();
    config.policy.hold_last = Some(seconds(100));
    let mut world = World::started(79, [config.clone(), config]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.kme.both(Mood::Unreachable);
    world.run_to("HOLDOVER", seconds(5), |w| w.both(State::Holdover));
    for side in [0, 1] {
        assert!(weaken(&mut world, side, QkdPolicy::Preferred, 150));
    }
    assert_eq!(passed(&mut world, 140), 1400, "past hold_last");
    assert!(world.both(State::Degraded));
    world.run_for(seconds(20));
    assert!(world.both(State::Blocked), "hold_last was over before");
}

#[test]
fn keys_that_come_back_make_the_end_of_an_override_unnoticed() {
    let mut world = blocked();
    for side in [0, 1] {
        assert!(weaken(&mut world, side, QkdPolicy::Preferred, 120));
    }
    world.run_to("DEGRADED", seconds(10), |w| w.both(State::Degraded));
    world.kme.both(Mood::Good);
    world.run_to("HYBRID", seconds(90), |w| w.both(State::Hybrid));
    assert_eq!(passed(&mut world, 120), 1200);
    for side in [0, 1] {
        let status = world.status(side).unwrap();
        assert!(status.over.is_none() && status.deadline.is_none());
        assert_eq!(status.effective_qkd, Some(QkdPolicy::Required));
    }
}

#[test]
fn an_override_ends_early_when_somebody_says_so_and_outlives_a_reload() {
    let mut world = blocked();
    for side in [0, 1] {
        assert!(weaken(&mut world, side, QkdPolicy::Preferred, 3600));
    }
    world.run_to("DEGRADED", seconds(10), |w| w.both(State::Degraded));
    let mut config = quick();
    config.keepalive = Some(seconds(20));
    world.nodes[0].config = config;
    let before = world.handshake_datagrams;
    let setup = Box::new(world.setup(0));
    world.arrange(0, vec![Arranged::Stays { id: PEER, setup, renewed: SourceMask::EMPTY }]);
    world.run_for(Duration::from_millis(300));
    assert!(world.both(State::Degraded) && world.handshake_datagrams == before, "a reload leaves it alone");
    assert!(world.ask(0, |engine, now| engine.end_override(now, PEER)));
    assert!(!world.ask(0, |engine, now| engine.end_override(now, PEER)), "once");
    world.run_for(seconds(1));
    assert_eq!((world.state(0), passed(&mut world, 30)), (Some(State::Blocked), 0));
    assert_eq!(told(&world, 0).last(), Some(&OverrideChange::Ended { early: true }));
}

#[test]
fn what_is_not_weaker_is_no_override() {
    let mut config = quick();
    config.policy.qkd = QkdPolicy::Preferred;
    let mut world = World::started(80, [config.clone(), config]);
    assert!(!weaken(&mut world, 0, QkdPolicy::Preferred, 60));
    assert!(!weaken(&mut world, 0, QkdPolicy::Required, 60));
    assert!(world.ask(0, |engine, _| engine.stricter_than(QkdPolicy::Preferred)).is_empty());
    assert!(weaken(&mut world, 0, QkdPolicy::Off, 60));
    // A configuration that has become as weak leaves nothing to override.
    let mut config = world.nodes[0].config.clone();
    (config.policy.qkd, config.policy.min_sources) = (QkdPolicy::Off, 0);
    world.nodes[0].config = config;
    let setup = Box::new(world.setup(0));
    world.arrange(0, vec![Arranged::Stays { id: PEER, setup, renewed: SourceMask::EMPTY }]);
    assert!(world.status(0).unwrap().over.is_none());
}
