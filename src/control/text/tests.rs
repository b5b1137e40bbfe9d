//! The screen of `plait status`, and the members of its JSON, as documented.

use super::super::report::sample::{counts, report};
use super::super::report::*;
use super::super::time::rfc3339;
use super::*;

/// 2026-11-24T09:04:00Z.
const NOW: UnixTime = UnixTime(1_795_511_040);

#[test]
fn the_screen_is_as_documented() {
    let expected = "\
interface: hq-dc    HYBRID    policy: required (peer: required), hold_last 1h
  fingerprint: QH3F-7KRA    listen: [::]:51900    mtu: 1420    offload: tso uso gso gro
peer: dc-east (9XJD-...)    HYBRID    endpoint: 198.51.100.7:51900    allowed ips: 10.20.0.0/16, fd20::/48
  epoch: 44    age: 43 s of 60 s    check words: 7f2c-91aa (read them to the other site)
  keys: x25519 + ml-kem-1024 + fibre-1 (key_ID 4f1c...e2)    cipher: aes-256-gcm
  kme: fibre-1 ok, 812 keys stored (12 s ago), 3.9/s in, 0.017/s out, 44 used
  handshakes: 3 full, 41 fast, 0 failed    last full handshake: 4 min ago
  transfer: 18.42 GiB received, 0 B sent    drops: 0 replay, 0 auth, 3 no-epoch, 2 too-big
";
    assert_eq!(status(&report(), NOW), expected);
}

#[test]
fn trouble_is_on_the_screen() {
    let mut report = report();
    let peer = &mut report.peers[0];
    peer.deadline_seconds = Some(1799.4);
    peer.epoch.as_mut().unwrap().key_ids.clear();
    report.sources[0].last_error = Some("unreachable: connection refused".to_owned());
    report.sources[0].last_error_age_seconds = Some(3.0);
    report.sources[0].not_used = Some("unreachable".to_owned());
    let text = status(&report, NOW);
    for words in [
        "WITHOUT QKD KEYS: traffic stops in 29 min",
        "last QKD key: 43 s ago",
        "kme: fibre-1 ok, NO KEYS FROM IT: unreachable (here or at the other site), 812 keys",
        "last error 3 s ago: unreachable: connection refused",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    report.peers[0].epoch = None;
    report.peers[0].endpoint = None;
    let text = status(&report, NOW);
    assert!(text.contains("epoch: none") && text.contains("endpoint: not known yet"), "{text}");
}

#[test]
fn what_belongs_to_no_peer_is_on_the_screen_once_there_is_any() {
    let quiet = status(&report(), NOW);
    let mut report = report();
    report.unclaimed = counts(&[("no_route", 7), ("not_ip", 0), ("unknown_index", 2)]);
    report.refused = counts(&[("mac1", 4)]);
    let text = status(&report, NOW);
    assert_eq!(text.strip_prefix(&quiet), Some("of no peer: 7 no-route, 2 unknown-index\nrefused: 4 mac1\n"), "{text}");
}

#[test]
fn an_old_figure_says_that_it_is_stale() {
    let shown = |age| {
        let mut report = report();
        report.sources[0].stored_keys_age_seconds = Some(age);
        status(&report, NOW).contains("STALE")
    };
    assert_eq!([0.0, 30.0, STALE_AFTER_SECONDS, STALE_AFTER_SECONDS + 0.1].map(shown), [false, false, false, true]);
}

#[test]
fn offloads_that_failed_are_named() {
    let line = |used: &[&str], given_up: &[&str]| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let report = StatusReport { offload: words(used), offload_given_up: words(given_up), ..report() };
        status(&report, NOW).lines().nth(1).unwrap().split("    ").last().unwrap().to_owned()
    };
    assert_eq!(line(&["tso", "gso"], &["uso", "gro"]), "offload: tso gso (uso gro given up)");
    assert_eq!(line(&[], &["gso"]), "offload: none (gso given up)");
    assert_eq!(line(&[], &[]), "offload: none");
}

