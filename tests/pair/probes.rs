//! When sources and peers are asked again: probe times, attempts after failures, resends, tries (PROTOCOL 2.5, 2.6, 2.8, 2.8a).

use std::time::Duration;

use plait::engine::output::State;
use plait::keys::request::KeyRequestKind;
use plait::types::policy::QkdPolicy;

use crate::kme::Mood;
use crate::world::{Config, Side, World};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn config() -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(2);
    config.policy.hold_last = Some(seconds(3600));
    config
}

fn hybrid(config: &Config) -> World {
    let mut world = World::started(70, [config.clone(), config.clone()]);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world
}

/// Which end issues the fast rekeys.
fn initiator(world: &World) -> Side {
    (0..2).max_by_key(|side| world.nodes[*side].requests.iter().filter(|(_, r)| is_new(&r.kind)).count()).unwrap()
}

fn is_new(kind: &KeyRequestKind) -> bool {
    matches!(kind, KeyRequestKind::New { .. })
}

/// Seconds between the requests of one kind at an end from `since` on.
fn gaps(world: &World, side: Side, new: bool, since: Duration) -> Vec<f64> {
    let asked = world.nodes[side].requests.iter().filter(|(at, r)| *at >= since && is_new(&r.kind) == new);
    let at: Vec<f64> = asked.map(|(at, _)| at.as_secs_f64()).collect();
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn is_series(gaps: &[f64], slack: f64) -> bool {
    let series = [5.0, 10.0, 20.0, 40.0, 60.0, 60.0];
    gaps.len() >= 5 && gaps.iter().zip(series).all(|(gap, full)| (full * 0.8 - 0.1..=full + slack).contains(gap))
}

#[test]
fn each_failure_counts_once_whether_the_exchange_fails_or_is_short() {
    for policy in [QkdPolicy::Required, QkdPolicy::Preferred] {
        let mut config = config();
        config.policy.qkd = policy;
        let mut world = hybrid(&config);
        let since = world.now;
        let side = initiator(&world);
        world.kme.moods[side] = Mood::Unreachable;
        world.run_for(seconds(240));
        let gaps = gaps(&world, side, true, since);
        assert!(is_series(&gaps, 0.5), "{policy:?}: {gaps:?}");
    }
}

#[test]
fn the_responders_failures_count_at_the_initiator() {
    let mut world = hybrid(&config());
    let side = initiator(&world);
    let since = world.now;
    world.kme.moods[1 - side] = Mood::Unreachable;
    world.run_for(seconds(240));
    let gaps = gaps(&world, side, true, since);
    assert!(is_series(&gaps, 0.5), "{gaps:?}");
}

#[test]
fn degraded_handshakes_count_each_failure_once_as_well() {
    let mut config = config();
    config.policy.qkd = QkdPolicy::Preferred;
    config.policy.rekey = seconds(3600);
    config.policy.full = seconds(3600);
    config.knows_endpoint = true;
    let mut passive = config.clone();
    passive.knows_endpoint = false;
    let mut world = World::new(71, [config, passive]);
    world.kme.both(Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_for(seconds(240));
    let gaps = gaps(&world, 0, true, Duration::ZERO);
    assert!(is_series(&gaps, 0.5), "{gaps:?}");
}

#[test]
fn a_failed_attempt_delays_the_next_by_the_same_series_and_success_resets_it() {
    // No I2 arrives: every attempt fails after R1, each with a key drawn.
    let mut configs = [config(), config()];
    configs[1].knows_endpoint = false;
    let mut world = World::new(72, configs);
    world.fate = Box::new(|passing| if passing.kind == 5 { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.start(0);
    world.start(1);
    world.run_for(seconds(400));
    // 30 s of life after R1, and then the delay.
    let gaps: Vec<f64> = gaps(&world, 0, true, Duration::ZERO).into_iter().map(|gap| gap - 30.0).collect();
    assert!(is_series(&gaps, 1.0), "{gaps:?}");
    world.fate = crate::world::faithful();
    world.run_to("HYBRID", seconds(95), |w| w.both(State::Hybrid));
}

#[test]
fn i0_goes_out_at_its_times_and_an_attempt_without_an_answer_ends_after_90_seconds() {
    let mut world = World::new(73, [config(), config()]);
    world.start(0);
    let began = world.now;
    world.run_for(seconds(180));
    let sent: Vec<f64> = world.left_at(0, 1).iter().map(|at| (*at - began).as_secs_f64()).collect();
    let pauses: Vec<f64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let full = |n: usize| match n {
        0 => 0.3,
        1 => 0.5,
        2 => 0.7,
        _ if sent[n] < 15.0 => 1.0,
        _ => 5.0,
    };
    let first: Vec<f64> = pauses.iter().copied().zip(&sent).filter(|(_, at)| **at < 80.0).map(|(p, _)| p).collect();
    for (n, pause) in first.iter().enumerate() {
        assert!((full(n) - 0.001..=full(n) + 0.31).contains(pause), "pause {n} at {}: {pause}", sent[n]);
    }
    let next = sent.iter().position(|at| *at >= 90.0).unwrap();
    assert!((90.0..90.1).contains(&sent[next]), "the next attempt follows at once: {}", sent[next]);
    assert!((0.3..0.61).contains(&(sent[next + 1] - sent[next])), "with the pauses of a new one");
}

#[test]
fn an_fr1_without_answer_brings_a_handshake_after_15_seconds_and_a_new_try_after_60() {
    let mut config = config();
    config.policy.rekey = seconds(30);
    let mut world = hybrid(&config);
    let side = initiator(&world);
    // Neither FR2 nor any handshake gets through.
    world.fate = Box::new(move |passing| {
        let lost = passing.kind <= 6 || (passing.kind == 17 && passing.from != side);
        if lost { Vec::new() } else { vec![Duration::from_millis(5)] }
    });
    let since = world.now;
    world.run_for(seconds(130));
    let fr1: Vec<Duration> = world.left_at(side, 17).into_iter().filter(|at| *at > since).collect();
    let pauses: Vec<u128> = fr1.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses[..7], [500, 1000, 2000, 4000, 5000, 5000, 5000], "resends of FR1");
    let i0: Vec<Duration> = world.left_at(side, 1).into_iter().filter(|at| *at > since).collect();
    let after = (i0[0] - fr1[0]).as_millis();
    assert!((15_000..15_100).contains(&after), "full handshake {after} ms after FR1");
    let tries: Vec<Duration> = world.nodes[side].requests.iter().map(|(at, _)| *at).filter(|at| *at > since).collect();
    let second = (tries[1] - fr1[0]).as_millis();
    assert!((60_000..60_100).contains(&second), "second try {second} ms after the first FR1");
}

#[test]
fn a_responder_with_the_shorter_interval_asks_for_each_rekey_once() {
    let mut config = config();
    config.policy.rekey = seconds(600);
    let world = hybrid(&config);
    let responder = 1 - initiator(&world);
    let mut configs = [config.clone(), config];
    configs[responder].policy.rekey = seconds(4);
    let mut world = World::started(70, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world.run_for(seconds(100));
    let fast = world.status(0).unwrap().handshakes.fast;
    assert!((19..=25).contains(&fast), "{fast} rekeys in 100 s at 4 s");
    world.assert_same_epoch();
}

#[test]
fn a_kme_that_never_answers_does_not_keep_the_processor_busy() {
    // The answerer's KME is silent: an FR1 waits for it while a handshake comes in. The world watches for idle timers.
    let mut world = hybrid(&config());
    let side = initiator(&world);
    world.kme.moods[1 - side] = Mood::Silent;
    world.run_for(seconds(90));
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", seconds(130), |w| w.both(State::Hybrid));
}

#[test]
fn a_disk_that_never_answers_does_not_keep_the_processor_busy() {
    for side in [0, 1] {
        let mut configs = [config(), config()];
        configs[1 - side].knows_endpoint = false;
        let mut world = World::new(74, configs);
        world.nodes[side].disk_stuck = true;
        world.start(0);
        world.start(1);
        world.run_for(seconds(150));
        assert!(world.status(side).unwrap().epoch.is_none(), "nothing is used before it is stored");
    }
}

#[test]
fn only_one_key_set_of_a_peer_is_fetched_at_a_time() {
    // FR1 fetches slowly at R while a handshake is due: R asks for the second set only after the first has come.
    let mut config = config();
    config.policy.full = seconds(10);
    let mut world = hybrid(&config);
    world.kme.delay = Duration::from_millis(2500);
    world.run_for(seconds(120));
    for node in &world.nodes {
        let mut asked: Vec<Duration> =
            node.requests.iter().filter(|(_, r)| !is_new(&r.kind)).map(|(at, _)| *at).collect();
        asked.sort();
        let close = asked.windows(2).find(|pair| pair[1] - pair[0] < world.kme.delay);
        assert_eq!(close, None, "two fetches at once");
    }
}
