//! Every verb of the control socket at random, a hundred a second, under traffic: each is answered, who is not meant loses
//! nothing, and in the end what runs is what the configuration says.

use crate::forge::Dice;
use crate::hub::Hub;
use crate::load::{Fate, paced};
use crate::process::wait_for;
use crate::site::Site;
use crate::topology::{inner4, inner6, kme4, outer4, runnable};
use crate::traffic::{Echo, Flow, pings};
use crate::vitals::{held, resident_kib};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long; `PLAIT_VERBS_SECONDS` sets another time, for a night.
const LASTS: Duration = Duration::from_secs(6);
/// Who asks, each one verb after the other.
const CLIENTS: u64 = 5;
/// Verbs a second of all clients.
const A_SECOND: u32 = 100;
/// Packets a second that pass meanwhile.
const PACKETS_A_SECOND: u32 = 2000;
/// No answer for so long is a deadlock.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// One client of the control socket.
struct Client {
    socket: BufReader<UnixStream>,
    answers: BTreeMap<String, usize>,
}

impl Client {
    fn of(socket: &Path) -> Self {
        let socket = UnixStream::connect(socket).unwrap();
        socket.set_read_timeout(Some(ANSWERED_WITHIN)).unwrap();
        Self { socket: BufReader::new(socket), answers: BTreeMap::new() }
    }

    /// Asks, and counts what was answered.
    fn ask(&mut self, body: &Value) -> Value {
        let line = json!({ "version": 1, "body": body }).to_string() + "\n";
        self.socket.get_mut().write_all(line.as_bytes()).unwrap();
        let mut line = String::new();
        self.socket.read_line(&mut line).unwrap_or_else(|error| panic!("no answer to {body}: {error}"));
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("to {body}: {line:?}: {error}"));
        let kind = format!("{} {}", body["verb"].as_str().unwrap(), answer["body"]["answer"].as_str().unwrap());
        *self.answers.entry(kind).or_default() += 1;
        answer["body"].clone()
    }
}

/// The sections that make site `c` a peer of `a`.
fn sections_of_c(dir: &Path) -> String {
    let file = |name: &str| dir.join(name).display().to_string();
    format!(
        "[[peer]]\nname = \"c\"\npublic_key_file = \"{}\"\nendpoint = \"{}:51900\"\nallowed_ips = [\"{}/32\", \"{}/128\"]\n\
         [[qkd]]\nid = 0\npeer = \"c\"\nname = \"fibre-c\"\ntype = \"etsi014\"\nurl = \"https://{}:8444\"\n\
         local_sae = \"SAE-A\"\nremote_sae = \"SAE-C\"\nca_file = \"{}\"\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
        file("c.pub"),
        outer4(3),
        inner4(3),
        inner6(3),
        kme4(1),
        file("pki/ca.pem"),
        file("pki/SAE-A.pem"),
        file("pki/SAE-A.key")
    )
}

/// A verb, as the dice fall.
fn verb(dice: &mut Dice, sections: &str) -> Value {
    let peer = [json!("b"), json!("c"), json!("nobody"), Value::Null][dice.below(4)].clone();
    // Who has the policy of a peer changed all the time keeps it from agreeing on any: that is not for `b`.
    let other = ["c", "nobody"][dice.below(2)];
    let dry_run = dice.below(4) == 0;
    let weaker = ["preferred", "off"][dice.below(2)];
    match dice.below(12) {
        0 => json!({ "verb": "status" }),
        1 => json!({ "verb": "live" }),
        2 => json!({ "verb": "events", "last": dice.below(50) }),
        3 => json!({ "verb": "rekey", "peer": peer }),
        4 => json!({ "verb": "rekey", "peer": "b" }),
        5 | 6 => json!({ "verb": "reload", "dry_run": dry_run }),
        7 | 8 => json!({ "verb": "peer_add", "sections": sections, "dry_run": dry_run }),
        9 => json!({ "verb": "peer_remove", "peer": "c", "dry_run": dry_run }),
        10 => json!({ "verb": "policy_override", "peer": other, "qkd": weaker,
                      "for_seconds": 1 + dice.below(2), "reason": "verbs at random" }),
        _ => json!({ "verb": "policy_end", "peer": other }),
    }
}

/// One client asks until it is told to stop; gives what it was answered.
fn chatter(socket: &Path, seed: u64, sections: &str, stop: &AtomicBool) -> BTreeMap<String, usize> {
    let (mut client, mut dice) = (Client::of(socket), Dice::new(seed));
    let pause = Duration::from_secs(CLIENTS) / A_SECOND;
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        client.ask(&verb(&mut dice, sections));
        due += pause;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    client.answers
}

