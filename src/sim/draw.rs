//! Every choice of the simulator: a generator that a seed and a name determine.

use std::time::Duration;

use crate::types::random::Entropy;

/// A million: rates are in parts of it.
pub const MILLION: u64 = 1_000_000;

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and every seed is a good one. Nothing secret comes of it.
#[derive(Clone)]
pub struct Draw(u64);

impl Draw {
    /// The generator of this seed for this use; uses do not disturb one another.
    pub fn new(seed: u64, what: &str) -> Self {
        // FNV-1a over the name.
        let name = what
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let mut draw = Self(seed ^ name.rotate_left(17));
        draw.word();
        Self(draw.word())
    }

    /// 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.word().checked_rem(limit).unwrap_or(0)
    }

    /// True in so many of a million cases.
    pub fn hits(&mut self, millionths: u64) -> bool {
        self.below(MILLION) < millionths
    }

    /// Between both, the ends included; each order of magnitude as likely as any other.
    pub fn scale(&mut self, from: u64, to: u64) -> u64 {
        let (low, high) = (u64::from(from.max(1).ilog2()), u64::from(to.max(1).ilog2()));
        let step = low + self.below(high.saturating_sub(low) + 1);
        let base = 1u64 << step.min(63);
        (base + self.below(base)).clamp(from, to)
    }

    /// Between both.
    pub fn span(&mut self, from: Duration, to: Duration) -> Duration {
        let width = u64::try_from(to.saturating_sub(from).as_nanos()).unwrap_or(u64::MAX);
        from + Duration::from_nanos(self.below(width.saturating_add(1)))
    }

    /// From nothing to twice the mean.
    pub fn around(&mut self, mean: Duration) -> Duration {
        self.span(Duration::ZERO, mean * 2)
    }

    /// One of these; they are not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

impl Entropy for Draw {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_uses_differ() {
        let words = |seed, what| {
            let mut draw = Draw::new(seed, what);
            [draw.word(), draw.word(), draw.word()]
        };
        assert_eq!(words(7, "link"), words(7, "link"));
        assert_ne!(words(7, "link"), words(7, "host"));
        assert_ne!(words(7, "link"), words(8, "link"));
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut draw = Draw::new(1, "test");
        let scaled: Vec<u64> = (0..10_000).map(|_| draw.scale(3, 20_000)).collect();
        assert!(scaled.iter().all(|n| (3..=20_000).contains(n)));
        assert!(scaled.iter().filter(|n| **n < 64).count() > 1000, "small ones are as likely");
        assert!((0..10_000).filter(|_| draw.hits(500_000)).count().abs_diff(5000) < 300);
        assert_eq!((0..1000).filter(|_| draw.hits(0)).count(), 0);
        assert!((0..1000).all(|_| draw.hits(MILLION)));
        assert!((0..1000).all(|_| draw.around(Duration::from_secs(5)) <= Duration::from_secs(10)));
        assert_eq!(draw.below(0), 0);
    }
}
