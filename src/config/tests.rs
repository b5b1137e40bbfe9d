//! The documented examples load as written, and each broken one is refused at its place.

use std::time::Duration;

use super::*;
use crate::types::offload::{Offload, OffloadSet};
use crate::types::policy::{QkdPolicy, RatchetPolicy};

/// One site with every key, as documented for operators.
const FULL: &str = include_str!("../../tests/config/hq-dc.toml");
/// The other site, with little more than it needs.
const SHORT: &str = include_str!("../../tests/config/dc-hq.toml");

/// Parses; the error as shown.
fn shown(text: &str) -> Result<Config, String> {
    parse("hq.toml", "hq", text).map_err(|errors| errors.to_string())
}

/// `FULL` with one replacement; it must occur.
fn with(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "{from}");
    FULL.replacen(from, to, 1)
}

#[test]
fn the_documented_example_loads_as_written() {
    let config = shown(FULL).unwrap();
    assert_eq!(config.interface.listen, "[::]:51900".parse().unwrap());
    assert_eq!(config.interface.mtu.bytes(), 1420);
    let peer = &config.peers[0];
    assert_eq!((peer.name.as_str(), peer.policy.qkd), ("dc-east", QkdPolicy::Preferred));
    assert_eq!(config.policy.qkd, QkdPolicy::Required);
    assert_eq!(peer.policy.hold_last, Some(Duration::from_secs(3600)), "kept from [policy]");
    assert_eq!(peer.policy.degrade_for, None, "unlimited");
    assert_eq!((peer.policy.rekey.as_secs(), peer.policy.full.as_secs(), peer.policy.min_sources), (60, 600, 1));
    assert_eq!(peer.keepalive, Some(Duration::from_secs(25)));
    assert_eq!(peer.ratchet, RatchetPolicy::Prefer);
    assert_eq!(peer.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.20.0.0/16", "fd20::/48"]);
    let source = &peer.sources[0];
    assert_eq!(
        (source.name.as_str(), source.id.number(), source.url.authority()),
        ("fibre-1", 0, "kme-a.example:8443".to_owned())
    );
    assert_eq!(source.server_name.as_deref(), Some("kme-a"));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let config = shown(SHORT).unwrap();
    assert_eq!(config.interface.listen.port(), 51900);
    assert_eq!((config.interface.table, config.interface.backend), (RouteTable::Auto, Backend::TunRs));
    let peer = &config.peers[0];
    assert_eq!(peer.policy.qkd, QkdPolicy::Required);
    assert_eq!(peer.policy.hold_last, Some(Duration::from_secs(3600)));
    assert_eq!((peer.policy.rekey.as_secs(), peer.policy.full.as_secs(), peer.policy.min_sources), (60, 600, 1));
    assert_eq!((peer.endpoint, peer.keepalive, peer.pin_endpoint), (None, None, false));
    assert_eq!((peer.sources[0].name.as_str(), peer.sources[0].id.number()), ("qkd-0", 0));
    assert_eq!(peer.sources[0].timeout, Duration::from_secs(10));
}

#[test]
fn offloads_are_on_unless_switched_off() {
    let resolved =
        |value: &str| shown(&with("offload = \"auto\"", &format!("offload = {value}"))).unwrap().interface.offload;
    assert_eq!(shown(SHORT).unwrap().interface.offload, OffloadSet::ALL);
    assert_eq!(resolved("\"auto\""), OffloadSet::ALL);
    assert_eq!(resolved("\"off\""), OffloadSet::NONE);
    assert_eq!(resolved("{}"), OffloadSet::ALL);
    assert_eq!(resolved("{ uso = false, gro = true }"), OffloadSet::ALL.without(Offload::Uso));
    let without_tso = OffloadSet::ALL.without(Offload::Tso).without(Offload::Uso);
    assert_eq!(resolved("{ tso = false }"), without_tso, "uso goes with it");
    assert_eq!(resolved("{ tso = false, uso = false }"), without_tso);
    let none = "{ tso = false, gso = false, gro = false, bundle = false }";
    assert_eq!(resolved(none), OffloadSet::NONE);
    let tap = with("\"tun-rs\"", "\"tun-tap\"");
    assert_eq!(shown(&tap).unwrap().interface.offload, without_tso, "what the backend has not is not asked for");
}

#[test]
fn auto_is_a_range_with_defaults() {
    let policy = |lines: &str| shown(&with("rekey       = \"60s\"", lines)).unwrap().policy;
    let range = |policy: Policy| (policy.rekey_min.map(|min| min.as_secs()), policy.rekey.as_secs());
    assert_eq!(range(policy("rekey = \"60s\"")), (None, 60));
    assert_eq!(range(policy("rekey = \"auto\"")), (Some(10), 600));
    assert_eq!(range(policy("rekey = \"auto\"\nrekey_min = \"20s\"\nrekey_max = \"5m\"")), (Some(20), 300));
}

#[test]
fn queues_are_as_many_as_lanes_are_left() {
    for queues in 1..=7 {
        let config = shown(&with("queues  = 1", &format!("queues = {queues}"))).unwrap();
        assert_eq!(config.interface.queues, queues);
    }
    assert_eq!(shown(SHORT).unwrap().interface.queues, 1);
}

/// What is replaced in `FULL`, by what, and the place and beginning of the error.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "qkd         = \"required\"",
        "qkd         = \"requird\"",
        "13:15: qkd: expected \"required\", \"preferred\", \"off\", came \"requird\"; did you mean `required`?",
    ),
    (
        "hold_last   = \"1h\"",
        "hold_lst   = \"1h\"",
        "15:1: unknown key `hold_lst`, expected one of qkd, min_sources, hold_last, degrade_for, rekey, rekey_min, rekey_max, full; did you mean `hold_last`?",
    ),
    (
        "hold_last   = \"1h\"",
        "hold_last   = 3600",
        "15:15: hold_last: expected a time in whole seconds from \"0s\" to \"30days\", such as \"60s\" or \"1h\", came 3600",
    ),
    ("hold_last   = \"1h\"", "hold_last   = \"unlimited\"", "15:15: hold_last: expected a time"),
    ("rekey       = \"60s\"", "rekey = \"60s\"\nrekey_min = \"10s\"", "18:13: rekey_min: belongs to rekey = \"auto\""),
    (
        "rekey       = \"60s\"",
        "rekey = \"auto\"\nrekey_min = \"9s\"",
        "18:13: rekey_min: expected a time in whole seconds from \"10s\"",
    ),
    (
        "rekey       = \"60s\"",
        "rekey = \"auto\"\nrekey_min = \"2m\"\nrekey_max = \"1m\"",
        "19:13: rekey_max: expected at least as long as rekey_min (120 s), came 60 s",
    ),
    (
        "rekey       = \"60s\"",
        "rekey = \"auto\"\nrekey_max = \"1h\"",
        "19:15: full: expected at least as long as rekey (3600 s), came 600 s",
    ),
    (
        "rekey       = \"60s\"",
        "rekey       = \"500ms\"",
        "17:15: rekey: expected a time in whole seconds from \"1s\" to \"1day\"",
    ),
    (
        "rekey       = \"60s\"",
        "rekey       = \"11m\"",
        "18:15: full: expected at least as long as rekey (660 s), came 600 s",
    ),
    ("full        = \"10m\"", "full        = \"9s\"", "18:15: full: expected a time in whole seconds from \"10s\""),
    (
        "min_sources = 1",
        "min_sources = 2",
        "14:15: min_sources: peer \"dc-east\" needs 2, and has 1 [[qkd]] section(s)",
    ),
    ("min_sources = 1", "min_sources = 0", "14:15: min_sources: expected a number from 1 to 6, came 0"),
    ("listen  = \"[::]:51900\"", "listen  = \"51900\"", "3:11: listen: expected ADDRESS:PORT"),
    ("listen  = \"[::]:51900\"", "listen  = 51900", "3:11: invalid type: integer `51900`, expected a string"),
    ("\"fd99::1/126\"", "\"fd99::1\"", "4:28: address: expected ADDRESS/BITS"),
    ("\"fd99::1/126\"", "\"10.99.0.1/24\"", "4:28: address: 10.99.0.1 is here twice"),
    ("mtu     = \"auto\"", "mtu     = 1279", "5:11: mtu: IPv6 inside needs at least 1280 bytes, came 1279"),
    ("mtu     = \"auto\"", "mtu     = 70000", "5:11: mtu: expected \"auto\" or bytes from 576 to 9000, came 70000"),
    ("table   = \"auto\"", "table   = \"main\"", "6:11: table: expected"),
    (
        "backend = \"tun-rs\"",
        "backend = \"tunrs\"",
        "7:11: backend: expected \"tun-rs\", \"tun-tap\", came \"tunrs\"; did you mean `tun-rs`?",
    ),
    (
        "offload = \"auto\"",
        "offload = \"of\"",
        "8:11: offload: expected \"auto\", \"off\" or switches such as { uso = false }, came \"of\"; did you mean `off`?",
    ),
    (
        "offload = \"auto\"",
        "offload = true",
        "8:11: invalid type: boolean `true`, expected \"auto\", \"off\" or switches such as { uso = false }",
    ),
    (
        "offload = \"auto\"",
        "offload = { tso = true, grro = true }",
        "8:25: unknown key `grro`, expected one of tso, uso, gso, gro, bundle; did you mean `gro`?",
    ),
    ("offload = \"auto\"", "offload = { gso = \"on\", gro = 1 }", "8:19: gso: expected true or false, came \"on\""),
    (
        "offload = \"auto\"",
        "offload = { uso = true, tso = false }",
        "8:19: uso: the kernel takes UDP super-packets only together with TCP's: set tso = true",
    ),
    (
        "backend = \"tun-rs\"                        # tun-rs | tun-tap (if built in)\noffload = \"auto\"",
        "backend = \"tun-tap\"\noffload = { tso = true, uso = true }",
        "8:19: tso: backend \"tun-tap\" takes single packets only",
    ),
    ("queues  = 1", "queues  = 0", "9:11: queues: expected a number from 1 to 7, came 0"),
    ("queues  = 1", "queues  = 8", "9:11: queues: expected a number from 1 to 7, came 8"),
    ("queues  = 1", "queues  = \"auto\"", "9:11: queues: expected a number from 1 to 7, came \"auto\""),
    (
        "backend = \"tun-rs\"                        # tun-rs | tun-tap (if built in)\noffload = \"auto\"                          # auto | off\nqueues  = 1",
        "backend = \"tun-tap\"\noffload = \"auto\"\nqueues  = 2",
        "9:11: queues: backend \"tun-tap\" has one queue only; expected 1",
    ),
    ("killswitch = false", "killswitch = 1", "10:14: killswitch: expected true or false"),
    ("type = \"etsi014\"", "type = \"skip\"", "23:8: type: \"skip\" is not in this version; expected \"etsi014\""),
    ("id = 0 ", "id = 6 ", "20:6: id: expected a number from 0 to 5, came 6"),
    (
        "peer = \"dc-east\"",
        "peer = \"dc-est\"",
        "21:8: peer: expected the name of a [[peer]] section, came \"dc-est\"; did you mean `dc-east`?",
    ),
    ("name = \"fibre-1\"", "name = \"psk\"", "22:8: name: \"psk\" is a word of `status`"),
    (
        "https://kme-a.example:8443",
        "http://kme-a.example:8443",
        "24:8: url: expected https://HOST[:PORT][/PREFIX]: ETSI GS QKD 014 demands HTTPS, came \"http://kme-a.example:8443\"",
    ),
    ("remote_sae = \"SAE-B\"", "remote_sae = \"SAE-A\"", "26:14: remote_sae: expected the other site's SAE id"),
    ("ca_file = \"kme-ca.pem\"", "", "19:1: ca_file: this key is needed here and is missing"),
    ("timeout = \"10s\"", "timeout = \"1m\"", "31:11: timeout: expected a time from \"100ms\" to \"10s\""),
    ("kme_tls = \"any\"", "kme_tls = \"qp\"", "32:11: kme_tls: expected \"any\", \"pq\", came \"qp\""),
    ("endpoint = \"198.51.100.7:51900\"", "endpoint = \"dc.example:51900\"", "36:12: endpoint: expected ADDRESS:PORT"),
    (
        "endpoint = \"198.51.100.7:51900\"",
        "endpoint = \"10.20.1.1:51900\"",
        "36:12: endpoint: 10.20.1.1 lies in allowed_ips (10.20.0.0/16)",
    ),
    (
        "\"fd20::/48\"",
        "\"10.20.0.0/16\"",
        "37:32: allowed_ips: \"10.20.0.0/16\" is the same as \"10.20.0.0/16\" of line 37",
    ),
    ("\"fd20::/48\"", "\"fd20::/129\"", "37:32: allowed_ips: expected ADDRESS/BITS"),
    (
        "cipher = \"auto\"",
        "cipher = \"aes256gcm\"",
        "38:10: cipher: expected \"auto\", \"chacha20-poly1305\", \"aes-256-gcm\", came \"aes256gcm\"; did you mean `aes-256-gcm`?",
    ),
    ("keepalive = \"25s\"", "keepalive = 25", "39:13: keepalive: expected a time"),
    ("ratchet = \"prefer\"", "ratchet = true", "41:11: invalid type: boolean `true`, expected a string"),
    ("pin_endpoint = false", "pin_endpoint = \"no\"", "42:16: pin_endpoint: expected true or false, came \"no\""),
    (
        "[interface]",
        "[interfaces]",
        "1:2: unknown key `interfaces`, expected one of interface, policy, qkd, peer, status; did you mean `interface`?",
    ),
    ("name = \"dc-east\"", "name = \"../dc\"", "34:8: name: expected 1 to 64 of"),
    ("mtu     = \"auto\"", "mtu     = ", "5:11: "),
];

