//! The quantum link is cut: what each policy lets through, for how long, and how it comes back.

use crate::capture::{Capture, Datagram};
use crate::topology::{inner4, inner6, runnable};
use crate::traffic::{CANARY, Echo, Flow, pings};
use crate::world::{HYBRID_WITHIN, World};
use std::time::{Duration, Instant};

const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);
/// From the cut until a stock of four keys is used up and a rekey finds none: rekeys at 2 s, with margin.
const SHORT_WITHIN: Duration = Duration::from_secs(25);
/// Unaided recovery after the repair: the longest probe time is 60 s (PROTOCOL 2.8a).
const RECOVERED_WITHIN: Duration = Duration::from_secs(70);

/// A world whose stock lasts a few rekeys of 2 s.
fn short_of_keys(policy: &str) -> World {
    let mut world = World::new();
    world.pair.stock(4, 10);
    world.set_policy("qkd", &format!("\"{policy}\""));
    world.set_policy("rekey", "\"2s\"");
    world
}

#[test]
fn required_holds_over_then_blocks_then_recovers() {
    if !runnable("required_holds_over_then_blocks_then_recovers") {
        return;
    }
    let mut world = short_of_keys("required");
    world.set_policy("hold_last", "\"5s\"");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), HUNDRED_A_SECOND);
    world.pair.cut();
    let status = world.a.wait_state(&["HOLDOVER"], SHORT_WITHIN);
    let held = Instant::now();
    assert_eq!(status.code, 5);
    assert!(
        status.peer()["deadline_seconds"].as_f64().is_some_and(|left| left > 3.0 && left <= 5.0),
        "{}",
        status.peer()
    );
    world.b.wait_state(&["HOLDOVER"], Duration::from_secs(1));
    let mut blocked = [None; 2];
    while blocked.contains(&None) {
        for (site, at) in [&world.a, &world.b].into_iter().zip(&mut blocked) {
            let status = site.status();
            if at.is_none() && status.state() == "BLOCKED" {
                assert_eq!(status.code, 1);
                *at = Some(held.elapsed());
            }
        }
        assert!(held.elapsed() < Duration::from_secs(8), "not BLOCKED at both ends: {blocked:?}");
    }
    for at in blocked.into_iter().flatten() {
        assert!((4.0..=6.0).contains(&at.as_secs_f64()), "BLOCKED {at:?} after the first rekey without a key");
    }
    let (capture, begun) = (Capture::start(&world.net, "wan"), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let (ended, wire) = (Instant::now(), capture.stop());
    assert_eq!(wire.holding(CANARY), 0);
    assert_eq!(wire.naming(&[inner4(1), inner4(2), inner6(1), inner6(2)]), 0);
    // An end that blocks says CLOSE under type 17 (PROTOCOL 2.8a); nothing that carries inner packets is left.
    let carries = |datagram: &&Datagram| datagram.bytes.first().is_some_and(|kind| [16, 18, 19].contains(kind));
    let data = wire.datagrams(51900).iter().filter(carries).count();
    assert_eq!(data, 0, "data packets while BLOCKED");
    world.pair.repair();
    world.both(&["HYBRID"], RECOVERED_WITHIN);
    let report = flow.stop();
    let (sent, lost) = report.between(begun, ended);
    assert!(sent > 250 && sent == lost, "BLOCKED let {} of {sent} pings through", sent - lost);
    assert!(report.between(held - Duration::from_secs(1), held + Duration::from_secs(3)).1 == 0, "HOLDOVER lost pings");
    assert_eq!(pings(&world.net, "a", inner4(2), 100, HUNDRED_A_SECOND).lost(), 0);
}

#[test]
fn preferred_goes_on_degraded_then_recovers() {
    if !runnable("preferred_goes_on_degraded_then_recovers") {
        return;
    }
    let mut world = short_of_keys("preferred");
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), HUNDRED_A_SECOND);
    world.pair.cut();
    let (a, b) = world.both(&["DEGRADED"], SHORT_WITHIN);
    assert_eq!((a.code, b.code), (5, 5));
    std::thread::sleep(Duration::from_secs(6));
    let (a, _) = world.same_epoch();
    assert_eq!(a.state(), "DEGRADED");
    assert!(!a.mixed().iter().any(|mixed| mixed == "fibre-1"), "{:?}", a.mixed());
    world.pair.repair();
    world.both(&["HYBRID"], RECOVERED_WITHIN);
    let report = flow.stop();
    assert_eq!((report.lost(), report.duplicates), (0, 0), "of {}", report.sent());
}

