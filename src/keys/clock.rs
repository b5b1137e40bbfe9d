//! The policy clock of one peer: how long the tunnel may still go on short of QKD keys (PROTOCOL 2.8a).

use std::time::Duration;

use super::policy::LeftSeconds;
use super::state_file::{FileKind, FileState, unwrap, wrap};
use crate::types::limits::CLOCK_WRITE_INTERVAL;
use crate::types::policy::QkdPolicy;
use crate::types::secret::SecretBytes;
use crate::types::time::Instant;

/// `clock` of payload1 and payload2 for "that or more, or unlimited" (PROTOCOL 2.5).
const CLOCK_FIELD_MAX: u16 = u16::MAX;
/// In the file: no deadline. No finite limit is as long as this many nanoseconds.
const FILE_UNLIMITED: u64 = u64::MAX;

/// The limit that a clock takes when it starts: the one of the effective policy, of both ends' the smaller.
pub fn limit(policy: QkdPolicy, hold_last: u32, degrade_for: u32) -> LeftSeconds {
    LeftSeconds(match policy {
        QkdPolicy::Off => u32::MAX,
        QkdPolicy::Preferred => degrade_for,
        QkdPolicy::Required => hold_last,
    })
}

/// What remains as payload1 and payload2 carry it: 0 not running, else 1 + the seconds, at most 65535.
pub fn to_clock_field(remaining: Option<LeftSeconds>) -> u16 {
    remaining.map_or(0, |left| u16::try_from(left.0.saturating_add(1)).unwrap_or(CLOCK_FIELD_MAX))
}

