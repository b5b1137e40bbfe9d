//! A KME goes away and comes back: the tunnel holds over, asks seldom, and recovers unaided.

use crate::topology::runnable;
use crate::world::World;
use std::time::{Duration, Instant};

#[test]
fn kmes_killed_for_twenty_seconds() {
    if !runnable("kmes_killed_for_twenty_seconds") {
        return;
    }
    let (mut world, _echo, flow) = World::carrying("2s");
    let failed = |world: &World| {
        world.a.status().source_number("requests_failed") + world.b.status().source_number("requests_failed")
    };
    let before = failed(&world);
    world.pair.kill();
    let killed = Instant::now();
    world.both(&["HOLDOVER"], Duration::from_secs(10));
    std::thread::sleep(Duration::from_secs(20).saturating_sub(killed.elapsed()));
    let asked = failed(&world) - before;
    assert!((1..=10).contains(&asked), "{asked} failed requests of both ends in 20 s");
    world.pair.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
    let report = flow.stop();
    assert_eq!((report.lost(), report.duplicates), (0, 0), "of {}", report.sent());
}
