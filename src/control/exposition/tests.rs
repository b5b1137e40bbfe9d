//! The text is read as a scraper reads it, and holds every figure of the operator's list, under the names of the list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::live::{LIVE_SCHEMA, LiveReport};
use super::super::measures::{Measures, PeerMeasures, SourceMeasures};
use super::super::report::{OverrideReport, sample};
use super::*;
use crate::types::histogram::Histogram;

/// Samples by name with labels, as they stand in the text; and the families with their kinds.
struct Scraped {
    families: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

/// Reads the text strictly: order, suffixes, units, escapes, one end.
fn scrape(text: &str) -> Scraped {
    let mut scraped = Scraped { families: BTreeMap::new(), samples: BTreeMap::new() };
    let mut now = (String::new(), String::new());
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap();
            match word {
                "TYPE" => {
                    now = (name.to_owned(), rest.to_owned());
                    let old = scraped.families.insert(name.to_owned(), rest.to_owned());
                    assert!(old.is_none(), "{name} comes twice");
                }
                "UNIT" => assert!(name == now.0 && name.ends_with(&format!("_{rest}")), "{line}"),
                "HELP" => assert!(name == now.0 && rest.ends_with('.'), "{line}"),
                other => panic!("{other}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffix = name.strip_prefix(now.0.as_str()).unwrap_or_else(|| panic!("{line} stands under {}", now.0));
        let allowed: &[&str] = match now.1.as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        let old = scraped.samples.insert(series.to_owned(), value.parse().unwrap());
        assert!(old.is_none(), "{series} comes twice");
    }
    scraped
}

pub(super) fn view() -> LiveView {
    let mut status = sample::report();
    status.sources[0].certificate_expiry = Some("2027-01-01T00:00:00Z".to_owned());
    status.peers[0].deadline_seconds = Some(1799.4);
    status.peers[0].over = Some(OverrideReport {
        qkd: "preferred".to_owned(),
        remaining_seconds: 600.5,
        ends: "2026-11-24T09:14:00Z".to_owned(),
        reason: "fibre work".to_owned(),
    });
    status.sources[0].lasts_seconds = Some(540.0);
    status.peers[0].handshakes.failed = 5;
    status.peers[0].handshakes.failed_fast = 2;
    status.offload_given_up = vec!["gro".to_owned()];
    status.unclaimed.insert("no_route".to_owned(), 7);
    status.refused.insert("mac1".to_owned(), 4);
    let mut took = Histogram::default();
    took.note(Duration::from_millis(20));
    let peer = PeerMeasures { transitions: vec![("HYBRID", "HOLDOVER", 3)], full: took, fast: Histogram::default() };
    let source = SourceMeasures {
        requests: BTreeMap::from([(("enc_keys", "ok"), 44), (("status", "unreachable"), 6)]),
        took: BTreeMap::from([("enc_keys", took)]),
    };
    let report = LiveReport {
        schema: LIVE_SCHEMA,
        version: "1.2.3".to_owned(),
        time: "2026-11-24T09:04:00Z".to_owned(),
        status,
        courses: Vec::new(),
        stocks: Vec::new(),
        events: Vec::new(),
    };
    LiveView { report, measures: Measures { peers: vec![peer], sources: vec![source] } }
}

#[test]
fn every_figure_of_the_list_is_there_with_its_value() {
    let scraped = scrape(&text(&view()));
    let peer = "interface=\"hq-dc\",peer=\"dc-east\"";
    let source = "interface=\"hq-dc\",peer=\"dc-east\",source=\"fibre-1\"";
    for (series, value) in [
        ("plait_build_info{interface=\"hq-dc\",version=\"1.2.3\"}".to_owned(), 1.0),
        ("plait_uptime_seconds{interface=\"hq-dc\"}".to_owned(), 2600.0),
        ("plait_offload_given_up{interface=\"hq-dc\",offload=\"gro\"}".to_owned(), 1.0),
        (format!("plait_peer_state{{{peer},state=\"HYBRID\"}}"), 1.0),
        (format!("plait_peer_state{{{peer},state=\"BLOCKED\"}}"), 0.0),
        (format!("plait_policy_transitions_total{{{peer},from=\"HYBRID\",to=\"HOLDOVER\"}}"), 3.0),
        (format!("plait_policy_deadline_seconds{{{peer}}}"), 1799.4),
        (format!("plait_policy_override_seconds{{{peer}}}"), 600.5),
        (format!("plait_session_epoch{{{peer}}}"), 44.0),
        (format!("plait_key_age_seconds{{{peer}}}"), 43.1),
        (format!("plait_qkd_key_age_seconds{{{peer}}}"), 43.1),
        (format!("plait_epoch_qkd_keys{{{peer}}}"), 1.0),
        (format!("plait_rekey_interval_seconds{{{peer}}}"), 60.0),
        (format!("plait_last_handshake_timestamp_seconds{{{peer}}}"), 1_795_510_800.0),
        (format!("plait_rekeys_total{{{peer},kind=\"full\",result=\"confirmed\"}}"), 3.0),
        (format!("plait_rekeys_total{{{peer},kind=\"full\",result=\"failed\"}}"), 3.0),
        (format!("plait_rekeys_total{{{peer},kind=\"fast\",result=\"confirmed\"}}"), 41.0),
        (format!("plait_rekeys_total{{{peer},kind=\"fast\",result=\"failed\"}}"), 2.0),
        (format!("plait_rekey_duration_seconds_bucket{{{peer},kind=\"full\",le=\"0.025\"}}"), 1.0),
        (format!("plait_rekey_duration_seconds_count{{{peer},kind=\"fast\"}}"), 0.0),
        (format!("plait_received_bytes_total{{{peer}}}"), 19_778_324_398.0),
        (format!("plait_sent_bytes_total{{{peer}}}"), 0.0),
        (format!("plait_received_packets_total{{{peer}}}"), 9.0),
        (format!("plait_sent_packets_total{{{peer}}}"), 0.0),
        (format!("plait_dropped_packets_total{{{peer},reason=\"no_epoch\"}}"), 3.0),
        ("plait_dropped_packets_total{interface=\"hq-dc\",reason=\"no_route\"}".to_owned(), 7.0),
        ("plait_refused_datagrams_total{interface=\"hq-dc\",reason=\"mac1\"}".to_owned(), 4.0),
        (format!("plait_kme_stored_keys{{{source}}}"), 812.0),
        (format!("plait_kme_stored_keys_age_seconds{{{source}}}"), 12.5),
        (format!("plait_kme_key_income_per_second{{{source}}}"), 3.9),
        (format!("plait_kme_key_use_per_second{{{source}}}"), 0.016_667),
        (format!("plait_kme_stock_lasts_seconds{{{source}}}"), 540.0),
        (format!("plait_kme_up{{{source}}}"), 1.0),
        (format!("plait_qkd_keys_used_total{{{source}}}"), 44.0),
        (format!("plait_certificate_expiry_timestamp_seconds{{{source}}}"), 1_798_761_600.0),
        (format!("plait_kme_requests_total{{{source},method=\"enc_keys\",result=\"ok\"}}"), 44.0),
        (format!("plait_kme_requests_total{{{source},method=\"status\",result=\"unreachable\"}}"), 6.0),
        (format!("plait_kme_request_duration_seconds_count{{{source},method=\"enc_keys\"}}"), 1.0),
    ] {
        assert_eq!(scraped.samples.get(&series), Some(&value), "{series}");
    }
}

#[test]
fn a_daemon_that_has_just_started_gives_no_figure_that_it_does_not_have() {
    let mut view = view();
    view.measures = Measures::default();
    let peer = &mut view.report.status.peers[0];
    (peer.epoch, peer.deadline_seconds, peer.handshakes.last_full) = (None, None, None);
    peer.state = "HOLDING".to_owned();
    let source = &mut view.report.status.sources[0];
    (source.stored_keys, source.stored_keys_age_seconds, source.certificate_expiry) = (None, None, None);
    (source.rate_in_per_second, source.rate_out_per_second, source.lasts_seconds) = (None, None, None);
    source.state = "unknown".to_owned();
    let scraped = scrape(&text(&view));
    let source = ["plait_kme_stored", "plait_kme_up", "plait_kme_key_", "plait_kme_stock_"];
    for absent in ["plait_session_epoch", "plait_key_age", "plait_policy_deadline"].into_iter().chain(source) {
        assert!(!scraped.samples.keys().any(|series| series.starts_with(absent)), "{absent}");
    }
    let in_state =
        scraped.samples.iter().filter(|(series, value)| series.starts_with("plait_peer_state") && **value > 0.0);
    assert_eq!(in_state.count(), 1);
}

#[test]
fn exactly_one_state_holds_whatever_it_is() {
    for state in STATES {
        let mut view = view();
        view.report.status.peers[0].state = state.to_owned();
        let scraped = scrape(&text(&view));
        let holds: Vec<&String> = scraped
            .samples
            .iter()
            .filter(|(series, value)| series.starts_with("plait_peer_state{") && **value > 0.0)
            .map(|(series, _)| series)
            .collect();
        assert_eq!(holds.len(), 1);
        assert!(holds[0].ends_with(&format!("state=\"{state}\"}}")), "{holds:?}");
    }
}

#[test]
fn a_kme_is_up_while_the_tunnel_gets_keys_from_it() {
    for (state, not_used, up) in
        [("ok", false, Some(1.0)), ("ok", true, Some(0.0)), ("failing", false, Some(0.0)), ("unknown", false, None)]
    {
        let mut view = view();
        view.report.status.sources[0].state = state.to_owned();
        view.report.status.sources[0].not_used = not_used.then(|| "unreachable".to_owned());
        let scraped = scrape(&text(&view));
        let found = scraped.samples.iter().find(|(series, _)| series.starts_with("plait_kme_up"));
        assert_eq!(found.map(|(_, value)| *value), up, "{state} {not_used}");
    }
}

#[test]
fn no_key_id_and_no_check_words_are_in_it() {
    let text = text(&view());
    assert!(!text.contains("4f1c") && !text.contains("7f2c"), "{text}");
}

#[test]
fn the_document_lists_every_family_and_no_other() {
    let scraped = scrape(&text(&view()));
    let document = include_str!("../../../docs/METRICS.md");
    let listed: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `plait_"))
        .filter_map(|line| line.split(['`', '{']).next())
        .collect();
    let suffix = |kind: &str| match kind {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    };
    let given: BTreeSet<String> = scraped
        .families
        .iter()
        .map(|(name, kind)| format!("{}{}", name.trim_start_matches("plait_"), suffix(kind)))
        .collect();
    assert_eq!(given.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
}
