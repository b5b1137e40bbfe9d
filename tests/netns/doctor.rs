//! `plait doctor` at a running site: faults that only two ends and a way between them can have, each named as first cause.

use crate::kme::KmePair;
use crate::process::{finish, succeed};
use crate::site::Site;
use crate::topology::runnable;
use crate::world::World;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// What the doctor finds at a site: exit code and JSON.
fn doctor(site: &Site) -> (i32, Value) {
    let file = site.file("toml");
    let output = site.run(&["doctor", file.to_str().unwrap(), "--json"]);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), json)
}

#[track_caller]
fn names((code, found): &(i32, Value), expected_code: i32, step: &str, words: &str) {
    let first = &found["first_cause"];
    let text = first["text"].as_str().unwrap_or_default();
    assert!(first["name"] == step && text.contains(words) && *code == expected_code, "{code} {found:#}");
}

#[test]
fn a_good_tunnel_passes_every_step() {
    if !runnable("a_good_tunnel_passes_every_step") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let before = world.a.status().source_number("keys_used");
    let (code, found) = doctor(&world.a);
    assert_eq!(code, 0, "{found:#}");
    let steps = found["steps"].as_array().unwrap();
    let expected = [
        "configuration",
        "files",
        "clock",
        "TUN",
        "routes",
        "path and MTU",
        "KME connection",
        "KME identity",
        "KME keys",
        "daemon",
        "key round trip",
        "peer reachable",
        "peer identity",
        "policy",
        "offloads",
    ];
    for name in expected {
        let step = steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no {name}: {found:#}"));
        assert_eq!(step["outcome"], "ok", "{found:#}");
    }
    assert_eq!(world.a.status().source_number("keys_used"), before, "no key was spent");
}

#[test]
fn a_wrong_peer_key_is_named_at_both_ends() {
    if !runnable("a_wrong_peer_key_is_named_at_both_ends") {
        return;
    }
    let mut world = World::new();
    world.mistake_a_for_a_stranger();
    world.up();
    world.b.wait_status("a caller without a name", Duration::from_secs(10), |status| {
        status.json["refused"]["unknown_peer"].as_u64().is_some_and(|count| count > 0)
    });
    world.a.wait_status("datagrams for another", Duration::from_secs(10), |status| {
        status.json["refused"]["mac1"].as_u64().is_some_and(|count| count > 0)
    });
    names(&doctor(&world.b), 1, "peer identity", "public_key_file of a is another site's");
    names(&doctor(&world.a), 1, "peer identity", "wrong public file of this one");
}

#[test]
fn a_hole_for_long_packets_is_named_with_the_mtu_that_fits() {
    if !runnable("a_hole_for_long_packets_is_named_with_the_mtu_that_fits") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    world.net.ip("wan", "link set dev b mtu 1300");
    let found = doctor(&world.a);
    names(&found, 1, "path and MTU", "get through up to 1300 bytes, and mtu 1420 needs 1480");
    let text = found.1["first_cause"]["text"].as_str().unwrap();
    assert!(text.contains("mtu = 1240"), "{text}");
}

#[test]
fn a_missing_right_to_make_interfaces_is_named() {
    if !runnable("a_missing_right_to_make_interfaces_is_named") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    std::fs::write(world.a.file("toml"), world.a.config.render()).unwrap();
    succeed(Command::new("chmod").arg("600").arg(world.a.file("toml")));
    let output = world.net.inside("a", || {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", env!("CARGO_BIN_EXE_plait"), "--run-dir"]);
        command.arg(world.path().join("run")).args(["doctor", "--json"]).arg(world.a.file("toml"));
        finish(&mut command)
    });
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    names(&(output.status.code().unwrap(), json), 1, "TUN", "CAP_NET_ADMIN");
}

#[test]
fn policies_that_differ_are_named() {
    if !runnable("policies_that_differ_are_named") {
        return;
    }
    let mut world = World::new();
    world.b.config.set_policy("qkd", "\"preferred\"");
    world.up_hybrid();
    names(&doctor(&world.a), 0, "policy", "here required, there preferred: the stricter holds at both, required");
    names(&doctor(&world.b), 0, "policy", "here preferred, there required");
}

#[test]
fn keys_that_never_reach_the_other_kme_are_named_at_both_ends() {
    if !runnable("keys_that_never_reach_the_other_kme_are_named_at_both_ends") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    lose_keys(&world.pair);
    world.both(&["HOLDOVER"], Duration::from_secs(20));
    let found = [&world.a, &world.b].map(doctor);
    // The end that answers has the KME's own words, the one that asks the class that it was told.
    found.iter().for_each(|found| names(found, 1, "key round trip", "no key"));
}

/// From now on the slave's KME learns of no key.
fn lose_keys(pair: &KmePair) {
    pair.fault(&["lost-key", "1000"]);
}
