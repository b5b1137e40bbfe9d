//! How many keys the intervals ask for, and whether a fixed one asks for more than comes.

use crate::control::report::{PolicyReport, SourceReport};
use crate::control::time::{per_second, rough};

/// A stock of so few keys is empty: they come and go.
const EMPTY_KEYS: u64 = 1;
/// A margin for what is rounded and measured.
const MARGIN: f64 = 0.95;
/// The part of the income that an interval named to people uses: ten minutes of few keys are counted to a key.
const SAFE_SHARE: f64 = 0.8;

/// The intervals of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    rekey: u64,
    full: u64,
    auto: bool,
    qkd: bool,
}

/// What is known of a source's stock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// Keys stored.
    pub stored: Option<u64>,
    /// Keys a second that come in.
    pub income: Option<f64>,
    /// How long the stock lasts as it falls.
    pub lasts: Option<f64>,
}

impl Means {
    /// As the status has them.
    pub fn of(source: &SourceReport) -> Self {
        let (stored, income, lasts) = (source.stored_keys, source.rate_in_per_second, source.lasts_seconds);
        Self { stored, income, lasts }
    }
}

impl Demand {
    /// By a policy.
    pub fn of(policy: &PolicyReport) -> Self {
        Self {
            rekey: policy.rekey_seconds.max(1),
            full: policy.full_seconds.max(1),
            auto: policy.rekey_min_seconds.is_some(),
            qkd: policy.qkd != "off",
        }
    }

    /// A fixed interval, and that of full handshakes, in seconds, where QKD keys are asked for.
    pub fn fixed(rekey: u64, full: u64) -> Self {
        Self { rekey: rekey.max(1), full: full.max(1), auto: false, qkd: true }
    }

    /// Full handshakes a second.
    pub(super) fn full_rate(self) -> f64 {
        1.0 / self.full as f64
    }

    /// Whether the interval follows the keys.
    pub fn is_auto(self) -> bool {
        self.auto
    }

    /// Seconds between two fast rekeys.
    pub fn rekey(self) -> f64 {
        self.rekey as f64
    }

    /// Keys a second of each source, at most: one a fast rekey and one a full handshake (PROTOCOL 2.5, 2.8).
    pub fn asked(self) -> f64 {
        if self.qkd { 1.0 / self.rekey as f64 + self.full_rate() } else { 0.0 }
    }

    /// What this end used, if it used any: in an outage it says nothing.
    pub fn measured(source: &SourceReport) -> Option<f64> {
        source.rate_out_per_second.filter(|used| *used > 0.0)
    }

    /// Keys a second that are taken: as measured, else as asked for.
    pub fn used(self, source: &SourceReport) -> f64 {
        Self::measured(source).unwrap_or_else(|| self.asked())
    }

    /// Why a fixed interval cannot be kept, and what to write instead; `None` if it can, or that is not known. A full
    /// stock takes no more than is used, so only one that falls or is empty tells.
    pub fn overdraws(self, means: Means) -> Option<String> {
        let (income, stored) = (means.income?, means.stored?);
        let is_short = means.lasts.is_some() || stored <= EMPTY_KEYS;
        if self.auto || !is_short || income >= self.asked() * MARGIN {
            return None;
        }
        let stock = match means.lasts {
            Some(lasts) if stored > EMPTY_KEYS => format!("the {stored} keys stored last {}", rough(lasts)),
            Some(_) | None => "no keys are stored, so rekeys go without".to_owned(),
        };
        // The interval that the income pays for, after the full handshakes.
        let rest = income * SAFE_SHARE - self.full_rate();
        let longer = (rest > 0.0).then(|| (1.0 / rest).ceil() as u64).filter(|longer| *longer <= self.full);
        let longer = match longer {
            Some(longer) => format!("or rekey = \"{longer}s\" or longer"),
            None => "or longer rekey and full".to_owned(),
        };
        Some(format!(
            "rekey = \"{}s\" asks for up to {} keys, and {} come: {stock}; write rekey = \"auto\" {longer}, at both \
             sites",
            self.rekey,
            per_second(self.asked()),
            per_second(income),
        ))
    }

    /// What is to be said of a stock that small where nothing is known of the income.
    pub fn is_nearly_empty(self, stored: u64) -> Option<String> {
        const FEW_KEYS: u64 = 10;
        let lasts = stored as f64 / self.asked();
        (self.qkd && !self.auto && stored < FEW_KEYS).then(|| {
            format!(
                "{stored} keys stored: enough for {} at rekey = \"{}s\" unless more come; how many come is known when \
                 the daemon has run for a minute (plait forecast)",
                rough(lasts),
                self.rekey
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(rekey: u64, auto: bool) -> Demand {
        Demand { rekey, full: 600, auto, qkd: true }
    }

    fn means(stored: u64, income: f64, lasts: Option<f64>) -> Means {
        Means { stored: Some(stored), income: Some(income), lasts }
    }

    #[test]
    fn a_fixed_interval_that_asks_for_more_than_comes_is_told_with_one_that_does_not() {
        let one_in_90 = 1.0 / 90.0;
        let text = demand(60, false).overdraws(means(0, one_in_90, None)).unwrap();
        let expected = "rekey = \"60s\" asks for up to 0.018/s keys, and 0.011/s come: no keys are stored, so rekeys go \
                        without; write rekey = \"auto\" or rekey = \"139s\" or longer, at both sites";
        assert_eq!(text, expected);
        assert_eq!(demand(139, false).overdraws(means(0, one_in_90, None)), None, "what it names is enough");
        let falling = demand(10, false).overdraws(means(500, 0.05, Some(7000.0))).unwrap();
        assert!(falling.contains("the 500 keys stored last 116 min"), "{falling}");
        let dead = demand(60, false).overdraws(means(40, 0.0, Some(2400.0))).unwrap();
        assert!(dead.contains("or longer rekey and full"), "{dead}");
    }

    #[test]
    fn nothing_is_told_of_auto_of_a_full_stock_and_of_what_is_not_known() {
        let one_in_90 = 1.0 / 90.0;
        assert_eq!(demand(60, true).overdraws(means(0, one_in_90, None)), None);
        assert_eq!(demand(60, false).overdraws(means(1000, 1.0 / 60.0, None)), None, "full: income is what is used");
        assert_eq!(demand(60, false).overdraws(means(0, 3.9, None)), None, "it has only just begun to fill");
        assert_eq!(demand(60, false).overdraws(Means::default()), None);
        let off = Demand { qkd: false, ..demand(60, false) };
        assert_eq!((off.asked(), off.overdraws(means(0, 0.0, None))), (0.0, None));
    }

    #[test]
    fn a_small_stock_is_told_where_no_income_is_known() {
        let text = demand(60, false).is_nearly_empty(9).unwrap();
        assert!(text.starts_with("9 keys stored: enough for 8 min at rekey = \"60s\""), "{text}");
        assert_eq!(demand(60, false).is_nearly_empty(10), None);
        assert_eq!(demand(60, true).is_nearly_empty(0), None);
    }
}