/// What the peer's `clock` says remains; `None` if its clock does not run. 65535 tightens nothing.
pub fn from_clock_field(field: u16) -> Option<LeftSeconds> {
    match field {
        0 => None,
        CLOCK_FIELD_MAX => Some(LeftSeconds::UNLIMITED),
        running => Some(LeftSeconds(u32::from(running) - 1)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Running {
    /// `FAR_FUTURE`: unlimited.
    deadline: Instant,
}

/// One clock a peer. It is started by the first short exchange, only ever shortened, and cleared by a confirmed epoch
/// that is not short; new sessions, reloads and restarts do not touch it.
///
/// The time it is told counts suspend and stands still while the process does not run, as the protocol wants.
#[derive(Default)]
pub struct PolicyClock {
    running: Option<Running>,
    /// When the file has to be written; `None`: what it says holds.
    write_due: Option<Instant>,
    /// What the file says is left, in nanoseconds; `None`: not running.
    written_ns: Option<u64>,
}

impl PolicyClock {
    /// Not running.
    pub fn new() -> Self {
        Self::default()
    }

    /// From what is on disk, going on from there. A damaged file could hide a clock that has run down, so it counts as
    /// one that runs with nothing left: the next epoch that is not short clears it.
    pub fn from_file(now: Instant, bytes: Option<&[u8]>) -> (Self, FileState) {
        let Some(bytes) = bytes else { return (Self::new(), FileState::Absent) };
        let content = unwrap(FileKind::Clock, bytes).and_then(|content| content.split_first());
        let (running, state) = match content {
            Some((0, [0, 0, 0, 0, 0, 0, 0, 0])) => return (Self::new(), FileState::Present),
            Some((1, left_ns)) if left_ns.len() == 8 => {
                let left_ns = left_ns.iter().fold(0, |left, byte| left << 8 | u64::from(*byte));
                (left_ns, FileState::Present)
            }
            _ => (0, FileState::Damaged),
        };
        let deadline =
            if running == FILE_UNLIMITED { Instant::FAR_FUTURE } else { now + Duration::from_nanos(running) };
        let clock = Self { running: Some(Running { deadline }), write_due: Some(now), written_ns: Some(running) };
        (clock, state)
    }

    /// Starts with this limit; without effect on a running clock. `true` if it started.
    pub fn start(&mut self, now: Instant, limit: LeftSeconds) -> bool {
        if self.running.is_some() {
            return false;
        }
        self.running = Some(Running { deadline: deadline(now, limit) });
        self.write_due = Some(now);
        true
    }

    /// What remains at the peer shortens a running clock; it neither starts nor lengthens one. `true` if it shortened.
    pub fn tighten(&mut self, now: Instant, remaining_at_peer: LeftSeconds) -> bool {
        let Some(running) = &mut self.running else { return false };
        let theirs = deadline(now, remaining_at_peer);
        if theirs >= running.deadline {
            return false;
        }
        running.deadline = theirs;
        // Until the next write the file must not promise more than is left: it says what remains at that moment.
        let at_next_write = theirs.since(self.write_due.unwrap_or(Instant::FAR_FUTURE)).as_nanos();
        if self.written_ns.is_none_or(|written| u128::from(written) > at_next_write) {
            self.write_due = Some(now);
        }
        true
    }

    /// As [`tighten`](Self::tighten), by the peer's `clock` of payload1 or payload2.
    pub fn tighten_wire(&mut self, now: Instant, field: u16) -> bool {
        from_clock_field(field).is_some_and(|remaining| self.tighten(now, remaining))
    }

    /// Our own `clock` of payload1 or payload2.
    pub fn to_wire(&self, now: Instant) -> u16 {
        to_clock_field(self.remaining(now))
    }

    /// A confirmed epoch that is not short: the clock stops. `true` if it ran.
    pub fn clear(&mut self) -> bool {
        let ran = self.running.take().is_some();
        if ran {
            self.write_due = Some(Instant::ZERO);
        }
        ran
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// What remains, rounded up to whole seconds; `None` if it does not run.
    pub fn remaining(&self, now: Instant) -> Option<LeftSeconds> {
        self.running.map(|running| {
            if running.deadline == Instant::FAR_FUTURE {
                return LeftSeconds::UNLIMITED;
            }
            let seconds = running.deadline.since(now).as_nanos().div_ceil(1_000_000_000);
            // Below UNLIMITED, which would read as no deadline.
            LeftSeconds(u32::try_from(seconds).unwrap_or(u32::MAX).min(u32::MAX - 1))
        })
    }

    /// When nothing remains; `None` if it does not run or has no limit.
    pub fn runs_out_at(&self) -> Option<Instant> {
        self.running.map(|running| running.deadline).filter(|&deadline| deadline != Instant::FAR_FUTURE)
    }

    /// Whether it runs and nothing remains.
    pub fn is_expired(&self, now: Instant) -> bool {
        self.runs_out_at().is_some_and(|deadline| deadline <= now)
    }

    /// When the file has to be written: at once after a start, a stop or a shortening that the file does not cover, then
    /// after every tenth of what remains (1..60 s).
    pub fn next_write(&self) -> Option<Instant> {
        self.write_due
    }

    /// The file's content to be written now: what will remain at the next write, never below 0. Sets the next write.
    pub fn write(&mut self, now: Instant) -> SecretBytes {
        let (shortest, longest) = CLOCK_WRITE_INTERVAL;
        let left = self.running.map(|running| running.deadline.since(now));
        let interval = left.map(|left| (left / 10).clamp(shortest, longest));
        let unlimited = self.running.is_some() && self.runs_out_at().is_none();
        self.write_due = interval.filter(|_| !unlimited && !self.is_expired(now)).map(|interval| now + interval);
        let left_ns = left.zip(interval).map(|(left, interval)| {
            if unlimited { FILE_UNLIMITED } else { left.saturating_sub(interval).as_nanos() as u64 }
        });
        self.written_ns = left_ns;
        file_bytes(left_ns)
    }

    /// The file's content for an orderly stop: exactly what remains.
    pub fn stop_bytes(&self, now: Instant) -> SecretBytes {
        let exact = |running: Running| match self.runs_out_at() {
            Some(_) => running.deadline.since(now).as_nanos() as u64,
            None => FILE_UNLIMITED,
        };
        file_bytes(self.running.map(exact))
    }
}

fn deadline(now: Instant, left: LeftSeconds) -> Instant {
    if left == LeftSeconds::UNLIMITED { Instant::FAR_FUTURE } else { now + Duration::from_secs(u64::from(left.0)) }
}

/// `0 1 running    1 8 nanoseconds left, all ones: unlimited`
fn file_bytes(left_ns: Option<u64>) -> SecretBytes {
    let mut content = [u8::from(left_ns.is_some()); 9];
    let (_, left) = content.split_at_mut(1);
    left.copy_from_slice(&left_ns.unwrap_or(0).to_be_bytes());
    SecretBytes::new(wrap(FileKind::Clock, &content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn started(limit_s: u32) -> PolicyClock {
        let mut clock = PolicyClock::new();
        assert!(clock.start(at(0), LeftSeconds(limit_s)));
        clock
    }

    #[test]
    fn a_running_clock_is_not_restarted_and_what_remains_is_rounded_up() {
        let mut clock = started(100);
        assert!(!clock.start(at(50_000), LeftSeconds(1000)));
        assert_eq!(clock.remaining(at(0)), Some(LeftSeconds(100)));
        assert_eq!(clock.remaining(at(1)), Some(LeftSeconds(100)));
        assert_eq!(clock.remaining(at(1000)), Some(LeftSeconds(99)));
        assert_eq!(clock.remaining(at(99_999)), Some(LeftSeconds(1)));
        assert!(!clock.is_expired(at(99_999)));
        assert_eq!(clock.remaining(at(100_000)), Some(LeftSeconds::NONE));
        assert!(clock.is_expired(at(100_000)) && clock.is_running());
    }

    #[test]
    fn the_peers_value_only_tightens_a_running_clock() {
        let mut clock = PolicyClock::new();
        assert!(!clock.tighten(at(0), LeftSeconds(5)));
        assert_eq!(clock.remaining(at(0)), None);
        clock.start(at(0), LeftSeconds(100));
        assert!(!clock.tighten(at(0), LeftSeconds(101)));
        assert!(!clock.tighten(at(0), LeftSeconds::UNLIMITED));
        assert!(clock.tighten(at(0), LeftSeconds(40)));
        assert_eq!(clock.remaining(at(0)), Some(LeftSeconds(40)));
        clock.clear();
        assert!(clock.start(at(0), LeftSeconds(100)));
        assert_eq!(clock.remaining(at(0)), Some(LeftSeconds(100)), "the peer's value is not kept as a limit");
    }

    #[test]
    fn limits_come_from_the_effective_policy() {
        assert_eq!(limit(QkdPolicy::Required, 7, 9), LeftSeconds(7));
        assert_eq!(limit(QkdPolicy::Preferred, 7, 9), LeftSeconds(9));
        assert_eq!(limit(QkdPolicy::Off, 7, 9), LeftSeconds::UNLIMITED);
    }

    #[test]
    fn the_clock_field_is_one_more_than_the_seconds() {
        let cases = [
            (None, 0),
            (Some(0), 1),
            (Some(3600), 3601),
            (Some(65_533), 65_534),
            (Some(65_534), 65_535),
            (Some(70_000), 65_535),
            (Some(u32::MAX), 65_535),
        ];
        for (left, field) in cases {
            assert_eq!(to_clock_field(left.map(LeftSeconds)), field, "{left:?}");
        }
        assert_eq!(from_clock_field(0), None);
        assert_eq!(from_clock_field(1), Some(LeftSeconds::NONE));
        assert_eq!(from_clock_field(65_534), Some(LeftSeconds(65_533)));
        assert_eq!(from_clock_field(65_535), Some(LeftSeconds::UNLIMITED));
    }

    #[test]
    fn the_file_says_what_will_remain_at_the_next_write() {
        let mut clock = started(100);
        assert_eq!(clock.next_write(), Some(at(0)));
        let bytes = clock.write(at(0));
        assert_eq!(clock.next_write(), Some(at(10_000)));
        let (again, state) = PolicyClock::from_file(at(7_000_000), Some(bytes.expose()));
        assert_eq!((again.remaining(at(7_000_000)), state), (Some(LeftSeconds(90)), FileState::Present));
        clock.write(at(95_000));
        assert_eq!(clock.next_write(), Some(at(96_000)), "at least a second apart");
        let last = clock.write(at(99_500));
        assert_eq!(PolicyClock::from_file(at(0), Some(last.expose())).0.remaining(at(0)), Some(LeftSeconds::NONE));
        let mut long = started(86_400);
        long.write(at(0));
        assert_eq!(long.next_write(), Some(at(60_000)), "at most a minute apart");
    }

    #[test]
    fn an_orderly_stop_keeps_exactly_what_remains() {
        let clock = started(100);
        let (again, _) = PolicyClock::from_file(at(0), Some(clock.stop_bytes(at(33_250)).expose()));
        assert_eq!(again.runs_out_at(), Some(at(66_750)));
    }

    #[test]
    fn a_shortening_that_the_file_does_not_cover_is_written_at_once() {
        let mut clock = started(100);
        clock.write(at(0));
        clock.tighten(at(1000), LeftSeconds(99));
        assert_eq!(clock.next_write(), Some(at(10_000)), "the file says 90, which is what remains then");
        clock.tighten(at(1000), LeftSeconds(98));
        assert_eq!(clock.next_write(), Some(at(1000)));
    }

    #[test]
    fn clearing_is_written_at_once_and_lasts() {
        let mut clock = started(100);
        clock.write(at(0));
        assert!(clock.clear());
        assert!(!clock.clear());
        assert_eq!(clock.next_write(), Some(Instant::ZERO));
        let bytes = clock.write(at(5));
        assert_eq!(clock.next_write(), None);
        assert!(!PolicyClock::from_file(at(9), Some(bytes.expose())).0.is_running());
    }

    #[test]
    fn a_clock_without_limit_runs_and_says_so() {
        let mut clock = PolicyClock::new();
        clock.start(at(0), LeftSeconds::UNLIMITED);
        assert_eq!(clock.remaining(at(1_000_000)), Some(LeftSeconds::UNLIMITED));
        assert_eq!((clock.runs_out_at(), clock.is_expired(Instant::FAR_FUTURE)), (None, false));
        let bytes = clock.write(at(0));
        assert_eq!(clock.next_write(), None);
        for bytes in [bytes, clock.stop_bytes(at(3))] {
            let (mut again, _) = PolicyClock::from_file(at(7), Some(bytes.expose()));
            assert_eq!(again.remaining(at(7)), Some(LeftSeconds::UNLIMITED));
            again.tighten(at(7), LeftSeconds(30));
            assert_eq!(again.next_write(), Some(at(7)));
        }
    }

    #[test]
    fn a_damaged_file_leaves_nothing() {
        let odd =
            [wrap(FileKind::Clock, &[2; 9]), wrap(FileKind::Clock, &[0, 0, 0, 0, 0, 0, 0, 0, 1]), vec![], vec![1; 9]];
        for bytes in odd {
            let (clock, state) = PolicyClock::from_file(at(5), Some(&bytes));
            assert_eq!((clock.remaining(at(5)), state), (Some(LeftSeconds::NONE), FileState::Damaged));
        }
        assert_eq!(PolicyClock::from_file(at(5), None).1, FileState::Absent);
    }

    #[test]
    fn a_file_of_another_length_is_damaged() {
        for length in [8, 10] {
            let bytes = wrap(FileKind::Clock, &vec![1; length]);
            assert_eq!(PolicyClock::from_file(at(5), Some(&bytes)).1, FileState::Damaged, "{length}");
        }
    }

    #[test]
    fn the_longest_limit_never_reads_as_none() {
        let bytes = wrap(FileKind::Clock, &[[1].as_slice(), &(u64::MAX - 1).to_be_bytes()].concat());
        let (clock, _) = PolicyClock::from_file(at(0), Some(&bytes));
        assert_eq!(clock.remaining(at(0)), Some(LeftSeconds(u32::MAX - 1)));
    }

    #[test]
    fn the_wire_tells_what_remains_and_tightens_by_it() {
        let mut clock = started(100);
        assert_eq!((PolicyClock::new().to_wire(at(0)), clock.to_wire(at(0))), (0, 101));
        assert!(!clock.tighten_wire(at(0), 0) && !clock.tighten_wire(at(0), 102));
        assert!(clock.tighten_wire(at(0), 41));
        assert_eq!(clock.to_wire(at(0)), 41);
    }
}
