//! Links on virtual time: fibre, fibre that is cut, satellite, and one key in 90 s; no stock is spent that patience would have saved.

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// What became of a day or more.
#[derive(Debug, Default)]
struct Outcome {
    rekeys: u64,
    /// Rekeys that found no key: each is a state that leaves HYBRID.
    misses: u64,
    least: u64,
    left: u64,
    longest: Duration,
    shortest: Duration,
}

/// A pair that has `stock` keys, at most `stock_max`, and gains `income(second)` keys in each second. Status every 30 s.
fn run(span: u64, stock: u64, range: &RangeInclusive<Duration>, income: impl Fn(u64) -> u64) -> Outcome {
    let (mut stock, mut used, mut next) = (stock, 0, range.end().as_secs());
    let mut estimate = KeyEstimate::default();
    let mut outcome = Outcome { least: stock, shortest: Duration::MAX, ..Outcome::default() };
    for second in 1..=span {
        stock = (stock + income(second)).min(1000);
        if second.is_multiple_of(30) {
            estimate.note(Sample { at: at(second), stored: stock, used });
        }
        let interval = interval(&[estimate.supply(at(second), used)], 1, range);
        if second >= next {
            outcome.rekeys += 1;
            match stock.checked_sub(1) {
                Some(rest) => (stock, used) = (rest, used + 1),
                None => outcome.misses += 1,
            }
            next = second + interval.as_secs().max(1);
            outcome.longest = outcome.longest.max(interval);
            outcome.shortest = outcome.shortest.min(interval);
        }
        outcome.least = outcome.least.min(stock);
    }
    Outcome { left: stock, ..outcome }
}

const DAY: u64 = 86_400;

#[test]
fn a_fibre_is_used_at_the_shortest_interval_and_its_stock_stays_full() {
    // 3.9 keys/s in blocks of 100.
    let outcome =
        run(DAY, 100, &(seconds(10)..=seconds(600)), |second| if second.is_multiple_of(26) { 100 } else { 0 });
    assert!(outcome.misses == 0 && outcome.left > 900, "{outcome:?}");
    assert!(outcome.rekeys > DAY / 11, "{outcome:?}");
}

#[test]
fn a_cut_fibre_keeps_a_full_stock_for_more_than_a_day() {
    let cut = |second: u64| if second < 3600 && second.is_multiple_of(26) { 100 } else { 0 };
    let outcome = run(3600 + DAY, 1000, &(seconds(10)..=seconds(3600)), cut);
    assert!(outcome.misses == 0 && outcome.left > 300, "{outcome:?}");
    // A fixed interval as fast as before the cut does not last.
    let fixed = run(3600 + DAY, 1000, &(seconds(10)..=seconds(10)), cut);
    assert!(fixed.misses > 0, "{fixed:?}");
}

#[test]
fn a_small_stock_is_spent_no_faster_than_the_longest_interval_would_for_as_long_as_that_lasts() {
    let range = seconds(10)..=seconds(3600);
    for stock in [24, 30, 50, 100, 1000] {
        let outcome = run(DAY, stock, &range, |_| 0);
        assert_eq!(outcome.misses, 0, "the longest interval would have needed 24 of {stock}: {outcome:?}");
    }
    assert!(run(DAY, 10, &range, |_| 0).misses > 0, "no interval in the range saves 10 keys over a day");
}

#[test]
fn a_satellite_pass_lasts_until_the_next_and_over_one_that_is_missed() {
    // 800 keys in four minutes, twice a day; the third pass is lost to clouds.
    let pass = |second: u64| {
        let (number, within) = (second / 43_200, second % 43_200);
        if number != 2 && (3600..3840).contains(&within) { 800 / 240 + u64::from(within.is_multiple_of(3)) } else { 0 }
    };
    let outcome = run(3 * DAY, 0, &(seconds(10)..=seconds(3600)), pass);
    // Before the first pass there is nothing to use.
    assert!(outcome.misses <= 1 && outcome.left > 100, "{outcome:?}");
    assert!(outcome.rekeys > 3 * DAY / 300, "keys are used, not hoarded: {outcome:?}");
}