#[test]
fn a_report_of_a_daemon_of_another_version_is_read() {
    let mut json = serde_json::to_value(report()).unwrap();
    for member in ["offload", "offload_given_up", "unclaimed"] {
        json.as_object_mut().unwrap().remove(member).unwrap();
    }
    let read = serde_json::from_value::<StatusReport>(json).unwrap();
    assert_eq!(read, StatusReport { offload: Vec::new(), unclaimed: counts(&[]), ..report() });
}

#[test]
fn the_json_has_the_documented_members() {
    let json = serde_json::to_value(report()).unwrap();
    for pointer in [
        "/schema",
        "/interface",
        "/state",
        "/mtu",
        "/offload/3",
        "/offload_given_up",
        "/policy/qkd",
        "/policy/hold_last_seconds",
        "/policy/degrade_for_seconds",
        "/policy/rekey_seconds",
        "/policy/full_seconds",
        "/peers/0/name",
        "/peers/0/state",
        "/peers/0/endpoint",
        "/peers/0/allowed_ips/0",
        "/peers/0/peer_qkd",
        "/peers/0/effective_qkd",
        "/peers/0/epoch/number",
        "/peers/0/epoch/age_seconds",
        "/peers/0/epoch/qkd_age_seconds",
        "/peers/0/epoch/cipher",
        "/peers/0/epoch/check_words",
        "/peers/0/epoch/mixed/2",
        "/peers/0/epoch/key_ids/0/source",
        "/peers/0/epoch/key_ids/0/key_id",
        "/peers/0/deadline_seconds",
        "/peers/0/handshakes/full",
        "/peers/0/handshakes/fast",
        "/peers/0/handshakes/failed",
        "/peers/0/handshakes/failed_fast",
        "/peers/0/handshakes/last_full",
        "/peers/0/transfer/received_bytes",
        "/peers/0/transfer/sent_bytes",
        "/peers/0/transfer/received_packets",
        "/peers/0/transfer/sent_packets",
        "/peers/0/drops/replay",
        "/peers/0/drops/auth",
        "/peers/0/drops/no_epoch",
        "/sources/0/name",
        "/sources/0/type",
        "/sources/0/state",
        "/sources/0/stored_keys",
        "/sources/0/stored_keys_age_seconds",
        "/sources/0/stored_keys_stale",
        "/sources/0/not_used",
        "/unclaimed/no_route",
        "/unclaimed/not_ip",
        "/unclaimed/malformed",
        "/unclaimed/unknown_index",
        "/unclaimed/queue",
        "/sources/0/tls",
        "/sources/0/keys_used",
        "/sources/0/requests_ok",
        "/sources/0/requests_failed",
        "/sources/0/last_error",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(json["schema"], 1);
    assert!(json["policy"]["degrade_for_seconds"].is_null());
    assert_eq!(serde_json::from_value::<StatusReport>(json).unwrap(), report());
}

#[test]
fn the_worst_state_decides_the_urgency() {
    for (state, urgency) in [
        ("HYBRID", Urgency::None),
        ("OFF", Urgency::None),
        ("DEGRADED", Urgency::Soon),
        ("HOLDOVER", Urgency::Soon),
        ("HOLDING", Urgency::Now),
        ("BLOCKED", Urgency::Now),
        ("DOWN", Urgency::Now),
        ("PARTYING", Urgency::Now),
    ] {
        assert_eq!(StatusReport { state: state.to_owned(), ..report() }.urgency(), urgency, "{state}");
    }
}

#[test]
fn an_age_is_the_inverse_of_a_moment() {
    for unix in [0, 951_782_400, 1_709_251_199, 1_795_510_800, 4_107_542_400] {
        assert_eq!(ago(&rfc3339(UnixTime(unix)), UnixTime(unix + 60)), "60 s ago");
    }
    for strange in ["", "yesterday", "2026-11-24T0", "éééééééééééééééééé", "0000-00-00T00:00:00Z"] {
        assert!(!ago(strange, NOW).is_empty() || strange.is_empty());
    }
}

#[test]
fn a_short_key_id_is_shown_whole() {
    assert_eq!(shortened("abcdef"), "abcdef");
    assert_eq!(shortened("abcdefg"), "abcd...fg");
}
