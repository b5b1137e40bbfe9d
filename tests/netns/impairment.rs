//! A path that loses, doubles and reorders: the handshake completes and every packet arrives once.

use crate::forge::Dice;
use crate::relay::{Relay, Way, endpoints, pass};
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::World;
use std::time::{Duration, Instant};

const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);

fn relayed() -> World {
    let mut world = World::new();
    let (for_a, for_b) = endpoints();
    world.a.config.peers[0].endpoint = Some(for_a);
    world.b.config.peers[0].endpoint = Some(for_b);
    world
}

/// Handshakes with losses; `PLAIT_HANDSHAKES` sets another number, for a night.
const HANDSHAKES: usize = 3;
/// Of this many datagrams one is lost, each way; `PLAIT_ONE_LOST_OF` sets another number.
const ONE_LOST_OF: usize = 3;

fn number_of(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn handshakes_complete_with_a_third_of_all_datagrams_lost() {
    if !runnable("handshakes_complete_with_a_third_of_all_datagrams_lost") {
        return;
    }
    let (count, one_of) = (number_of("PLAIT_HANDSHAKES", HANDSHAKES), number_of("PLAIT_ONE_LOST_OF", ONE_LOST_OF));
    let mut world = relayed();
    let mut dice = Dice::new(7);
    let relay = Relay::start(&world.net, move |_, _| if dice.below(one_of) == 0 { Vec::new() } else { pass() });
    world.pair.up();
    let mut took = Vec::new();
    for _ in 0..count {
        world.a.up();
        world.b.up();
        let begun = Instant::now();
        world.both(&["HYBRID"], Duration::from_secs(90));
        took.push(begun.elapsed());
        world.a.kill();
        world.b.kill();
        // The next start is a first one again, with a whole budget of key requests.
        std::fs::remove_dir_all(world.path().join("state")).unwrap();
    }
    assert!(relay.seen().iter().any(|(way, _)| *way == Way::BToA));
    took.sort_unstable();
    let of_hundred = |part: usize| took[(count * part / 100).min(count - 1)];
    println!("{count} handshakes, 1 of {one_of} lost: p50 {:?}, p99 {:?}", of_hundred(50), of_hundred(99));
}

#[test]
fn doubled_and_reordered_packets_arrive_once() {
    if !runnable("doubled_and_reordered_packets_arrive_once") {
        return;
    }
    let mut world = relayed();
    world.set_policy("rekey", "\"2s\"");
    let mut dice = Dice::new(11);
    let _relay = Relay::start(&world.net, move |_, _| {
        let delay = Duration::from_millis(u64::try_from(dice.below(30)).unwrap());
        if dice.below(2) == 0 { vec![delay] } else { vec![delay, delay + Duration::from_millis(3)] }
    });
    world.up();
    world.both(&["HYBRID"], Duration::from_secs(20));
    let _echo = Echo::start(&world.net, "b");
    let report = pings(&world.net, "a", inner4(2), 1000, HUNDRED_A_SECOND);
    assert_eq!((report.lost(), report.duplicates), (0, 0));
    let replays = world.b.status().peer()["drops"]["replay"].as_u64().unwrap();
    assert!(replays > 100, "{replays} replays dropped");
}
