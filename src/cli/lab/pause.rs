//! Waiting that a signal ends, and the clock it waits by.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

/// How often a condition is looked at again.
const TICK: Duration = Duration::from_millis(100);

/// Waits of a verb that runs for a while.
pub(in crate::cli) struct Pause {
    stopped: Receiver<()>,
}

/// The user asked it to stop.
#[derive(Debug)]
pub(in crate::cli) struct Interrupted;

impl Pause {
    /// Waits end early when `stopped` receives.
    pub(in crate::cli) fn new(stopped: Receiver<()>) -> Self {
        Self { stopped }
    }

    /// Whether to go on, without waiting.
    pub(in crate::cli) fn check(&self) -> Result<(), Interrupted> {
        match self.stopped.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Ok(()) | Err(TryRecvError::Disconnected) => Err(Interrupted),
        }
    }

    /// Waits one tick.
    pub(in crate::cli) fn tick(&self) -> Result<(), Interrupted> {
        match self.stopped.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Interrupted),
        }
    }
}

/// A moment to measure from.
#[expect(clippy::disallowed_methods, reason = "measured from outside, by the plain monotonic clock")]
pub(in crate::cli) fn now() -> Instant {
    Instant::now()
}
