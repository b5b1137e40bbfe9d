//! The daemon is three processes: one keeps its rights and sees no packet, one reads packets, one speaks to KMEs, and these two have no right.

use crate::process::{Process, wait_for};
use crate::site::Status;
use crate::topology::runnable;
use crate::vitals::descriptors;
use crate::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What /proc says of a process, and of each of its threads.
fn statuses(pid: Pid) -> Vec<BTreeMap<String, String>> {
    let read = |folder: std::fs::DirEntry| {
        let text = std::fs::read_to_string(folder.path().join("status")).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn who_reads_packets_has_no_right_and_no_file_but_its_own() {
    if !runnable("who_reads_packets_has_no_right_and_no_file_but_its_own") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let packets = world.a.daemon().part("plait-packets");
    let threads = statuses(packets);
    assert!(threads.len() >= 4, "{} threads", threads.len());
    for thread in &threads {
        for set in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
            assert_eq!(thread[set], "0000000000000000", "{set} of {}", thread["Name"]);
        }
        assert_eq!((thread["Seccomp"].as_str(), thread["NoNewPrivs"].as_str()), ("2", "1"), "{}", thread["Name"]);
    }
    let own = std::fs::canonicalize(world.a.file("log")).unwrap().parent().unwrap().to_owned();
    for open in descriptors(packets) {
        let text = open.to_string_lossy().into_owned();
        let is_no_file = ["socket:", "pipe:", "anon_inode:"].iter().any(|kind| text.starts_with(kind));
        let is_device = ["/dev/net/tun", "/dev/null"].contains(&text.as_str());
        let is_key = text.ends_with(".key") || text.ends_with(".pem") || text.ends_with(".toml");
        assert!(is_no_file || is_device || (open.starts_with(&own) && !is_key), "open: {text}");
    }
    let status = world.a.status().json;
    for measure in ["capabilities", "no_new_privileges", "system_calls", "files", "memory", "secrets"] {
        assert_eq!(status["sandbox"][measure]["on"], true, "{status:#}");
    }
}

#[test]
fn packet_threads_run_before_applications_and_nothing_else_does() {
    if !runnable("packet_threads_run_before_applications_and_nothing_else_does") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    only_packet_threads_are_preferred(world.a.daemon());
}

/// Nice -10 and 0, as /proc shows it.
pub(crate) fn only_packet_threads_are_preferred(daemon: &Process) {
    for name in ["plait-packets", "plait-keys"] {
        for thread in std::fs::read_dir(format!("/proc/{}/task", daemon.part(name))).unwrap() {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            let (of, rest) = stat.rsplit_once(')').unwrap();
            // The 19th field of proc_pid_stat(5), counted behind the name.
            let nice = rest.split_whitespace().nth(16).unwrap();
            let is_pump = ["seal-", "open-", "starter"].iter().any(|name| of.contains(&format!("(plait-{name}")));
            assert_eq!(nice, if is_pump { "-10" } else { "0" }, "{stat}");
        }
    }
}

#[test]
fn who_keeps_its_rights_sees_no_packet() {
    if !runnable("who_keeps_its_rights_sees_no_packet") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let packets = world.a.daemon().part("plait-packets");
    let keeper = statuses(packets)[0]["PPid"].parse().map(Pid::from_raw).unwrap();
    assert_eq!(statuses(keeper).len(), 1, "one thread");
    let open = descriptors(keeper);
    assert!(!open.iter().any(|file| file.ends_with("tun")), "{open:?}");
    let bound = |pid: Pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/udp6")).unwrap();
        let inodes = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9)).collect::<Vec<_>>();
        let open = descriptors(pid);
        inodes.iter().filter(|inode| open.contains(&PathBuf::from(format!("socket:[{inode}]")))).count()
    };
    assert_eq!((bound(keeper), bound(packets)), (0, 1), "the socket of the datagrams");
}

#[test]
fn one_process_does_not_go_on_without_the_other() {
    if !runnable("one_process_does_not_go_on_without_the_other") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let packets = world.a.daemon().part("plait-packets");
    kill(packets, Signal::SIGKILL).unwrap();
    let ended = wait_for("the end of the keeper", Duration::from_secs(5), || world.a.daemon().ended());
    assert_eq!(ended.code(), Some(8), "{}", world.a.log());
    assert!(world.a.log().contains("the packet process was ended by SIGKILL"), "{}", world.a.log());
    world.a.kill();
    // A keeper that is killed takes the other with it: `kill` waits for that.
    world.a.up();
    world.both(&["HYBRID"], Duration::from_secs(40));
    world.a.kill();
    world.a.up();
    world.both(&["HYBRID"], Duration::from_secs(40));
}

