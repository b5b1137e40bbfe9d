//! The rules about keys: seen table, fit tests, request budget, probe times, policy clock (PROTOCOL 2.5, 2.8a).

use std::collections::BTreeSet;
use std::time::Duration;

use plait::keys::budget::RequestBudget;
use plait::keys::clock::{PolicyClock, from_clock_field, to_clock_field};
use plait::keys::fitness::FitTests;
use plait::keys::policy::LeftSeconds;
use plait::keys::probe::ProbeTimes;
use plait::keys::request::DeliveredKey;
use plait::keys::seen::SeenTable;
use plait::types::id::{KeyId, SourceId};
use plait::types::limits::SEEN_KEY_IDS_MAX;
use plait::types::policy::Reason;
use plait::types::secret::{Secret, SecretBytes};
use plait::types::time::Instant;
use proptest::prelude::*;

fn source(n: u8) -> SourceId {
    SourceId::new(n).unwrap()
}

fn key_id(n: u16) -> KeyId {
    KeyId::new(format!("id-{n}").as_bytes()).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

proptest! {
    #[test]
    fn a_key_id_never_passes_twice(tries in prop::collection::vec((0u8..6, 0u16..40), 1..200)) {
        let (mut seen, mut passed) = (SeenTable::new(), BTreeSet::new());
        for (from, id) in tries {
            prop_assert_eq!(seen.insert(source(from), &key_id(id)), passed.insert((from, id)));
            prop_assert!(seen.contains(source(from), &key_id(id)));
        }
        prop_assert_eq!(seen.len(), passed.len());
    }

    #[test]
    fn the_last_key_ids_are_known_whatever_came_before(more in 0usize..3000, probe in any::<prop::sample::Index>()) {
        let total = SEEN_KEY_IDS_MAX + more;
        let mut seen = SeenTable::new();
        for n in 0..total {
            prop_assert!(seen.insert(source((n % 6) as u8), &key_id(n as u16)));
        }
        let recent = total - 1 - probe.index(SEEN_KEY_IDS_MAX);
        prop_assert!(!seen.insert(source((recent % 6) as u8), &key_id(recent as u16)));
        prop_assert_eq!(seen.len(), SEEN_KEY_IDS_MAX);
    }

    #[test]
    fn patterns_are_unfit_and_random_bytes_are_fit(
        pattern in prop::collection::vec(any::<u8>(), 1..=16), length in 32usize..100, random in any::<[u8; 32]>(),
    ) {
        let mut fit = FitTests::new(Secret::take(&mut [1; 48]));
        let repeated: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
        let key = |name: u16, bytes: &[u8]| DeliveredKey {
            key_id: key_id(name),
            material: SecretBytes::new(bytes.to_vec()),
        };
        prop_assert_eq!(fit.check(source(0), &key(0, &repeated)), Err(Reason::Malformed));
        prop_assume!(!random.windows(6).any(|run| run.iter().all(|byte| *byte == run[0])));
        prop_assert_eq!(fit.check(source(0), &key(1, &random)), Ok(()));
        prop_assert_eq!(fit.check(source(0), &key(2, &random)), Err(Reason::Malformed));
        prop_assert_eq!(fit.check(source(1), &key(1, &random)), Err(Reason::Malformed));
    }
}

#[derive(Clone, Debug)]
enum Use {
    Take,
    Restart,
}

proptest! {
    #[test]
    fn the_budget_gives_at_most_four_and_one_for_each_interval(
        t_fast_ms in 1000u64..20_000,
        uses in prop::collection::vec((0u64..3000, prop_oneof![9 => Just(Use::Take), 1 => Just(Use::Restart)]), 1..200),
    ) {
        let (t_fast, interval) = (ms(t_fast_ms), ms(5000).min(ms(t_fast_ms) / 2));
        let (mut budget, mut now, mut given) = (RequestBudget::new(t_fast), Instant::ZERO, 0);
        for (pause, what) in uses {
            now = now + ms(pause);
            match what {
                Use::Take => given += u128::from(budget.take(now)),
                Use::Restart => {
                    budget = RequestBudget::from_file(Some(budget.to_bytes().expose()), t_fast, now);
                }
            }
            let allowed = 4 + now.since(Instant::ZERO).as_nanos() / interval.as_nanos();
            prop_assert!(given <= allowed, "{} given, {} allowed", given, allowed);
        }
    }

    #[test]
    fn a_token_is_there_when_next_says_so_and_not_before(
        t_fast_ms in 1000u64..20_000, pauses in prop::collection::vec(0u64..4000, 1..60),
    ) {
        let (mut budget, mut now) = (RequestBudget::new(ms(t_fast_ms)), Instant::ZERO);
        for pause in pauses {
            now = now + ms(pause);
            let next = budget.next(now);
            prop_assert_eq!(budget.take(now), next == now);
            if next > now {
                prop_assert!(!budget.take(next - Duration::from_nanos(1)));
                prop_assert!(budget.take(next));
                now = next;
            }
        }
    }

    #[test]
    fn a_pause_after_failures_is_at_most_a_fifth_shorter(failures in any::<u32>(), jitter in any::<u8>()) {
        let (full, pause) = (ProbeTimes::pause(failures, 0), ProbeTimes::pause(failures, jitter));
        prop_assert!(pause <= full && pause >= full * 4 / 5);
        prop_assert!(full >= ms(5000) && full <= ms(60_000));
    }

    #[test]
    fn failed_sources_are_asked_together_at_the_first_ones_time_and_mismatched_ones_after_60_s(
        events in prop::collection::vec((0u64..8000, 0u8..6, 0u8..4, any::<u8>()), 1..80),
    ) {
        let (mut probes, mut now) = (ProbeTimes::new(), Instant::ZERO);
        let mut away: [Option<Instant>; 6] = [None; 6];
        for (pause, from, what, jitter) in events {
            now = now + ms(pause);
            match what {
                0 => { probes.mixed(source(from)); away[usize::from(from)] = None; }
                1 => { probes.mismatch(now, source(from)); away[usize::from(from)] = Some(now + ms(60_000)); }
                _ => { probes.failed(now, source(from), Reason::Unreachable, jitter); }
            }
            let next = probes.next();
            for s in SourceId::all() {
                let expected = if away[s.slot()].is_some_and(|until| now < until) {
                    Some(Reason::Mismatch)
                } else if probes.failed_sources().has(s) && next.is_some_and(|next| now < next) {
                    Some(Reason::NotAsked)
                } else {
                    None
                };
                prop_assert_eq!(probes.excused(now, s), expected);
            }
            prop_assert_eq!(next.is_some(), !probes.failed_sources().is_empty());
            prop_assert!(next.is_none_or(|next| next <= now + ms(60_000)));
        }
    }

    #[test]
    fn the_clock_field_never_says_more_than_a_second_too_much(left in any::<u32>()) {
        let field = to_clock_field(Some(LeftSeconds(left)));
        let read = from_clock_field(field).unwrap();
        prop_assert!(read >= LeftSeconds(left), "rounding up only");
        prop_assert!(read == LeftSeconds(left) || (field == u16::MAX && read == LeftSeconds::UNLIMITED));
    }
}

#[derive(Clone, Debug)]
enum Tick {
    Start(u32),
    Tighten(u32),
    Wire(u16),
    /// Killed, and started again after that many milliseconds.
    Kill(u64),
    Stop(u64),
}

fn ticks() -> impl Strategy<Value = Vec<(u64, Tick)>> {
    let limit = prop_oneof![1 => Just(u32::MAX), 6 => 0u32..5000];
    let tick = prop_oneof![
        2 => limit.clone().prop_map(Tick::Start),
        2 => limit.prop_map(Tick::Tighten),
        1 => any::<u16>().prop_map(Tick::Wire),
        1 => (0u64..100_000).prop_map(Tick::Kill),
        1 => (0u64..100_000).prop_map(Tick::Stop),
    ];
    prop::collection::vec((0u64..40_000, tick), 1..60)
}

/// Nanoseconds left; `u64::MAX` without a limit.
fn left_ns(clock: &PolicyClock, now: Instant) -> Option<u64> {
    clock.is_running().then(|| clock.runs_out_at().map_or(u64::MAX, |at| at.since(now).as_nanos() as u64))
}

proptest! {
    #[test]
    fn the_clock_never_grows_not_even_over_a_restart(ticks in ticks()) {
        let (mut clock, mut now, mut file) = (PolicyClock::new(), Instant::ZERO, None::<Vec<u8>>);
        for (pause, tick) in ticks {
            let target = now + ms(pause);
            // The engine's part: writes are done when they are due.
            while let Some(due) = clock.next_write().filter(|due| *due <= target) {
                now = now.max(due);
                file = Some(clock.write(now).expose().to_vec());
            }
            let before = left_ns(&clock, now).map(|left| if left == u64::MAX { left } else { left.saturating_sub(target.since(now).as_nanos() as u64) });
            now = target;
            prop_assert_eq!(left_ns(&clock, now), before, "time alone");
            match tick {
                Tick::Start(limit) => prop_assert_eq!(clock.start(now, LeftSeconds(limit)), before.is_none()),
                Tick::Tighten(left) => drop(clock.tighten(now, LeftSeconds(left))),
                Tick::Wire(field) => drop(clock.tighten_wire(now, field)),
                Tick::Kill(gone) | Tick::Stop(gone) => {
                    let stopped = matches!(tick, Tick::Stop(_)).then(|| clock.stop_bytes(now).expose().to_vec());
                    let exact = stopped.is_some();
                    now = now + ms(gone);
                    clock = PolicyClock::from_file(now, stopped.as_deref().or(file.as_deref())).0;
                    prop_assert!(!exact || left_ns(&clock, now) == before, "an orderly stop is exact");
                    file = stopped.or(file);
                }
            }
            if let Some(before) = before {
                let left = left_ns(&clock, now).expect("nothing here stops it");
                prop_assert!(left <= before, "{} grew to {}", before, left);
            }
        }
    }

    #[test]
    fn what_remains_is_rounded_up_to_whole_seconds(limit in 0u32..100_000, gone_ns in 0u64..200_000_000_000_000) {
        let mut clock = PolicyClock::new();
        clock.start(Instant::ZERO, LeftSeconds(limit));
        let now = Instant::from_nanos(gone_ns);
        let left = (u64::from(limit) * 1_000_000_000).saturating_sub(gone_ns);
        let said = u64::from(clock.remaining(now).unwrap().0);
        prop_assert!(said * 1_000_000_000 >= left && said * 1_000_000_000 < left + 1_000_000_000);
        prop_assert_eq!(clock.is_expired(now), left == 0);
        prop_assert_eq!(u64::from(clock.to_wire(now)), (said + 1).min(65_535));
    }

    #[test]
    fn a_kill_costs_at_most_a_tenth_and_a_bit_of_what_remains(limit in 10u32..100_000, at_ms in 0u64..100_000) {
        let mut clock = PolicyClock::new();
        clock.start(Instant::ZERO, LeftSeconds(limit));
        let killed = Instant::ZERO + ms(at_ms.min(u64::from(limit) * 1000));
        let (mut now, mut file) = (Instant::ZERO, Vec::new());
        while let Some(due) = clock.next_write().filter(|due| *due <= killed) {
            now = now.max(due);
            file = clock.write(now).expose().to_vec();
        }
        let (again, _) = PolicyClock::from_file(killed, Some(&file));
        let (left, kept) = (left_ns(&clock, killed).unwrap(), left_ns(&again, killed).unwrap());
        prop_assert!(kept <= left);
        let lost = left - kept;
        prop_assert!(lost <= (left / 9).clamp(1_000_000_000, 60_000_000_000), "{} of {} lost", lost, left);
    }
}
