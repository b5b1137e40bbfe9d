//! Two ends with different MTUs: both interfaces let in what both take, as long as there is a session.

use crate::site::Site;
use crate::topology::{inner4, inner6, runnable};
use crate::traffic::{Echo, large_pings};
use crate::world::{HYBRID_WITHIN, World};
use std::time::Duration;

/// What `status` says, and what the kernel says, are this number.
fn wait_mtu(world: &World, site: &Site, mtu: u16) {
    site.wait_status(&format!("MTU {mtu}"), Duration::from_secs(5), |status| status.json["mtu"] == mtu);
    let link = world.net.ip(site.name, &format!("-o link show dev {}", site.name));
    assert!(link.contains(&format!(" mtu {mtu} qdisc")), "{link}");
    assert!(link.contains(" qlen 4000"), "{link}");
}

#[test]
fn the_smaller_mtu_holds_at_both_ends() {
    if !runnable("the_smaller_mtu_holds_at_both_ends") {
        return;
    }
    let mut world = World::new();
    world.a.config.interface.push("mtu = 1420".to_owned());
    world.b.config.interface.push("mtu = 1300".to_owned());
    world.pair.up();
    world.a.up();
    wait_mtu(&world, &world.a, 1420);
    world.b.up();
    world.both(&["HYBRID"], HYBRID_WITHIN);
    wait_mtu(&world, &world.a, 1300);
    wait_mtu(&world, &world.b, 1300);
    let _echoes = ["a", "b"].map(|name| Echo::start(&world.net, name));
    for (from, to) in [("a", 2), ("b", 1)] {
        for (inner, headers) in [(inner4(to), 28), (inner6(to), 48)] {
            // Full to the byte; and what one end alone would have taken whole, which its kernel cuts in two.
            for payload in [1300 - headers, 1420 - headers] {
                assert_eq!(large_pings(&world.net, from, inner, 20, payload).lost(), 0, "{payload} bytes to {inner}");
            }
        }
    }
    let status = world.a.status();
    assert_eq!(status.peer()["drops"]["too_big"], 0, "nothing that does not fit came in");
    world.b.down();
    wait_mtu(&world, &world.a, 1420);
    let addresses = world.net.ip("a", "-o address show dev a");
    assert!(addresses.contains("10.99.0.1/24") && addresses.contains("fd99::1/64"), "{addresses}");
    world.b.up();
    world.both(&["HYBRID"], HYBRID_WITHIN);
    wait_mtu(&world, &world.a, 1300);
}
