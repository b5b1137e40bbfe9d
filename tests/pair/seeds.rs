//! The ratchet entry that a handshake was seeded with is common, whatever becomes of the handshake (PROTOCOL 2.7).

use std::time::Duration;

use plait::engine::output::{Alarm, EventKind, State, StateFile};
use plait::keys::ratchet::RatchetStore;
use plait::types::policy::RatchetPolicy;

use crate::kme::Mood;
use crate::world::{Config, Node, World};

fn store(world: &World, side: usize) -> RatchetStore {
    RatchetStore::from_file(world.nodes[side].files.get(&StateFile::Ratchet).map(Vec::as_slice))
}

/// One session whose packets are all lost: each end has one entry, and no end has it confirmed.
fn unconfirmed() -> World {
    let mut passive = Config::required();
    passive.knows_endpoint = false;
    let mut world = World::new(110, [Config::required(), passive]);
    world.fate = Box::new(|passing| if passing.kind > 6 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.start(0);
    world.start(1);
    world.run_for(Duration::from_secs(1));
    assert_eq!([0, 1].map(|side| store(&world, side).confirmed()), [None, None]);
    assert_eq!([0, 1].map(|side| store(&world, side).newest_first().count()), [1, 1]);
    world.kill(0);
    world
}

#[test]
fn a_refused_handshake_confirms_its_seed_at_both_ends() {
    let mut world = unconfirmed();
    let seed = store(&world, 0).newest_first().next().unwrap().id;
    world.kme.both(Mood::Dry);
    world.start(0);
    world.run_for(Duration::from_secs(2));
    let missing = |e: &EventKind| *e == EventKind::Alarm(Alarm::QkdRequiredMissing);
    assert!((0..2).all(|side| world.told(side, missing) > 0), "refused");
    assert_eq!([0, 1].map(|side| store(&world, side).confirmed()), [Some(seed); 2]);
}

#[test]
fn a_handshake_with_differing_keys_confirms_its_seed_at_both_ends() {
    let mut world = unconfirmed();
    let seed = store(&world, 0).newest_first().next().unwrap().id;
    world.kme.moods[1] = Mood::Wrong;
    world.start(0);
    world.run_for(Duration::from_secs(2));
    assert!(world.told(0, |e| matches!(e, EventKind::Alarm(Alarm::QkdMismatch { .. }))) > 0);
    assert_eq!([0, 1].map(|side| store(&world, side).confirmed()), [Some(seed); 2]);
}

#[test]
fn a_session_confirms_its_own_entry_at_both_ends() {
    let mut world = unconfirmed();
    world.fate = crate::world::faithful();
    world.start(0);
    world.run_to("HYBRID", Duration::from_secs(2), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_millis(100));
    let confirmed = [0, 1].map(|side| store(&world, side).confirmed());
    assert!(confirmed[0].is_some() && confirmed[0] == confirmed[1]);
    assert_eq!([0, 1].map(|side| store(&world, side).newest_first().count()), [1, 1], "what came earlier is erased");
}

#[test]
fn an_end_that_lost_its_file_sees_that_the_other_offers_entries() {
    let mut world = World::started(111, [Config::required(), Config::required()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_secs(1));
    // The end that lost its file answers; the other initiates and offers what it has.
    world.kill(1);
    world.nodes[1].files.remove(&StateFile::Ratchet);
    world.nodes[1].config.knows_endpoint = false;
    world.start(1);
    world.kill(0);
    world.start(0);
    world.run_to("HYBRID", Duration::from_secs(5), |w| w.both(State::Hybrid));
    for side in [0, 1] {
        assert!(world.told(side, |e| *e == EventKind::Alarm(Alarm::RatchetLost)) > 0, "side {side}");
    }
}

/// Both ends try for a while beside a disk that fails; what its end keeps in memory alone is gone when it is killed.
fn a_common_entry_stays(seed: u64, fails: fn(&mut Node, bool), span: Duration) {
    for bad in [0, 1] {
        let mut config = Config::required();
        config.ratchet = RatchetPolicy::Require;
        config.policy.rekey = Duration::from_secs(10);
        config.policy.full = Duration::from_secs(10);
        let mut world = World::started(seed, [config.clone(), config]);
        world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
        world.run_for(Duration::from_secs(1));
        fails(&mut world.nodes[bad], true);
        world.run_for(span);
        world.kill(bad);
        fails(&mut world.nodes[bad], false);
        world.start(bad);
        world.run_to("HYBRID again", Duration::from_secs(70), |w| w.both(State::Hybrid));
        let lost = |side| world.told(side, |e| *e == EventKind::Alarm(Alarm::RatchetLost));
        assert_eq!([lost(0), lost(1)], [0, 0]);
    }
}

#[test]
fn an_entry_that_could_not_be_written_is_not_relied_on_later() {
    a_common_entry_stays(112, |node, fails| node.disk_broken = fails, Duration::from_secs(150));
}

/// A disk that hangs: neither written nor refused.
#[test]
fn an_entry_whose_write_does_not_end_seeds_nothing() {
    a_common_entry_stays(114, |node, fails| node.disk_stuck = fails, Duration::from_secs(300));
}

#[test]
fn the_stricter_ratchet_policy_decides_what_an_unwritten_entry_means() {
    for broken in [0, 1] {
        let mut configs = [Config::required(), Config::required()];
        configs[1 - broken].ratchet = RatchetPolicy::Require;
        let mut world = World::new(113, configs);
        world.nodes[broken].disk_broken = true;
        world.start(0);
        world.start(1);
        world.run_for(Duration::from_secs(20));
        assert!((0..2).all(|side| world.status(side).unwrap().epoch.is_none()), "the other end requires it");
    }
}