#[test]
fn every_mistake_is_refused_at_its_place() {
    for (from, to, expected) in MISTAKES {
        let error = shown(&with(from, to)).expect_err(to);
        assert!(error.lines().any(|line| line.starts_with(&format!("hq.toml:{expected}"))), "{to}: {error}");
    }
}

#[test]
fn several_mistakes_are_all_shown_in_order() {
    let text = with("backend = \"tun-rs\"", "backend = \"x\"").replacen("min_sources = 1", "min_sources = 9", 1);
    let error = shown(&text).unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("hq.toml:7:") && lines[1].starts_with("hq.toml:14:"), "{error}");
}

#[test]
fn two_peers_have_nothing_in_common() {
    let second = "\n[[peer]]\nname = \"b\"\npublic_key_file = \"b.pub\"\nallowed_ips = [\"10.30.0.0/16\"]\npolicy = { qkd = \"off\" }\n";
    assert_eq!(shown(&format!("{FULL}{second}")).unwrap().peers.len(), 2);
    let errors = [
        ("10.30.0.0/16", "10.20.4.0/24", "\"10.20.4.0/24\" overlaps \"10.20.0.0/16\" of line 37"),
        ("10.30.0.0/16", "10.0.0.0/8", "\"10.0.0.0/8\" overlaps \"10.20.0.0/16\" of line 37"),
        ("name = \"b\"", "name = \"dc-east\"", "name: \"dc-east\" is also the peer of line 34"),
        ("b.pub", "dc-east.pub", "public_key_file: \"dc-east.pub\" is also the peer's of line 35"),
        ("\"off\"", "\"required\"", "needs a [[qkd]] section, and there is none"),
    ];
    for (from, to, expected) in errors {
        let error = shown(&format!("{FULL}{}", second.replacen(from, to, 1))).expect_err(to);
        assert!(error.contains(expected), "{error}");
    }
    let no_owner = format!("{FULL}{second}").replacen("peer = \"dc-east\"", "", 1);
    let error = shown(&no_owner).unwrap_err();
    assert!(error.contains("hq.toml:19:1: peer: with 2 peers a [[qkd]] section says which one it keys"), "{error}");
}

