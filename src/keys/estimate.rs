//! What a KME pair gives, estimated from what its status says and what this end used; and the rekey interval that lasts.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::types::time::Instant;

/// The span whose income is looked at: long enough for key that comes in blocks, short enough to see a cut link.
pub const INCOME_WINDOW: Duration = Duration::from_secs(600);
/// Before so much of the window has been seen nothing is said of the income.
pub const INCOME_SPAN_MIN: Duration = Duration::from_secs(60);
/// Least time between two status reports.
const SAMPLE_GAP_MIN: Duration = Duration::from_secs(1);
/// Samples of a window: one status report in 30 s and some more.
const SAMPLES_MAX: usize = 64;
/// How long a stock must last without any income, as far as the longest interval allows: a working day and its night.
pub const STOCK_HORIZON: Duration = Duration::from_secs(24 * 3600);
/// What is used of the income while the stock falls: the rest fills it.
const SHARE_FALLING: f64 = 0.8;
/// The same while it does not fall: a full stock hides what more could come, so a little more is tried.
const SHARE_STEADY: f64 = 1.25;

/// What a status report said, and what this end had used by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the KME said so.
    pub at: Instant,
    /// Keys it said it stores.
    pub stored: u64,
    /// Keys this end had been given since its start.
    pub used: u64,
}

/// The estimate for one source.
#[derive(Clone, Debug, Default)]
pub struct KeyEstimate {
    samples: VecDeque<Sample>,
}

impl KeyEstimate {
    /// One more status report. One that is hardly younger than the last is the same again: ages are rounded.
    pub fn note(&mut self, sample: Sample) {
        if self.samples.back().is_some_and(|last| sample.at.since(last.at) < SAMPLE_GAP_MIN) {
            return;
        }
        if self.samples.back().is_some_and(|last| sample.used < last.used) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        // One sample at or before the edge of the window stays, so that the window is covered.
        let edge = sample.at - INCOME_WINDOW;
        while self.samples.len() > SAMPLES_MAX || self.samples.get(1).is_some_and(|second| second.at <= edge) {
            self.samples.pop_front();
        }
    }

    /// Keys that should be there when this end has been given `used` in all: those drawn since the last report are gone.
    pub fn stored(&self, used: u64) -> Option<u64> {
        self.samples.back().map(|last| last.stored.saturating_sub(used.saturating_sub(last.used)))
    }

    /// Keys a second that came into the stock for this end, at least: one key less than was seen, for it may have been
    /// on its way before. `None` before enough was seen.
    pub fn income(&self) -> Option<f64> {
        let (gained, span) = self.gained()?;
        Some(gained.saturating_sub(1) as f64 / span.as_secs_f64())
    }

    /// Keys a second that may be used for long: a little more than came while the stock does not fall, less if it does.
    pub fn bearable(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        // A sixteenth is what blocks of key make it waver.
        let is_steady = last.stored + first.stored / 16 >= first.stored;
        self.income().map(|income| income * if is_steady { SHARE_STEADY } else { SHARE_FALLING })
    }

    /// Keys a second that this end used.
    pub fn use_rate(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let span = last.at.since(first.at);
        (span >= INCOME_SPAN_MIN).then(|| last.used.saturating_sub(first.used) as f64 / span.as_secs_f64())
    }

    fn gained(&self) -> Option<(u64, Duration)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let span = last.at.since(first.at);
        let gained = (last.stored + (last.used - first.used)).saturating_sub(first.stored);
        (span >= INCOME_SPAN_MIN).then_some((gained, span))
    }
}

/// What decides the interval for one source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supply {
    /// Keys in stock; `None`: the KME does not say.
    pub stored: Option<u64>,
    /// Keys a second that may be used for long; `None`: not known yet.
    pub bearable: Option<f64>,
}

impl Supply {
    /// The interval that this source bears: as the income allows, or such that the stock lasts for a day; never so
    /// fast that what is in stock would be gone before a cut link could be seen.
    fn interval(self) -> Option<Duration> {
        let stored = self.stored?;
        let keys = stored.max(1) as f64;
        let by_income = self.bearable.filter(|rate| *rate > 0.0).map(|rate| 1.0 / rate);
        let by_stock = STOCK_HORIZON.as_secs_f64() / keys;
        let guard = INCOME_WINDOW.as_secs_f64() / keys;
        let seconds = by_income.map_or(by_stock, |by_income| by_income.min(by_stock)).max(guard);
        Duration::try_from_secs_f64(if stored == 0 { seconds.max(by_stock) } else { seconds }).ok()
    }
}

/// The interval of fast rekeys for a peer that must mix `need` of these sources: what the `need` best bear, within the
/// range. A source whose KME does not tell its stock bears the longest.
pub fn interval(supplies: &[Supply], need: u8, range: &RangeInclusive<Duration>) -> Duration {
    let mut each: Vec<Duration> =
        supplies.iter().map(|supply| supply.interval().unwrap_or_else(|| *range.end())).collect();
    each.sort_unstable();
    let at = usize::from(need.max(1)) - 1;
    each.get(at).copied().unwrap_or_else(|| *range.end()).clamp(*range.start(), *range.end())
}

#[cfg(test)]
mod tests;
