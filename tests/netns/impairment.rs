//! A path that loses, doubles and reorders: the handshake completes and every packet arrives once.

use crate::forge::Dice;
use crate::relay::{Relay, Way, endpoints, pass};
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::World;
use std::time::Duration;

const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);

fn relayed() -> World {
    let mut world = World::new();
    let (for_a, for_b) = endpoints();
    world.a.config.peers[0].endpoint = Some(for_a);
    world.b.config.peers[0].endpoint = Some(for_b);
    world
}

#[test]
fn a_handshake_completes_with_a_third_of_all_datagrams_lost() {
    if !runnable("a_handshake_completes_with_a_third_of_all_datagrams_lost") {
        return;
    }
    let mut world = relayed();
    let mut dice = Dice::new(7);
    let relay = Relay::start(&world.net, move |_, _| if dice.below(3) == 0 { Vec::new() } else { pass() });
    world.up();
    world.both(&["HYBRID"], Duration::from_secs(60));
    assert!(relay.seen().iter().any(|(way, _)| *way == Way::BToA));
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
