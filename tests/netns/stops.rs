//! A process that stands still for a while (SIGSTOP, as a suspended machine does): traffic goes on soon after, and under no key
//! whose time is over.

use crate::capture::{Capture, Wire};
use crate::topology::{inner4, outer4, runnable};
use crate::traffic::{Echo, Flow};
use crate::world::World;
use nix::sys::signal::{Signal, kill};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a process stands still; `PLAIT_STOP_SECONDS` sets another, for a night: 30, or 130, which no epoch outlives here.
const STOPPED: Duration = Duration::from_secs(1);
/// An epoch's life: a rekey each 2 s, and 120 s after that was due (PROTOCOL 2.9).
const EPOCH_LIFE: Duration = Duration::from_secs(122);
/// 3 s are asked for; the figures are printed, and this is for a machine that does much else beside.
const AGAIN_WITHIN: Duration = Duration::from_secs(20);
/// First bytes of datagrams that hold inner packets (PROTOCOL 2.9); 17 is control: an end says CLOSE under its last key.
const DATA: [u8; 3] = [16, 18, 19];
/// Where they name the epoch: the receiver's index (PROTOCOL 2.9).
const INDEX: std::ops::Range<usize> = 4..8;

/// The epochs under which site 1 sent data.
fn epochs(wire: &Wire) -> BTreeSet<Vec<u8>> {
    let of_a = wire.datagrams(51900).into_iter().filter(|datagram| datagram.from.ip() == outer4(1));
    let data = of_a.filter(|datagram| datagram.bytes.first().is_some_and(|kind| DATA.contains(kind)));
    data.filter_map(|datagram| datagram.bytes.get(INDEX).map(<[u8]>::to_vec)).collect()
}

fn stopped() -> Duration {
    let seconds = std::env::var("PLAIT_STOP_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or(STOPPED, Duration::from_secs)
}

#[test]
fn packets_go_on_after_their_process_stood_still() {
    if !runnable("packets_go_on_after_their_process_stood_still") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let before = Capture::start(&world.net, "wan");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(10));
    std::thread::sleep(Duration::from_secs(1));
    let packets = world.a.daemon().part("plait-packets");
    kill(packets, Signal::SIGSTOP).unwrap();
    std::thread::sleep(stopped());
    let (before, after) = (epochs(&before.stop()), Capture::start(&world.net, "wan"));
    let goes_on = Instant::now();
    kill(packets, Signal::SIGCONT).unwrap();
    world.both(&["HYBRID"], AGAIN_WITHIN);
    let hybrid = goes_on.elapsed();
    std::thread::sleep(Duration::from_secs(1));
    let took = flow.stop().first_answer_after(goes_on).expect("traffic again") - goes_on;
    println!("stopped for {:?}: traffic again after {took:?}, both HYBRID after {hybrid:?}", stopped());
    assert!(took < AGAIN_WITHIN, "{took:?}");
    let after = epochs(&after.stop());
    assert!(!before.is_empty() && !after.is_empty());
    if stopped() > EPOCH_LIFE {
        assert!(before.is_disjoint(&after), "data under an epoch after its life: {before:?}, {after:?}");
    }
}

#[test]
fn a_key_whose_time_passed_while_the_process_stood_still_seals_nothing() {
    if !runnable("a_key_whose_time_passed_while_the_process_stood_still_seals_nothing") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.set_policy("hold_last", "\"4s\"");
    world.up_hybrid();
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(10));
    world.pair.kill();
    world.both(&["HOLDOVER"], Duration::from_secs(20));
    let capture = Capture::start(&world.net, "wan");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!epochs(&capture.stop()).is_empty(), "the last keys are still used");
    let packets = world.a.daemon().part("plait-packets");
    kill(packets, Signal::SIGSTOP).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let capture = Capture::start(&world.net, "wan");
    kill(packets, Signal::SIGCONT).unwrap();
    world.a.wait_state(&["BLOCKED"], AGAIN_WITHIN);
    assert_eq!(epochs(&capture.stop()), BTreeSet::new(), "data under the last keys after `hold_last`");
    flow.stop();
}

#[test]
fn while_the_keeper_stands_still_packets_pass() {
    if !runnable("while_the_keeper_stands_still_packets_pass") {
        return;
    }
    let (mut world, _echo, flow) = World::carrying("1s");
    let epoch = world.a.status().epoch()["number"].as_u64();
    world.a.daemon().signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(3).max(stopped()));
    assert!(world.a.status().epoch()["number"].as_u64() > epoch, "rekeys go on");
    // What is asked of it meanwhile is done when it goes on.
    world.a.config.peers[0].allowed_ips.push("10.77.0.0/24".to_owned());
    world.a.write();
    let keeper = world.a.daemon().pid();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| world.a.run(&["reload", "a"]));
        std::thread::sleep(Duration::from_secs(1));
        kill(keeper, Signal::SIGCONT).unwrap();
        let output = asked.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    assert!(world.net.ip("a", "route show dev a").contains("10.77.0.0/24"));
    let pings = flow.stop();
    assert_eq!((pings.lost(), pings.duplicates), (0, 0), "of {}", pings.sent());
}
