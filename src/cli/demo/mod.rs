//! `plait demo`: two sites, two KMEs and a quantum link on this machine, cut and repaired before your eyes.
//!
//! ```text
//!   site-a --192.0.2.0/30-- site-b      the wan, where the demo listens for clear text
//!      \                      /
//!   198.51.100.0/30   203.0.113.0/30    each site reaches its own KME
//!        \                  /
//!         KME-A === KME-B               one process, a simulated quantum link between them
//! ```
//! Flow: `stages` runs one stage after the other on a thread; everything it makes (`namespace`, `children`, `folder`)
//! goes when it is dropped, so a failed stage, Ctrl-C and the end leave the same nothing behind. This file waits for
//! the thread and for signals.

mod capture;
mod children;
mod files;
mod folder;
mod namespace;
mod network;
mod observe;
mod pause;
mod ping;
mod progress;
mod stages;
mod summary;

use std::sync::mpsc;

use super::exit::{Exit, Failure, Outcome};
use super::output;

pub(super) use children::end_with_parent;

/// Runs the demonstration; `Ok` only if every stage held.
pub(super) fn run() -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(Exit::Permission, "demo: it makes network namespaces and interfaces: run it as root"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("demo: no runtime", &error))?;
    let report = runtime.block_on(attend())?;
    output::data(&summary::render(&report))?;
    match report.failure() {
        None => Ok(Exit::Ok),
        Some(failure) => Err(Failure::new(Exit::Failure, format!("demo: {failure}"))),
    }
}

/// Runs the stages on their thread until they end; the first signal asks them to, the second does not wait.
async fn attend() -> Result<summary::Report, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::io("demo: SIGINT", &error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::io("demo: SIGTERM", &error))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| Failure::io("demo: SIGHUP", &error))?;
    let (stop, stopped) = mpsc::channel();
    let mut stages = tokio::task::spawn_blocking(move || stages::run(pause::Pause::new(stopped)));
    let mut asked = false;
    loop {
        tokio::select! {
            report = &mut stages => {
                return report.map_err(|error| Failure::new(Exit::Failure, format!("demo: the stages broke off: {error}")));
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if asked {
            // The children end with this process; only the folder of the demo stays.
            std::process::exit(Exit::Failure as i32);
        }
        asked = true;
        output::talk("\nstopping; a second signal does not wait for it");
        let _ = stop.send(());
    }
}
