//! Waiting that a signal ends, and the clock it waits by.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often a condition is looked at again.
const TICK: Duration = Duration::from_millis(100);

/// The demo's clock and its waits.
pub(super) struct Pause {
    stopped: Receiver<()>,
}

/// The user asked the demo to stop.
#[derive(Debug)]
pub(super) struct Interrupted;

impl Pause {
    /// Waits end early when `stopped` receives.
    pub(super) fn new(stopped: Receiver<()>) -> Self {
        Self { stopped }
    }

    /// Waits one tick.
    pub(super) fn tick(&self) -> Result<(), Interrupted> {
        match self.stopped.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Interrupted),
        }
    }
}

/// A moment to measure from.
#[expect(clippy::disallowed_methods, reason = "the demo measures itself from outside, by the plain monotonic clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
