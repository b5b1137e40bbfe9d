//! Descriptors run out: packets go on, what needs a new descriptor says so, and all is well again once there are some.

use crate::process::wait_for;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, Flow};
use crate::vitals::held;
use crate::world::World;
use nix::unistd::Pid;
use std::process::Command;
use std::time::Duration;

const FAST: Duration = Duration::from_millis(10);

/// Sets how many descriptors a process may have (prlimit(1)).
fn allow(pid: Pid, descriptors: &str) {
    let done = Command::new("prlimit").arg(format!("--pid={pid}")).arg(format!("--nofile={descriptors}")).status();
    assert!(done.unwrap().success());
}

#[test]
fn without_descriptors_packets_pass_and_with_them_all_is_well_again() {
    if !runnable("without_descriptors_packets_pass_and_with_them_all_is_well_again") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let packets = world.a.daemon().part("plait-packets");
    let before = held(packets);
    let flow = Flow::start(&world.net, "a", inner4(2), FAST);
    allow(packets, "3:4096");
    // A connection that is needed anew, and a request of somebody.
    world.pair.kill();
    world.pair.up();
    let asked = world.a.run(&["status", "a"]);
    assert_eq!(asked.status.code(), Some(4), "{asked:?}");
    std::thread::sleep(Duration::from_secs(4));
    assert!(world.a.daemon().ended().is_none(), "{}", world.a.log());
    allow(packets, "4096:4096");
    world.both(&["HYBRID"], Duration::from_secs(70));
    let pings = flow.stop();
    println!("{} of {} pings lost", pings.lost(), pings.sent());
    assert_eq!(pings.lost(), 0, "of {}", pings.sent());
    let log = world.a.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("Too many open files")).collect();
    let loud = |line: &&&str| line.contains("WARN") || line.contains("ERROR");
    assert!((1..=20).contains(&told.iter().filter(loud).count()), "{told:#?}");
    let after = wait_for("as many descriptors as before", Duration::from_secs(20), || {
        Some(held(packets)).filter(|after| *after == before)
    });
    assert_eq!(after, before);
}

#[test]
fn a_start_with_too_few_descriptors_says_so_and_leaves_nothing() {
    if !runnable("a_start_with_too_few_descriptors_says_so_and_leaves_nothing") {
        return;
    }
    let mut world = World::new();
    world.pair.up();
    let links = world.net.interfaces("a");
    for limit in [16, 40, 127] {
        world.a.through = vec!["prlimit".to_owned(), format!("--nofile={limit}:{limit}")];
        world.a.launch();
        let ended = wait_for("its end", Duration::from_secs(10), || world.a.daemon().ended());
        let log = world.a.log();
        assert_eq!(ended.code(), Some(1), "{limit}: {log}");
        assert!(log.contains(&format!("may have {limit}, and a daemon needs 128: raise the limit")), "{limit}: {log}");
        assert_eq!(world.net.interfaces("a"), links, "{limit}");
        world.a.kill();
    }
    // What is needed is enough, also for all that can be asked of it at once; of a lower limit as much is used as is allowed.
    world.a.through = vec!["prlimit".to_owned(), "--nofile=16:128".to_owned()];
    world.a.up();
    world.b.up();
    world.both(&["HYBRID"], Duration::from_secs(20));
}