#[test]
fn several_sources_of_a_peer_need_their_numbers_and_names() {
    let qkd = FULL.split("[[qkd]]").nth(1).unwrap().split("[[peer]]").next().unwrap();
    let two = |change: &dyn Fn(String) -> String| {
        FULL.replacen("[[peer]]", &format!("[[qkd]]{}[[peer]]", change(qkd.to_owned())), 1)
    };
    let good = two(&|second| second.replace("id = 0", "id = 3").replace("fibre-1", "fibre-2"));
    let config = shown(&good).unwrap();
    assert_eq!(config.peers[0].sources.iter().map(|s| s.id.number()).collect::<Vec<_>>(), [0, 3]);
    let error = shown(&two(&|second| second.replace("fibre-1", "fibre-2"))).unwrap_err();
    assert!(error.contains("id: 0 is used by another [[qkd]] section of the same peer"), "{error}");
    let error = shown(&two(&|second| second.replace("id = 0", "").replace("fibre-1", "fibre-2"))).unwrap_err();
    assert!(error.contains("id: a peer with several [[qkd]] sections needs the number of each"), "{error}");
    let error = shown(&two(&|second| second.replace("id = 0", "id = 3"))).unwrap_err();
    assert!(error.contains("several [[qkd]] sections are called \"fibre-1\""), "{error}");
}

