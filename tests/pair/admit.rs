//! An end that may make no new keys: what is in use goes on to its end, nothing new begins, and it comes back when told.

use std::time::Duration;

use plait::engine::output::{Command, State};

use crate::world::{Config, World};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn either_end_that_admits_nothing_lets_the_session_end_and_recovers_when_it_does_again() {
    for side in [0, 1] {
        let mut world = World::started(70, [Config::required(), Config::required()]);
        world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
        world.command(side, Command::Admit(false));
        let before = world.status(side).unwrap().handshakes;
        world.run_for(seconds(5));
        assert!(world.status(side).unwrap().epoch.is_some(), "the epoch in use is not cut short");
        // The interval of 10 s and 120 s more: then the epoch is rejected (PROTOCOL 2.9).
        world.run_for(seconds(135));
        let status = world.status(side).unwrap();
        assert!(status.epoch.is_none(), "side {side}: {status:?}");
        assert_eq!((status.handshakes.full, status.handshakes.fast), (before.full, before.fast), "side {side}");
        let refused = status.refusals.iter().find(|(reason, _)| *reason == "not admitted");
        assert!(
            refused.is_some_and(|(_, count)| *count > 0),
            "side {side}: the other end asked: {:?}",
            status.refusals
        );
        world.command(side, Command::Admit(true));
        // The other end's attempts have slowed down meanwhile (PROTOCOL 2.6).
        world.run_to("HYBRID again", seconds(95), |w| w.both(State::Hybrid));
        world.assert_same_epoch();
    }
}

#[test]
fn an_end_that_never_admitted_has_no_session_and_asks_no_kme() {
    for side in [0, 1] {
        let mut world = World::new(71, [Config::required(), Config::required()]);
        world.start(side);
        world.command(side, Command::Admit(false));
        world.start(1 - side);
        world.run_for(seconds(60));
        assert_eq!((world.kme.issued.len(), world.kme.fetched.len()), (0, 0), "side {side}");
        assert!(world.status(side).unwrap().epoch.is_none());
        world.command(side, Command::Admit(true));
        world.run_to("HYBRID", seconds(95), |w| w.both(State::Hybrid));
    }
}

#[test]
fn an_exchange_under_way_ends_when_nothing_is_admitted_any_more() {
    for (side, ms) in [(0, 20), (1, 20), (0, 60), (1, 60), (0, 110), (1, 110)] {
        let mut world = World::started(72, [Config::required(), Config::required()]);
        world.run_for(Duration::from_millis(ms));
        world.command(side, Command::Admit(false));
        let has_session = world.status(side).unwrap().epoch.is_some();
        world.run_for(seconds(30));
        assert_eq!(world.status(side).unwrap().epoch.is_some(), has_session, "side {side} at {ms} ms");
        assert!(world.nodes[side].engine.as_ref().unwrap().live_indices() <= 2, "no number is left behind");
        world.command(side, Command::Admit(true));
        world.run_to("HYBRID", seconds(95), |w| w.both(State::Hybrid));
    }
}
