//! Several peers on one interface: each with its own keys, its own source and its own inner addresses.

use crate::kme::{KmePair, certificates};
use crate::site::Site;
use crate::topology::{Net, inner4, runnable};
use crate::traffic::{Echo, pings};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_hub_with_two_peers() {
    if !runnable("a_hub_with_two_peers") {
        return;
    }
    let (net, dir) = (Arc::new(Net::new(&["a", "b", "c"])), tempfile::tempdir().unwrap());
    let path = dir.path().to_path_buf();
    let kmes = [("KME-A", 1), ("KME-B", 2), ("KME-A2", 1), ("KME-C", 3)];
    certificates(&path, "pki", &kmes, &["SAE-A", "SAE-B", "SAE-C"]);
    let pair = |name: &str, ends, port| KmePair::new(Arc::clone(&net), path.clone(), name, ends, port);
    let mut to_b = pair("to-b", [(1, "KME-A", "SAE-A"), (2, "KME-B", "SAE-B")], 8443);
    let mut to_c = pair("to-c", [(1, "KME-A2", "SAE-A"), (3, "KME-C", "SAE-C")], 8444);
    to_b.up();
    to_c.up();
    let site = |name, n| Site::new(Arc::clone(&net), path.clone(), name, n);
    let (mut a, mut b, mut c) = (site("a", 1), site("b", 2), site("c", 3));
    a.config.add_peer("b", 2);
    a.config.add_peer("c", 3);
    a.config.add_source("fibre-b", 0, "b", 1, 8443, ("SAE-A", "SAE-B"));
    a.config.add_source("fibre-c", 0, "c", 1, 8444, ("SAE-A", "SAE-C"));
    b.config.add_peer("a", 1);
    b.config.add_source("fibre-b", 0, "a", 2, 8443, ("SAE-B", "SAE-A"));
    c.config.add_peer("a", 1);
    c.config.add_source("fibre-c", 0, "a", 3, 8444, ("SAE-C", "SAE-A"));
    for site in [&mut a, &mut b, &mut c] {
        site.up();
    }
    for site in [&a, &b, &c] {
        site.wait_state(&["HYBRID"], Duration::from_secs(15));
    }
    let _echoes = ["a", "b", "c"].map(|name| Echo::start(&net, name));
    for (from, to) in [("a", 2), ("a", 3), ("b", 1), ("c", 1)] {
        assert_eq!(pings(&net, from, inner4(to), 100, Duration::from_millis(10)).lost(), 0, "{from} to site {to}");
    }
    // b's packets for c reach a, which passes nothing on: allowed IPs of b at a are b's alone.
    assert_eq!(pings(&net, "b", inner4(3), 20, Duration::from_millis(10)).lost(), 20);
    let status = a.status();
    let words = |n: usize| status.json["peers"][n]["epoch"]["check_words"].clone();
    assert_ne!(words(0), words(1));
}
