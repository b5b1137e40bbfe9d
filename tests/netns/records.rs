//! Events and audit of real daemons: an outage told in order, kept over a kill, and lines that name each key.

use crate::process::{finish, wait_for};
use crate::site::Site;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, Flow};
use crate::world::World;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The JSON lines that a verb prints.
fn lines(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let output = site.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

fn events(site: &Site) -> Vec<Value> {
    lines(site, &["events", site.name, "--json"])
}

/// The words of all changes of state, in order, the first one's `from` before them.
fn states(events: &[Value]) -> Vec<String> {
    let changes: Vec<&Value> = events.iter().filter(|event| event["kind"] == "state").collect();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let first = changes.first().map(|change| word(&change["from"]));
    first.into_iter().chain(changes.iter().map(|change| word(&change["to"]))).collect()
}

fn audit_folder(world: &World) -> PathBuf {
    world.path().join("state/a")
}

/// The exit code and the text of `audit verify`.
fn verify(site: &Site) -> (i32, String) {
    let output = site.run(&["audit", "verify", site.name]);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn an_outage_is_told_in_order_and_outlives_a_killed_daemon() {
    if !runnable("an_outage_is_told_in_order_and_outlives_a_killed_daemon") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.up_hybrid();
    world.pair.kill();
    world.both(&["HOLDOVER"], Duration::from_secs(10));
    world.pair.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
    let told = events(&world.a);
    assert_eq!(states(&told), ["HOLDING", "HYBRID", "HOLDOVER", "HYBRID"], "{told:#?}");
    assert_eq!(told[0]["kind"], "start");
    let kme: Vec<&Value> = told.iter().filter(|event| event["kind"] == "kme").collect();
    assert!(kme.iter().any(|event| event["from"] == "ok" && event["source"] == "fibre-1"), "{told:#?}");
    assert_eq!(kme.last().unwrap()["to"], "ok", "{told:#?}");
    let holdover = told.iter().find(|event| event["to"] == "HOLDOVER").unwrap();
    assert!(holdover["text"].as_str().unwrap().contains("fibre-1"), "it says why: {holdover}");
    // Killed, the files remain, and the next daemon says how the last one ended.
    world.a.kill();
    let kept = events(&world.a);
    assert_eq!(states(&kept), states(&told));
    world.a.up();
    let fresh = events(&world.a);
    let start = fresh.iter().rfind(|event| event["kind"] == "start").unwrap();
    assert!(start["text"].as_str().unwrap().contains("ended without a word"), "{start}");
    let numbers: Vec<u64> = fresh.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    world.a.down();
    assert_eq!(events(&world.a).last().unwrap()["kind"], "stop");
}

#[test]
fn the_audit_names_each_key_and_the_bytes_under_it() {
    if !runnable("the_audit_names_each_key_and_the_bytes_under_it") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.a.config.interface.push("audit = \"required\"".to_owned());
    world.up_hybrid();
    let echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(10));
    let (status, _) = world.same_epoch();
    std::thread::sleep(Duration::from_secs(3));
    flow.stop();
    drop(echo);
    let seen = status.key_ids();
    let total = world.a.status().peer()["transfer"]["sent_bytes"].as_u64().unwrap();
    world.a.down();
    let rows = lines(&world.a, &["audit", "show", "a", "--json"]);
    let epochs: Vec<&Value> = rows.iter().filter(|row| row["row"] == "epoch").collect();
    assert!(epochs.len() >= 3, "{rows:#?}");
    assert!(epochs.iter().all(|row| !row["ended"].is_null() && row["state"] == "HYBRID"), "{rows:#?}");
    let (source, key_id) = &seen[0];
    let named = |row: &&&Value| row["key_ids"][0]["key_id"] == **key_id && row["key_ids"][0]["source"] == **source;
    assert_eq!(epochs.iter().filter(named).count(), 1, "{key_id} whole and once: {rows:#?}");
    let sent: u64 = epochs.iter().map(|row| row["sent_bytes"].as_u64().unwrap()).sum();
    assert_eq!(sent, total, "every byte belongs to one epoch");
    assert_eq!(verify(&world.a).0, 0);
    // A line changed by hand is found and named.
    let path = audit_folder(&world).join("audit.log");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, line)| if at == 3 { line.replace("HYBRID", "OFF") } else { line.to_owned() })
        .collect();
    std::fs::write(&path, changed.join("\n") + "\n").unwrap();
    let (code, told) = verify(&world.a);
    assert!(code == 1 && told.contains("audit.log:4: line 4 is not what was written"), "{told}");
}

#[test]
fn a_required_audit_that_cannot_be_written_stops_new_sessions_until_it_can() {
    if !runnable("a_required_audit_that_cannot_be_written_stops_new_sessions_until_it_can") {
        return;
    }
    let mut world = World::new();
    world.a.config.interface.push("audit = \"required\"".to_owned());
    // A folder in the file's place: no line can be written.
    std::fs::create_dir_all(audit_folder(&world).join("audit.log")).unwrap();
    let private = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    std::fs::set_permissions(audit_folder(&world), private).unwrap();
    world.up();
    std::thread::sleep(Duration::from_secs(3));
    assert!(world.a.status().epoch().is_null(), "no session without an audit");
    let told = || events(&world.a).into_iter().filter(|event| event["kind"] == "audit").collect::<Vec<_>>();
    assert!(told()[0]["text"].as_str().unwrap().contains("cannot be written"), "{:?}", told());
    std::fs::remove_dir(audit_folder(&world).join("audit.log")).unwrap();
    world.both(&["HYBRID"], Duration::from_secs(70));
    assert!(told().last().unwrap()["text"].as_str().unwrap().contains("written again"), "{:?}", told());
    assert_eq!(verify(&world.a).0, 0);
}

#[test]
fn events_are_followed_while_they_happen() {
    if !runnable("events_are_followed_while_they_happen") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    world.a.up();
    let log = world.path().join("followed");
    let mut command = crate::process::plait(&world.path());
    command.args(["events", "a", "--follow", "--json"]);
    let followed = crate::process::Process::start("events", command, log);
    wait_for("the start", Duration::from_secs(5), || followed.output().contains("\"start\"").then_some(()));
    world.b.up();
    world.both(&["HYBRID"], Duration::from_secs(20));
    wait_for("HYBRID while following", Duration::from_secs(5), || {
        followed.output().contains("\"to\":\"HYBRID\"").then_some(())
    });
    followed.kill();
    let other = finish(crate::process::plait(&world.path()).args(["events", "a", "--since", "0s"]));
    assert!(other.status.success());
}
