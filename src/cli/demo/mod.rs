//! `plait demo`: two sites, two KMEs and a quantum link on this machine, cut and repaired before your eyes.
//!
//! ```text
//!   site-a --192.0.2.0/30-- site-b      the wan, where the demo listens for clear text
//!      \                      /
//!   198.51.100.0/30   203.0.113.0/30    each site reaches its own KME
//!        \                  /
//!         KME-A === KME-B               one process, a simulated quantum link between them
//! ```
//! Flow: `stages` runs one stage after the other on a thread; everything it makes (namespaces, children,
//! a folder: `cli/lab`) goes when it is dropped, so a failed stage, Ctrl-C and the end leave the same nothing behind.

mod capture;
mod files;
mod network;
mod observe;
mod ping;
mod progress;
mod stages;
mod summary;

use super::exit::{Exit, Failure, Outcome};
use super::lab::attend::attend;
use super::output;

/// Runs the demonstration; `Ok` only if every stage held.
pub(super) fn run() -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(Exit::Permission, "demo: it makes network namespaces and interfaces: run it as root"));
    }
    let report = attend("demo", stages::run)?;
    output::data(&summary::render(&report))?;
    match report.failure() {
        None => Ok(Exit::Ok),
        Some(failure) => Err(Failure::new(Exit::Failure, format!("demo: {failure}"))),
    }
}
