//! Every pattern of losses among the first twelve handshake datagrams, both ways of starting; duplicates and disorder (PROTOCOL 2.6).

use std::collections::BTreeSet;
use std::time::Duration;

use plait::engine::output::State;

use crate::world::{Config, Passing, Seeded, World};

fn converges(seed: u64, configs: [Config; 2], fate: impl FnMut(&Passing) -> Vec<Duration> + 'static, what: &str) {
    let mut world = World::new(seed, configs);
    world.fate = Box::new(fate);
    world.start(0);
    world.start(1);
    world.run_to(what, Duration::from_secs(40), |w| w.both(State::Hybrid));
    // Let the loser of a simultaneous start give up, and the confirming packets settle.
    world.run_for(Duration::from_secs(2));
    world.assert_same_epoch();
    let offers: BTreeSet<&Vec<u8>> = world.seen.iter().filter(|(_, b)| b[0] == 5).map(|(_, b)| b).collect();
    let drawn = world.kme.issued.len();
    assert!(drawn <= offers.len() + 1, "{what}: {drawn} key sets drawn for {} attempts", offers.len());
}

/// Loses datagram `n` of the first twelve if bit `n` of the pattern is set.
fn lossy(pattern: u32) -> impl FnMut(&Passing) -> Vec<Duration> {
    move |passing| match passing.handshake_number {
        Some(number) if number < 12 && pattern >> number & 1 == 1 => Vec::new(),
        _ => vec![Duration::from_millis(5)],
    }
}

#[test]
fn all_4096_losses_converge_when_one_end_initiates() {
    let mut passive = Config::required();
    passive.knows_endpoint = false;
    for pattern in 0..4096 {
        let configs = [Config::required(), passive.clone()];
        converges(u64::from(pattern), configs, lossy(pattern), &format!("one initiator, pattern {pattern:#014b}"));
    }
}

#[test]
fn all_4096_losses_converge_when_both_ends_initiate() {
    for pattern in 0..4096 {
        let configs = [Config::required(), Config::required()];
        converges(u64::from(pattern), configs, lossy(pattern), &format!("both initiate, pattern {pattern:#014b}"));
    }
}

#[test]
fn duplicates_make_no_second_session_and_ask_for_no_second_key() {
    for copies in 2..6u64 {
        let configs = [Config::required(), Config::required()];
        let mut world = World::new(copies, configs);
        world.fate = Box::new(move |_| (0..copies).map(|n| Duration::from_millis(5 + 3 * n)).collect());
        world.start(0);
        world.start(1);
        world.run_to("HYBRID", Duration::from_secs(8), |w| w.both(State::Hybrid));
        world.run_for(Duration::from_secs(2));
        world.assert_same_epoch();
        assert_eq!(world.status(0).unwrap().handshakes.full, 1);
        assert_eq!(world.kme.issued.len(), 1);
    }
}

#[test]
fn disorder_and_random_loss_converge() {
    for seed in 0..150u64 {
        let mut draw = Seeded(seed);
        let loss = seed % 50;
        let fate = move |_: &Passing| {
            let copies = 1 + usize::from(draw.next().is_multiple_of(10));
            (0..copies)
                .map(|_| (draw.next() % 100, draw.next() % 400))
                .filter(|(chance, _)| *chance >= loss)
                .map(|(_, delay)| Duration::from_millis(delay))
                .collect()
        };
        let mut world = World::new(seed, [Config::required(), Config::required()]);
        world.fate = Box::new(fate);
        world.start(0);
        world.start(1);
        world.run_to(&format!("seed {seed}, loss {loss} %"), Duration::from_secs(180), |w| w.both(State::Hybrid));
    }
}
