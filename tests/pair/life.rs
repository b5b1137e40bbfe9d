//! Ends that die, come back, lose or keep their files: the ratchet, the clock and the budget over restarts (PROTOCOL 2.5, 2.7, 2.8a).

use std::time::Duration;

use plait::engine::output::{Alarm, EventKind, State, StateFile};
use plait::types::policy::RatchetPolicy;

use crate::kme::Mood;
use crate::world::{Config, World};

fn hybrid(world: &mut World, within: u64) {
    world.run_to("HYBRID", Duration::from_secs(within), |w| w.both(State::Hybrid));
}

fn alarms(world: &World, side: usize, alarm: &Alarm) -> usize {
    world.told(side, |event| *event == EventKind::Alarm(alarm.clone()))
}

#[test]
fn either_end_killed_at_any_moment_is_back_within_15_seconds() {
    for at_ms in (0..40).map(|n| n * 137) {
        for side in [0, 1] {
            let mut config = Config::required();
            config.policy.rekey = Duration::from_secs(2);
            let mut world = World::started(at_ms, [config.clone(), config]);
            world.run_for(Duration::from_millis(at_ms));
            world.kill(side);
            world.run_for(Duration::from_secs(3));
            world.start(side);
            let fresh = world.nodes[1 - side].delivered.len();
            for number in 0..300 {
                world.send_later(Duration::from_millis(50) * number, side, number);
            }
            world.run_to(&format!("traffic after a kill of {side} at {at_ms} ms"), Duration::from_secs(15), |w| {
                w.nodes[1 - side].delivered.len() > fresh
            });
        }
    }
}

#[test]
fn both_ends_killed_together_are_back() {
    for gap_ms in [0, 100, 1000, 2000, 5000] {
        let mut world = World::started(gap_ms, [Config::required(), Config::required()]);
        hybrid(&mut world, 1);
        world.kill(0);
        world.kill(1);
        world.run_for(Duration::from_secs(1));
        world.start(0);
        world.run_for(Duration::from_millis(gap_ms));
        world.start(1);
        hybrid(&mut world, 15);
        world.assert_same_epoch();
        for side in [0, 1] {
            assert_eq!(alarms(&world, side, &Alarm::RatchetLost), 0, "both kept their files");
        }
    }
}

#[test]
fn a_required_ratchet_opens_once_and_then_holds() {
    let mut config = Config::required();
    config.ratchet = RatchetPolicy::Require;
    let mut world = World::started(31, [config.clone(), config]);
    hybrid(&mut world, 1);
    assert!(!world.status(0).unwrap().epoch.unwrap().ratchet, "the first handshake has nothing to mix");
    for side in [0, 1] {
        world.kill(side);
        world.run_for(Duration::from_secs(1));
        world.start(side);
        hybrid(&mut world, 60);
        assert!(world.status(side).unwrap().epoch.unwrap().ratchet);
    }
    // One end loses its file: nothing goes until both are reset.
    world.kill(0);
    world.nodes[0].files.remove(&StateFile::Ratchet);
    world.start(0);
    world.run_for(Duration::from_secs(240));
    assert!(world.status(0).unwrap().epoch.is_none());
    assert!(alarms(&world, 0, &Alarm::RatchetLost) > 0 && alarms(&world, 1, &Alarm::RatchetLost) > 0);
    world.kill(1);
    world.nodes[1].files.remove(&StateFile::Ratchet);
    world.start(1);
    hybrid(&mut world, 70);
}

#[test]
fn a_preferred_ratchet_alarms_at_a_loss_and_heals() {
    let mut world = World::started(32, [Config::required(), Config::required()]);
    hybrid(&mut world, 1);
    world.kill(0);
    world.nodes[0].files.remove(&StateFile::Ratchet);
    world.start(0);
    hybrid(&mut world, 15);
    assert!(alarms(&world, 1, &Alarm::RatchetLost) > 0, "the end that kept its file sees the loss");
    let before = alarms(&world, 1, &Alarm::RatchetLost);
    world.kill(0);
    world.start(0);
    hybrid(&mut world, 15);
    assert_eq!(alarms(&world, 1, &Alarm::RatchetLost), before, "healed");
    assert!(world.status(0).unwrap().epoch.unwrap().ratchet);
}

#[test]
fn a_damaged_ratchet_file_stops_a_required_ratchet() {
    let mut config = Config::required();
    config.ratchet = RatchetPolicy::Require;
    let mut world = World::started(33, [config.clone(), config]);
    hybrid(&mut world, 1);
    world.kill(1);
    world.nodes[1].files.get_mut(&StateFile::Ratchet).unwrap()[10] ^= 1;
    world.start(1);
    world.run_for(Duration::from_secs(120));
    assert!(world.status(1).unwrap().epoch.is_none());
    assert!(alarms(&world, 1, &Alarm::RatchetLost) > 0);
}

#[test]
fn a_ratchet_that_cannot_be_written_stops_require_and_alarms_prefer() {
    for (policy, goes_on) in [(RatchetPolicy::Require, false), (RatchetPolicy::Prefer, true)] {
        for side in [0, 1] {
            let mut config = Config::required();
            config.ratchet = policy;
            let mut world = World::new(34, [config.clone(), config]);
            world.nodes[side].disk_broken = true;
            world.start(0);
            world.start(1);
            world.run_for(Duration::from_secs(20));
            assert_eq!(world.both(State::Hybrid), goes_on, "{policy:?} at {side}");
            assert!(alarms(&world, side, &Alarm::RatchetNotWritten) > 0);
        }
    }
}

#[test]
fn the_policy_clock_goes_on_over_a_restart() {
    let mut world = World::started(35, [Config::required(), Config::required()]);
    hybrid(&mut world, 1);
    world.kme.both(Mood::Dry);
    world.run_to("HOLDOVER", Duration::from_secs(15), |w| w.both(State::Holdover));
    world.run_for(Duration::from_secs(30));
    world.kill(0);
    world.run_for(Duration::from_secs(300));
    world.start(0);
    let left = plait::keys::clock::PolicyClock::from_file(
        plait::types::time::Instant::ZERO,
        world.nodes[0].files.get(&StateFile::Clock).map(|bytes| bytes.as_slice()),
    );
    let left = left.0.remaining(plait::types::time::Instant::ZERO).unwrap().0;
    assert!((20..=30).contains(&left), "{left} s of 60 remain: the time off does not count, nor is any given back");
    assert_eq!(world.state(0), Some(State::Blocked), "no session, and the clock runs");
    world.kme.both(Mood::Good);
    hybrid(&mut world, 70);
    world.kill(0);
    world.start(0);
    hybrid(&mut world, 15);
}

#[test]
fn a_crash_loop_does_not_empty_the_kme() {
    let mut world = World::started(36, [Config::required(), Config::required()]);
    hybrid(&mut world, 1);
    let before = world.kme.issued.len();
    for _ in 0..30 {
        world.kill(0);
        world.start(0);
        world.run_for(Duration::from_millis(300));
    }
    let drawn = world.kme.issued.len() - before;
    assert!(drawn <= 4 + 2 * 2, "{drawn} keys in 9 s: at most four at once and one every 5 s at each end");
}
