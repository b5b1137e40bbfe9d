//! More than one secret: two KME pairs with `min_sources`, a PSK.

use crate::process::{plait, succeed};
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::{HYBRID_WITHIN, World};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[test]
fn two_sources_are_both_mixed_and_both_needed() {
    if !runnable("two_sources_are_both_mixed_and_both_needed") {
        return;
    }
    let mut world = World::new();
    let mut second = world.second_pair();
    second.up();
    world.set_policy("min_sources", "2");
    world.set_policy("rekey", "\"2s\"");
    world.set_policy("hold_last", "\"4s\"");
    world.up_hybrid();
    let (a, b) = world.same_epoch();
    for source in ["fibre-1", "fibre-2"] {
        assert!(a.mixed().iter().any(|mixed| mixed == source), "{:?} lacks {source}", a.mixed());
    }
    assert_eq!((a.key_ids().len(), a.key_ids()), (2, b.key_ids()));
    second.kill();
    world.both(&["HOLDOVER", "BLOCKED"], Duration::from_secs(15));
    world.both(&["BLOCKED"], Duration::from_secs(6));
    second.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
}

#[test]
fn one_of_two_sources_is_enough_where_one_is_asked_for() {
    if !runnable("one_of_two_sources_is_enough_where_one_is_asked_for") {
        return;
    }
    let mut world = World::new();
    // The second pair never runs.
    world.second_pair();
    world.set_policy("rekey", "\"2s\"");
    world.up();
    world.both(&["HYBRID"], HYBRID_WITHIN + Duration::from_secs(10));
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 500, Duration::from_millis(10)).lost(), 0);
    world.both(&["HYBRID"], Duration::from_secs(1));
}

#[test]
fn a_psk_is_mixed() {
    if !runnable("a_psk_is_mixed") {
        return;
    }
    let mut world = World::new();
    let path = world.path().join("shared.psk");
    std::fs::write(&path, succeed(plait(&world.path()).arg("genpsk"))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for site in [&mut world.a, &mut world.b] {
        site.config.peers[0].more.push("psk_file = \"shared.psk\"".to_owned());
    }
    world.up_hybrid();
    let (a, b) = world.same_epoch();
    assert!(a.mixed().iter().any(|mixed| mixed == "psk") && a.mixed() == b.mixed(), "{:?} {:?}", a.mixed(), b.mixed());
}

#[test]
fn both_ciphers_carry() {
    if !runnable("both_ciphers_carry") {
        return;
    }
    for cipher in ["chacha20-poly1305", "aes-256-gcm"] {
        let mut world = World::new();
        for site in [&mut world.a, &mut world.b] {
            site.config.peers[0].more.push(format!("cipher = \"{cipher}\""));
        }
        world.up_hybrid();
        let (a, _) = world.same_epoch();
        assert_eq!(a.epoch()["cipher"], cipher);
        let _echo = Echo::start(&world.net, "b");
        assert_eq!(pings(&world.net, "a", inner4(2), 100, Duration::from_millis(10)).lost(), 0);
    }
}
