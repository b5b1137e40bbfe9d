//! The ratchet under `require`: kept over restarts, missed when it is lost, opened again by both ends.

use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::{HYBRID_WITHIN, World};
use std::time::Duration;

fn has_ratchet(status: &crate::site::Status) -> bool {
    status.mixed().iter().any(|mixed| mixed == "ratchet")
}

#[test]
fn required_ratchet() {
    if !runnable("required_ratchet") {
        return;
    }
    let mut world = World::new();
    for site in [&mut world.a, &mut world.b] {
        site.config.peers[0].more.push("ratchet = \"require\"".to_owned());
    }
    world.up_hybrid();
    let (a, _) = world.same_epoch();
    assert!(!has_ratchet(&a), "the first handshake has nothing to ratchet from");
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 20, Duration::from_millis(10)).lost(), 0);
    world.a.down();
    world.b.down();
    world.a.up();
    world.b.up();
    world.both(&["HYBRID"], HYBRID_WITHIN);
    let (a, b) = world.same_epoch();
    assert!(has_ratchet(&a) && has_ratchet(&b), "{:?}", a.mixed());
    // One end loses its state: no session until both reset.
    world.a.down();
    let output = world.a.run(&["ratchet", "reset", world.a.file("toml").to_str().unwrap(), "b"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.b.kill();
    world.a.up();
    world.b.up();
    std::thread::sleep(Duration::from_secs(8));
    assert_ne!(world.a.status().state(), "HYBRID");
    let said = world.a.log() + &world.b.log();
    assert!(said.contains("RATCHET_LOST"), "{said}");
    world.b.down();
    let output = world.b.run(&["ratchet", "reset", world.b.file("toml").to_str().unwrap(), "a"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.b.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
}
