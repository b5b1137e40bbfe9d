//! What happens to the interfaces and routes under a running daemon: traffic is back soon after, or the daemon ends and says why.

use crate::process::wait_for;
use crate::topology::{inner4, inner6, runnable};
use crate::traffic::{Echo, Flow, pings};
use crate::vitals::{processes, processor_time};
use crate::world::World;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long each fault lasts.
const LASTS: Duration = Duration::from_millis(500);
/// Between the end of one and the next: traffic is back long before.
const BETWEEN: Duration = Duration::from_millis(1000);
/// As is asked for, and a little for a machine that does much else beside.
const AGAIN_WITHIN: Duration = Duration::from_secs(3);

/// A fault at site `a`, and its end: arguments of `ip` in the namespace of that name.
struct Fault {
    name: &'static str,
    begins: &'static [(&'static str, &'static str)],
    ends: &'static [(&'static str, &'static str)],
}

const ROUTE: (&str, &str) = ("a", "route replace 10.1.0.0/16 via 10.1.1.254");

/// Of the path under the tunnel.
const UNDERLAY: [Fault; 9] = [
    Fault {
        name: "link down",
        begins: &[("a", "link set dev wan down")],
        ends: &[("a", "link set dev wan up"), ROUTE],
    },
    Fault { name: "no carrier", begins: &[("wan", "link set dev a down")], ends: &[("wan", "link set dev a up")] },
    Fault {
        name: "address gone",
        begins: &[("a", "addr del 10.1.1.1/24 dev wan")],
        ends: &[("a", "addr add 10.1.1.1/24 dev wan"), ROUTE],
    },
    Fault {
        name: "another address",
        begins: &[("a", "addr del 10.1.1.1/24 dev wan")],
        ends: &[("a", "addr add 10.1.1.7/24 dev wan"), ROUTE],
    },
    Fault {
        name: "the old address again",
        begins: &[("a", "addr del 10.1.1.7/24 dev wan")],
        ends: &[("a", "addr add 10.1.1.1/24 dev wan"), ROUTE],
    },
    Fault { name: "a route to nowhere", begins: &[("a", "route replace 10.1.0.0/16 via 10.1.1.253")], ends: &[ROUTE] },
    Fault { name: "no route", begins: &[("a", "route del 10.1.0.0/16")], ends: &[ROUTE] },
    Fault {
        name: "no default route",
        begins: &[
            ("a", "route replace default via 10.1.1.254"),
            ("a", "route del 10.1.0.0/16"),
            ("a", "route del default"),
        ],
        ends: &[("a", "route add default via 10.1.1.254"), ROUTE],
    },
    Fault {
        name: "a forbidden route",
        begins: &[("a", "route replace prohibit 10.1.0.0/16 metric 0")],
        ends: &[("a", "route del prohibit 10.1.0.0/16"), ROUTE],
    },
];

/// Of the interface of the tunnel.
const INTERFACE: [Fault; 5] = [
    Fault { name: "interface down", begins: &[("a", "link set dev a down")], ends: &[("a", "link set dev a up")] },
    Fault {
        name: "another MTU",
        begins: &[("a", "link set dev a mtu 1300")],
        ends: &[("a", "link set dev a mtu 1380")],
    },
    // What is taken off the interface is set again: nobody has to end this.
    Fault { name: "no address", begins: &[("a", "addr flush dev a")], ends: &[] },
    Fault {
        name: "no routes",
        begins: &[("a", "route del 10.20.0.0/16 dev a"), ("a", "-6 route del fd20::/48 dev a")],
        ends: &[],
    },
    Fault {
        name: "another name",
        begins: &[("a", "link set dev a name other")],
        ends: &[("a", "link set dev other name a")],
    },
];

/// A world in which networks lie behind `b`; gives an address in each.
fn with_networks() -> (World, [IpAddr; 2]) {
    let mut world = World::new();
    for (network, address) in [("10.20.0.0/16", "10.20.0.1/32"), ("fd20::/48", "fd20::1/128")] {
        world.a.config.peers[0].allowed_ips.push(network.to_owned());
        world.net.ip("b", &format!("addr add {address} dev lo"));
    }
    world.up_hybrid();
    (world, ["10.20.0.1".parse().unwrap(), "fd20::1".parse().unwrap()])
}

fn apply(world: &World, steps: &[(&str, &str)]) {
    for (namespace, arguments) in steps {
        world.net.ip(namespace, arguments);
    }
}

