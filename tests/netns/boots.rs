//! Boot races: both ends start for the first time, one after the other at any distance, and one session comes of it.

use crate::process::wait_for;
use crate::topology::runnable;
use crate::world::World;
use std::time::{Duration, Instant};

/// From the start of the first to that of the second, in milliseconds.
const APART_MS: [u64; 5] = [0, 0, 100, 1000, 2000];
/// Rounds of each distance; `PLAIT_BOOTS` sets another number, for a night.
const ROUNDS: usize = 1;
/// 5 s are asked for; the figures are printed, and this is for a machine that does much else beside.
const WITHIN: Duration = Duration::from_secs(20);

/// Starts both and says how long after the second both were HYBRID.
fn boot(world: &mut World, a_first: bool, apart: Duration) -> Duration {
    let World { a, b, .. } = world;
    let (first, second) = if a_first { (a, b) } else { (b, a) };
    first.launch();
    std::thread::sleep(apart);
    second.launch();
    let begun = Instant::now();
    world.both(&["HYBRID"], WITHIN);
    begun.elapsed()
}

#[test]
fn both_ends_start_at_any_distance_and_one_session_comes_of_it() {
    if !runnable("both_ends_start_at_any_distance_and_one_session_comes_of_it") {
        return;
    }
    let rounds = std::env::var("PLAIT_BOOTS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let mut world = World::new();
    world.pair.up();
    let mut took = Vec::new();
    for round in 0..rounds {
        for (at, apart) in (0..).zip(APART_MS) {
            // Each distance with either end first, in turn.
            let a_first = (at + round) % 2 == 0;
            took.push((boot(&mut world, a_first, Duration::from_millis(apart)), apart, a_first));
            one_session(&world);
            world.a.kill();
            world.b.kill();
            // The next start is a first one again, with a whole budget of key requests.
            std::fs::remove_dir_all(world.path().join("state")).unwrap();
        }
    }
    took.sort_unstable();
    println!(
        "{} starts of both: HYBRID after {:?} at most; (after, ms apart, a first): {took:?}",
        took.len(),
        took.last()
    );
}

/// Both are in the same epoch of the same session, and no other handshake follows.
fn one_session(world: &World) {
    let (a, b) = world.same_epoch();
    let full = |status: &crate::site::Status| status.peer()["handshakes"]["full"].as_u64();
    assert_eq!((full(&a), full(&b)), (Some(1), Some(1)), "handshakes of a and b");
    std::thread::sleep(Duration::from_millis(500));
    let later = wait_for("a status", Duration::from_secs(5), || world.a.try_status());
    assert_eq!((full(&later), later.words()), (Some(1), a.words()), "the session stays");
}
