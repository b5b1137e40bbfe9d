//! A verb's work on a thread of its own, which signals ask to stop.

use std::sync::mpsc;

use super::pause::Pause;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;

/// Runs the work until it ends; the first signal asks it to, the second does not wait.
pub(in crate::cli) fn attend<T: Send + 'static>(
    verb: &'static str,
    work: impl FnOnce(Pause) -> T + Send + 'static,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io(format!("{verb}: no runtime"), &error))?;
    runtime.block_on(wait(verb, work))
}

async fn wait<T: Send + 'static>(
    verb: &'static str,
    work: impl FnOnce(Pause) -> T + Send + 'static,
) -> Result<T, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let on = |kind| signal(kind).map_err(|error| Failure::io(format!("{verb}: signals"), &error));
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut hangup = on(SignalKind::hangup())?;
    let (stop, stopped) = mpsc::channel();
    let mut work = tokio::task::spawn_blocking(move || work(Pause::new(stopped)));
    let mut asked = false;
    loop {
        tokio::select! {
            done = &mut work => {
                return done.map_err(|error| Failure::new(Exit::Failure, format!("{verb}: the work broke off: {error}")));
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if asked {
            // The children end with this process; only the folder stays.
            std::process::exit(Exit::Failure as i32);
        }
        asked = true;
        output::talk("\nstopping; a second signal does not wait for it");
        let _ = stop.send(());
    }
}
