//! The QKD policy on the clock: who stops when, who says so, and how it comes back (PROTOCOL 2.8a, the states of `status`).

use std::time::Duration;

use plait::engine::output::{EventKind, State};
use plait::types::policy::QkdPolicy;

use crate::kme::Mood;
use crate::world::{Config, World};

fn quick(hold_last: u64) -> Config {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(2);
    config.policy.hold_last = Some(Duration::from_secs(hold_last));
    config
}

fn preferred(degrade_for: Option<u64>) -> Config {
    let mut config = quick(5);
    config.policy.qkd = QkdPolicy::Preferred;
    config.policy.degrade_for = degrade_for.map(Duration::from_secs);
    config
}

fn hybrid(configs: [Config; 2]) -> World {
    let mut world = World::started(40, configs);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world
}

/// When an end told of its change to a state.
fn when(world: &World, side: usize, state: State) -> Duration {
    let told = |(_, e): &&(Duration, plait::engine::output::Event)| matches!(e.what, EventKind::State { to, .. } if to == state);
    world.nodes[side].events.iter().rfind(told).unwrap_or_else(|| panic!("{state:?} at {side}")).0
}

#[test]
fn required_holds_over_then_blocks_at_both_ends_within_a_second() {
    for dry in [[true, true], [true, false], [false, true]] {
        let mut world = hybrid([quick(5), quick(5)]);
        let mood = |dry| if dry { Mood::Unreachable } else { Mood::Good };
        world.kme.moods = dry.map(mood);
        world.run_to("HOLDOVER", Duration::from_secs(9), |w| w.both(State::Holdover));
        world.run_to("BLOCKED", Duration::from_secs(7), |w| w.both(State::Blocked));
        world.run_for(Duration::from_millis(1));
        for side in [0, 1] {
            let held = when(&world, side, State::Blocked) - when(&world, side, State::Holdover);
            assert!((4000..=5100).contains(&held.as_millis()), "{dry:?}: side {side} held over for {held:?}");
        }
        let apart = when(&world, 0, State::Blocked).abs_diff(when(&world, 1, State::Blocked));
        assert!(apart < Duration::from_millis(200), "{apart:?} apart");
        let delivered: Vec<_> = world.nodes.iter().map(|node| node.delivered.len()).collect();
        for number in 0..500 {
            for side in [0, 1] {
                world.send_later(Duration::from_millis(100) * number, side, number);
            }
        }
        let seen = world.seen.len();
        world.run_for(Duration::from_secs(50));
        assert!(world.both(State::Blocked));
        assert_eq!(world.nodes.iter().map(|node| node.delivered.len()).collect::<Vec<_>>(), delivered);
        assert!(world.seen[seen..].iter().all(|(_, bytes)| bytes[0] != 16), "no data packet leaves a blocked end");
        world.kme.both(Mood::Good);
        world.run_to("HYBRID again", Duration::from_secs(70), |w| w.both(State::Hybrid));
    }
}

#[test]
fn an_endless_outage_never_passes_a_packet_beyond_the_deadline() {
    let mut world = hybrid([quick(30), quick(30)]);
    world.kme.both(Mood::Dry);
    world.run_to("BLOCKED", Duration::from_secs(45), |w| w.both(State::Blocked));
    let delivered: Vec<_> = world.nodes.iter().map(|node| node.delivered.len()).collect();
    for number in 0..3600 {
        world.send_later(Duration::from_secs(1) * number, (number % 2) as usize, number);
    }
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.nodes.iter().map(|node| node.delivered.len()).collect::<Vec<_>>(), delivered);
    assert!(world.both(State::Blocked));
}

#[test]
fn hold_last_zero_stops_with_the_first_rekey_without_a_key() {
    let mut world = hybrid([quick(0), quick(3600)]);
    world.kme.both(Mood::Dry);
    world.run_to("BLOCKED at the end that will not wait", Duration::from_secs(4), |w| {
        w.state(0) == Some(State::Blocked) && w.status(1).unwrap().epoch.is_none()
    });
    // The other end's clock starts with the short handshake that follows.
    world.run_to("BLOCKED", Duration::from_secs(20), |w| w.both(State::Blocked));
    assert_eq!(world.told(0, |e| matches!(e, EventKind::State { to: State::Holdover, .. })), 0);
}

#[test]
fn the_smaller_hold_last_of_both_ends_holds() {
    let mut world = hybrid([quick(3600), quick(6)]);
    world.kme.both(Mood::Dry);
    world.run_to("BLOCKED", Duration::from_secs(10), |w| w.both(State::Blocked));
}

