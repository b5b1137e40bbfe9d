//! Daemons killed without warning: traffic again soon after each restart, every time.

use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, Flow};
use crate::world::World;
use std::time::{Duration, Instant};

/// Traffic again this soon after a restart.
const AGAIN_WITHIN: Duration = Duration::from_secs(15);
const ROUNDS: usize = 3;

/// Kills, waits a little, restarts, and times the first answered ping.
fn cycle(kill_a: bool, kill_b: bool) {
    let mut world = World::new();
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    let flow = Flow::start(&world.net, "a", inner4(2), Duration::from_millis(20));
    let mut restarted = Vec::new();
    for _ in 0..ROUNDS {
        if kill_a {
            world.a.kill();
        }
        if kill_b {
            world.b.kill();
        }
        std::thread::sleep(Duration::from_secs(1));
        if kill_a {
            world.a.up();
        }
        if kill_b {
            world.b.up();
        }
        restarted.push(Instant::now());
        world.both(&["HYBRID"], AGAIN_WITHIN);
        std::thread::sleep(Duration::from_secs(2));
    }
    let report = flow.stop();
    for at in restarted {
        let first = report.first_answer_after(at).expect("traffic again");
        assert!(first - at < AGAIN_WITHIN, "traffic again after {:?}", first - at);
    }
}

#[test]
fn the_first_site_is_killed() {
    if runnable("the_first_site_is_killed") {
        cycle(true, false);
    }
}

#[test]
fn the_second_site_is_killed() {
    if runnable("the_second_site_is_killed") {
        cycle(false, true);
    }
}

#[test]
fn both_sites_are_killed() {
    if runnable("both_sites_are_killed") {
        cycle(true, true);
    }
}
