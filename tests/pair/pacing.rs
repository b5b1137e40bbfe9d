//! The interval of fast rekeys changes while the tunnel runs, and no epoch ends before its rekey.

use std::time::Duration;

use plait::engine::output::{Command, EventKind, State};
use plait::types::id::PeerId;

use crate::world::{Config, World};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Both ends at this interval.
fn pace(world: &mut World, interval: u64) {
    for side in [0, 1] {
        world.command(side, Command::Pace { peer: PeerId(0), interval: seconds(interval) });
    }
}

#[test]
fn rekeys_follow_the_interval_that_was_told_last_up_to_the_configured_one() {
    let mut config = Config::required();
    config.policy.rekey = seconds(600);
    config.policy.full = seconds(24 * 3600);
    let mut world = World::started(80, [config.clone(), config]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    for (interval, expected) in [(10, 59..=61), (100, 5..=7), (600, 0..=2), (9999, 0..=2), (20, 29..=31)] {
        pace(&mut world, interval);
        let before = world.status(0).unwrap().handshakes.fast;
        world.run_for(seconds(605));
        let rekeys = world.status(0).unwrap().handshakes.fast - before;
        assert!(expected.contains(&rekeys), "{rekeys} rekeys in 605 s at {interval} s");
        assert_eq!(world.status(0).unwrap().rekey, seconds(interval.min(600)));
    }
    let left = |e: &EventKind| matches!(e, EventKind::State { to, .. } if *to != State::Hybrid);
    assert_eq!((world.told(0, left), world.told(1, left)), (0, 0), "hitless");
}

#[test]
fn only_the_end_that_began_the_session_sets_the_pace() {
    let mut config = Config::required();
    config.policy.rekey = seconds(600);
    config.policy.full = seconds(24 * 3600);
    let mut passive = config.clone();
    passive.knows_endpoint = false;
    let mut world = World::started(81, [config, passive]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    for (side, interval) in [(0, 100), (1, 10)] {
        world.command(side, Command::Pace { peer: PeerId(0), interval: seconds(interval) });
    }
    let before = world.status(0).unwrap().handshakes.fast;
    world.run_for(seconds(605));
    let rekeys = world.status(0).unwrap().handshakes.fast - before;
    assert!((5..=7).contains(&rekeys), "{rekeys} rekeys in 605 s: the keys of a stock for one direction would run out");
}