#[test]
fn policy_off_needs_no_source() {
    let text = "[interface]\nprivate_key_file = \"k\"\n[policy]\nqkd = \"off\"\n[[peer]]\nname = \"b\"\npublic_key_file = \"b.pub\"\nallowed_ips = [\"10.0.0.0/8\"]\n";
    let config = shown(text).unwrap();
    assert_eq!((config.peers[0].policy.min_sources, config.peers[0].policy.hold_last), (0, None));
    let error = shown(&text.replace("qkd = \"off\"", "")).unwrap_err();
    assert!(error.contains("policy \"required\" for peer \"b\" needs a [[qkd]] section"), "{error}");
}

#[test]
fn the_status_page_is_for_this_machine_unless_the_operator_knows_better() {
    let with = |listen: &str| shown(&format!("{FULL}[status]\nlisten = \"{listen}\"\n"));
    for loopback in ["127.0.0.1:9596", "[::1]:9596", "127.3.2.1:80", "[::ffff:127.0.0.1]:9596"] {
        let config = with(loopback).unwrap();
        assert_eq!((config.status_listen, config.warnings.len()), (loopback.parse().ok(), 0), "{loopback}");
    }
    for open in ["0.0.0.0:9596", "[::]:9596", "198.51.100.7:9596"] {
        let config = with(open).unwrap();
        assert_eq!((config.warnings.len(), config.warnings[0].place.line), (1, 46), "{open}");
        assert!(config.warnings[0].text.contains("can be reached by others"), "{open}");
    }
    let config = shown(FULL).unwrap();
    assert!(config.status_listen.is_none() && config.warnings.is_empty());
    for bad in ["x", "localhost:9596", "127.0.0.1", "127.0.0.1:0", "224.0.0.1:9596"] {
        assert!(with(bad).unwrap_err().contains("46:10: listen: expected"), "{bad}");
    }
    assert!(shown(&format!("{FULL}[status]\n")).unwrap_err().contains("listen: this key is needed"));
}

