//! Runs the simulator over many seeds: `scripts/sim.sh` is how people call it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to the person who runs it")]
#![allow(clippy::disallowed_methods, reason = "it says how long it took, outside the simulated world")]

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use plait::sim::life::Life;
use plait::sim::plan::{Crypto, Plan};
use plait::sim::{Outcome, simulate};

/// Seconds between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// Violations after which a run stops: the first ones are enough to work on.
const VIOLATIONS_MAX: usize = 20;

/// Whole endpoints, their KMEs and a failing network on virtual time, from one seed each.
#[derive(Parser)]
#[command(name = "plait-sim")]
struct Args {
    /// Simulated hours in all, of as many seeds as that takes.
    #[arg(long, default_value_t = 100, conflicts_with = "seed")]
    hours: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// This seed alone, told in full.
    #[arg(long)]
    seed: Option<u64>,
    /// ML-KEM as in the product, or a stand-in that costs a hundredth.
    #[arg(long, value_parser = ["real", "double"], default_value = "real")]
    kem: String,
    /// Draws the seed's life into this SVG file.
    #[arg(long, requires = "seed", value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Writes what happened to the seed into this file, a line each.
    #[arg(long, requires = "seed", value_name = "FILE")]
    log: Option<PathBuf>,
    /// Threads; all processors if not given.
    #[arg(long)]
    threads: Option<usize>,
}

thread_local! {
    static AT_WORK: Cell<u64> = const { Cell::new(0) };
}

fn replay(seed: u64, kem: &str) -> String {
    format!("scripts/sim.sh --seed {seed} --kem {kem}")
}

fn main() -> ExitCode {
    let args = Args::parse();
    let kem = args.kem.clone();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        eprintln!("seed {} panicked; again: {}", AT_WORK.get(), replay(AT_WORK.get(), &kem));
    }));
    match args.seed {
        Some(seed) => one(&args, seed),
        None => many(&args),
    }
}

fn crypto(args: &Args) -> Crypto {
    if args.kem == "double" { Crypto::Double } else { Crypto::Real }
}

fn run(seed: u64, crypto: Crypto, life: Life) -> (Outcome, Life) {
    AT_WORK.set(seed);
    simulate(&Plan::of(seed, crypto), life)
}

fn one(args: &Args, seed: u64) -> ExitCode {
    println!("{:#?}", Plan::of(seed, crypto(args)));
    let (outcome, life) = run(seed, crypto(args), Life::kept());
    println!("{outcome:#?}");
    let plot = args.plot.as_ref().map(|file| (file, life.to_svg(&format!("seed {seed}"))));
    let log = args.log.as_ref().map(|file| (file, life.to_text()));
    for (file, text) in plot.into_iter().chain(log) {
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    if outcome.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The first seed after the last one that the hours take.
fn end_of(args: &Args) -> u64 {
    let mut left = Duration::from_secs(args.hours.saturating_mul(3600));
    let mut seed = args.from;
    while !left.is_zero() {
        left = left.saturating_sub(Plan::of(seed, crypto(args)).safety);
        seed += 1;
    }
    seed
}

fn many(args: &Args) -> ExitCode {
    let (begun, end, next) = (Instant::now(), end_of(args), AtomicU64::new(args.from));
    let sums: Mutex<(Sums, Instant)> = Mutex::new((Sums::default(), begun));
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let (outcome, _) = run(seed, crypto(args), Life::default());
            let Ok(mut sums) = sums.lock() else { return };
            sums.0.add(outcome, &args.kem);
            if sums.0.violations.len() >= VIOLATIONS_MAX {
                return;
            }
            if sums.1.elapsed() > PROGRESS {
                sums.1 = Instant::now();
                eprintln!("{} after {:.0} s", sums.0.line(), begun.elapsed().as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| (0..threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    let Ok((sums, _)) = sums.into_inner() else { return ExitCode::FAILURE };
    println!("seeds {}..{end} ({} KEM): {}", args.from, args.kem, sums.line());
    println!(
        "{} events, {} of {} packets delivered, {} epochs confirmed, {} faults; recovery at the longest {:.0} s (seed {}); {:.0} s on {threads} threads",
        sums.events,
        sums.packets.1,
        sums.packets.0,
        sums.epochs,
        sums.faults,
        sums.recovery.0.as_secs_f64(),
        sums.recovery.1,
        begun.elapsed().as_secs_f64()
    );
    if sums.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Sums {
    seeds: u64,
    simulated: Duration,
    events: u64,
    packets: (u64, u64),
    epochs: u64,
    faults: u64,
    recovery: (Duration, u64),
    violations: Vec<u64>,
}

impl Sums {
    fn add(&mut self, outcome: Outcome, kem: &str) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.events += outcome.events;
        self.packets = (self.packets.0 + outcome.packets.0, self.packets.1 + outcome.packets.1);
        self.epochs += outcome.epochs;
        self.faults += outcome.faults;
        self.recovery = self.recovery.max((outcome.recovery, outcome.seed));
        if let Some(violation) = outcome.violation {
            println!("seed {}: {violation}\n  again: {}", outcome.seed, replay(outcome.seed, kem));
            self.violations.push(outcome.seed);
        }
    }

    fn line(&self) -> String {
        let hours = self.simulated.as_secs_f64() / 3600.0;
        format!("{} seeds, {hours:.0} simulated hours, {} violations", self.seeds, self.violations.len())
    }
}
