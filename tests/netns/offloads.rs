//! Every pair of ends with and without the kernel's help carries everything.

use crate::site::strings;
use crate::streams::everything_passes;
use crate::topology::runnable;
use crate::world::World;

/// A line of `[interface]`.
const AUTO: &str = "offload = \"auto\"";
const OFF: &str = "offload = \"off\"";
#[cfg(feature = "tun-tap")]
const TUN_TAP: &str = "backend = \"tun-tap\"";

/// A rekey every two seconds, while everything passes; afterwards the ends have nothing to complain about.
fn carries(lines: [&str; 2]) -> World {
    let what = format!("{} against {}", lines[0], lines[1]);
    let mut world = World::new();
    world.set_policy("rekey", "\"2s\"");
    world.a.config.interface.push(lines[0].to_owned());
    world.b.config.interface.push(lines[1].to_owned());
    world.up_hybrid();
    everything_passes(&world.net, &what);
    for site in [&world.a, &world.b] {
        let status = site.status();
        assert_eq!(status.state(), "HYBRID", "{what}");
        let drops = status.peer()["drops"].as_object().unwrap().clone();
        assert!(drops.values().all(|count| *count == 0), "{what}: {} dropped {drops:?}", site.name);
        assert!(strings(&status.json["offload_given_up"]).is_empty(), "{what}: {}", status.json);
    }
    world
}

#[test]
fn with_offloads_at_both_ends() {
    if runnable("with_offloads_at_both_ends") {
        carries([AUTO, AUTO]);
    }
}

#[test]
fn with_offloads_at_one_end() {
    if runnable("with_offloads_at_one_end") {
        carries([AUTO, OFF]);
        carries([OFF, AUTO]);
    }
}

#[test]
fn without_offloads() {
    if runnable("without_offloads") {
        let world = carries([OFF, OFF]);
        for status in [world.a.status(), world.b.status()] {
            assert!(strings(&status.json["offload"]).is_empty(), "{}", status.json);
        }
    }
}

#[test]
fn with_one_offload_switched_off() {
    if !runnable("with_one_offload_switched_off") {
        return;
    }
    for offload in ["tso", "uso", "gso", "gro", "bundle"] {
        let line = format!("offload = {{ {offload} = false }}");
        let world = carries([&line, AUTO]);
        let in_use = strings(&world.a.status().json["offload"]);
        assert!(!in_use.iter().any(|name| name == offload), "{offload}: {in_use:?}");
    }
}

#[test]
#[cfg(feature = "tun-tap")]
fn tun_tap_at_one_end_or_both() {
    if runnable("tun_tap_at_one_end_or_both") {
        for lines in [[TUN_TAP, TUN_TAP], [TUN_TAP, AUTO], [AUTO, TUN_TAP], [TUN_TAP, OFF], [OFF, TUN_TAP]] {
            carries(lines);
        }
    }
}
