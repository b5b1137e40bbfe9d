//! When a failed key source is asked again (PROTOCOL 2.8a "Probe times", 2.5 reason 11).

use std::time::Duration;

use crate::types::id::{SourceId, SourceMask};
use crate::types::limits::{BACKOFF, MISMATCH_PAUSE, QKD_SOURCES_MAX};
use crate::types::policy::Reason;
use crate::types::time::Instant;

#[derive(Clone, Copy)]
struct Failed {
    /// In a row, since a key of the source was last mixed.
    count: u32,
    reason: Reason,
    /// When it is asked again.
    due: Instant,
}

/// The probe times of one peer's sources. Only the initiator keeps them; a restart forgets them.
#[derive(Default)]
pub struct ProbeTimes {
    sources: [Option<Failed>; QKD_SOURCES_MAX],
}

impl ProbeTimes {
    /// Nothing has failed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The delay after the `failures`-th failure in a row (1 is the first): 5, 10, 20, 40, 60, 60.. s, by `jitter`
    /// 0 (at 0) to 20 % (at 255) shorter. The same series delays an attempt after a failed one (PROTOCOL 2.6).
    pub fn pause(failures: u32, jitter: u8) -> Duration {
        let last = BACKOFF.len() - 1;
        let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(last).min(last);
        let full = BACKOFF.get(at).copied().unwrap_or(MISMATCH_PAUSE);
        full - full / 5 * u32::from(jitter) / u32::from(u8::MAX)
    }

    /// The source failed, here or by the responder's reason. Gives the time it is asked again; `None` for the reasons
    /// that are no failure of the source now (10 over the budget, 11 told by [`mismatch`](Self::mismatch), 12 not asked)
    /// and while reason 11 keeps it away.
    pub fn failed(&mut self, now: Instant, source: SourceId, reason: Reason, jitter: u8) -> Option<Instant> {
        if matches!(reason, Reason::OverBudget | Reason::Mismatch | Reason::NotAsked) || self.is_mismatched(now, source)
        {
            return None;
        }
        let count = self.count(source).saturating_add(1);
        self.set(source, Failed { count, reason, due: now + Self::pause(count, jitter) })
    }

    /// The two KMEs gave different keys: the source counts as failed with reason 11 for 60 s.
    pub fn mismatch(&mut self, now: Instant, source: SourceId) {
        let count = self.count(source).saturating_add(1);
        self.set(source, Failed { count, reason: Reason::Mismatch, due: now + MISMATCH_PAUSE });
    }

    /// A key of the source was mixed: its count goes back.
    pub fn mixed(&mut self, source: SourceId) {
        if let Some(entry) = self.sources.get_mut(source.slot()) {
            *entry = None;
        }
    }

    /// Why the source is not asked now; `None`: it is asked. When one failed source's time has come, all failed ones
    /// are asked with it, except those with reason 11.
    pub fn excused(&self, now: Instant, source: SourceId) -> Option<Reason> {
        if self.is_mismatched(now, source) {
            return Some(Reason::Mismatch);
        }
        self.entry(source).filter(|_| !self.all_due(now)).map(|_| Reason::NotAsked)
    }

    /// Whether the source is asked now.
    pub fn due(&self, now: Instant, source: SourceId) -> bool {
        self.excused(now, source).is_none()
    }

    /// Whether nothing keeps a failed source waiting: one's time has come, and all are asked with it, or none has failed.
    pub fn all_due(&self, now: Instant) -> bool {
        self.next().is_none_or(|due| due <= now)
    }

    /// When the first failed source is asked again; `None` if none has failed.
    pub fn next(&self) -> Option<Instant> {
        self.sources.iter().flatten().map(|failed| failed.due).min()
    }

    /// The sources that count as failed.
    pub fn failed_sources(&self) -> SourceMask {
        SourceId::all().filter(|&s| self.entry(s).is_some()).fold(SourceMask::EMPTY, SourceMask::with)
    }

    /// Why the source last failed; `None` if it has not.
    pub fn reason(&self, source: SourceId) -> Option<Reason> {
        self.entry(source).map(|failed| failed.reason)
    }

    /// Failures in a row.
    pub fn count(&self, source: SourceId) -> u32 {
        self.entry(source).map_or(0, |failed| failed.count)
    }

    fn entry(&self, source: SourceId) -> Option<Failed> {
        self.sources.get(source.slot()).copied().flatten()
    }

