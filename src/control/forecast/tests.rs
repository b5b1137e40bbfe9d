//! Forecasts of one report: full and falling stocks, each policy, several sources, and what is not known.

use super::super::report::sample::report;
use super::*;

const NOW: &str = "2026-11-24T09:00:00Z";

fn forecast_of(change: impl Fn(&mut StatusReport)) -> PeerForecast {
    let mut status = report();
    change(&mut status);
    forecast(&status, NOW.to_owned()).peers.remove(0)
}

/// Rekeys every 60 s, measured: one key a minute.
fn falling(status: &mut StatusReport) {
    let source = &mut status.sources[0];
    (source.stored_keys, source.rate_in_per_second) = (Some(120), Some(0.0));
    (source.rate_out_per_second, source.lasts_seconds) = (Some(1.0 / 60.0), Some(7200.0));
}

#[test]
fn a_fed_stock_has_no_end_and_a_cut_one_leads_over_holdover_to_blocked() {
    let peer = forecast_of(|_| {});
    let none = Outlook { short_seconds: None, short_state: None, next_seconds: None, next_state: None, unknown: false };
    assert_eq!(peer.goes_on, none);
    // 812 keys at 0.016667/s, and 16.9 s that remain of the epoch in use.
    let cut = &peer.if_cut;
    let short = cut.short_seconds.unwrap();
    assert!((48_700..48_760).contains(&short), "{short}");
    assert_eq!((cut.short_state.as_deref(), cut.next_state.as_deref()), (Some("HOLDOVER"), Some("BLOCKED")));
    assert_eq!(cut.next_seconds, Some(short + 3600));
    assert_eq!((peer.slows_seconds, peer.slowest_seconds), (None, None), "a fixed interval never slows down");
    let source = &peer.sources[0];
    assert!(source.rate_out_measured && source.warning.is_none(), "{source:?}");
    assert!(source.if_cut_auto_seconds > source.if_cut_fixed_seconds, "{source:?}");
}

#[test]
fn a_stock_that_falls_says_when_it_is_over_and_that_the_interval_asks_for_too_much() {
    let peer = forecast_of(falling);
    assert_eq!(peer.goes_on.short_seconds, Some(7216));
    assert_eq!(peer.goes_on.next_seconds, Some(7216 + 3600));
    assert_eq!(peer.if_cut, peer.goes_on, "it is cut already");
    assert!(peer.sources[0].warning.as_ref().unwrap().contains("rekey = \"auto\""), "{peer:?}");
}

#[test]
fn the_policy_in_force_decides_what_follows() {
    let states = |qkd: &str, limit: Option<u64>| {
        let cut = forecast_of(|status| {
            falling(status);
            status.peers[0].effective_qkd = Some(qkd.to_owned());
            status.peers[0].effective_limit_seconds = limit;
        })
        .if_cut;
        (cut.short_state, cut.next_seconds, cut.next_state)
    };
    let word = |word: &str| Some(word.to_owned());
    assert_eq!(states("preferred", None), (word("DEGRADED"), None, None));
    assert_eq!(states("preferred", Some(60)), (word("DEGRADED"), Some(7276), word("BLOCKED")));
    assert_eq!(states("required", Some(0)), (word("BLOCKED"), None, None));
    assert_eq!(states("off", None), (None, None, None));
    let configured = forecast_of(|status| {
        falling(status);
        (status.peers[0].effective_qkd, status.peers[0].effective_limit_seconds) = (None, None);
    });
    assert_eq!(configured.if_cut.next_seconds, Some(7216 + 3600), "without a session: as configured here");
}