#[test]
fn sections_that_must_be_there_are_missed() {
    assert!(shown("").unwrap_err().contains("1:1: expected a section [interface]"));
    let error = shown("[interface]\nprivate_key_file = \"k\"\n").unwrap_err();
    assert!(error.contains("1:1: expected 1 to 16384 sections [[peer]], there are 0"), "{error}");
}

#[test]
fn interface_names_follow_the_rule_of_the_kernel() {
    for good in ["hq", "a", "hq-dc.0", "x_=+.-", "a23456789012345"] {
        assert_eq!(interface_name(good), Some(good));
    }
    for bad in ["", ".", "..", "a234567890123456", "a b", "a/b", "é"] {
        assert_eq!(interface_name(bad), None, "{bad}");
        assert!(parse("f", bad, FULL).unwrap_err().to_string().starts_with("f:1:1: file name: expected 1 to 15"));
    }
}

#[test]
fn urls_keep_their_prefix() {
    let config = shown(&with("https://kme-a.example:8443", "https://[2001:db8::1]:8443/kme/1/")).unwrap();
    assert_eq!(config.peers[0].sources[0].url.to_string(), "https://[2001:db8::1]:8443/kme/1");
}

#[test]
fn a_pin_is_64_hexadecimal_digits() {
    let pinned = |pin: &str| shown(&with("kme_tls = \"any\"", &format!("kme_tls = \"pq\"\npin_sha256 = \"{pin}\"")));
    let source = pinned(&"AB:".repeat(32)[..95]).unwrap().peers[0].sources[0].clone();
    assert_eq!((source.pin_sha256, source.kme_tls), (Some([0xab; 32]), KmeTls::PostQuantum));
    assert!(pinned("abcd").unwrap_err().contains("pin_sha256: expected 64 hexadecimal digits"));
}

#[test]
fn many_prefixes_are_checked_in_time() {
    let list: Vec<String> =
        (0..131_072u32).map(|n| format!("\"10.{}.{}.{}/32\"", n >> 16, n >> 8 & 255, n & 255)).collect();
    let text = with("[\"10.20.0.0/16\", \"fd20::/48\"]", &format!("[{}]", list.join(",")));
    assert_eq!(shown(&text).unwrap().peers[0].allowed_ips.len(), 131_072);
    let same = vec!["\"10.0.0.1/32\""; 131_072].join(",");
    let error = shown(&with("[\"10.20.0.0/16\", \"fd20::/48\"]", &format!("[{same}]"))).unwrap_err();
    assert_eq!(error.lines().count(), crate::types::limits::CONFIG_ERRORS_MAX);
}
