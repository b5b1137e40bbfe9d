//! KME answers that are late, absent, wrong, repeated or unfit: the tunnel stays up as the policy allows (PROTOCOL 2.5, RELIABILITY 2.3).

use std::time::Duration;

use plait::engine::output::{Alarm, EventKind, State};
use plait::types::policy::Reason;

use crate::kme::Mood;
use crate::world::{Config, World};

fn config() -> Config {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(3);
    config.policy.hold_last = Some(Duration::from_secs(600));
    config
}

fn hybrid() -> World {
    let mut world = World::started(60, [config(), config()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world
}

#[test]
fn every_mood_at_either_end_holds_over_and_heals() {
    let moods = [
        Mood::Unreachable,
        Mood::Dry,
        Mood::Forgetful,
        Mood::Wrong,
        Mood::Late,
        Mood::Small,
        Mood::Constant,
        Mood::Repeating,
    ];
    for mood in moods {
        for side in [0, 1] {
            let mut world = hybrid();
            world.kme.moods[side] = mood;
            for number in 0..9000 {
                world.send_later(Duration::from_millis(20) * number, side, number);
            }
            world.run_for(Duration::from_secs(60));
            let states = [0, 1].map(|side| world.state(side));
            assert!(
                states.iter().all(|s| matches!(s, Some(State::Holdover | State::Hybrid))),
                "{mood:?} at {side}: {states:?}"
            );
            world.kme.both(Mood::Good);
            world.run_to(&format!("HYBRID after {mood:?} at {side}"), Duration::from_secs(130), |w| {
                w.both(State::Hybrid)
            });
            world.run_for(Duration::from_secs(180).saturating_sub(world.now));
            assert!(world.nodes[1 - side].delivered.len() >= 8000, "{mood:?} at {side}: traffic went on");
        }
    }
}

#[test]
fn differing_keys_are_noticed_named_and_not_used() {
    let mut world = hybrid();
    world.kme.both(Mood::Wrong);
    world.run_for(Duration::from_secs(10));
    let mismatch = |e: &EventKind| matches!(e, EventKind::Alarm(Alarm::QkdMismatch { keys }) if keys.iter().all(|(_, id)| id.is_some()));
    assert!((0..2).any(|side| world.told(side, mismatch) > 0));
    assert!(world.both(State::Holdover));
    world.kme.both(Mood::Good);
    world.run_for(Duration::from_secs(40));
    assert!(world.both(State::Holdover), "reason 11 keeps the source away for 60 s");
    world.run_to("HYBRID again", Duration::from_secs(40), |w| w.both(State::Hybrid));
}

#[test]
fn a_repeated_key_id_is_thrown_away_and_asked_for_once_more() {
    let mut world = hybrid();
    world.kme.moods = [Mood::Repeating; 2];
    world.run_for(Duration::from_secs(8));
    let seen = |e: &EventKind| matches!(e, EventKind::SourceFailed { reason: Reason::SeenBefore, .. });
    assert!((0..2).any(|side| world.told(side, seen) > 0));
    let mut used: Vec<_> = world.kme.fetched.clone();
    let all = used.len();
    used.sort();
    used.dedup();
    assert_eq!(used.len(), all, "no key_ID is fetched twice");
}

#[test]
fn a_longer_key_is_taken_whole() {
    let mut world = World::new(61, [config(), config()]);
    world.kme.both(Mood::Large);
    world.start(0);
    world.start(1);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_secs(10));
    world.assert_same_epoch();
}

#[test]
fn a_silent_kme_costs_ten_seconds_and_not_the_tunnel() {
    let mut world = hybrid();
    world.kme.moods = [Mood::Silent, Mood::Silent];
    world.run_to("HOLDOVER", Duration::from_secs(30), |w| w.both(State::Holdover));
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", Duration::from_secs(80), |w| w.both(State::Hybrid));
}

#[test]
fn a_dead_kme_is_asked_at_the_probe_times_only() {
    let mut world = hybrid();
    world.kme.both(Mood::Unreachable);
    let before: usize = world.nodes.iter().map(|node| node.requests.len()).sum();
    world.run_for(Duration::from_secs(600));
    let asked = world.nodes.iter().map(|node| node.requests.len()).sum::<usize>() - before;
    assert!((8..=20).contains(&asked), "{asked} requests in 600 s: 5, 10, 20, 40, 60, 60.. s apart");
}

#[test]
fn one_dry_direction_is_served_by_the_other_end() {
    // Pools may be per direction: the session responder starts a handshake of its own and draws the keys itself.
    for dry in [0, 1] {
        let mut world = hybrid();
        world.kme.moods[dry] = Mood::Dry;
        world.run_for(Duration::from_secs(60));
        assert!(world.both(State::Hybrid), "dry at {dry}: {:?}", [world.state(0), world.state(1)]);
    }
}
