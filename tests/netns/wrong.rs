//! The usual mistakes: nothing passes, and the status or the log says which one it is.

use crate::capture::Capture;
use crate::kme::certificates;
use crate::process::{plait, succeed};
use crate::topology::{inner4, runnable};
use crate::traffic::{CANARY, Echo, pings};
use crate::world::World;
use std::time::Duration;

const SIX_SECONDS: usize = 600;
const HUNDRED_A_SECOND: Duration = Duration::from_millis(10);

/// Starts both sites; for six seconds no ping comes through and nothing is in clear.
fn nothing_passes(world: &mut World) {
    let capture = Capture::start(&world.net, "wan");
    world.up();
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), SIX_SECONDS, HUNDRED_A_SECOND).lost(), SIX_SECONDS);
    let wire = capture.stop();
    assert_eq!((wire.holding(CANARY), wire.strangers(51900)), (0, 0));
    for site in [&world.a, &world.b] {
        let status = site.status();
        assert_eq!(status.code, 1, "{}", status.json);
        assert!(status.epoch().is_null(), "{}", status.json);
    }
}

/// The class of the last error of the first source.
fn last_error(site: &crate::site::Site) -> String {
    let status = site.wait_status("an error of the source", Duration::from_secs(15), |status| {
        !status.json["sources"][0]["last_error"].is_null()
    });
    assert_ne!(status.json["sources"][0]["state"], "ok");
    status.json["sources"][0]["last_error"].to_string()
}

#[test]
fn wrong_peer_key() {
    if !runnable("wrong_peer_key") {
        return;
    }
    let mut world = World::new();
    world.mistake_a_for_a_stranger();
    nothing_passes(&mut world);
    // Nobody was authenticated, so nobody asked a KME for a key.
    assert_eq!((world.a.status().source_number("keys_used"), world.b.status().source_number("keys_used")), (0, 0));
}

#[test]
fn wrong_psk() {
    if !runnable("wrong_psk") {
        return;
    }
    let mut world = World::new();
    for (site, name) in [(&mut world.a, "a.psk"), (&mut world.b, "b.psk")] {
        let psk = succeed(plait(world.dir.path()).arg("genpsk"));
        let path = world.dir.path().join(name);
        std::fs::write(&path, psk).unwrap();
        succeed(std::process::Command::new("chmod").arg("600").arg(&path));
        site.config.peers[0].more.push(format!("psk_file = \"{name}\""));
    }
    nothing_passes(&mut world);
    let said = world.a.log() + &world.b.log();
    assert!(said.to_lowercase().contains("psk"), "no hint at the PSK:\n{said}");
}

#[test]
fn wrong_ca() {
    if !runnable("wrong_ca") {
        return;
    }
    let mut world = World::new();
    certificates(&world.path(), "other", &[("KME-A", 1)], &["SAE-A"]);
    world.a.config.sources[0].ca_file = "other/ca.pem".to_owned();
    nothing_passes(&mut world);
    let error = last_error(&world.a).to_lowercase();
    assert!(error.contains("ca") || error.contains("certificate"), "{error}");
}

#[test]
fn certificate_of_another_ca() {
    if !runnable("certificate_of_another_ca") {
        return;
    }
    let mut world = World::new();
    certificates(&world.path(), "other", &[("KME-A", 1)], &["SAE-A"]);
    world.a.config.sources[0].pki = "other".to_owned();
    nothing_passes(&mut world);
    last_error(&world.a);
}

#[test]
fn swapped_sae_ids() {
    if !runnable("swapped_sae_ids") {
        return;
    }
    let mut world = World::new();
    for source in [&mut world.a.config.sources[0], &mut world.b.config.sources[0]] {
        std::mem::swap(&mut source.local_sae, &mut source.remote_sae);
    }
    nothing_passes(&mut world);
    let error = last_error(&world.a).to_lowercase();
    assert!(error.contains("sae"), "{error}");
}
