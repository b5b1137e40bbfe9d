//! Stocks without any income: how long each lasts at the present interval, and as rekeys slow down.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::demand::Demand;
use crate::control::report::{PeerReport, SourceReport};
use crate::keys::estimate::{INCOME_WINDOW, Supply, interval};
use crate::types::limits::{FULL_DEFAULT, REKEY_AUTO_MIN};

/// A step takes this part of the largest stock, so that a large one needs hardly more steps than a small one.
const STEP_PART: f64 = 0.002;
/// While the income is still remembered, a step is not longer than this, in seconds.
const STEP_SECONDS: f64 = 30.0;
/// More steps than any stock takes.
const STEPS_MAX: usize = 100_000;

/// The stocks of a peer's sources, and what takes from them.
pub(super) struct Drain {
    stocks: Vec<f64>,
    incomes: Vec<f64>,
    used: Vec<f64>,
    need: u8,
    demand: Demand,
    range: RangeInclusive<Duration>,
}

/// What became of them, in seconds from now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drained {
    /// By source.
    pub(super) lasts: Vec<f64>,
    /// When rekeys come half as often as at the beginning.
    pub(super) slows: Option<f64>,
    /// When they come as seldom as they may.
    pub(super) slowest: Option<f64>,
}

impl Drain {
    /// `None` if a KME does not tell its stock: nothing can be said then.
    pub(super) fn new(peer: &PeerReport, sources: &[&SourceReport], need: u8) -> Option<Self> {
        let demand = Demand::of(&peer.policy);
        let policy = &peer.policy;
        let seconds = Duration::from_secs;
        let range =
            policy.rekey_min_seconds.zip(policy.rekey_max_seconds).map(|(min, max)| (seconds(min), seconds(max)));
        // Of a fixed interval: what `rekey = "auto"` takes if nothing else is written.
        let (shortest, longest) = range.unwrap_or((REKEY_AUTO_MIN, FULL_DEFAULT));
        let stocks: Option<Vec<f64>> =
            sources.iter().map(|source| source.stored_keys.map(|keys| keys as f64)).collect();
        Some(Self {
            stocks: stocks.filter(|stocks| !stocks.is_empty())?,
            incomes: sources.iter().map(|source| source.rate_in_per_second.unwrap_or(0.0)).collect(),
            used: sources.iter().map(|source| demand.used(source)).collect(),
            need,
            demand,
            range: shortest..=longest.max(shortest),
        })
    }

    /// At what is used now.
    pub(super) fn at_one_interval(&self) -> Drained {
        let lasts = |(stock, used): (&f64, &f64)| if *used > 0.0 { stock / used } else { f64::INFINITY };
        let lasts = self.stocks.iter().zip(&self.used).map(lasts);
        Drained { lasts: lasts.collect(), slows: None, slowest: None }
    }

    /// By the rule of `rekey = "auto"`: it goes on as now, sees within ten minutes that nothing comes any more, and then
    /// has what is left last for a day, as far as the longest interval allows.
    pub(super) fn slowing(&self) -> Drained {
        let mut stocks = self.stocks.clone();
        let mut drained = Drained { lasts: vec![0.0; stocks.len()], slows: None, slowest: None };
        let mut at = 0.0;
        let first = self.interval(&stocks, at);
        for _ in 0..STEPS_MAX {
            if stocks.iter().all(|stock| *stock <= 0.0) {
                break;
            }
            let every = self.interval(&stocks, at);
            if every >= 2.0 * first {
                drained.slows.get_or_insert(at);
            }
            if every >= self.range.end().as_secs_f64() {
                drained.slowest.get_or_insert(at);
            }
            let most = stocks.iter().copied().fold(0.0, f64::max);
            let mut keys = (most * STEP_PART).max(1.0);
            if at < INCOME_WINDOW.as_secs_f64() {
                keys = keys.min((STEP_SECONDS / every).max(1.0));
            }
            let span = keys * every;
            // One more a full handshake.
            let taken = keys + span * self.demand.full_rate();
            for (stock, lasts) in stocks.iter_mut().zip(&mut drained.lasts).filter(|(stock, _)| **stock > 0.0) {
                *lasts = at + span * (*stock / taken).min(1.0);
                *stock -= taken;
            }
            at += span;
        }
        drained
    }

    /// What the sources bear when their links have been cut for so long: the income of the window fades.
    fn interval(&self, stocks: &[f64], cut_for: f64) -> f64 {
        let left = (1.0 - cut_for / INCOME_WINDOW.as_secs_f64()).max(0.0);
        let supply = |(stock, income): (&f64, &f64)| Supply {
            stored: Some(stock.max(0.0) as u64),
            bearable: Some(income * left),
        };
        let supplies: Vec<Supply> = stocks.iter().zip(&self.incomes).map(supply).collect();
        interval(&supplies, self.need, &self.range).as_secs_f64().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(stocks: &[f64], incomes: &[f64], need: u8, range: (u64, u64)) -> Drain {
        let demand = Demand::fixed(60, 600);
        let seconds = Duration::from_secs;
        Drain {
            stocks: stocks.to_vec(),
            incomes: incomes.to_vec(),
            used: vec![demand.asked(); stocks.len()],
            need,
            demand,
            range: seconds(range.0)..=seconds(range.1),
        }
    }

    fn hours(seconds: f64) -> f64 {
        seconds / 3600.0
    }

    #[test]
    fn at_one_interval_a_stock_is_divided_by_what_is_used() {
        let drained = drain(&[1100.0], &[3.9], 1, (10, 600)).at_one_interval();
        // 60 and 6 keys an hour.
        assert!((hours(drained.lasts[0]) - 1100.0 / 66.0).abs() < 0.001, "{drained:?}");
        assert_eq!((drained.slows, drained.slowest), (None, None));
    }

    #[test]
    fn rekeys_that_slow_down_go_on_for_days_and_are_slowest_at_the_end() {
        let drained = drain(&[1000.0], &[3.9], 1, (10, 600)).slowing();
        // Above 144 keys the stock falls by its part of a day; then come six keys an hour, and six more with handshakes.
        assert!((24.0..60.0).contains(&hours(drained.lasts[0])), "{drained:?}");
        assert!(drained.slows.unwrap() <= 660.0 && hours(drained.slowest.unwrap()) > 12.0, "{drained:?}");
        let more = drain(&[1000.0], &[3.9], 1, (10, 3600)).slowing();
        assert!(more.lasts[0] > drained.lasts[0], "a longer interval lasts longer: {more:?}");
        let huge = drain(&[1e12], &[0.0], 1, (10, 600)).slowing();
        assert!(huge.lasts[0].is_finite() && huge.lasts[0] > 1e9, "bounded, whatever a KME says: {huge:?}");
    }

    #[test]
    fn each_source_gives_a_key_a_rekey_until_it_is_empty() {
        let drained = drain(&[50.0, 1000.0], &[0.0, 0.0], 1, (10, 600)).slowing();
        assert!(drained.lasts[0] > 0.0 && drained.lasts[0] < drained.lasts[1] / 2.0, "{drained:?}");
        let empty = drain(&[0.0], &[0.0], 1, (10, 600)).slowing();
        assert_eq!(empty, Drained { lasts: vec![0.0], slows: None, slowest: None });
    }
}