#[test]
fn one_key_in_ninety_seconds_makes_no_state_flap() {
    for start in [1, 5, 50] {
        let outcome = run(DAY, start, &(seconds(10)..=seconds(600)), |second| u64::from(second.is_multiple_of(90)));
        assert_eq!(outcome.misses, 0, "{outcome:?}");
        assert!(outcome.rekeys > DAY / 150, "most keys are used: {outcome:?}");
    }
}

#[test]
fn a_kme_that_tells_nothing_gets_the_longest_interval_and_the_best_sources_decide() {
    let range = seconds(10)..=seconds(600);
    let silent = Supply { stored: None, bearable: None };
    let rich = Supply { stored: Some(1000), bearable: Some(4.0) };
    let poor = Supply { stored: Some(300), bearable: Some(0.0) };
    assert_eq!(interval(&[silent], 1, &range), seconds(600));
    assert_eq!(interval(&[], 1, &range), seconds(600));
    assert_eq!(interval(&[silent, rich], 1, &range), seconds(10));
    assert_eq!(interval(&[silent, rich], 2, &range), seconds(600));
    assert_eq!(interval(&[poor, rich], 2, &range), seconds(288));
    assert_eq!(interval(&[Supply { stored: Some(0), bearable: Some(4.0) }], 1, &range), seconds(600), "empty: wait");
}

#[test]
fn the_estimate_is_of_the_window_and_starts_anew_with_the_daemon() {
    let mut estimate = KeyEstimate::default();
    assert_eq!((estimate.income(at(0)), estimate.stored(0), estimate.use_rate(at(0))), (None, None, None));
    for minute in 0..=30 {
        // Two keys a second come until minute 10, none after; one a minute is used.
        let came = 100 + 120 * minute.min(10);
        let now = at(minute * 60);
        estimate.note(Sample { at: now, stored: came - minute, used: minute });
        if minute == 0 {
            assert_eq!(estimate.income(now), None, "one report says nothing of a rate");
        }
        if minute == 10 {
            assert_eq!((estimate.income(now), estimate.lasts(now, minute)), (Some(2.0), None));
        }
    }
    let now = at(1800);
    assert_eq!(estimate.income(now), Some(0.0), "the window has seen the cut");
    assert_eq!(estimate.use_rate(now).map(|rate| (rate * 600.0).round()), Some(10.0));
    assert_eq!(estimate.stored(35), Some(1300 - 30 - 5), "five more were used since");
    assert_eq!(estimate.lasts(now, 35).map(|lasts| lasts.as_secs()), Some(1265 * 60), "one a minute, no income");
    estimate.note(Sample { at: now, stored: 0, used: 30 });
    assert_eq!(estimate.stored(30), Some(1270), "not younger: nothing new");
    estimate.note(Sample { at: at(1900), stored: 7, used: 1 });
    assert_eq!((estimate.income(at(1900)), estimate.stored(1)), (None, Some(7)));
}

#[test]
fn an_old_estimate_has_no_rates_but_its_stock_less_what_was_used() {
    let mut estimate = KeyEstimate::default();
    estimate.note(Sample { at: at(0), stored: 100, used: 0 });
    estimate.note(Sample { at: at(100), stored: 90, used: 2 });
    let rates = |second| (estimate.income(at(second)), estimate.use_rate(at(second)), estimate.bearable(at(second)));
    assert_eq!(rates(195), (Some(0.0), Some(0.02), Some(0.0)));
    assert_eq!(estimate.lasts(at(195), 4).map(|lasts| lasts.as_secs()), Some(880), "others take from it as well");
    assert_eq!(rates(196), (None, None, None));
    assert_eq!((estimate.lasts(at(196), 4), estimate.stored(4)), (None, Some(88)));
    assert_eq!(estimate.supply(at(9999), 95), Supply { stored: Some(0), bearable: None });
}

