//! Handshakes over paths that lose much: how many are done, and how long the slowest take.

use std::time::Duration;

use plait::engine::output::State;

use crate::world::{Config, Seeded, World};

/// Handshakes of each loss.
const HANDSHAKES: u64 = 1000;

/// How long each took that was done within `limit`, in order; each datagram is lost with this chance in each direction.
fn handshakes(loss_percent: u64, limit: Duration) -> Vec<Duration> {
    let mut took = Vec::new();
    for seed in 0..HANDSHAKES {
        let mut world = World::new(seed, [Config::required(), Config::required()]);
        let mut draw = Seeded(seed ^ loss_percent << 32);
        world.fate = Box::new(move |_| {
            let is_lost = draw.next() % 100 < loss_percent;
            if is_lost { Vec::new() } else { vec![Duration::from_millis(5)] }
        });
        world.start(0);
        world.start(1);
        let begun = world.now;
        let mut done = None;
        world.run_while(begun + limit, |world| {
            done = world.both(State::Hybrid).then(|| world.now - begun);
            done.is_none()
        });
        took.extend(done);
    }
    took.sort_unstable();
    took
}

#[test]
fn a_tenth_lost_ninety_nine_of_a_hundred_within_five_seconds() {
    let took = handshakes(10, Duration::from_secs(90));
    println!("10 %: {} of {HANDSHAKES}, p50 {:?}, p99 {:?}", took.len(), took[500], took[989]);
    assert!(took.len() == 1000 && took[989] <= Duration::from_secs(5), "{:?}", took[989]);
}

#[test]
fn three_tenths_lost_all_are_done_and_ninety_nine_of_a_hundred_within_eighteen_seconds() {
    let took = handshakes(30, Duration::from_secs(90));
    println!("30 %: {} of {HANDSHAKES}, p50 {:?}, p99 {:?}", took.len(), took[500], took[989]);
    assert!(took.len() == 1000 && took[989] <= Duration::from_secs(18), "{:?}", took[989]);
}

#[test]
fn half_lost_ninety_nine_of_a_hundred_are_done_within_ninety_seconds() {
    let took = handshakes(50, Duration::from_secs(90));
    println!("50 %: {} of {HANDSHAKES}, p50 {:?}", took.len(), took[500]);
    assert!(took.len() >= 990, "{}", took.len());
}
