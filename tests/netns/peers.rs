//! Several peers on one interface: each with its own keys, its own source and its own inner addresses.

use crate::hub::Hub;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use std::time::Duration;

#[test]
fn a_hub_with_two_peers() {
    if !runnable("a_hub_with_two_peers") {
        return;
    }
    let mut hub = Hub::new();
    for site in [&mut hub.a, &mut hub.b, &mut hub.c] {
        site.up();
    }
    for site in [&hub.a, &hub.b, &hub.c] {
        site.wait_state(&["HYBRID"], Duration::from_secs(15));
    }
    let net = &hub.net;
    let _echoes = ["a", "b", "c"].map(|name| Echo::start(net, name));
    for (from, to) in [("a", 2), ("a", 3), ("b", 1), ("c", 1)] {
        assert_eq!(pings(net, from, inner4(to), 100, Duration::from_millis(10)).lost(), 0, "{from} to site {to}");
    }
    // b's packets for c reach a, which passes nothing on: allowed IPs of b at a are b's alone.
    assert_eq!(pings(net, "b", inner4(3), 20, Duration::from_millis(10)).lost(), 20);
    let status = hub.a.status();
    let words = |n: usize| status.json["peers"][n]["epoch"]["check_words"].clone();
    assert_ne!(words(0), words(1));
}
