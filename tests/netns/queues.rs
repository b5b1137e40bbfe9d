//! Several TUN queues, each with a socket and a lane: nothing is lost or doubled, whatever the other end has.

use crate::capture::Capture;
use crate::site::strings;
use crate::streams::{bursts, everything_passes, streams};
use crate::topology::{inner4, inner6, outer4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::World;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Flows a direction: so many that not all of them fall to one queue.
const FLOWS: usize = 16;
const INTERVAL: Duration = Duration::from_millis(25);

/// Rekeys every second under many flows; both ends use their lanes, and no others.
fn carries(queues: [u8; 2]) {
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.a.config.interface.push(format!("queues = {}", queues[0]));
    world.b.config.interface.push(format!("queues = {}", queues[1]));
    world.up_hybrid();
    let capture = Capture::start(&world.net, "wan");
    let _echoes = ["a", "b"].map(|name| Echo::start(&world.net, name));
    let net = &world.net;
    let flows =
        (0..FLOWS).flat_map(|flow| [("a", 2), ("b", 1)].map(|(from, to)| (from, [inner4, inner6][flow % 2](to))));
    let reports: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let running: Vec<_> =
            flows.map(|(from, to)| scope.spawn(move || pings(net, from, to, 200, INTERVAL))).collect();
        running.into_iter().map(|flow| flow.join().unwrap()).map(|report| (report.lost(), report.duplicates)).collect()
    });
    let drops = [&world.a, &world.b].map(|site| site.status().peer()["drops"].clone());
    let none = |(lost, duplicates): &(usize, usize)| *lost == 0 && *duplicates == 0;
    assert!(reports.iter().all(none), "queues {queues:?}: {reports:?}, drops {drops:?}");
    let sent = capture.stop().datagrams(51900);
    for (site, queues) in (1..).zip(queues) {
        let data = sent.iter().filter(|sent| sent.from.ip() == outer4(site) && sent.bytes[0] >= 16);
        let lanes: BTreeSet<u8> = data.map(|sent| sent.bytes[15]).collect();
        let of_queues = lanes.iter().filter(|lane| **lane > 0).count();
        assert!(lanes.iter().all(|lane| *lane <= queues), "site {site} with {queues} queues: lanes {lanes:?}");
        assert!(of_queues > usize::from(queues > 1), "site {site} with {queues} queues: lanes {lanes:?}");
    }
    let (a, b) = world.same_epoch();
    for status in [a, b] {
        let drops = status.peer()["drops"].as_object().unwrap().clone();
        assert!(drops.values().all(|count| *count == 0), "queues {queues:?}: {drops:?}");
        // Which of them this kernel has is its own affair; each is either in use or given up.
        let offloads = ["offload", "offload_given_up"].map(|member| strings(&status.json[member])).concat();
        assert_eq!(BTreeSet::from_iter(offloads), ["bundle", "gro", "gso", "tso", "uso"].map(str::to_owned).into());
    }
}

#[test]
fn two_queues_at_both_ends() {
    if runnable("two_queues_at_both_ends") {
        carries([2, 2]);
    }
}

#[test]
fn four_queues_against_one() {
    if runnable("four_queues_against_one") {
        carries([4, 1]);
    }
}

#[test]
fn seven_queues_against_four() {
    if runnable("seven_queues_against_four") {
        carries([7, 4]);
    }
}

/// Everything passes, then many flows at once: each stays in order while keys change.
fn keeps_order(queues: [u8; 2]) {
    let what = format!("queues {queues:?}");
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.a.config.interface.push(format!("queues = {}", queues[0]));
    world.b.config.interface.push(format!("queues = {}", queues[1]));
    world.up_hybrid();
    everything_passes(&world.net, &what);
    let _echoes = ["a", "b"].map(|name| Echo::start(&world.net, name));
    let (net, what) = (&world.net, &what);
    let (begun, before) = (Instant::now(), world.a.status().epoch()["number"].as_u64().unwrap());
    std::thread::scope(|scope| {
        for flow in 0..FLOWS {
            for (from, to) in [("a", 2), ("b", 1)] {
                let inner = if flow % 2 == 0 { inner4(to) } else { inner6(to) };
                let payload = [8, 200, 1372][flow % 3];
                scope.spawn(move || {
                    while begun.elapsed() < Duration::from_secs(4) {
                        bursts(net, from, inner, payload, 20, what);
                    }
                });
            }
        }
    });
    let after = world.a.status().epoch()["number"].as_u64().unwrap();
    assert!(after >= before + 2, "{what}: epoch {before} before the traffic, {after} after it");
    // Streams fill the interface's queues, so they have a time of their own.
    std::thread::scope(|scope| {
        for (ends, to) in [(["a", "b"], 2), (["b", "a"], 1)] {
            scope.spawn(move || streams(net, ends, inner4(to), what));
            scope.spawn(move || streams(net, ends, inner6(to), what));
        }
    });
    for status in [world.a.status(), world.b.status()] {
        let drops = status.peer()["drops"].as_object().unwrap().clone();
        assert!(drops.values().all(|count| *count == 0), "{what}: {drops:?}");
    }
}

#[test]
fn two_and_four_queues_keep_every_flow_in_order() {
    if runnable("two_and_four_queues_keep_every_flow_in_order") {
        keeps_order([2, 2]);
        keeps_order([4, 4]);
    }
}

#[test]
fn different_counts_keep_every_flow_in_order() {
    if runnable("different_counts_keep_every_flow_in_order") {
        keeps_order([4, 2]);
        keeps_order([1, 2]);
    }
}
