//! A peer's setup changes while it has a session: what goes on, what is agreed anew, and what ends (PROTOCOL 2.8a).

use std::time::Duration;

use plait::engine::arrange::Arranged;
use plait::engine::output::{Command, State};
use plait::types::id::{PeerId, SourceMask};
use plait::types::limits::{PEER_NUMBER_REST, POLICY_TURN};
use plait::types::policy::QkdPolicy;

use crate::kme::Mood;
use crate::world::{Config, World};

const PEER: PeerId = PeerId(0);

fn quick() -> Config {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(5);
    config
}

fn preferred() -> Config {
    let mut config = quick();
    config.policy.qkd = QkdPolicy::Preferred;
    config
}

fn hybrid(config: &Config) -> World {
    let mut world = World::started(77, [config.clone(), config.clone()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_secs(1));
    world
}

/// An end is configured otherwise.
fn change(world: &mut World, side: usize, config: Config) {
    world.nodes[side].config = config;
    let setup = Box::new(world.setup(side));
    let ids = world.arrange(side, vec![Arranged::Stays { id: PEER, setup, renewed: SourceMask::EMPTY }]);
    assert_eq!(ids, [PEER]);
}

fn full(world: &World, side: usize) -> u64 {
    world.status(side).unwrap().handshakes.full
}

#[test]
fn what_both_ends_have_not_agreed_upon_changes_without_a_handshake() {
    let mut world = hybrid(&quick());
    let (before, epoch) = (world.handshake_datagrams, world.status(0).unwrap().epoch.unwrap().check_words);
    let mut config = quick();
    config.keepalive = Some(Duration::from_secs(7));
    config.pin_endpoint = true;
    change(&mut world, 0, config);
    world.run_for(Duration::from_millis(200));
    assert_eq!(world.handshake_datagrams, before);
    assert_eq!(world.status(0).unwrap().epoch.unwrap().check_words, epoch);
    assert!(world.both(State::Hybrid));
}

#[test]
fn traffic_goes_on_while_a_psk_a_limit_and_the_sources_are_exchanged() {
    let mut world = hybrid(&quick());
    let mut config = quick();
    config.policy.hold_last = Some(Duration::from_secs(100));
    config.psk = [9; 32];
    config.sources = 2;
    for number in 0..400 {
        world.send_later(Duration::from_millis(20) * number, 0, number);
        world.send_later(Duration::from_millis(20) * number, 1, number);
    }
    let before = [full(&world, 0), full(&world, 1)];
    for side in [0, 1] {
        world.run_for(Duration::from_secs(1));
        change(&mut world, side, config.clone());
    }
    world.run_for(Duration::from_secs(10));
    for side in [0, 1] {
        assert!(full(&world, side) > before[side], "agreed anew");
        assert_eq!(world.nodes[side].delivered.len(), 400, "side {side}");
        assert_eq!(world.status(side).unwrap().epoch.unwrap().mixed.len(), 2);
    }
}

#[test]
fn another_policy_is_agreed_at_once() {
    for (config, expected) in [(preferred(), QkdPolicy::Preferred), (quick(), QkdPolicy::Required)] {
        let mut world = hybrid(&if expected == QkdPolicy::Required { preferred() } else { quick() });
        let before = full(&world, 0);
        change(&mut world, 0, config.clone());
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.status(1).unwrap().effective_qkd, Some(QkdPolicy::Required), "the stricter holds");
        change(&mut world, 1, config);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.status(1).unwrap().effective_qkd, Some(expected));
        assert!(full(&world, 0) > before && world.both(State::Hybrid));
    }
}

#[test]
fn a_session_of_a_weaker_policy_ends_soon_at_both_ends() {
    let mut world = hybrid(&preferred());
    world.kme.both(Mood::Unreachable);
    world.run_to("DEGRADED", Duration::from_secs(7), |w| w.both(State::Degraded));
    change(&mut world, 0, quick());
    world.run_for(POLICY_TURN - Duration::from_secs(1));
    assert_ne!(world.state(0), Some(State::Blocked), "it has its time");
    world.run_for(Duration::from_secs(2));
    assert!(world.both(State::Blocked), "{:?} {:?}", world.state(0), world.state(1));
    let before = world.nodes[1].delivered.len();
    for number in 0..50 {
        world.send_later(Duration::from_millis(100) * number, 0, number);
    }
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.nodes[1].delivered.len(), before);
    world.kme.both(Mood::Good);
    world.run_to("HYBRID", Duration::from_secs(90), |w| w.both(State::Hybrid));
}