/// Has every fault happen under traffic; says how long traffic took to come back after each.
fn suffer(world: &World, faults: &[Fault], to: &[IpAddr]) {
    let start = |to: &IpAddr| Flow::start(&world.net, "a", *to, Duration::from_millis(10));
    let flows: Vec<Flow> = to.iter().map(start).collect();
    let mut ends = Vec::new();
    for fault in faults {
        apply(world, fault.begins);
        std::thread::sleep(LASTS);
        apply(world, fault.ends);
        ends.push(Instant::now());
        std::thread::sleep(BETWEEN);
    }
    let mut late = Vec::new();
    for (flow, to) in flows.into_iter().zip(to) {
        let pings = flow.stop();
        for (fault, ended) in faults.iter().zip(&ends) {
            let took = pings.first_answer_after(*ended).map(|at| at - *ended);
            eprintln!("{}: traffic to {to} again after {took:?}", fault.name);
            if took.is_none_or(|took| took > AGAIN_WITHIN) {
                late.push((fault.name, to, took));
            }
        }
    }
    assert!(late.is_empty(), "no traffic after {late:?}");
}

#[test]
fn faults_of_the_path_are_over_when_they_end() {
    if !runnable("faults_of_the_path_are_over_when_they_end") {
        return;
    }
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    suffer(&world, &UNDERLAY, &[inner4(2)]);
}

#[test]
fn faults_of_the_interface_are_over_when_they_end() {
    if !runnable("faults_of_the_interface_are_over_when_they_end") {
        return;
    }
    let (world, behind_b) = with_networks();
    let _echo = Echo::start(&world.net, "b");
    suffer(&world, &INTERFACE, &[&[inner4(2), inner6(2)], &behind_b[..]].concat());
}

#[test]
fn without_its_interface_the_daemon_ends_and_says_so() {
    if !runnable("without_its_interface_the_daemon_ends_and_says_so") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let _flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(1));
    let packets = world.a.daemon().part("plait-packets");
    let (before, begun) = (processor_time(packets).unwrap(), Instant::now());
    world.net.ip("a", "link del dev a");
    let mut spent = before;
    let status = wait_for("its end", Duration::from_secs(10), || {
        spent = processor_time(packets).unwrap_or(spent);
        world.a.daemon().ended()
    });
    println!("{status} after {:?}, with {:?} of a processor", begun.elapsed(), spent - before);
    assert_eq!(status.code(), Some(1), "{}", world.a.log());
    assert!(world.a.log().contains("plait-seal-1: "), "{}", world.a.log());
}

#[test]
fn an_interface_that_is_down_keeps_no_processor_busy() {
    if !runnable("an_interface_that_is_down_keeps_no_processor_busy") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let all = processes(&mut world.a);
    world.net.ip("a", "link set dev a down");
    std::thread::sleep(Duration::from_millis(300));
    let spent = || all.iter().map(|pid| processor_time(*pid).unwrap()).sum::<Duration>();
    let before = spent();
    std::thread::sleep(Duration::from_secs(1));
    let spent = spent() - before;
    eprintln!("an interface that is down: {spent:?} of a processor in a second");
    assert!(spent <= Duration::from_millis(50), "{spent:?}");
}

#[test]
fn an_interface_that_was_moved_away_ends_the_daemon() {
    if !runnable("an_interface_that_was_moved_away_ends_the_daemon") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    world.net.ip("a", &format!("link set dev a netns {}", world.net.name("b")));
    let status = wait_for("its end", Duration::from_secs(10), || world.a.daemon().ended());
    assert_eq!(status.code(), Some(1), "{}", world.a.log());
    assert!(world.a.log().contains("the interface a is not here any more"), "{}", world.a.log());
    assert!(!world.net.interfaces("b").contains(&"a".to_owned()), "it goes with the daemon, wherever it is");
}

#[test]
fn a_route_that_another_has_taken_does_not_keep_the_others_away() {
    if !runnable("a_route_that_another_has_taken_does_not_keep_the_others_away") {
        return;
    }
    let (world, behind_b) = with_networks();
    let _echo = Echo::start(&world.net, "b");
    world.net.ip("a", "link set dev a down");
    world.net.ip("a", "route add 10.20.0.0/16 via 10.1.1.254");
    world.net.ip("a", "link set dev a up");
    let routes = || world.net.ip("a", "-6 route show dev a");
    wait_for("the other route", Duration::from_secs(5), || routes().contains("fd20::/48").then_some(()));
    assert!(world.a.log().contains("a route to 10.20.0.0/16 exists through another interface"), "{}", world.a.log());
    world.net.ip("a", "route del 10.20.0.0/16 via 10.1.1.254");
    let passes = || pings(&world.net, "a", behind_b[0], 1, Duration::from_millis(100)).lost() == 0;
    wait_for("the route", Duration::from_secs(20), || passes().then_some(()));
}