#[test]
fn a_full_stock_that_lacks_the_key_just_used_does_not_fall() {
    let lasts = |stored: u64| {
        let mut estimate = KeyEstimate::default();
        estimate.note(Sample { at: at(0), stored: 1000, used: 0 });
        estimate.note(Sample { at: at(600), stored, used: 10 });
        estimate.lasts(at(600), 10).map(|lasts| lasts.as_secs())
    };
    assert_eq!([1001, 1000, 998, 997].map(lasts), [None, None, None, Some(997 * 200)]);
}

#[test]
fn keys_that_others_take_are_no_income() {
    let mut estimate = KeyEstimate::default();
    estimate.note(Sample { at: at(0), stored: 500, used: 0 });
    estimate.note(Sample { at: at(100), stored: 100, used: 10 });
    assert_eq!(estimate.income(at(100)), Some(0.0));
}

/// Status every minute: a stock of these keys, nothing used.
fn unused(stored: &[u64]) -> KeyEstimate {
    let mut estimate = KeyEstimate::default();
    for (minute, &stored) in (0..).zip(stored) {
        estimate.note(Sample { at: at(60 * minute), stored, used: 0 });
    }
    estimate
}

#[test]
fn a_stock_that_nobody_uses_tells_its_income_and_a_sixteenth_less_is_still_steady() {
    let estimate = unused(&[100, 130, 160]);
    assert_eq!(estimate.income(at(120)), Some(0.5));
    assert_eq!(estimate.bearable(at(120)), Some(59.0 / 120.0 * SHARE_STEADY));
}

#[test]
fn more_is_used_while_the_stock_keeps_fifteen_sixteenths_than_while_it_falls() {
    // 61 keys came in each, of which one does not count: the stock of 1600 may lose 100.
    for (stored, share) in [(1500, SHARE_STEADY), (1499, SHARE_FALLING)] {
        let mut estimate = KeyEstimate::default();
        estimate.note(Sample { at: at(0), stored: 1600, used: 0 });
        estimate.note(Sample { at: at(60), stored, used: 1600 - stored + 61 });
        assert_eq!(estimate.bearable(at(60)), Some(share), "{stored}");
    }
}

#[test]
fn samples_are_kept_up_to_their_bound() {
    let mut estimate = KeyEstimate::default();
    for second in 0..=SAMPLES_MAX as u64 {
        estimate.note(Sample { at: at(second), stored: 1, used: second });
    }
    assert_eq!(estimate.samples.len(), SAMPLES_MAX);
}

#[test]
fn an_income_is_borne_as_the_time_of_one_key() {
    let supply = Supply { stored: Some(1000), bearable: Some(0.02) };
    assert_eq!(interval(&[supply], 1, &(seconds(10)..=seconds(600))), seconds(50));
}

/// What a KME says is a number of any size: some mean "without end" by the largest.
#[test]
fn any_number_of_keys_that_a_kme_says_is_taken() {
    for stored in [[u64::MAX, u64::MAX, u64::MAX], [0, u64::MAX, 0], [u64::MAX, 0, u64::MAX], [u64::MAX - 1; 3]] {
        let mut estimate = KeyEstimate::default();
        for (sample, used) in (1..).zip([0, u64::MAX, u64::MAX]) {
            estimate.note(Sample { at: at(30 * sample), stored: stored[sample as usize - 1], used });
            let supply = estimate.supply(at(30 * sample), used);
            let rates = estimate.rates(at(30 * sample), used);
            let shortest = interval(&[supply], 1, &(seconds(10)..=seconds(600)));
            assert!((seconds(10)..=seconds(600)).contains(&shortest), "{stored:?}: {supply:?}, {rates:?}");
        }
    }
}
