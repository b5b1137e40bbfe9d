//! A rekey every second under load: nothing is lost, doubled, overtaken or changed.

use crate::load::{Fate, paced, stream};
use crate::site::Status;
use crate::topology::{inner4, inner6, runnable};
use crate::world::World;
use std::time::Duration;

const PACKETS_A_SECOND: u32 = 20_000;
const SECONDS: u64 = 10;

fn rekeying() -> World {
    let mut world = World::new();
    world.set_policy("rekey", "\"1s\"");
    world.up_hybrid();
    world
}

/// Rekeys went on all the time, and no end dropped anything.
fn check(world: &World, before: &Status) {
    let (a, b) = world.same_epoch();
    let number = |status: &Status| status.epoch()["number"].as_u64().unwrap();
    assert!(number(&a) >= number(before) + SECONDS - 3, "epoch {}, then {}", number(before), number(&a));
    for status in [a, b] {
        let drops = status.peer()["drops"].as_object().unwrap().clone();
        assert!(drops.values().all(|count| *count == 0), "{drops:?}");
    }
}

#[test]
fn twenty_thousand_packets_a_second_over_a_rekey_every_second() {
    if !runnable("twenty_thousand_packets_a_second_over_a_rekey_every_second") {
        return;
    }
    let world = rekeying();
    let before = world.a.status();
    let count = u64::from(PACKETS_A_SECOND) * SECONDS;
    assert_eq!(paced(&world.net, "a", "b", inner4(2), PACKETS_A_SECOND, count), Fate::default());
    check(&world, &before);
    // The other way round, the other family.
    assert_eq!(paced(&world.net, "b", "a", inner6(1), PACKETS_A_SECOND, count / 5), Fate::default());
}

#[test]
fn a_stream_over_a_rekey_every_second() {
    if !runnable("a_stream_over_a_rekey_every_second") {
        return;
    }
    let world = rekeying();
    // Both ends mark and understand congestion, so CWR and ECE pass as well.
    for name in ["a", "b"] {
        world.net.inside(name, || std::fs::write("/proc/sys/net/ipv4/tcp_ecn", "1").unwrap());
    }
    let before = world.a.status();
    let bytes = stream(&world.net, "a", "b", inner4(2), Duration::from_secs(SECONDS));
    assert!(bytes > 10 << 20, "{bytes} bytes in {SECONDS} s are no load");
    check(&world, &before);
    stream(&world.net, "b", "a", inner6(1), Duration::from_secs(2));
}
