//! A token bucket as one number: when it will be full again.

use std::time::Duration;

use super::time::Instant;

/// Something that may happen so often a second, and a few times at once.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// All tokens are there.
    pub const FULL: Self = Self { full_at: Instant::ZERO };

    /// The bucket less one token; `None` if it is empty. Always called with the same rate and burst, in tokens.
    pub fn less_one(self, now: Instant, per_second: u32, burst: u32) -> Option<Self> {
        let token = Duration::from_secs(1) / per_second;
        let full_at = self.full_at.max(now) + token;
        (full_at.since(now) <= token * burst).then_some(Self { full_at })
    }

    /// When it will be full again.
    pub fn full_at(self) -> Instant {
        self.full_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::FULL;
        let mut taken = |now| {
            let less = bucket.less_one(now, 10, 3);
            bucket = less.unwrap_or(bucket);
            less.is_some()
        };
        assert_eq!([0, 0, 0, 0, 99].map(|ms| taken(at(1000 + ms))), [true, true, true, false, false]);
        assert_eq!([100, 100, 200].map(|ms| taken(at(1000 + ms))), [true, false, true]);
        assert_eq!([0; 4].map(|_| taken(at(9000))), [true, true, true, false], "no more than the burst is saved up");
    }
}
