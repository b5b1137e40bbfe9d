//! A long life: daemons that start and stop again and again leave nothing, and one that lives on keeps nothing of what has gone.

use crate::process::wait_for;
use crate::site::Site;
use crate::topology::{Net, runnable};
use crate::vitals::{Held, held, processes, resident_kib};
use crate::world::World;
use nix::unistd::Pid;
use plait::types::limits::EVENTS_KEPT_MAX;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

/// Rounds of each test; `PLAIT_LIFE_ROUNDS` sets another number, for a night.
const ROUNDS: usize = 3;
/// Rounds before what is held is looked at first: tables fill, memory is laid out.
const FIRST: usize = 2;
/// A start after many others waits for the budget of key requests.
const HYBRID_WITHIN: Duration = Duration::from_secs(70);
/// Rounds from which on the slope of memory is judged: fewer show the noise of the allocator.
const SLOPE_FROM: usize = 100;
/// What memory may have grown by in each 200 rounds.
const GROWTH_KIB: i64 = 64;

fn rounds() -> usize {
    std::env::var("PLAIT_LIFE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// Everything that a daemon sets in a namespace.
fn set(net: &Net, namespace: &str) -> String {
    let ip = |what: &str| net.ip(namespace, what);
    let rules = net.inside(namespace, || Command::new("nft").args(["list", "ruleset"]).output().unwrap().stdout);
    let links = net.interfaces(namespace).join(" ");
    let kernels = [ip("route show table all"), ip("-6 route show table all"), ip("rule"), ip("-6 rule")];
    // Link-local addresses come in their own time.
    let kernels = kernels.concat().lines().filter(|line| !line.contains("fe80:")).collect::<Vec<_>>().join("\n");
    format!("{links}\n{kernels}\n{}", String::from_utf8(rules).unwrap())
}

/// Files of the run and state folders, without the locks, which stay, and without what belongs to the KMEs.
fn files(world: &World) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["run", "state/a", "state/b"] {
        let entries = std::fs::read_dir(world.path().join(folder)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        found.extend(names.filter(|name| !name.contains(".kme.")).map(|name| format!("{folder}/{name}")));
    }
    found
}

/// Whether a process that is not there any more still holds the lock of a name.
fn is_locked(world: &World, name: &str) -> bool {
    let path = world.path().join(format!("run/{name}.lock"));
    let file = std::fs::File::open(path).unwrap();
    nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockSharedNonblock).is_err()
}

#[test]
fn up_and_down_again_and_again_leaves_nothing() {
    if !runnable("up_and_down_again_and_again_leaves_nothing") {
        return;
    }
    let mut world = World::new();
    world.b.config.interface.push("killswitch = true".to_owned());
    world.set_policy("rekey", "\"1s\"");
    world.pair.up();
    let sites = ["a", "b"];
    let before = sites.map(|name| set(&world.net, name));
    let (mut left, mut kmes) = (BTreeSet::new(), None);
    for round in 0..rounds() {
        world.a.up();
        world.b.up();
        world.both(&["HYBRID"], HYBRID_WITHIN);
        assert_ne!(sites.map(|name| set(&world.net, name)), before, "there is something to be left");
        world.a.down();
        let opened = world.b.run(&["down", "b", "--open"]);
        assert!(opened.status.success(), "{opened:?}");
        let ended = wait_for("the end of b", Duration::from_secs(5), || world.b.daemon().ended());
        assert_eq!(ended.code(), Some(0), "{}", world.b.log());
        world.b.kill();
        assert_eq!(sites.map(|name| set(&world.net, name)), before, "after round {round}");
        assert_eq!(sites.map(|name| is_locked(&world, name)), [false, false], "after round {round}");
        if round + 1 == FIRST.min(rounds()) {
            (left, kmes) = (files(&world), Some(settled(&[world.pair.pid()])));
            assert!(left.iter().all(|name| !name.ends_with(".sock")), "{left:?}");
        }
    }
    assert_eq!(files(&world), left, "files after {FIRST} rounds and after all");
    comes_to(&[world.pair.pid()], &kmes.unwrap());
}

/// What processes hold once that has stood still for a second: connections linger after their ends.
fn settled(pids: &[Pid]) -> Vec<Held> {
    let look = || pids.iter().map(|pid| held(*pid)).collect::<Vec<_>>();
    wait_for("processes that stand still", Duration::from_secs(20), || {
        let first = look();
        let same = |_| {
            std::thread::sleep(Duration::from_millis(100));
            look() == first
        };
        (0..10).all(same).then_some(first)
    })
}

/// Waits until processes hold what they held.
fn comes_to(pids: &[Pid], before: &[Held]) {
    let look = || pids.iter().map(|pid| held(*pid)).collect::<Vec<_>>();
    let begun = std::time::Instant::now();
    while look() != before {
        assert!(begun.elapsed() < Duration::from_secs(20), "{before:?}, then {:?}", look());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn who_lives_on_keeps_nothing_of_sessions_and_connections_that_have_gone() {
    if !runnable("who_lives_on_keeps_nothing_of_sessions_and_connections_that_have_gone") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    let pids = processes(&mut world.a);
    let memory = || pids.iter().map(|pid| resident_kib(*pid)).collect::<Vec<_>>();
    let rounds = rounds();
    if rounds >= SLOPE_FROM {
        fill_history(&mut world.a);
    }
    let warm = FIRST.max(rounds / 4).min(rounds);
    let (mut before, mut first) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        new_session(&mut world);
        new_connection(&mut world);
        if round == warm {
            (before, first) = (settled(&pids), memory());
        }
        if round % 20 == 0 {
            println!("round {round}: {:?}, {:?} KiB", settled(&pids), memory());
        }
    }
    comes_to(&pids, &before);
    let last = memory();
    println!("{rounds} sessions and connections: {before:?}; {first:?} KiB after {warm}, {last:?} KiB after all");
    assert_eq!(processes(&mut world.a), pids, "the same processes");
    if rounds >= SLOPE_FROM {
        let allowed = GROWTH_KIB * i64::try_from(rounds.div_ceil(200)).unwrap();
        for (first, last) in first.iter().zip(&last) {
            assert!(last - first <= allowed, "{first} KiB after {warm} rounds, {last} KiB after {rounds}");
        }
    }
}

/// Events are kept up to a number, which the rounds alone do not reach: it is reached here, so that no growth is theirs.
fn fill_history(site: &mut Site) {
    site.config.interface.push("nothing = 1".to_owned());
    site.write();
    for _ in 0..EVENTS_KEPT_MAX {
        assert_eq!(site.run(&["reload", site.name]).status.code(), Some(6));
    }
    let told = site.run(&["events", site.name, "--json"]).stdout;
    assert_eq!(told.iter().filter(|byte| **byte == b'\n').count(), EVENTS_KEPT_MAX, "each refused reload is an event");
    site.config.interface.pop();
    site.reload();
}

/// The other end is killed and starts again.
fn new_session(world: &mut World) {
    let full = |site: &Site| site.status().peer()["handshakes"]["full"].as_u64().unwrap();
    let before = full(&world.a);
    world.b.kill();
    world.b.up();
    world.a.wait_status("another session", HYBRID_WITHIN, |status| {
        status.state() == "HYBRID" && status.peer()["handshakes"]["full"].as_u64() > Some(before)
    });
}

/// The KMEs are killed and start again; the next key comes over a new connection.
fn new_connection(world: &mut World) {
    world.pair.kill();
    world.pair.up();
    let used = world.a.status().source_number("keys_used");
    world.a.wait_status("a key over a new connection", HYBRID_WITHIN, |status| {
        status.state() == "HYBRID" && status.source_number("keys_used") > used
    });
}
