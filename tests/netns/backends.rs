//! The `tun-tap` backend against the `tun-rs` backend: the same tunnel.

use crate::topology::runnable;
use crate::world::World;
use std::time::Duration;

#[test]
#[cfg(feature = "tun-tap")]
fn tun_tap_against_tun_rs() {
    if !runnable("tun_tap_against_tun_rs") {
        return;
    }
    use crate::topology::{inner4, inner6};
    use crate::traffic::{Echo, large_pings, pings};
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.a.config.interface.push("backend = \"tun-tap\"".to_owned());
    world.b.config.interface.push("backend = \"tun-rs\"".to_owned());
    world.up_hybrid();
    let (_at_a, _at_b) = (Echo::start(&world.net, "a"), Echo::start(&world.net, "b"));
    for (from, to) in [("a", inner4(2)), ("a", inner6(2)), ("b", inner4(1)), ("b", inner6(1))] {
        assert_eq!(pings(&world.net, from, to, 200, Duration::from_millis(10)).lost(), 0, "{from} to {to}");
        assert_eq!(large_pings(&world.net, from, to, 50, 1372).lost(), 0, "{from} to {to}");
    }
}

#[test]
#[cfg(not(feature = "tun-tap"))]
fn a_backend_that_is_not_built_in_is_refused() {
    if !runnable("a_backend_that_is_not_built_in_is_refused") {
        return;
    }
    let mut world = World::new();
    world.a.config.interface.push("backend = \"tun-tap\"".to_owned());
    world.a.launch();
    let code = crate::process::wait_for("its end", Duration::from_secs(5), || world.a.daemon().ended()).code();
    assert_eq!(code, Some(6), "{}", world.a.log());
}