#[test]
fn degrade_for_ends_in_blocked() {
    if !runnable("degrade_for_ends_in_blocked") {
        return;
    }
    let mut world = short_of_keys("preferred");
    world.set_policy("degrade_for", "\"4s\"");
    world.up_hybrid();
    world.pair.cut();
    world.both(&["DEGRADED"], SHORT_WITHIN);
    world.both(&["BLOCKED"], Duration::from_secs(6));
    let _echo = Echo::start(&world.net, "b");
    let report = pings(&world.net, "a", inner4(2), 100, HUNDRED_A_SECOND);
    assert_eq!(report.lost(), 100);
    world.pair.repair();
    world.both(&["HYBRID"], RECOVERED_WITHIN);
}

#[test]
fn the_stricter_policy_holds_at_both_ends() {
    if !runnable("the_stricter_policy_holds_at_both_ends") {
        return;
    }
    let mut world = short_of_keys("preferred");
    world.a.config.set_policy("qkd", "\"required\"");
    world.a.config.set_policy("hold_last", "\"3s\"");
    world.up_hybrid();
    let (a, b) = world.same_epoch();
    assert_eq!((&a.peer()["effective_qkd"], &b.peer()["effective_qkd"]), (&"required".into(), &"required".into()));
    assert_eq!((&a.peer()["peer_qkd"], &b.peer()["peer_qkd"]), (&"preferred".into(), &"required".into()));
    world.pair.cut();
    world.both(&["HOLDOVER", "BLOCKED"], SHORT_WITHIN);
    world.both(&["BLOCKED"], Duration::from_secs(6));
}

#[test]
fn off_at_both_ends_asks_no_kme() {
    if !runnable("off_at_both_ends_asks_no_kme") {
        return;
    }
    let mut world = World::new();
    world.set_policy("qkd", "\"off\"");
    world.up();
    world.both(&["OFF"], HYBRID_WITHIN);
    let (a, b) = world.same_epoch();
    assert_eq!((a.code, b.code), (0, 0));
    assert_eq!(a.key_ids(), []);
    assert_eq!((a.source_number("keys_used"), b.source_number("keys_used")), (0, 0));
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 100, HUNDRED_A_SECOND).lost(), 0);
}

#[test]
fn required_without_any_kme_never_passes_a_packet() {
    if !runnable("required_without_any_kme_never_passes_a_packet") {
        return;
    }
    let mut world = World::new();
    let capture = Capture::start(&world.net, "wan");
    world.a.up();
    world.b.up();
    let _echo = Echo::start(&world.net, "b");
    let report = pings(&world.net, "a", inner4(2), 800, HUNDRED_A_SECOND);
    assert_eq!(report.lost(), 800);
    let wire = capture.stop();
    assert_eq!((wire.holding(CANARY), wire.strangers(51900)), (0, 0));
    assert_eq!(world.a.status().code, 1);
    world.pair.up();
    world.both(&["HYBRID"], RECOVERED_WITHIN);
}

#[test]
fn the_policy_clock_survives_a_restart() {
    if !runnable("the_policy_clock_survives_a_restart") {
        return;
    }
    let mut world = short_of_keys("required");
    world.set_policy("hold_last", "\"20s\"");
    world.up_hybrid();
    world.pair.cut();
    world.both(&["HOLDOVER"], SHORT_WITHIN);
    std::thread::sleep(Duration::from_secs(8));
    world.a.down();
    world.a.up();
    // A fresh clock would leave 20 s; the kept one has at most 12.
    world.b.wait_state(&["BLOCKED"], Duration::from_secs(14));
    assert_ne!(world.a.status().state(), "HYBRID");
}