/// Puts another file in its place every now and then: with `c` or without, with another keepalive for `b`. And a signal asks for a
/// reload or a rekey.
fn rewrite(files: &[String; 3], path: &Path, keeper: Pid, stop: &AtomicBool) {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let beside = path.with_extension("new");
        std::fs::write(&beside, &files[round % files.len()]).unwrap();
        std::fs::rename(&beside, path).unwrap();
        if round % 3 == 0 {
            kill(keeper, [Signal::SIGHUP, Signal::SIGUSR1][round / 3 % 2]).unwrap();
        }
        round += 1;
        std::thread::sleep(Duration::from_millis(70));
    }
}

/// Says every ten seconds what the process holds.
fn watch_memory(packets: Pid, stop: &AtomicBool) {
    let begun = Instant::now();
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
        if begun.elapsed().as_secs() / 10 > said {
            said = begun.elapsed().as_secs() / 10;
            eprintln!("after {said}0 s: {:?}, {} KiB", held(packets), resident_kib(packets));
        }
    }
}

/// The file with `b` alone, with another keepalive, and with `c`.
fn files(hub: &mut Hub) -> [String; 3] {
    let alone = hub.a.config.render();
    hub.a.config.peers[0].more.push("keepalive = \"20s\"".to_owned());
    let keepalive = hub.a.config.render();
    hub.a.config.peers[0].more.clear();
    let with_c = format!("{alone}{}", sections_of_c(hub.dir.path()));
    [alone, keepalive, with_c]
}

/// The file is read for the last time, once nobody else does so.
fn settle(site: &Site, client: &mut Client) {
    wait_for("the last reload", Duration::from_secs(10), || {
        let answer = client.ask(&json!({ "verb": "reload" }));
        (answer["answer"] == "reloaded").then_some(())
    });
    client.ask(&json!({ "verb": "policy_end", "peer": "c" }));
    let said = site.run(&["reload", site.name, "--dry-run"]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("nothing is another"), "{said:?}");
}

#[test]
fn a_hundred_verbs_a_second_under_traffic_and_nobody_waits_or_loses() {
    if !runnable("a_hundred_verbs_a_second_under_traffic_and_nobody_waits_or_loses") {
        return;
    }
    let seconds = std::env::var("PLAIT_VERBS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let lasts = seconds.map_or(LASTS, Duration::from_secs);
    let mut hub = Hub::up_without_c();
    let files = files(&mut hub);
    let (keeper, packets) = (hub.a.daemon().pid(), hub.a.daemon().part("plait-packets"));
    let (dir, path) = (hub.dir.path().to_path_buf(), hub.a.file("toml"));
    let (socket, sections): (PathBuf, String) = (dir.join("run/a.sock"), sections_of_c(&dir));
    let _echoes = ["b", "c"].map(|name| Echo::start(&hub.net, name));
    let flow = Flow::start(&hub.net, "a", inner4(2), Duration::from_millis(5));
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let (fate, answers) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| {
                scope.spawn({
                    let (socket, sections, stop) = (&socket, &sections, &stop);
                    move || chatter(socket, seed + 1, sections, stop)
                })
            })
            .collect();
        scope.spawn(|| rewrite(&files, &path, keeper, &stop));
        scope.spawn(|| watch_memory(packets, &stop));
        let count = u64::from(PACKETS_A_SECOND) * lasts.as_secs();
        let fate = paced(&hub.net, "a", "b", inner4(2), PACKETS_A_SECOND, count);
        stop.store(true, Ordering::Relaxed);
        let answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        (fate, answers)
    });
    let took = begun.elapsed();
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for (kind, count) in answers.into_iter().flatten() {
        *all.entry(kind).or_default() += count;
    }
    let asked: usize = all.values().sum();
    println!("{asked} verbs in {took:?}: {all:#?}");
    assert_eq!(fate, Fate::default(), "of what b was sent");
    std::fs::write(&path, &files[2]).unwrap();
    settle(&hub.a, &mut Client::of(&socket));
    let pings_of_b = flow.stop();
    assert_eq!((pings_of_b.lost(), pings_of_b.duplicates), (0, 0), "of {}", pings_of_b.sent());
    hub.a.wait_state(&["HYBRID"], Duration::from_secs(70));
    let status = hub.a.status();
    let names: Vec<&str> =
        status.json["peers"].as_array().unwrap().iter().filter_map(|peer| peer["name"].as_str()).collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(pings(&hub.net, "a", inner4(3), 50, Duration::from_millis(10)).lost(), 0);
    for site in [2, 3] {
        let routes = hub.net.ip("a", "route show dev a") + &hub.net.ip("a", "-6 route show dev a");
        assert!(
            routes.contains(&format!("{} ", inner4(site))) && routes.contains(&format!("{} ", inner6(site))),
            "{routes}"
        );
    }
    for kind in [
        "status status",
        "live live",
        "reload reloaded",
        "peer_add reloaded",
        "peer_remove reloaded",
        "rekey done",
        "policy_override done",
    ] {
        assert!(all.contains_key(kind), "{kind}: {all:?}");
    }
}
