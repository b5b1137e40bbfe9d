//! The quantum link: makes secret key in whole blocks, as real systems do; can be cut, slowed and repaired while it runs.

use super::bb84::LinkClass;
use crate::types::time::Instant;

/// Nanoseconds of a second.
const SECOND: u128 = 1_000_000_000;
/// Bits a second: above every system, and low enough that sums cannot overflow.
pub const KEY_RATE_MAX: u64 = 1_000_000_000;
/// Bits of a block: the largest seen in real post-processing.
pub const BLOCK_BITS_MAX: u64 = 100_000_000;

/// Where the rate comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkModel {
    /// As configured.
    Constant {
        /// Bits of secret key a second.
        key_rate: u64,
    },
    /// By class and loss of the fibre.
    Bb84 {
        /// Of the hardware.
        class: LinkClass,
        /// Of the fibre.
        loss_db: f64,
    },
}

impl LinkModel {
    /// Bits of secret key a second, at most [`KEY_RATE_MAX`].
    pub fn rate(self) -> u64 {
        let rate = match self {
            Self::Constant { key_rate } => key_rate,
            Self::Bb84 { class, loss_db } => class.key_yield(loss_db).bits_per_second as u64,
        };
        rate.min(KEY_RATE_MAX)
    }
}

/// The link's state between two moments.
pub struct QuantumLink {
    up: bool,
    rate: u64,
    block_bits: u64,
    /// Bits of the block in the making, times nanoseconds of a second.
    partial: u128,
    at: Instant,
}

impl QuantumLink {
    /// A link that is up since `now`.
    pub fn new(model: LinkModel, block_bits: u64, now: Instant) -> Self {
        Self { up: true, rate: model.rate(), block_bits: block_bits.clamp(1, BLOCK_BITS_MAX), partial: 0, at: now }
    }

    /// Bits of the blocks completed since the last call.
    pub fn advance(&mut self, now: Instant) -> u64 {
        let span = now.since(self.at).as_nanos();
        self.at = self.at.max(now);
        if !self.up {
            return 0;
        }
        self.partial += span * u128::from(self.rate);
        let block = u128::from(self.block_bits) * SECOND;
        let blocks = self.partial / block;
        self.partial %= block;
        u64::try_from(blocks).unwrap_or(u64::MAX).saturating_mul(self.block_bits)
    }

    /// Cuts the fibre (the block in the making is lost) or repairs it.
    pub fn set_up(&mut self, up: bool) {
        self.up = up;
        self.partial = 0;
    }

    /// Another rate from now on, at most [`KEY_RATE_MAX`].
    pub fn set_rate(&mut self, rate: u64) {
        self.rate = rate.min(KEY_RATE_MAX);
    }

    /// Whether the fibre is whole.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Bits of secret key a second while it is up.
    pub fn rate(&self) -> u64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn key_comes_in_blocks_and_none_is_lost_between_calls() {
        let mut link = QuantumLink::new(LinkModel::Constant { key_rate: 1000 }, 500, at(0));
        assert_eq!(link.advance(at(499)), 0);
        assert_eq!(link.advance(at(500)), 500);
        assert_eq!(link.advance(at(500)), 0);
        let mut total = 0;
        for ms in (500..=10_500).step_by(7) {
            total += link.advance(at(ms));
        }
        assert_eq!(total, 9500);
    }

    #[test]
    fn a_cut_link_makes_nothing_and_loses_its_block() {
        let mut link = QuantumLink::new(LinkModel::Constant { key_rate: 1000 }, 500, at(0));
        assert_eq!(link.advance(at(400)), 0);
        link.set_up(false);
        assert_eq!(link.advance(at(60_000)), 0);
        link.set_up(true);
        assert_eq!(link.advance(at(60_499)), 0);
        assert_eq!(link.advance(at(60_500)), 500);
    }

    #[test]
    fn a_slowed_link_makes_less_and_time_never_runs_back() {
        let mut link = QuantumLink::new(LinkModel::Constant { key_rate: 1000 }, 100, at(0));
        link.set_rate(100);
        assert_eq!(link.advance(at(1000)), 100);
        assert_eq!(link.advance(at(0)), 0);
        assert_eq!(link.advance(at(1000)), 0);
        link.set_rate(u64::MAX);
        assert_eq!(link.rate(), KEY_RATE_MAX);
        assert!(link.advance(Instant::FAR_FUTURE) > 0);
    }

    #[test]
    fn the_bb84_model_gives_the_rate_of_its_class() {
        assert_eq!(LinkModel::Bb84 { class: LinkClass::Entry, loss_db: 10.0 }.rate() / 100, 41);
    }
}
