//! How long things took: counts by upper bound, as a metric shows them.

use std::time::Duration;

/// Upper bounds in milliseconds: from a KME in the same rack to the longest deadline of an exchange; above is one more.
pub const BOUNDS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/// Times by bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Histogram {
    counts: [u64; BOUNDS_MS.len()],
    count: u64,
    sum: Duration,
}

impl Histogram {
    /// One more took so long.
    pub fn note(&mut self, took: Duration) {
        let within = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(count) = within.and_then(|at| self.counts.get_mut(at)) {
            *count += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// Each bound in milliseconds with how many took at most that long, ascending.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS_MS.into_iter().zip(sums)
    }

    /// All, those above the last bound too.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What all took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_up_to_its_bound_and_not_below() {
        let mut histogram = Histogram::default();
        for ms in [5, 6, 30_001] {
            histogram.note(Duration::from_millis(ms));
        }
        let sums: Vec<(u64, u64)> = histogram.cumulative().collect();
        assert_eq!((sums[0], sums[1], sums[11]), ((5, 1), (10, 2), (30_000, 2)));
        assert_eq!((histogram.count(), histogram.sum()), (3, Duration::from_millis(30_012)));
    }
}
