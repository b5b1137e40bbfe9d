//! A third host on the path: replays and forgeries change nothing.

use crate::capture::{Capture, Datagram};
use crate::forge::{Dice, mutate, spoof};
use crate::topology::{inner4, runnable, wan4};
use crate::traffic::{Echo, pings};
use crate::world::World;
use std::net::SocketAddr;
use std::time::Duration;

const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);
const REPLAYS: usize = 20;
const FORGERIES: usize = 20_000;

/// What must not move.
fn standing(world: &World) -> Vec<String> {
    let of = |status: crate::site::Status| {
        let source = |key| status.source_number(key).to_string();
        let endpoint = status.peer()["endpoint"].to_string();
        [source("keys_used"), source("requests_failed"), endpoint, status.words().unwrap_or_default(), status.state()]
    };
    of(world.a.status()).into_iter().chain(of(world.b.status())).collect()
}

/// A world that is HYBRID, with everything recorded that made it so; its next rekey is far away.
fn recorded() -> (World, Vec<Datagram>) {
    let mut world = World::new();
    world.set_policy("rekey", "\"1h\"");
    world.set_policy("full", "\"2h\"");
    let capture = Capture::start(&world.net, "wan");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 20, HUNDRED_A_SECOND).lost(), 0);
    let mut datagrams = capture.stop().datagrams(51900);
    // Forwarding shows each twice.
    datagrams.dedup_by(|a, b| a.bytes == b.bytes);
    assert!(
        (1..=6).all(|kind| datagrams.iter().any(|datagram| datagram.bytes[0] == kind)),
        "all six messages were seen"
    );
    (world, datagrams)
}

#[test]
fn replays_of_a_recorded_handshake_change_nothing() {
    if !runnable("replays_of_a_recorded_handshake_change_nothing") {
        return;
    }
    let (world, datagrams) = recorded();
    let before = standing(&world);
    for _ in 0..REPLAYS {
        spoof(&world.net, &datagrams);
        let third = SocketAddr::new(wan4(1), 4444);
        let from_elsewhere: Vec<_> =
            datagrams.iter().map(|datagram| Datagram { from: third, ..datagram.clone() }).collect();
        spoof(&world.net, &from_elsewhere);
    }
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 200, HUNDRED_A_SECOND).lost(), 0);
    assert_eq!(standing(&world), before);
}

#[test]
fn forged_and_mutated_datagrams_change_nothing() {
    if !runnable("forged_and_mutated_datagrams_change_nothing") {
        return;
    }
    let (world, datagrams) = recorded();
    let before = standing(&world);
    let mut dice = Dice::new(0x0070_6c61_6974);
    let third = SocketAddr::new(wan4(2), 4444);
    let forgeries: Vec<Datagram> = (0..FORGERIES)
        .map(|number| {
            let model = &datagrams[dice.below(datagrams.len())];
            let from = if number % 2 == 0 { third } else { model.from };
            Datagram { from, to: model.to, bytes: mutate(&mut dice, &model.bytes) }
        })
        .collect();
    spoof(&world.net, &forgeries);
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 200, HUNDRED_A_SECOND).lost(), 0);
    assert_eq!(standing(&world), before);
    let drops = world.a.status().peer()["drops"].clone();
    assert!(drops["auth"].as_u64().is_some() && drops["replay"].as_u64().is_some(), "{drops}");
}

#[test]
fn an_inner_source_that_is_not_allowed_is_dropped() {
    if !runnable("an_inner_source_that_is_not_allowed_is_dropped") {
        return;
    }
    let mut world = World::new();
    // b takes packets from 10.99.0.7 only, so every ping of a has a source that b does not allow.
    world.b.config.peers[0].allowed_ips = vec!["10.99.0.7/32".to_owned()];
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let report = pings(&world.net, "a", inner4(2), 50, HUNDRED_A_SECOND);
    assert_eq!(report.lost(), 50);
    let received = world.b.status().peer()["transfer"]["received_packets"].as_u64();
    assert_eq!(received, Some(0), "packets with a foreign source count as drops");
}