#[test]
fn preferred_degrades_visibly_and_goes_on() {
    let mut world = hybrid([preferred(None), preferred(None)]);
    world.kme.both(Mood::Unreachable);
    for number in 0..3000 {
        world.send_later(Duration::from_millis(10) * number, 0, number);
    }
    world.run_for(Duration::from_secs(31));
    assert!(world.both(State::Degraded));
    assert_eq!(world.nodes[1].delivered.len(), 3000);
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", Duration::from_secs(70), |w| w.both(State::Hybrid));
}

#[test]
fn preferred_stops_when_degrade_for_ends() {
    let mut world = hybrid([preferred(Some(8)), preferred(None)]);
    world.kme.both(Mood::Dry);
    world.run_to("DEGRADED", Duration::from_secs(4), |w| w.both(State::Degraded));
    world.run_to("BLOCKED", Duration::from_secs(10), |w| w.both(State::Blocked));
    let span = when(&world, 0, State::Blocked) - when(&world, 0, State::Degraded);
    assert!((7000..=8100).contains(&span.as_millis()), "{span:?}");
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", Duration::from_secs(70), |w| w.both(State::Hybrid));
}

#[test]
fn preferred_without_any_key_from_the_start_is_degraded() {
    let mut world = World::new(41, [preferred(None), preferred(None)]);
    world.kme.both(Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_to("DEGRADED", Duration::from_secs(15), |w| w.both(State::Degraded));
    world.assert_same_epoch();
}

#[test]
fn required_without_any_key_from_the_start_is_blocked_and_comes_by_itself() {
    let mut world = World::new(42, [quick(60), quick(60)]);
    world.kme.both(Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_for(Duration::from_secs(20));
    assert!(world.both(State::Blocked), "{:?}", [world.state(0), world.state(1)]);
    world.kme.both(Mood::Good);
    world.run_to("HYBRID", Duration::from_secs(70), |w| w.both(State::Hybrid));
}

#[test]
fn min_sources_counts_distinct_sources() {
    let mut config = quick(20);
    config.sources = 2;
    config.policy.min_sources = 2;
    let mut world = hybrid([config.clone(), config.clone()]);
    world.kme.source_moods.insert((0, 1), Mood::Unreachable);
    world.kme.source_moods.insert((1, 1), Mood::Unreachable);
    world.run_to("HOLDOVER", Duration::from_secs(9), |w| w.both(State::Holdover));
    world.kme.source_moods.clear();
    world.run_to("HYBRID again", Duration::from_secs(20), |w| w.both(State::Hybrid));

    config.policy.min_sources = 1;
    let mut world = hybrid([config.clone(), config]);
    world.kme.source_moods.insert((0, 1), Mood::Unreachable);
    world.run_for(Duration::from_secs(30));
    assert!(world.both(State::Hybrid), "one of two is enough where one is asked for");
}

#[test]
fn a_stalled_engine_seals_and_opens_nothing_past_the_deadline() {
    let mut world = hybrid([quick(5), quick(5)]);
    world.kme.both(Mood::Dry);
    world.run_to("HOLDOVER", Duration::from_secs(4), |w| w.both(State::Holdover));
    // Side 0 hangs: its pumps go on with the last snapshot.
    world.nodes[0].engine = None;
    let seen = world.seen.len();
    world.send_later(Duration::from_secs(1), 0, 1);
    world.send_later(Duration::from_secs(6), 0, 2);
    world.run_for(Duration::from_secs(8));
    let sealed = world.seen[seen..].iter().filter(|(from, bytes)| *from == 0 && bytes[0] == 16).count();
    assert_eq!(sealed, 1, "before the deadline, not after it");
}

#[test]
fn a_short_outage_is_over_without_a_lost_packet() {
    let mut world = hybrid([quick(60), quick(60)]);
    for number in 0..6000 {
        world.send_later(Duration::from_millis(10) * number, 1, number);
    }
    world.run_for(Duration::from_secs(5));
    world.kme.both(Mood::Unreachable);
    world.run_for(Duration::from_secs(20));
    assert!(world.both(State::Holdover));
    let failed = world.nodes.iter().map(|node| node.requests.len()).sum::<usize>();
    world.kme.both(Mood::Good);
    world.run_for(Duration::from_secs(40));
    assert!(world.both(State::Hybrid));
    assert_eq!(world.nodes[0].delivered.len(), 6000);
    assert!(failed < 30, "{failed} requests in 25 s");
}

#[test]
fn a_full_outage_of_hours_ends_in_hybrid_by_itself() {
    let mut config = Config::required();
    config.policy.hold_last = Some(Duration::from_secs(7200));
    config.policy.full = Duration::from_secs(60);
    let mut world = hybrid([config.clone(), config]);
    world.kme.both(Mood::Unreachable);
    world.run_for(Duration::from_secs(5400));
    assert!(world.both(State::Holdover), "T_full does not end a session in HOLDOVER");
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", Duration::from_secs(70), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_secs(400));
    assert!(world.both(State::Hybrid));
}
