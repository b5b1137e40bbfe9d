//! One site: an engine, its data path, its disk and its clock; it may be off or asleep.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::disk::Disk;
use crate::dataplane::snapshot::Snapshot;
use crate::engine::Engine;
use crate::engine::output::Now;
use crate::types::time::{Instant, UnixTime};

/// A clock is at one hour when the world begins, so that a slow one does not start below zero.
const OFFSET: i128 = 3_600_000_000_000;

/// A clock that goes a little fast or slow.
pub(super) struct Clock {
    /// Millionths.
    drift: i64,
    /// Seconds that the wall clock was moved on.
    pub(super) wall: u64,
}

impl Clock {
    /// What it shows.
    pub(super) fn at(&self, now: Duration) -> Instant {
        let nanos = now.as_nanos() as i128;
        Instant::from_nanos((OFFSET + nanos + nanos * i128::from(self.drift) / 1_000_000) as u64)
    }

    /// The first moment at which it shows this; `None`: never.
    pub(super) fn when(&self, at: Instant) -> Option<Duration> {
        if at == Instant::FAR_FUTURE {
            return None;
        }
        let shown = i128::from(at.as_nanos()) - OFFSET;
        let guess = (shown * 1_000_000 / (1_000_000 + i128::from(self.drift))).max(0);
        let mut when = Duration::from_nanos(u64::try_from(guess).ok()?);
        while self.at(when) < at {
            when += Duration::from_nanos(1);
        }
        Some(when)
    }
}

/// A site.
pub(super) struct Host {
    pub(super) engine: Option<Engine>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    /// Counts starts: an answer to an earlier life is nobody's.
    pub(super) life: u32,
    pub(super) address: SocketAddr,
    /// Where its peers' configurations say it is.
    pub(super) home: SocketAddr,
    pub(super) asleep_until: Duration,
}

impl Host {
    pub(super) fn new(number: usize, drift: i64) -> Self {
        let home = SocketAddr::from(([192, 0, 2, 1 + number as u8], 51900));
        Self {
            engine: None,
            snapshot: None,
            disk: Disk::new(),
            clock: Clock { drift, wall: 0 },
            life: 0,
            address: home,
            home,
            asleep_until: Duration::ZERO,
        }
    }

    /// Both clocks.
    pub(super) fn now(&self, now: Duration) -> Now {
        Now { at: self.clock.at(now), unix: UnixTime(1_800_000_000 + self.clock.wall + now.as_secs()) }
    }

    /// Whether it runs and is awake.
    pub(super) fn is_up(&self, now: Duration) -> bool {
        self.engine.is_some() && now >= self.asleep_until
    }

    /// When its engine wants to be woken, not before it is awake.
    pub(super) fn timer(&self, now: Duration) -> Option<Duration> {
        let due = self.clock.when(self.engine.as_ref()?.poll_timeout()?)?;
        Some(due.max(now).max(self.asleep_until))
    }

    /// Power goes.
    pub(super) fn stop(&mut self) {
        self.engine = None;
        self.snapshot = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_never_comes_before_the_clock_shows_it() {
        for drift in [-200, -1, 0, 1, 200] {
            let clock = Clock { drift, wall: 0 };
            for nanos in [0, 1, 999, 123_456_789, 86_400_000_000_007] {
                let at = clock.at(Duration::from_nanos(nanos));
                let when = clock.when(at).unwrap();
                assert!(clock.at(when) >= at && when <= Duration::from_nanos(nanos + 1));
            }
            assert_eq!(clock.when(Instant::FAR_FUTURE), None);
        }
    }
}
