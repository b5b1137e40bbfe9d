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
/// Without a status report for so long the estimate is stale: three polls in a row brought none (a KME is asked every 30 s).
pub const STALE_AFTER: Duration = Duration::from_secs(95);
/// A stock that lost fewer keys in the window does not fall: a full one lacks the key that was used last.
const FALL_MIN: u64 = 3;
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

    /// Keys a second that came into the stock for this end: what it gained, and what this end used. A full stock gains
    /// no more than was used. `None` before enough was seen, and while the KME says nothing.
    pub fn income(&self, now: Instant) -> Option<f64> {
        let window = self.window(now)?;
        Some(window.gained() as f64 / window.span.as_secs_f64())
    }

    /// Keys a second that may be used for long: a little more than came while the stock does not fall, less if it does.
    /// One key less than was seen counts as come, for it may have been on its way before.
    pub fn bearable(&self, now: Instant) -> Option<f64> {
        let window = self.window(now)?;
        // A sixteenth is what blocks of key make it waver.
        let is_steady = window.last.stored.saturating_add(window.first.stored / 16) >= window.first.stored;
        let income = window.gained().saturating_sub(1) as f64 / window.span.as_secs_f64();
        Some(income * if is_steady { SHARE_STEADY } else { SHARE_FALLING })
    }

    /// Keys a second that this end used.
    pub fn use_rate(&self, now: Instant) -> Option<f64> {
        let window = self.window(now)?;
        Some(window.last.used.saturating_sub(window.first.used) as f64 / window.span.as_secs_f64())
    }

    /// How long the stock lasts if it goes on to fall as it did in the window, whoever takes from it; `None` if it does
    /// not fall or that is not known.
    pub fn lasts(&self, now: Instant, used: u64) -> Option<Duration> {
        let window = self.window(now)?;
        let lost = window.first.stored.checked_sub(window.last.stored).filter(|lost| *lost >= FALL_MIN)?;
        let seconds = self.stored(used)? as f64 / (lost as f64 / window.span.as_secs_f64());
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// All that people are shown, when this end has been given `used` keys in all.
    pub fn rates(&self, now: Instant, used: u64) -> Rates {
        Rates { income: self.income(now), used: self.use_rate(now), lasts: self.lasts(now, used) }
    }

    /// What decides the interval, when this end has been given `used` keys in all.
    pub fn supply(&self, now: Instant, used: u64) -> Supply {
        Supply { stored: self.stored(used), bearable: self.bearable(now) }
    }

    /// What is known and not stale.
    fn window(&self, now: Instant) -> Option<Window> {
        let (first, last) = (*self.samples.front()?, *self.samples.back()?);
        let span = last.at.since(first.at);
        (span >= INCOME_SPAN_MIN && now.since(last.at) <= STALE_AFTER).then_some(Window { first, last, span })
    }
}

/// What is known of a stock besides its size; nothing while the KME says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Keys a second that came in.
    pub income: Option<f64>,
    /// Keys a second that this end used.
    pub used: Option<f64>,
    /// How long the stock lasts if it goes on to fall as it did; `None` if it does not.
    pub lasts: Option<Duration>,
}

/// First and last status report of the window.
#[derive(Clone, Copy)]
struct Window {
    first: Sample,
    last: Sample,
    span: Duration,
}

impl Window {
    /// Keys that came: those now there, and those this end used, beyond those that were there.
    fn gained(self) -> u64 {
        let used = self.last.used.saturating_sub(self.first.used);
        self.last.stored.saturating_add(used).saturating_sub(self.first.stored)
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
