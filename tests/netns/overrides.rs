//! `plait policy`: an operator lets traffic flow without QKD keys for a time, at both sites, and it is told everywhere.

use crate::site::Site;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::World;
use std::time::Duration;

const FAST: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_secs(30);
const REASON: &str = "fibre work, ticket 4711";

fn run(site: &Site, arguments: &[&str], code: i32) -> String {
    let output = site.run(arguments);
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

fn weaken(site: &Site, lasts: &str) -> String {
    run(site, &["policy", "override", site.name, "--for", lasts, "--reason", REASON], 0)
}

#[test]
fn traffic_flows_again_for_a_time_when_both_sites_say_so() {
    if !runnable("traffic_flows_again_for_a_time_when_both_sites_say_so") {
        return;
    }
    let mut world = World::new();
    world.pair.stock(4, 10);
    world.set_policy("rekey", "\"2s\"");
    world.set_policy("hold_last", "\"2s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    world.pair.cut();
    world.both(&["BLOCKED"], SOON);
    for (lasts, reason, wrong) in [("25h", REASON, "for longer change the configuration"), ("1h", " ", "characters")] {
        let said = run(&world.a, &["policy", "override", "a", "--for", lasts, "--reason", reason], 2);
        assert!(said.contains(wrong), "{said}");
    }
    run(&world.a, &["policy", "end", "a"], 1);
    assert!(weaken(&world.a, "1h").contains("override there too"));
    assert_eq!(pings(&world.net, "a", inner4(2), 20, FAST).lost(), 20, "the other site requires QKD keys");
    let status = world.a.status();
    assert_eq!(status.state(), "BLOCKED");
    assert_eq!(status.peer()["override"]["reason"], REASON);
    weaken(&world.b, "8s");
    world.both(&["DEGRADED"], SOON);
    assert_eq!(pings(&world.net, "a", inner4(2), 100, FAST).lost(), 0);
    let shown = String::from_utf8(world.a.run(&["status", "a"]).stdout).unwrap();
    assert!(shown.contains("POLICY OVERRIDDEN: qkd preferred for") && shown.contains(REASON), "{shown}");
    let shown = run(&world.b, &["policy", "show", "b"], 0);
    assert!(shown.contains("a: configured required, the other end preferred, in force preferred"), "{shown}");
    // The first of the two that ends, ends it.
    world.both(&["BLOCKED"], SOON);
    assert_eq!(pings(&world.net, "a", inner4(2), 50, FAST).lost(), 50);
    run(&world.a, &["policy", "end", "a"], 0);
    let events = run(&world.a, &["events", "a"], 0);
    for part in ["the policy is overridden: qkd preferred until 20", REASON, "before its time: the configured policy"] {
        assert!(events.contains(part), "{part}: {events}");
    }
    let audit = run(&world.b, &["audit", "show", "b"], 0);
    assert!(audit.contains("policy overridden: qkd preferred") && audit.contains("override ended"), "{audit}");
    run(&world.b, &["audit", "verify", "b"], 0);
    world.pair.repair();
    world.both(&["HYBRID"], Duration::from_secs(70));
}
