//! Looks at traffic and stocks: at the start, over gaps, and within their bounds.

use super::super::report::sample;
use super::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn report(received: u64, keys: u64) -> StatusReport {
    let mut report = sample::report();
    report.peers[0].transfer.received_bytes = received;
    report.sources[0].stored_keys = Some(keys);
    report.sources[0].stored_keys_age_seconds = Some(0.0);
    report
}

#[test]
fn there_is_no_rate_before_two_looks() {
    let mut history = History::default();
    assert!(history.is_due(at(0)));
    history.look(at(0), &report(1000, 50));
    assert!(!history.is_due(at(4)) && history.is_due(at(5)));
    assert!(history.traffic("dc-east", at(1)).is_empty() && history.traffic("nobody", at(1)).is_empty());
    assert_eq!(history.stock(0, &report(1000, 50), at(1)).unwrap().stored, [(1.0, 50)]);
}

#[test]
fn rates_are_those_between_looks_however_far_apart() {
    let mut history = History::default();
    for (second, bytes) in [(0, 0), (5, 5000), (25, 5000), (30, 5050)] {
        history.look(at(second), &report(bytes, 50));
    }
    let expected = [(25.0, 1000.0, 0.0), (5.0, 0.0, 0.0), (0.0, 10.0, 0.0)];
    assert_eq!(history.traffic("dc-east", at(30)), expected);
}

#[test]
fn an_answer_that_only_grows_older_is_one_stock() {
    let mut history = History::default();
    let mut same = report(0, 100);
    for second in [0, 5, 10] {
        same.sources[0].stored_keys_age_seconds = Some(second as f64);
        history.look(at(second), &same);
    }
    assert_eq!(history.stock(0, &same, at(10)).unwrap().stored, [(10.0, 100)]);
}

#[test]
fn looks_are_bounded() {
    let mut history = History::default();
    let mut many = report(0, 1);
    many.peers = vec![many.peers[0].clone(); COURSES_MAX + 3];
    for (number, peer) in many.peers.iter_mut().enumerate() {
        peer.name = format!("dc-{number}");
    }
    for second in 0..(LOOKS_MAX as u64 + 10) {
        history.look(at(second * 31), &many);
    }
    assert_eq!(history.peers.len(), COURSES_MAX);
    assert_eq!(
        (history.peers.values().next().unwrap().len(), history.sources.values().next().unwrap().len()),
        (LOOKS_MAX, STOCKS_MAX)
    );
}
