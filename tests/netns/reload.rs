//! `plait reload`: what is another is changed, what is not loses no packet, and a file that cannot be used changes nothing.

use crate::hub::Hub;
use crate::kme::certificates;
use crate::process::wait_for;
use crate::processes::only_packet_threads_are_preferred;
use crate::site::Site;
use crate::topology::{inner4, outer4, runnable};
use crate::traffic::{Echo, Flow, pings};
use crate::world::World;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const FAST: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_secs(20);

/// `kind peer source` of each change.
pub(crate) fn kinds(report: &Value) -> Vec<String> {
    let word = |change: &Value, key: &str| change[key].as_str().unwrap_or("-").to_owned();
    let changes = report["changes"].as_array().unwrap();
    changes.iter().map(|change| ["kind", "peer", "source"].map(|key| word(change, key)).join(" ")).collect()
}

/// Texts of the events of kind `reload`.
fn told(site: &Site) -> Vec<String> {
    let output = site.run(&["events", site.name, "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["kind"] == "reload").map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_peer_comes_and_goes_and_the_others_lose_nothing() {
    if !runnable("a_peer_comes_and_goes_and_the_others_lose_nothing") {
        return;
    }
    let mut hub = Hub::up_without_c();
    let _echoes = ["b", "c"].map(|name| Echo::start(&hub.net, name));
    let flow = Flow::start(&hub.net, "a", inner4(2), FAST);
    let before = hub.a.status();
    hub.a.config.peers[0].allowed_ips.push("10.77.0.0/24".to_owned());
    hub.a.config.peers[0].more.push("keepalive = \"20s\"".to_owned());
    hub.a.config.add_peer("c", 3);
    hub.a.config.add_source("fibre-c", 0, "c", 1, 8444, ("SAE-A", "SAE-C"));
    let report = hub.a.reload();
    assert_eq!(kinds(&report), ["peer_changed b -", "peer_added c -"], "{report}");
    hub.a.wait_state(&["HYBRID"], SOON);
    hub.c.wait_state(&["HYBRID"], SOON);
    assert_eq!(pings(&hub.net, "a", inner4(3), 50, FAST).lost(), 0);
    let routes = hub.net.ip("a", "route show dev a");
    assert!(routes.contains("10.77.0.0/24"), "{routes}");
    let after = hub.a.status();
    let (was, is) = (&before.peer()["handshakes"]["full"], &after.peer()["handshakes"]["full"]);
    assert_eq!((was, is, after.peer()["name"].as_str()), (is, is, Some("b")), "the session went on");
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(number(&after.peer()["transfer"]["sent_packets"]) >= number(&before.peer()["transfer"]["sent_packets"]));
    assert!(after.source_number("keys_used") >= before.source_number("keys_used").max(1), "counters go on");

    hub.a.config.peers.retain(|peer| peer.name == "b");
    hub.a.config.sources.retain(|source| source.peer == "b");
    assert_eq!(kinds(&hub.a.reload()), ["peer_removed c -"]);
    hub.c.wait_status("no session", SOON, |status| status.epoch().is_null());
    assert_eq!(pings(&hub.net, "a", inner4(3), 20, FAST).lost(), 20);
    assert_eq!(hub.a.status().states(), ["HYBRID"]);
    assert!(kinds(&hub.a.reload()).is_empty());
    let flow = flow.stop();
    assert_eq!((flow.lost(), flow.duplicates), (0, 0), "of {}", flow.sent());
    let told = told(&hub.a);
    for part in ["allowed_ips + 10.77.0.0/24", "added (", "removed: ", "nothing is another"] {
        assert!(told.iter().any(|text| text.contains(part)), "{part}: {told:?}");
    }
}

/// Reloads what is in the file; gives the exit code and what was said.
fn refused(site: &Site) -> (Option<i32>, String) {
    let output = site.run(&["reload", site.name]);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    if !runnable("a_file_that_cannot_be_used_changes_nothing") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), FAST);
    let routes = world.net.ip("a", "route show dev a");
    let addresses = world.net.ip("a", "address show dev a");
    let good = world.a.config.clone();

    world.a.config.peers[0].more.push("keepalife = \"20s\"".to_owned());
    let file = world.a.write();
    let line = std::fs::read_to_string(&file).unwrap().lines().position(|line| line.starts_with("keepalife")).unwrap();
    let (code, said) = refused(&world.a);
    assert_eq!(code, Some(6), "{said}");
    let place = format!("a.toml:{}:1: unknown key `keepalife`", line + 1);
    assert!(said.contains(&place) && said.contains("did you mean `keepalive`"), "{said}");
    world.a.daemon().signal(nix::sys::signal::Signal::SIGHUP);
    wait_for("two refusals", SOON, || {
        let refused = |text: &&String| text.starts_with("refused: ") && text.contains(&place);
        (told(&world.a).iter().filter(refused).count() == 2).then_some(())
    });

    world.a.config = good.clone();
    world.a.config.interface.push("queues = 2".to_owned());
    world.a.write();
    let (code, said) = refused(&world.a);
    assert!(code == Some(1) && said.contains("queues") && said.contains("restart the daemon"), "{code:?}: {said}");

    // A route that another interface has: what was done before it is taken back.
    world.a.config = good.clone();
    world.a.config.address.push("10.98.0.1/24".to_owned());
    world.a.config.peers[0].allowed_ips.push("10.3.1.0/24".to_owned());
    world.a.write();
    let (code, said) = refused(&world.a);
    assert!(code == Some(1) && said.contains("10.3.1.0/24") && said.contains("another interface"), "{code:?}: {said}");

    assert_eq!(world.net.ip("a", "route show dev a"), routes);
    assert_eq!(world.net.ip("a", "address show dev a"), addresses);
    world.a.config = good;
    world.a.write();
    let output = world.a.run(&["reload", "a", "--dry-run"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is another"), "{output:?}");
    assert_eq!(world.a.status().state(), "HYBRID");
    let flow = flow.stop();
    assert_eq!((flow.lost(), flow.duplicates), (0, 0), "of {}", flow.sent());
}

/// Puts every file of one folder in the place of the one in the other.
fn exchange(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn certificates_are_exchanged_and_the_session_goes_on() {
    if !runnable("certificates_are_exchanged_and_the_session_goes_on") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    let (before, _) = world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), FAST);
    // A new CA everywhere: what the daemons have in memory is worth nothing any more.
    certificates(&world.path(), "new", &[("KME-A", 1), ("KME-B", 2)], &["SAE-A", "SAE-B"]);
    exchange(&world.path().join("new"), &world.path().join("pki"));
    world.pair.kill();
    world.pair.up();
    world.both(&["HOLDOVER"], SOON);
    for site in [&world.a, &world.b] {
        let report = site.reload();
        assert_eq!(kinds(&report).len(), 1, "{report}");
        assert_eq!(report["changes"][0]["kind"], "source_files");
        assert!(report["changes"][0]["text"].as_str().unwrap().contains("another certificate of ours, until 20"));
    }
    let (after, _) = world.both(&["HYBRID"], SOON);
    assert_eq!(after.peer()["handshakes"]["full"], before.peer()["handshakes"]["full"], "the session went on");
    assert!(after.mixed().contains(&"fibre-1".to_owned()));
    let flow = flow.stop();
    assert_eq!((flow.lost(), flow.duplicates), (0, 0), "of {}", flow.sent());
}

#[test]
fn the_port_and_the_addresses_change_under_a_session() {
    if !runnable("the_port_and_the_addresses_change_under_a_session") {
        return;
    }
    let mut world = World::new();
    let (before, _) = world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    world.a.config.listen = "[::]:51901".to_owned();
    world.a.config.interface.push("mtu = 1300".to_owned());
    world.a.config.address.push("10.98.0.1/24".to_owned());
    let report = world.a.reload();
    assert_eq!(kinds(&report), ["interface - -", "interface - -", "interface - -"], "{report}");
    let moved = format!("{}:51901", outer4(1));
    world.b.wait_status("the new port", SOON, |status| status.peer()["endpoint"] == moved.as_str());
    world.a.wait_status("another MTU", SOON, |status| status.json["mtu"] == 1300);
    assert_eq!(pings(&world.net, "a", inner4(2), 50, FAST).lost(), 0);
    let (a, _) = world.both(&["HYBRID"], SOON);
    assert!(a.json["listen"].as_str().unwrap().ends_with(":51901"));
    assert!(
        a.peer()["transfer"]["received_packets"].as_u64() >= before.peer()["transfer"]["received_packets"].as_u64()
    );
    assert!(world.net.ip("a", "address show dev a").contains("10.98.0.1/24"));
    // Other threads read from the new sockets.
    only_packet_threads_are_preferred(world.a.daemon());
    // A port that somebody has is refused, and the old one goes on.
    world.a.config.listen = format!("{}:51901", outer4(1));
    world.a.write();
    let (code, said) = refused(&world.a);
    assert!(code == Some(1) && said.contains("same port"), "{code:?}: {said}");
    assert_eq!(pings(&world.net, "a", inner4(2), 50, FAST).lost(), 0);
}
