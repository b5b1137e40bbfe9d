//! KMEs with habits of the field, and KMEs that break: the tunnel is hybrid with each of them, and loses no packet.

use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::{HYBRID_WITHIN, World};
use std::time::Duration;

/// Behind a gateway: errors are pages, nothing is kept open, the stock reads nothing, keys come late.
const GATEWAY: &[&str] = &["error-html", "not-found-401", "no-content-type", "closes-each", "stock-zero", "wrong-date"];
/// Serves simple requests only, in old HTTP, with key_IDs of its own.
const SIMPLE: &[&str] = &["get-only", "old-http", "id-not-uuid", "text-integers", "status-partial"];
/// Long keys, ids in two cases, JSON in its own way, chunks.
const OWN_WAYS: &[&str] =
    &["long-size", "id-other-case", "reordered", "capital-keys", "extra-members", "escaped", "chunked"];
/// Keeps little: one key a request, earlier keys lost, keys given twice, no status.
const FORGETFUL: &[&str] = &["one-key", "loses-unfetched", "gives-again", "status-fails", "to-the-end", "empty-list"];

/// Both ends come up over such KMEs, rekey by them, and carry traffic.
fn comes_up(habits: &[&str], link: Option<&str>, source: Option<&str>) {
    let mut world = World::new();
    world.pair.faults = habits.iter().map(|habit| format!("{habit} = true")).collect();
    world.pair.link.extend(link.map(str::to_owned));
    for site in [&mut world.a, &mut world.b] {
        site.config.sources[0].more.extend(source.map(str::to_owned));
    }
    world.set_policy("rekey", "\"2s\"");
    world.up();
    world.both(&["HYBRID"], HYBRID_WITHIN + Duration::from_secs(10));
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 500, Duration::from_millis(10)).lost(), 0, "{habits:?}");
    for site in [&world.a, &world.b] {
        let what = format!("three keys from a KME with {habits:?}");
        site.wait_status(&what, Duration::from_secs(30), |status| status.source_number("keys_used") >= 3);
    }
    world.both(&["HYBRID"], Duration::from_secs(5));
    let (a, b) = world.same_epoch();
    assert!(!a.key_ids().is_empty() && a.key_ids() == b.key_ids(), "{:?} {:?}", a.key_ids(), b.key_ids());
}

#[test]
fn a_tunnel_comes_up_over_kmes_behind_a_gateway() {
    if runnable("a_tunnel_comes_up_over_kmes_behind_a_gateway") {
        comes_up(GATEWAY, Some("dec_delay = \"200ms\""), None);
    }
}

#[test]
fn a_tunnel_comes_up_over_kmes_of_simple_requests() {
    if runnable("a_tunnel_comes_up_over_kmes_of_simple_requests") {
        comes_up(SIMPLE, None, Some("method = \"get\""));
    }
}

#[test]
fn a_tunnel_comes_up_over_kmes_with_sizes_and_ids_of_their_own() {
    if runnable("a_tunnel_comes_up_over_kmes_with_sizes_and_ids_of_their_own") {
        comes_up(OWN_WAYS, None, None);
    }
}

#[test]
fn a_tunnel_comes_up_over_kmes_that_keep_little() {
    if runnable("a_tunnel_comes_up_over_kmes_that_keep_little") {
        comes_up(FORGETFUL, None, None);
    }
}

/// Faults that were ordered and have not happened.
fn outstanding(world: &World) -> u64 {
    let shown: serde_json::Value = serde_json::from_str(&world.pair.fault(&[])).unwrap();
    shown["faults_waiting"].as_u64().unwrap()
}

#[test]
fn kmes_that_break_cost_no_packet_and_the_tunnel_heals() {
    if !runnable("kmes_that_break_cost_no_packet_and_the_tunnel_heals") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.set_policy("hold_last", "\"10m\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    for fault in ["wrong-key", "earlier-answer", "cut-in-body"] {
        world.pair.fault(&[fault, "1"]);
        let mut rounds = 0;
        while outstanding(&world) != 0 {
            assert_eq!(pings(&world.net, "a", inner4(2), 100, Duration::from_millis(10)).lost(), 0, "{fault}");
            world.both(&["HYBRID", "HOLDOVER"], Duration::from_secs(1));
            rounds += 1;
            assert!(rounds < 100, "nobody asked for a key since {fault} was ordered");
        }
    }
    world.pair.fault(&["none"]);
    world.both(&["HYBRID"], Duration::from_secs(130));
}