    fn set(&mut self, source: SourceId, failed: Failed) -> Option<Instant> {
        let entry = self.sources.get_mut(source.slot())?;
        *entry = Some(failed);
        Some(failed.due)
    }

    fn is_mismatched(&self, now: Instant, source: SourceId) -> bool {
        self.entry(source).is_some_and(|failed| failed.reason == Reason::Mismatch && now < failed.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::from_nanos(s * 1_000_000_000)
    }

    fn source(n: u8) -> SourceId {
        SourceId::new(n).unwrap()
    }

    #[test]
    fn the_series_is_5_10_20_40_60_60() {
        let series: Vec<u64> = (1..=7).map(|n| ProbeTimes::pause(n, 0).as_secs()).collect();
        assert_eq!(series, [5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(ProbeTimes::pause(u32::MAX, 0).as_secs(), 60);
    }

    #[test]
    fn jitter_takes_off_at_most_a_fifth() {
        assert_eq!(ProbeTimes::pause(1, u8::MAX), Duration::from_secs(4));
        assert_eq!(ProbeTimes::pause(5, u8::MAX), Duration::from_secs(48));
        assert_eq!(ProbeTimes::pause(2, 51), Duration::from_millis(9600));
    }

    #[test]
    fn a_failed_source_waits_and_its_count_goes_back_only_when_a_key_is_mixed() {
        let mut probe = ProbeTimes::new();
        assert!(probe.due(at(0), source(0)));
        assert_eq!(probe.failed(at(0), source(0), Reason::Unreachable, 0), Some(at(5)));
        assert_eq!(probe.excused(at(4), source(0)), Some(Reason::NotAsked));
        assert!(probe.due(at(5), source(0)));
        assert_eq!(probe.failed(at(6), source(0), Reason::NoKeyNow, 0), Some(at(16)));
        assert_eq!(probe.reason(source(0)), Some(Reason::NoKeyNow));
        probe.mixed(source(0));
        assert!(probe.due(at(6), source(0)));
        assert_eq!(probe.next(), None);
        assert_eq!(probe.failed(at(7), source(0), Reason::Unreachable, 0), Some(at(12)));
    }

    #[test]
    fn when_one_time_has_come_all_failed_ones_are_asked_except_mismatched() {
        let mut probe = ProbeTimes::new();
        probe.failed(at(0), source(0), Reason::Unreachable, 0);
        for _ in 0..4 {
            probe.failed(at(0), source(1), Reason::Unreachable, 0);
        }
        probe.mismatch(at(0), source(2));
        assert_eq!(probe.next(), Some(at(5)));
        assert_eq!(probe.failed_sources().bits(), 0b111);
        assert_eq!(probe.excused(at(4), source(1)), Some(Reason::NotAsked));
        assert_eq!(probe.excused(at(4), source(2)), Some(Reason::Mismatch));
        assert!(probe.due(at(4), source(3)), "a source that has not failed is always asked");
        assert!(probe.due(at(5), source(0)) && probe.due(at(5), source(1)));
        assert_eq!(probe.excused(at(5), source(2)), Some(Reason::Mismatch));
    }

    #[test]
    fn reason_11_lasts_60_seconds_and_no_other_failure_shortens_it() {
        let mut probe = ProbeTimes::new();
        probe.mismatch(at(10), source(0));
        assert_eq!(probe.failed(at(11), source(0), Reason::Unreachable, 0), None);
        assert_eq!(probe.excused(at(69), source(0)), Some(Reason::Mismatch));
        assert!(probe.due(at(70), source(0)));
    }

    #[test]
    fn an_empty_budget_and_not_asking_are_no_failures() {
        let mut probe = ProbeTimes::new();
        for reason in [Reason::OverBudget, Reason::Mismatch, Reason::NotAsked] {
            assert_eq!(probe.failed(at(0), source(0), reason, 0), None);
            assert!(probe.due(at(0), source(0)));
        }
    }

    #[test]
    fn a_failed_source_is_due_again_at_its_time_only() {
        let mut probes = ProbeTimes::new();
        assert!(probes.due(at(0), source(0)));
        let due = probes.failed(at(0), source(0), Reason::Unreachable, 0).unwrap();
        assert_eq!([at(0), at(4), due].map(|now| probes.due(now, source(0))), [false, false, true]);
    }
}