#[test]
fn a_state_that_holds_already_is_told_with_what_remains_of_it() {
    let outlook = |state: &str, left: Option<f64>| {
        let peer = forecast_of(|status| {
            status.peers[0].state = state.to_owned();
            status.peers[0].deadline_seconds = left;
        });
        assert_eq!(peer.goes_on, peer.if_cut);
        let Outlook { short_seconds, short_state, next_seconds, next_state, .. } = peer.if_cut;
        (short_seconds, short_state.unwrap(), next_seconds, next_state)
    };
    let blocked = Some("BLOCKED".to_owned());
    assert_eq!(outlook("HOLDOVER", Some(1799.4)), (Some(0), "HOLDOVER".to_owned(), Some(1799), blocked));
    assert_eq!(outlook("DEGRADED", None), (Some(0), "DEGRADED".to_owned(), None, None));
    assert_eq!(outlook("BLOCKED", None), (Some(0), "BLOCKED".to_owned(), None, None));
}

#[test]
fn of_several_sources_the_one_decides_that_leaves_too_few() {
    let two = |need| {
        forecast_of(|status| {
            falling(status);
            let mut second = status.sources[0].clone();
            (second.name, second.stored_keys, second.lasts_seconds) = ("fibre-2".to_owned(), Some(240), Some(14_400.0));
            status.sources.push(second);
            status.peers[0].effective_min_sources = Some(need);
        })
    };
    assert_eq!(two(2).if_cut.short_seconds, Some(7216));
    assert_eq!(two(1).if_cut.short_seconds, Some(14_416));
    assert_eq!(two(3).if_cut.short_seconds, Some(16), "more than there are");
}

#[test]
fn what_is_not_known_is_said_and_never_guessed() {
    let silent = forecast_of(|status| {
        let source = &mut status.sources[0];
        (source.stored_keys, source.stored_keys_age_seconds, source.rate_in_per_second) = (None, None, None);
        source.rate_out_per_second = None;
    });
    assert!(silent.goes_on.unknown && silent.if_cut.unknown, "{silent:?}");
    let source = &silent.sources[0];
    assert_eq!((source.if_cut_fixed_seconds, source.if_cut_auto_seconds), (None, None));
    assert!(!source.rate_out_measured && (source.rate_out_per_second - 0.018_333).abs() < 1e-6, "{source:?}");
    let fresh = forecast_of(|status| status.sources[0].rate_in_per_second = None);
    assert!(fresh.goes_on.unknown && !fresh.if_cut.unknown, "a stock without a rate tells only of a cut: {fresh:?}");
}

#[test]
fn auto_says_when_it_slows_down() {
    let peer = forecast_of(|status| {
        let policy = &mut status.peers[0].policy;
        (policy.rekey_seconds, policy.rekey_min_seconds, policy.rekey_max_seconds) = (10, Some(10), Some(600));
        status.sources[0].rate_out_per_second = Some(0.1);
    });
    assert!(peer.auto && peer.slows_seconds.unwrap() <= 660.0, "{peer:?}");
    assert!(peer.slowest_seconds > peer.slows_seconds, "{peer:?}");
    let source = &peer.sources[0];
    let slowing = source.if_cut_auto_seconds.unwrap();
    assert!(slowing > 10.0 * source.if_cut_fixed_seconds.unwrap(), "{source:?}");
    assert!(peer.if_cut.short_seconds.unwrap().abs_diff(slowing as u64) <= 1, "its own interval decides");
}

#[test]
fn the_screen_says_what_it_rests_on() {
    let mut status = report();
    falling(&mut status);
    let text = text(&forecast(&status, NOW.to_owned()));
    for words in [
        "interface: hq-dc    at 2026-11-24T09:00:00Z",
        "peer: dc-east    HYBRID    rekey: fixed, 60 s",
        "kme: fibre-1 120 keys stored (12 s ago), 0/s in, 0.017/s out (measured), lasts 2 h as it falls",
        "WARNING: rekey = \"60s\" asks for up to 0.018/s keys, and 0/s come",
        "if the link is cut now: HOLDOVER begins in 2 h, at 2026-11-24T11:00:16Z; it ends in 3 h, at \
         2026-11-24T12:00:16Z, then BLOCKED",
        "Estimated: ",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let well = super::text(&forecast(&report(), NOW.to_owned()));
    assert!(well.contains("does not fall") && well.contains("as it goes on: no shortage of keys in sight"), "{well}");
}
