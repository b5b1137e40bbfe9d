//! When to let packets gather: a thread that wakes for each of many small packets has no time for anything else.

use std::time::Duration;

use crate::types::time::Instant;

/// How long packets may gather: short beside any network's delay, long enough for a dozen small packets at full rate.
const GATHER: Duration = Duration::from_micros(50);
/// Packets that must have come in a time of [`GATHER`] for the next ones to be worth the wait.
const WORTH_IT: u32 = 2;

/// Follows the rate at which bursts of packets come.
pub(super) struct Moderation {
    last: Instant,
}

impl Moderation {
    pub(super) fn new() -> Self {
        Self { last: Instant::ZERO }
    }

    /// After a burst of `frames` (or datagrams) that ended at `now`: whether to pause before the next one, and how long. A packet that
    /// comes after a silence never waits.
    pub(super) fn after_burst(&mut self, now: Instant, frames: usize) -> Option<Duration> {
        let gap = now.since(self.last);
        self.last = now;
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        (frames > 0 && GATHER * frames >= gap * WORTH_IT).then_some(GATHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn what_comes_seldom_never_waits() {
        let mut moderation = Moderation::new();
        for index in 0..10 {
            assert_eq!(moderation.after_burst(START + Duration::from_millis(index), 1), None);
        }
    }

    #[test]
    fn what_comes_fast_gathers_until_it_comes_slower() {
        let mut moderation = Moderation::new();
        assert_eq!(moderation.after_burst(START, 1), None, "the first one");
        let mut now = START;
        for frames in [1, 2, 20, 64] {
            now = now + Duration::from_micros(25);
            assert_eq!(moderation.after_burst(now, frames), Some(GATHER), "{frames}");
        }
        now = now + GATHER;
        assert_eq!(moderation.after_burst(now, 2), Some(GATHER), "40 000 a second");
        now = now + GATHER;
        assert_eq!(moderation.after_burst(now, 1), None, "20 000 a second");
        assert_eq!(moderation.after_burst(now, 0), None, "nothing came");
    }
}