#[test]
fn a_longer_interval_does_not_let_an_epoch_end_before_the_next() {
    let mut world = hybrid(&quick());
    let mut config = quick();
    config.policy.rekey = Duration::from_secs(400);
    for side in [0, 1] {
        change(&mut world, side, config.clone());
    }
    for number in 0..390 {
        world.send_later(Duration::from_secs(1) * number, 0, number);
    }
    world.run_for(Duration::from_secs(391));
    assert_eq!(world.nodes[1].delivered.len(), 390);
    assert!(world.status(0).unwrap().handshakes.fast <= 3, "the new interval holds");
    assert_eq!(full(&world, 0), 1, "the session went on");
}

#[test]
fn a_peer_that_goes_is_told_and_leaves_nothing() {
    let mut world = hybrid(&quick());
    let before = world.nodes[1].delivered.len();
    assert_eq!(world.arrange(0, Vec::new()), []);
    world.run_for(Duration::from_millis(500));
    assert_eq!(world.nodes[0].engine.as_ref().unwrap().live_indices(), 0);
    assert!(world.status(1).unwrap().epoch.is_none(), "CLOSE came");
    let snapshot = world.nodes[0].snapshot.clone().unwrap();
    assert!(snapshot.receive.is_empty() && snapshot.routes.owner("10.99.1.1".parse().unwrap()).is_none());
    world.send_later(Duration::ZERO, 0, 1);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.nodes[1].delivered.len(), before);
    assert!(world.status(1).unwrap().epoch.is_none(), "a stranger has no session");
}

#[test]
fn a_number_rests_before_another_peer_has_it() {
    let mut world = hybrid(&quick());
    let added = |world: &World| Arranged::Added { setup: Box::new(world.setup(0)), restored: Box::default() };
    let peer = added(&world);
    world.arrange(0, Vec::new());
    assert_eq!(world.arrange(0, vec![peer]), [PeerId(1)]);
    world.run_to("HYBRID again", Duration::from_secs(40), |w| w.both(State::Hybrid));
    world.run_for(PEER_NUMBER_REST);
    let peer = added(&world);
    world.arrange(0, Vec::new());
    assert_eq!(world.arrange(0, vec![peer]), [PeerId(0)], "rested");
    world.run_to("HYBRID again", Duration::from_secs(40), |w| w.both(State::Hybrid));
}

#[test]
fn another_key_under_the_name_is_another_site() {
    let mut world = hybrid(&quick());
    let mut setup = world.setup(0);
    setup.public = world.setup(1).public;
    world.arrange(0, vec![Arranged::Stays { id: PEER, setup: Box::new(setup), renewed: SourceMask::EMPTY }]);
    world.run_for(Duration::from_secs(30));
    assert!(world.status(0).unwrap().epoch.is_none() && world.status(1).unwrap().epoch.is_none());
    change(&mut world, 0, quick());
    world.run_to("HYBRID again", Duration::from_secs(60), |w| w.both(State::Hybrid));
}

#[test]
fn who_asks_for_rekeys_all_the_time_does_not_keep_a_stricter_policy_from_being_agreed() {
    let mut config = preferred();
    config.policy.rekey = Duration::from_secs(60);
    let mut world = hybrid(&config);
    let mut strict = config.clone();
    strict.policy.qkd = QkdPolicy::Required;
    for tenth in 0..400 {
        if tenth == 50 {
            change(&mut world, 0, strict.clone());
        }
        world.command(0, Command::Rekey(None));
        world.run_for(Duration::from_millis(100));
        assert!(world.both(State::Hybrid), "after {tenth} tenths of a second: {:?}", world.state(0));
    }
    assert_eq!(full(&world, 0), 2, "the first session, and that of the stricter policy");
}
