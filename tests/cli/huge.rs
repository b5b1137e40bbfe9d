//! `plait check` of configurations far larger than anybody's: they pass, or are refused with the bound that they break.

use super::site::Site;
use std::fmt::Write;

/// Prefixes that a table of the whole of a country's sites would have (RELIABILITY N22).
const PREFIXES: u32 = 131_072;

#[test]
fn a_peer_with_131072_prefixes_passes() {
    let list: Vec<String> =
        (0..PREFIXES).map(|n| format!("\"10.{}.{}.{}/32\"", 128 + (n >> 16), n >> 8 & 255, n & 255)).collect();
    let check = Site::new().with("\"fd20::/48\"", &list.join(", ")).plait(&["check", "hq.toml"]);
    assert_eq!(check.code, 0, "{}", check.err);
}

#[test]
fn more_peers_than_the_bound_are_refused_with_the_bound() {
    let mut peers = String::from("endpoint = \"198.51.100.7:51900\"\n");
    for n in 0..16_384 {
        writeln!(peers, "[[peer]]\nname = \"p{n}\"\npublic_key_file = \"dc.pub\"\nallowed_ips = []").unwrap();
    }
    let site = Site::new()
        .with("endpoint = \"198.51.100.7:51900\"\nallowed_ips = [\"10.20.0.0/16\", \"fd20::/48\"]\n", &peers);
    let check = site.plait(&["check", "hq.toml"]);
    assert_eq!(check.code, 6, "{check:?}");
    assert!(check.err.contains("expected 1 to 16384 sections [[peer]], there are 16385"), "{}", check.err);
}

#[test]
fn a_file_of_more_than_16_mib_is_refused_unread() {
    let check =
        Site::new().with("[policy]", &format!("#{}\n[policy]", "x".repeat(17 << 20))).plait(&["check", "hq.toml"]);
    assert_eq!(check.code, 6, "{}", &check.err[..check.err.len().min(500)]);
    assert!(check.err.len() < 1000 && check.err.contains("hq.toml"), "{} bytes said", check.err.len());
}

#[test]
fn lists_a_hundred_thousand_deep_are_refused_and_break_no_stack() {
    let deep = format!("address = {}", "[".repeat(100_000));
    let check = Site::new().with("address = [\"10.99.0.1/30\", \"fd99::1/126\"]", &deep).plait(&["check", "hq.toml"]);
    assert_eq!(check.code, 6, "{}", &check.err[..check.err.len().min(500)]);
}
