//! IPv4 and IPv6 outside and inside: HYBRID at both ends, the same words, nothing in clear.

use crate::capture::Capture;
use crate::topology::{inner4, inner6, outer6, runnable};
use crate::traffic::{CANARY, Echo, large_pings, pings};
use crate::world::World;
use std::time::Duration;

const FAST: Duration = Duration::from_millis(5);

/// Both inner protocols over whatever is outside; the wire shows neither addresses nor content.
fn carries_both(mut world: World) {
    let capture = Capture::start(&world.net, "wan");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    for inner in [inner4(2), inner6(2)] {
        let report = pings(&world.net, "a", inner, 200, FAST);
        assert_eq!((report.sent(), report.lost(), report.duplicates), (200, 0, 0), "{inner}");
    }
    // UDP payloads that fill the inner MTU of 1420 to the byte, over IPv4 and over IPv6.
    assert_eq!(large_pings(&world.net, "a", inner4(2), 50, 1420 - 28).lost(), 0);
    assert_eq!(large_pings(&world.net, "a", inner6(2), 50, 1420 - 48).lost(), 0);
    let wire = capture.stop();
    assert!(wire.datagrams(51900).len() > 800, "the capture saw the tunnel");
    assert_eq!(wire.holding(CANARY), 0);
    assert_eq!(wire.naming(&[inner4(1), inner4(2), inner6(1), inner6(2)]), 0);
    assert_eq!(wire.strangers(51900), 0);
}

#[test]
fn over_ipv4() {
    if runnable("over_ipv4") {
        carries_both(World::new());
    }
}

#[test]
fn over_ipv6() {
    if !runnable("over_ipv6") {
        return;
    }
    let mut world = World::new();
    world.a.config.peers[0].endpoint = Some(format!("[{}]:51900", outer6(2)));
    world.b.config.peers[0].endpoint = Some(format!("[{}]:51900", outer6(1)));
    carries_both(world);
}

#[test]
fn both_ends_show_the_same_epoch() {
    if !runnable("both_ends_show_the_same_epoch") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let (a, b) = world.same_epoch();
    assert_eq!(a.key_ids(), b.key_ids());
    assert_eq!(a.key_ids().len(), 1);
    assert_eq!(a.mixed(), b.mixed());
    for secret in ["x25519", "ml-kem-1024", "fibre-1"] {
        assert!(a.mixed().iter().any(|mixed| mixed == secret), "{:?} lacks {secret}", a.mixed());
    }
    assert_eq!((a.code, b.code), (0, 0));
    assert_eq!(a.json["schema"], 1);
    assert_eq!(a.json["interface"], "a");
    assert_eq!(a.peer()["effective_qkd"], "required");
    assert_eq!(a.json["sources"][0]["tls"], "TLSv1.3 X25519MLKEM768");
}

#[test]
fn one_end_without_an_endpoint_learns_it() {
    if !runnable("one_end_without_an_endpoint_learns_it") {
        return;
    }
    let mut world = World::new();
    world.b.config.peers[0].endpoint = None;
    world.up_hybrid();
    let (_, b) = world.same_epoch();
    assert_eq!(b.peer()["endpoint"], "10.1.1.1:51900");
    let _echo = Echo::start(&world.net, "a");
    assert_eq!(pings(&world.net, "b", inner4(1), 50, FAST).lost(), 0);
}

#[test]
fn counters_agree_with_what_was_sent() {
    if !runnable("counters_agree_with_what_was_sent") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let before = world.a.status();
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 100, FAST).lost(), 0);
    let after = world.a.status();
    let grown =
        |key: &str| after.peer()["transfer"][key].as_u64().unwrap() - before.peer()["transfer"][key].as_u64().unwrap();
    // The kernel may send a packet of its own (router solicitation, multicast reports) through a new interface.
    assert!((100..=104).contains(&grown("sent_packets")), "{}", grown("sent_packets"));
    assert!((100..=104).contains(&grown("received_packets")), "{}", grown("received_packets"));
    assert!((9200..=9800).contains(&grown("received_bytes")), "{}", grown("received_bytes"));
}
