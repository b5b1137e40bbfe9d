//! A site's address changes under traffic: the other end follows what it can authenticate, and nothing else.

use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::World;
use std::time::Duration;

const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);

/// Site a leaves 10.1.1.1 for 10.1.1.2.
fn new_address(world: &World) {
    world.net.ip("a", "addr add 10.1.1.2/32 dev wan");
    world.net.ip("a", "route replace 10.1.0.0/16 via 10.1.1.254 dev wan onlink src 10.1.1.2");
    world.net.ip("a", "addr del 10.1.1.1/24 dev wan");
}

#[test]
fn the_endpoint_follows_a_new_address() {
    if !runnable("the_endpoint_follows_a_new_address") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 50, HUNDRED_A_SECOND).lost(), 0);
    new_address(&world);
    let report = pings(&world.net, "a", inner4(2), 200, HUNDRED_A_SECOND);
    assert!(report.lost() <= 2, "{} of 200 lost while the address changed", report.lost());
    let status = world.b.status();
    assert_eq!(status.peer()["endpoint"], "10.1.1.2:51900");
    assert_eq!(pings(&world.net, "a", inner4(2), 100, HUNDRED_A_SECOND).lost(), 0);
}

#[test]
fn a_pinned_endpoint_does_not_move() {
    if !runnable("a_pinned_endpoint_does_not_move") {
        return;
    }
    let mut world = World::new();
    world.b.config.peers[0].more.push("pin_endpoint = true".to_owned());
    world.up_hybrid();
    new_address(&world);
    let _echo = Echo::start(&world.net, "b");
    pings(&world.net, "a", inner4(2), 20, HUNDRED_A_SECOND);
    assert_eq!(world.b.status().peer()["endpoint"], "10.1.1.1:51900");
}
