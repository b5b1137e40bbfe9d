//! Keys change under traffic and nothing is lost.

use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, Flow, pings};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);

#[test]
fn three_thousand_pings_over_a_rekey_every_two_seconds() {
    if !runnable("three_thousand_pings_over_a_rekey_every_two_seconds") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let mut epochs: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let (flow, begun) = (Flow::start(&world.net, "a", inner4(2), HUNDRED_A_SECOND), Instant::now());
    while begun.elapsed() < Duration::from_secs(31) {
        let status = world.a.status();
        assert_eq!(status.state(), "HYBRID");
        if let Some(number) = status.epoch()["number"].as_u64() {
            epochs.entry(number).or_insert_with(|| status.key_ids().into_iter().map(|(_, id)| id).collect());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let report = flow.stop();
    assert!(report.sent() >= 3000, "{} sent", report.sent());
    assert_eq!((report.lost(), report.duplicates), (0, 0), "of {}", report.sent());
    assert!(epochs.len() >= 12, "{} epochs", epochs.len());
    let ids: Vec<&String> = epochs.values().flatten().collect();
    assert_eq!(ids.len(), epochs.len(), "one key_ID an epoch");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "no key_ID in two epochs");
}

#[test]
fn full_handshakes_lose_nothing_either() {
    if !runnable("full_handshakes_lose_nothing_either") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.set_policy("full", "\"10s\"");
    world.up_hybrid();
    let before = world.a.status().peer()["handshakes"]["full"].as_u64().unwrap();
    let _echo = Echo::start(&world.net, "b");
    let report = pings(&world.net, "a", inner4(2), 2600, HUNDRED_A_SECOND);
    assert_eq!((report.lost(), report.duplicates), (0, 0));
    let after = world.a.status().peer()["handshakes"]["full"].as_u64().unwrap();
    assert!(after >= before + 2, "{before} full handshakes before, {after} after");
}

#[test]
fn rekey_on_command() {
    if !runnable("rekey_on_command") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    for site in [&world.a, &world.b] {
        let before = site.status().epoch()["number"].as_u64().unwrap();
        let output = site.run(&["rekey", site.name, "--wait"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let after = site.status().epoch()["number"].as_u64().unwrap();
        assert!(after > before, "{}: epoch {before}, then {after}", site.name);
    }
}