#[test]
fn who_speaks_to_kmes_has_no_right_no_packet_and_no_file() {
    if !runnable("who_speaks_to_kmes_has_no_right_no_packet_and_no_file") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let keys = world.a.daemon().part("plait-keys");
    for thread in &statuses(keys) {
        for set in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
            assert_eq!(thread[set], "0000000000000000", "{set} of {}", thread["Name"]);
        }
        assert_eq!((thread["Seccomp"].as_str(), thread["NoNewPrivs"].as_str()), ("2", "1"), "{}", thread["Name"]);
    }
    let log = std::fs::canonicalize(world.a.file("log")).unwrap();
    for open in descriptors(keys) {
        let text = open.to_string_lossy().into_owned();
        let is_no_file = ["socket:", "pipe:", "anon_inode:"].iter().any(|kind| text.starts_with(kind));
        assert!(is_no_file || open == log || text == "/dev/null", "open: {text}");
    }
    let environment = std::fs::read(format!("/proc/{keys}/environ")).unwrap();
    let names = environment.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    for name in names.map(|text| String::from_utf8_lossy(text).into_owned()) {
        assert!(
            ["PLAIT_", "JOURNAL_STREAM=", "LD_LIBRARY_PATH=", "LD_PRELOAD="]
                .iter()
                .any(|known| name.starts_with(known)),
            "{name}"
        );
    }
    let status = world.a.status().json;
    for measure in ["capabilities", "no_new_privileges", "system_calls", "files", "memory", "secrets"] {
        assert_eq!(status["keys_sandbox"][measure]["on"], true, "{status:#}");
    }
    // The connections to the KME are its own, and none is that of the packets.
    let connected = |pid: Pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap()
            + &std::fs::read_to_string(format!("/proc/{pid}/net/tcp6")).unwrap();
        let open = descriptors(pid);
        let inodes = text.lines().filter_map(|line| line.split_whitespace().nth(9));
        inodes.filter(|inode| open.contains(&PathBuf::from(format!("socket:[{inode}]")))).count()
    };
    let packets = world.a.daemon().part("plait-packets");
    assert!(connected(keys) >= 1 && connected(packets) == 0);
}

#[test]
fn a_keys_process_that_is_killed_costs_no_packet_and_keys_come_again() {
    if !runnable("a_keys_process_that_is_killed_costs_no_packet_and_keys_come_again") {
        return;
    }
    let (mut world, _echo, flow) = World::carrying("2s");
    for killed in 1..=2 {
        let keys = world.a.daemon().part("plait-keys");
        let used = world.a.status().source_number("keys_used");
        kill(keys, Signal::SIGKILL).unwrap();
        let is_back =
            |status: &Status| status.json["keys_restarts"] == killed && status.source_number("keys_used") > used;
        world.a.wait_status("keys again", Duration::from_secs(40), is_back);
        world.both(&["HYBRID"], Duration::from_secs(40));
    }
    let report = flow.stop();
    assert_eq!((report.lost(), report.duplicates), (0, 0), "of {}", report.sent());
    let log = world.a.log();
    assert!(log.contains("the keys process has ended (signal: 9 (SIGKILL)"), "{log}");
    let told = world.a.run(&["events", "a"]).stdout;
    assert!(String::from_utf8_lossy(&told).contains("the keys process ended and was started again"));
}

#[test]
fn a_keys_process_that_stands_still_is_told_and_another_takes_its_place() {
    if !runnable("a_keys_process_that_stands_still_is_told_and_another_takes_its_place") {
        return;
    }
    let (mut world, _echo, flow) = World::carrying("2s");
    let keys = world.a.daemon().part("plait-keys");
    kill(keys, Signal::SIGSTOP).unwrap();
    let failed = |status: &Status| status.source_number("requests_failed") >= 1;
    world.a.wait_status("the request is given up", Duration::from_secs(40), failed);
    let used = world.a.status().source_number("keys_used");
    let is_back = |status: &Status| status.json["keys_restarts"] == 1 && status.source_number("keys_used") > used;
    world.a.wait_status("keys again", Duration::from_secs(60), is_back);
    world.both(&["HYBRID"], Duration::from_secs(40));
    let report = flow.stop();
    assert_eq!((report.lost(), report.duplicates), (0, 0), "of {}", report.sent());
}
