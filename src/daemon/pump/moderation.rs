//! When to let packets gather: a thread that wakes for each of many packets has no time for anything else, and keeps the
//! very sender from its work whose packets it could take together.

use std::time::Duration;

use crate::types::time::Instant;

/// How long packets may gather: short beside any network's delay, long enough for a dozen small packets at full rate.
const GATHER: Duration = Duration::from_micros(50);
/// Packets that come no further apart than this are dense.
const DENSE: Duration = Duration::from_micros(25);
/// How long a bulk of bytes may gather: two super-packets or three.
const GATHER_BULK: Duration = Duration::from_micros(120);
/// Bytes a microsecond that are a bulk: 3.5 Gbit/s.
const BULK_BYTES_PER_US: u128 = 440;

/// Follows the rate at which bursts of packets come.
pub(super) struct Moderation {
    last: Instant,
}

impl Moderation {
    pub(super) fn new() -> Self {
        Self { last: Instant::ZERO }
    }

    /// After a burst of `frames` (or datagrams) with so many bytes that ended at `now`: whether to pause before the next
    /// one, and how long. A packet that comes after a silence never waits.
    pub(super) fn after_burst(&mut self, now: Instant, frames: usize, bytes: usize) -> Option<Duration> {
        let gap = now.since(self.last);
        self.last = now;
        if frames == 0 {
            None
        } else if bytes as u128 > gap.as_micros() * BULK_BYTES_PER_US {
            Some(GATHER_BULK)
        } else {
            (DENSE * u32::try_from(frames).unwrap_or(u32::MAX) >= gap).then_some(GATHER)
        }
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
            assert_eq!(moderation.after_burst(START + Duration::from_millis(index), 1, 65_000), None);
        }
    }

    #[test]
    fn what_comes_fast_gathers_until_it_comes_slower() {
        let mut moderation = Moderation::new();
        assert_eq!(moderation.after_burst(START, 1, 100), None, "the first one");
        let mut now = START;
        for frames in [1, 2, 20, 64] {
            now = now + Duration::from_micros(25);
            assert_eq!(moderation.after_burst(now, frames, frames * 100), Some(GATHER), "{frames}");
        }
        now = now + GATHER;
        assert_eq!(moderation.after_burst(now, 2, 200), Some(GATHER), "40 000 a second");
        now = now + GATHER;
        assert_eq!(moderation.after_burst(now, 1, 100), None, "20 000 a second");
        assert_eq!(moderation.after_burst(now, 0, 0), None, "nothing came");
    }

    #[test]
    fn a_bulk_gathers_longer() {
        let mut moderation = Moderation::new();
        moderation.after_burst(START, 1, 65_000);
        let now = START + Duration::from_micros(140);
        assert_eq!(moderation.after_burst(now, 1, 65_000), Some(GATHER_BULK), "3.7 Gbit/s");
        let now = now + Duration::from_micros(160);
        assert_eq!(moderation.after_burst(now, 1, 65_000), None, "3.3 Gbit/s");
    }
}
