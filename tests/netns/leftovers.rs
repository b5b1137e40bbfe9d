//! Nothing is left behind: not by a failed start, not by a clean stop.

use crate::process::wait_for;
use crate::topology::runnable;
use crate::world::World;
use std::net::UdpSocket;
use std::time::Duration;

/// Control sockets of daemons; the KME pair has one too, and still runs.
fn sockets(world: &World) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(world.path().join("run")) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".sock") && !name.ends_with(".kme.sock")).collect()
}

#[test]
fn a_failed_start_leaves_nothing() {
    if !runnable("a_failed_start_leaves_nothing") {
        return;
    }
    let mut world = World::new();
    let (links, routes) = (world.net.interfaces("a"), world.net.ip("a", "route"));
    let taken = world.net.inside("a", || UdpSocket::bind("[::]:51900").unwrap());
    world.a.launch();
    let status = wait_for("its end", Duration::from_secs(5), || world.a.daemon().ended());
    assert!(status.code().is_some_and(|code| code == 1 || code == 7), "{status}: {}", world.a.log());
    assert!(world.a.log().contains("51900"), "{}", world.a.log());
    drop(taken);
    assert_eq!((world.net.interfaces("a"), world.net.ip("a", "route")), (links, routes));
    assert_eq!(sockets(&world), Vec::<String>::new());
}

#[test]
fn a_broken_configuration_leaves_nothing() {
    if !runnable("a_broken_configuration_leaves_nothing") {
        return;
    }
    let mut world = World::new();
    let links = world.net.interfaces("a");
    world.a.config.set_policy("qdk", "\"required\"");
    world.a.launch();
    let status = wait_for("its end", Duration::from_secs(5), || world.a.daemon().ended());
    assert_eq!(status.code(), Some(6), "{}", world.a.log());
    assert!(world.a.log().contains("a.toml:") && world.a.log().contains("qkd"), "{}", world.a.log());
    assert_eq!(world.net.interfaces("a"), links);
}

#[test]
fn a_stop_leaves_nothing_and_down_stops() {
    if !runnable("a_stop_leaves_nothing_and_down_stops") {
        return;
    }
    let mut world = World::new();
    let (links, routes) = (world.net.interfaces("a"), world.net.ip("a", "route"));
    world.up_hybrid();
    assert!(world.net.interfaces("a").contains(&"a".to_owned()));
    world.a.down();
    assert_eq!((world.net.interfaces("a"), world.net.ip("a", "route")), (links, routes));
    let output = world.b.run(&["down", "b"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let status = wait_for("its end", Duration::from_secs(5), || world.b.daemon().ended());
    assert_eq!(status.code(), Some(0));
    assert_eq!(sockets(&world), Vec::<String>::new());
    assert_eq!(world.b.run(&["status", "b"]).status.code(), Some(3));
}

#[test]
fn a_second_daemon_for_the_same_interface_is_refused() {
    if !runnable("a_second_daemon_for_the_same_interface_is_refused") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let file = world.a.file("toml");
    let output = world.a.run(&["up", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    world.both(&["HYBRID"], Duration::from_secs(1));
}
