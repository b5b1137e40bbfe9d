//! When the interface is to be looked at again, because somebody has done something to it: soon, and not all the time.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::io::clock::Clock;
use crate::io::system::watch::Watch;
use crate::types::time::Instant;

/// From the first news to the look: what one hand does in one go is one matter.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two looks: whoever takes away all the time what is set again costs no more than this.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// From a look that did not set all that is missing to the next: a route that another interface has may be free again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Hears, and says when to look.
pub(super) struct Repair {
    watch: Option<Watch>,
    clock: Clock,
    due: Option<Instant>,
    looked: Option<Instant>,
}

impl Repair {
    /// Of the interface with this number. A keeper that cannot listen says so and goes on.
    pub(super) fn of(index: u32) -> Self {
        let watch = Watch::of(index);
        if let Err(error) = &watch {
            tracing::warn!(%error, "what others do to the interface is not heard, and not repaired");
        }
        Self { watch: watch.ok(), clock: Clock::start(), due: None, looked: None }
    }

    /// Readable when there is news.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// For how long there is nothing to do; for ever, if none.
    pub(super) fn pause(&self) -> Option<Duration> {
        // Rounded up: at zero the look would not be due yet.
        self.due.map(|due| due.since(self.clock.now()) + Duration::from_millis(1))
    }

    /// Takes the news; whether it is time to look.
    pub(super) fn is_due(&mut self) -> bool {
        let now = self.clock.now();
        if self.watch.as_ref().is_some_and(Watch::has_news) && self.due.is_none() {
            let rested = self.looked.map_or(now, |looked| looked + LOOK_INTERVAL);
            self.due = Some((now + SETTLE).max(rested));
        }
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            (self.due, self.looked) = (None, Some(now));
        }
        is_due
    }

    /// Something is still missing.
    pub(super) fn look_again(&mut self) {
        self.due = self.due.or_else(|| Some(self.clock.now() + AGAIN_AFTER));
    }
}
