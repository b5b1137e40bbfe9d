//! How often key sets are drawn for a peer: a token for each I2 or FR1, kept over restarts (PROTOCOL 2.5 "Request budget").

use std::time::Duration;

use super::state_file::{FileKind, unwrap, wrap};
use crate::types::limits::{BUDGET_INTERVAL_MAX, BUDGET_TOKENS_MAX};
use crate::types::secret::SecretBytes;
use crate::types::time::Instant;

/// At most four tokens, one more every min(5 s, T_fast / 2). A token is the whole set of one I2 or FR1.
pub struct RequestBudget {
    interval: Duration,
    tokens: u8,
    /// Since when the next token grows; without meaning while all tokens are there.
    growing_since: Instant,
}

impl RequestBudget {
    /// Full, for a peer with this rekey interval.
    pub fn new(t_fast: Duration) -> Self {
        Self::with_tokens(t_fast, BUDGET_TOKENS_MAX, Instant::ZERO)
    }

    /// From what is on disk. The time in which the process did not run grows no token; a file that cannot be read
    /// leaves none, so that a crash loop cannot empty a KME.
    pub fn from_file(bytes: Option<&[u8]>, t_fast: Duration, now: Instant) -> Self {
        let Some(bytes) = bytes else { return Self::new(t_fast) };
        let tokens = match unwrap(FileKind::Budget, bytes) {
            Some(&[tokens]) if tokens <= BUDGET_TOKENS_MAX => tokens,
            _ => 0,
        };
        Self::with_tokens(t_fast, tokens, now)
    }

    fn with_tokens(t_fast: Duration, tokens: u8, now: Instant) -> Self {
        Self { interval: interval(t_fast), tokens, growing_since: now }
    }

    /// From now on the rekey interval is this one; tokens that are there stay.
    pub fn pace(&mut self, t_fast: Duration) {
        self.interval = interval(t_fast);
    }

    /// Takes a token; `false` if there is none, and then the request waits until [`next`](Self::next).
    #[must_use = "without a token no KME is asked"]
    pub fn take(&mut self, now: Instant) -> bool {
        self.grow(now);
        let Some(rest) = self.tokens.checked_sub(1) else { return false };
        if self.tokens == BUDGET_TOKENS_MAX {
            self.growing_since = now;
        }
        self.tokens = rest;
        true
    }

    /// When a token is there: `now` if one is.
    pub fn next(&self, now: Instant) -> Instant {
        if self.tokens > 0 { now } else { now.max(self.growing_since + self.interval) }
    }

    /// Tokens there now, for reports.
    pub fn tokens(&mut self, now: Instant) -> u8 {
        self.grow(now);
        self.tokens
    }

    /// The file's content: written after each token taken, and at an orderly stop.
    pub fn to_bytes(&self) -> SecretBytes {
        SecretBytes::new(wrap(FileKind::Budget, &[self.tokens]))
    }

    fn grow(&mut self, now: Instant) {
        let room = BUDGET_TOKENS_MAX - self.tokens;
        let whole = now.since(self.growing_since).as_nanos() / self.interval.as_nanos();
        let grown = u8::try_from(whole).unwrap_or(u8::MAX).min(room);
        self.tokens += grown;
        self.growing_since = if grown == room { now } else { self.growing_since + self.interval * u32::from(grown) };
    }
}

/// A nanosecond at least: a zero interval would be a division by zero and no limit.
fn interval(t_fast: Duration) -> Duration {
    BUDGET_INTERVAL_MAX.min(t_fast / 2).max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn drained(t_fast_s: u64, now: Instant) -> RequestBudget {
        let mut budget = RequestBudget::new(Duration::from_secs(t_fast_s));
        for _ in 0..BUDGET_TOKENS_MAX {
            assert!(budget.take(now));
        }
        budget
    }

    #[test]
    fn four_at_once_and_then_one_every_five_seconds() {
        let mut budget = drained(60, at(1000));
        assert!(!budget.take(at(5999)));
        assert_eq!(budget.next(at(5999)), at(6000));
        assert!(budget.take(at(6000)));
        assert!(!budget.take(at(10_999)));
        assert!(budget.take(at(11_000)));
    }

    #[test]
    fn a_short_rekey_interval_halves_to_the_token_interval() {
        let mut budget = drained(1, at(0));
        assert!(!budget.take(at(499)));
        assert!(budget.take(at(500)));
    }

    #[test]
    fn tokens_do_not_pile_up_beyond_four() {
        let mut budget = drained(60, at(0));
        for _ in 0..BUDGET_TOKENS_MAX {
            assert!(budget.take(at(1_000_000)));
        }
        assert!(!budget.take(at(1_000_000)));
        assert!(!budget.take(at(1_004_999)), "the next one grows from the moment the first was taken");
    }

    #[test]
    fn a_restart_neither_fills_it_nor_counts_the_time_between() {
        let budget = drained(60, at(0));
        let mut again = RequestBudget::from_file(Some(budget.to_bytes().expose()), Duration::from_secs(60), at(90_000));
        assert!(!again.take(at(94_999)));
        assert!(again.take(at(95_000)));
    }

    #[test]
    fn no_file_is_full_and_a_damaged_file_is_empty() {
        assert_eq!(RequestBudget::from_file(None, Duration::from_secs(60), at(0)).tokens(at(0)), 4);
        let five = wrap(FileKind::Budget, &[5]);
        for bad in [b"".as_slice(), b"PLAITb", &five] {
            assert_eq!(RequestBudget::from_file(Some(bad), Duration::from_secs(60), at(0)).tokens(at(0)), 0);
        }
    }

    #[test]
    fn tokens_of_the_file_are_there_at_once() {
        let mut budget = drained(60, at(0));
        assert_eq!(budget.tokens(at(10_000)), 2);
        let file = budget.to_bytes();
        let mut again = RequestBudget::from_file(Some(file.expose()), Duration::from_secs(60), at(90_000));
        assert_eq!((again.next(at(90_000)), again.tokens(at(90_000))), (at(90_000), 2));
    }

    #[test]
    fn what_grows_fills_the_room_and_no_more() {
        let mut budget = drained(60, at(0));
        let tokens = [4999, 5000, 15_000, 20_000, 100_000].map(|ms| budget.tokens(at(ms)));
        assert_eq!(tokens, [0, 1, 3, 4, 4]);
        assert!(budget.take(at(100_000)) && budget.take(at(103_000)));
        assert_eq!(
            [104_999, 105_000].map(|ms| budget.tokens(at(ms))),
            [2, 3],
            "from when a full one was first taken from"
        );
    }

    #[test]
    fn another_rekey_interval_is_in_force_at_once() {
        let mut budget = drained(60, at(0));
        budget.pace(Duration::from_secs(2));
        assert_eq!(budget.next(at(0)), at(1000));
    }
}
