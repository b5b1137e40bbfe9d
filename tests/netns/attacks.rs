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
/// Datagrams of the storm; `PLAIT_REPLAYS` asks for more.
const STORM: usize = 100_000;
/// Of them, those that are made at once.
const ROUND: usize = 10_000;

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

/// Packets that a site's interface has given to its system.
fn came_out(world: &World, site: &str) -> u64 {
    let path = "/proc/thread-self/net/dev";
    let text = world.net.inside(site, || std::fs::read_to_string(path).unwrap());
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{site}:"))).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_storm_of_replays_from_everywhere_delivers_nothing_and_moves_nothing() {
    if !runnable("a_storm_of_replays_from_everywhere_delivers_nothing_and_moves_nothing") {
        return;
    }
    let storm = std::env::var("PLAIT_REPLAYS").ok().map_or(STORM, |text| text.parse().unwrap());
    let (world, datagrams) = recorded();
    let before = (standing(&world), came_out(&world, "a"), came_out(&world, "b"));
    assert!(before.1 >= 20 && before.2 >= 20, "the pings and their answers were counted: {before:?}");
    let mut dice = Dice::new(0x0073_746f_726d);
    for _ in 0..storm.div_ceil(ROUND) {
        let round: Vec<Datagram> = (0..ROUND)
            .map(|_| {
                let datagram = &datagrams[dice.below(datagrams.len())];
                let third = SocketAddr::new(wan4(1), u16::try_from(1024 + dice.below(60_000)).unwrap());
                let from = [datagram.from, datagram.from, datagram.to, third][dice.below(4)];
                Datagram { from, ..datagram.clone() }
            })
            .collect();
        spoof(&world.net, &round);
    }
    assert_eq!((standing(&world), came_out(&world, "a"), came_out(&world, "b")), before);
    let drops = [&world.a, &world.b].map(|site| site.status().peer()["drops"]["replay"].as_u64().unwrap());
    eprintln!("{storm} replays, refused as such: {drops:?}");
    assert!(drops.iter().all(|replays| *replays > 1000), "the storm did not arrive: {drops:?}");
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 200, HUNDRED_A_SECOND).lost(), 0);
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
