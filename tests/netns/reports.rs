//! `plait report` of a running daemon: the archive holds what helps, and no secret, no whole key_ID, no address.

use crate::process::{Process, finish, plait, succeed, wait_for};
use crate::topology::{inner4, inner6, runnable};
use crate::validator::fits;
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(20);

/// Every text of the archive.
fn unpacked(world: &World, name: &str) -> String {
    succeed(Command::new("tar").arg("-xzOf").arg(world.path().join(name)))
}

fn report(world: &World, name: &str, more: &[&str]) -> String {
    let (file, out) = (world.a.file("toml"), world.path().join(name));
    let arguments = ["report", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let made = world.a.run(&[&arguments[..], more].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    unpacked(world, name)
}

/// All key_IDs that the audit of a has, whole.
fn key_ids(world: &World) -> BTreeSet<String> {
    let mut command = plait(&world.path());
    let shown = succeed(command.args(["audit", "show", "a", "--json"]));
    let rows = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut found = BTreeSet::new();
    for row in rows {
        collect(&row, &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("key_id").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Lines of the files that hold secrets.
fn secrets(world: &World) -> Vec<String> {
    let files = [world.a.file("key"), world.path().join("pki/SAE-A.key"), world.path().join("pki/ca.key")];
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap());
    let lines = texts.iter().flat_map(|text| text.lines().filter(|line| !line.starts_with("-----")));
    lines.filter(|line| line.len() >= 16).map(str::to_owned).collect()
}

#[test]
fn a_report_tells_what_helps_and_nothing_that_must_not_leave() {
    if !runnable("a_report_tells_what_helps_and_nothing_that_must_not_leave") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.up_hybrid();
    wait_for("key_IDs in the audit", WITHIN, || (key_ids(&world).len() >= 3).then_some(()));
    let (path, written) = (world.a.file("toml"), std::fs::read_to_string(world.a.file("toml")).unwrap());
    std::fs::write(&path, written.replace("rekey = \"1s\"", "rekey = \"2s\"")).unwrap();
    let reload = succeed(plait(&world.path()).args(["reload", "a", "--dry-run", "--json"]));
    fits("reload", &reload);
    assert!(reload.contains("\"kind\":\"peer_changed\""), "{reload}");
    std::fs::write(&path, written).unwrap();
    let well = report(&world, "well.tar.gz", &[]);
    world.pair.kill();
    world.a.wait_state(&["HOLDOVER"], WITHIN);
    for (schema, verb) in
        [("events", &["events", "a", "--json"][..]), ("audit-show", &["audit", "show", "a", "--json"])]
    {
        fits(schema, &succeed(plait(&world.path()).args(verb)));
    }
    fits("status", &world.a.status().json.to_string());
    fits("forecast", &succeed(plait(&world.path()).args(["forecast", "a", "--json"])));
    let forecast = succeed(plait(&world.path()).args(["forecast", "a"]));
    assert!(forecast.contains("if the link is cut now: HOLDOVER already; it ends in"), "{forecast}");
    let file = world.a.file("toml");
    let doctor = world.a.run(&["doctor", file.to_str().unwrap(), "--json"]);
    fits("doctor", std::str::from_utf8(&doctor.stdout).unwrap());
    let (text, open) = (report(&world, "r.tar.gz", &[]), report(&world, "open.tar.gz", &["--with-addresses"]));
    let (ids, secrets) = (key_ids(&world), secrets(&world));
    assert!(ids.len() >= 3 && secrets.len() >= 3, "{ids:?}");
    let inner = [inner4(1).to_string(), inner4(2).to_string(), inner6(1).to_string(), inner6(2).to_string()];
    for gone in ids.iter().chain(&secrets).chain(&inner) {
        for text in [&well, &text, &open] {
            assert!(!text.contains(gone.as_str()), "{gone} is told in {text}");
        }
    }
    for underlay in ["10.1.1.1", "10.1.2.1", "10.3.1.254"] {
        assert!(!text.contains(underlay), "{underlay} is told in {text}");
    }
    assert!(open.contains("10.1.2.1:51900"), "--with-addresses tells the endpoint: {open}");
    assert!(well.contains("HYBRID") && well.contains("\"key_ids\":[{\"key_id\":\""), "{well}");
    for words in [
        "\"daemon\":\"running\"",
        "HOLDOVER",
        "\"kind\":\"kme\"",
        "\"name\":\"KME connection\"",
        "fibre-1",
        "\"ok\":true",
        "rmem_max",
        "local_sae = \"SAE-A\"",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
}

#[test]
fn a_log_for_collectors_is_json_line_by_line() {
    if !runnable("a_log_for_collectors_is_json_line_by_line") {
        return;
    }
    let mut world = World::new();
    // Writes the configuration.
    world.a.up();
    world.a.down();
    let mut command = plait(&world.path());
    command.arg("up").arg(world.a.file("toml")).args(["--log-format", "json"]);
    let log = world.path().join("json.log");
    let daemon = world.net.inside("a", || Process::start("json", command, log));
    wait_for("a log line", WITHIN, || daemon.output().contains("running").then_some(()));
    let ended = finish(plait(&world.path()).args(["down", "a"]));
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let output = daemon.output();
    for line in output.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["level"].is_string() && value["fields"]["message"].is_string(), "{line}");
    }
}
