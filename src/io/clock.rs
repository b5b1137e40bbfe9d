//! The clocks: `CLOCK_BOOTTIME`, which no one sets and which counts suspend, and the wall clock for reports.

use std::time::Duration;

use nix::time::ClockId;

use crate::types::time::{Instant, UnixMillis, UnixTime};

/// The daemon's clock. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Duration,
}

impl Clock {
    /// A clock that is at zero now.
    pub fn start() -> Self {
        Self { start: since_boot() }
    }

    /// Time since the start, suspend included.
    pub fn now(&self) -> Instant {
        Instant::ZERO + since_boot().saturating_sub(self.start)
    }

    /// The wall clock; 0 before 1970. For logs and reports only.
    pub fn unix(&self) -> UnixTime {
        self.unix_millis().seconds()
    }

    /// The same in milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn unix_millis(&self) -> UnixMillis {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since_1970.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

fn since_boot() -> Duration {
    let now = ClockId::CLOCK_BOOTTIME.now();
    now.unwrap_or_else(|_| unreachable!("CLOCK_BOOTTIME exists since Linux 2.6.39")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_zero_and_goes_forward() {
        let clock = Clock::start();
        let copy = clock;
        let first = clock.now();
        assert!(first < Instant::ZERO + Duration::from_secs(60), "counts from its own start, not from boot");
        let second = copy.now();
        assert!(second >= first);
    }

    #[test]
    fn the_wall_clock_is_in_seconds() {
        // 2020-01-01 and 2200-01-01: milliseconds or a zero would fall outside.
        assert!((1_577_836_800..7_258_118_400).contains(&Clock::start().unix().0));
        assert!((1_577_836_800_000..7_258_118_400_000).contains(&Clock::start().unix_millis().0));
    }
}
