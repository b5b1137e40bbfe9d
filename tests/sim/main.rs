//! The simulator in every run of the tests: many seeds, both kinds of ML-KEM, the same seed twice, the picture.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plait::sim::life::Life;
use plait::sim::plan::{Crypto, FaultKind, Plan};
use plait::sim::{Outcome, simulate};

/// Simulated hours of this run with the stand-in for ML-KEM and with the real one; `scripts/sim.sh` runs more.
const HOURS_DOUBLE: u64 = 1000;
const HOURS_REAL: u64 = 60;

/// Seeds that once showed a fault, of the product or of its checks, with what it was.
const ONCE_WRONG: [(u64, &str); 3] = [
    (200_027, "a ratchet entry seeded a handshake before its write had ended"),
    (3_103_205, "the check, not the product: a packet in two minutes is too few to see within three that all is well"),
    (5_201_618, "the check, not the product: it named epochs by their check words, and two of 32 bits were the same"),
];

fn run(seed: u64, crypto: Crypto) -> Outcome {
    simulate(&Plan::of(seed, crypto), Life::default()).0
}

/// Seeds from `from` on, until they have lived so long.
fn sweep(from: u64, hours: u64, crypto: Crypto) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicU64::new(from), Mutex::new(Vec::new()));
    let lived = AtomicU64::new(0);
    let work = || {
        while lived.load(Ordering::Relaxed) < hours * 3600 {
            let outcome = run(next.fetch_add(1, Ordering::Relaxed), crypto);
            lived.fetch_add(outcome.simulated.as_secs().max(1), Ordering::Relaxed);
            outcomes.lock().unwrap().push(outcome);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    outcomes.into_inner().unwrap()
}

fn assert_none_violated(outcomes: &[Outcome], kem: &str) {
    for outcome in outcomes {
        if let Some(violation) = &outcome.violation {
            panic!("seed {}: {violation}; again: scripts/sim.sh --seed {} --kem {kem}", outcome.seed, outcome.seed);
        }
    }
    // A world in which nothing happens proves nothing.
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let hours = sum(|outcome| outcome.simulated.as_secs()) / 3600;
    assert!(sum(|outcome| outcome.packets.1) > 500 * hours, "{} packets in {hours} h", sum(|o| o.packets.1));
    assert!(sum(|outcome| outcome.epochs) > 50 * hours && sum(|outcome| outcome.faults) > 20 * hours);
}

#[test]
fn a_thousand_hours_of_faults_without_a_violation() {
    assert_none_violated(&sweep(0, HOURS_DOUBLE, Crypto::Double), "double");
}

#[test]
fn seeds_that_once_were_wrong_are_right() {
    for (seed, what) in ONCE_WRONG {
        assert_eq!(run(seed, Crypto::Double).violation, None, "{what}");
    }
}

#[test]
fn hours_with_the_real_kem_without_a_violation() {
    assert_none_violated(&sweep(500_000, HOURS_REAL, Crypto::Real), "real");
}

#[test]
fn a_seed_gives_the_same_trace_again_and_another_seed_another() {
    let short = |plan: &Plan| plan.safety <= Duration::from_secs(2 * 3600) && plan.faults.len() > 5;
    let seeds: Vec<u64> = (0..500).filter(|seed| short(&Plan::of(*seed, Crypto::Double))).take(4).collect();
    for crypto in [Crypto::Double, Crypto::Real] {
        let traces = |seeds: &[u64]| seeds.iter().map(|seed| run(*seed, crypto).trace).collect::<Vec<_>>();
        let first = traces(&seeds);
        assert_eq!(first, traces(&seeds));
        assert_eq!(std::collections::BTreeSet::from_iter(&first).len(), seeds.len());
    }
}

#[test]
fn a_life_can_be_looked_at() {
    let often =
        |kind, plan: &Plan| plan.faults.iter().any(|(known, mean)| *known == kind && *mean < Duration::from_secs(1000));
    let mut plans = (0..5000).map(|seed| Plan::of(seed, Crypto::Double)).filter(|plan| plan.safety.as_secs() >= 3600);
    let plan = plans.find(|plan| often(FaultKind::Crash, plan) && often(FaultKind::KmeOutage, plan)).unwrap();
    let (outcome, life) = simulate(&plan, Life::kept());
    assert_eq!(outcome.violation, None);
    let (svg, text) = (life.to_svg("a life"), life.to_text());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for seen in ["site 0, peer 0", "HOLDING from", "Crash at", "KmeOutage at", "healed", "stock 0"] {
        assert!(svg.contains(seen), "{seen}");
    }
    assert!(text.contains("starts") && text.contains("fault Crash") && text.contains("Epoch {"));
}
