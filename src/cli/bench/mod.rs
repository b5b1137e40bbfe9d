//! `plait bench`: what this machine gives: its ciphers, its system calls, and a tunnel between two namespaces.
//!
//! ```text
//!   bench-a --192.0.2.0/30-- bench-b      both in namespaces of their own; 10.99.0.1 and 10.99.0.2 inside the tunnel
//! ```
//! Flow: `run` has three groups measured one after the other (`seal`, `calls`, `tunnel`), each figure a [`row::Row`]; what
//! cannot be measured here is a row that says why. Namespaces, daemons and files go when they are dropped (`cli/lab`), so
//! the end, a failure and Ctrl-C leave the same nothing behind.

mod calls;
mod frames;
mod machine;
mod meter;
mod report;
mod round_trip;
mod row;
mod seal;
mod stream;
mod tunnel;

use std::time::Duration;

use super::exit::{Exit, Failure, Outcome};
use super::lab::attend::attend;
use super::lab::pause::{Interrupted, Pause};
use super::output;
use meter::Bench;
use report::Report;

/// A figure that is not the tunnel's is measured for this part of the time.
const SHORT_PART: u32 = 5;

/// `plait bench`; `Ok` if every row has its figures or a reason why there are none here.
pub(super) fn run(seconds: u32, json: bool) -> Outcome {
    let report = attend("bench", move |pause| measure(pause, Duration::from_secs(seconds.into())))?;
    output::data(&if json { report.json() } else { report.text() })?;
    match report.failure() {
        None => Ok(Exit::Ok),
        Some(failure) => Err(Failure::new(Exit::Failure, format!("bench: {failure}"))),
    }
}

fn measure(pause: Pause, long: Duration) -> Report {
    let mut bench = Bench::new(pause, long / SHORT_PART, long);
    let done = measure_all(&mut bench);
    Report { machine: machine::describe(), rows: bench.into_rows(), interrupted: done.is_err() }
}

fn measure_all(bench: &mut Bench) -> Result<(), Interrupted> {
    seal::measure(bench)?;
    calls::measure(bench)?;
    tunnel::measure(bench)
}
