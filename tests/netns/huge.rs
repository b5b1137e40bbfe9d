//! Real daemons with configurations far larger than anybody's: they start, carry, answer, and stay within their memory.

use crate::config::Peer;
use crate::process::plait;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::World;
use plait::crypto::kem::default_backend;
use plait::identity::{Identity, write_public};
use plait::types::policy::Suite;
use plait::types::secret::Secret;
use std::time::Duration;

/// Peers; `PLAIT_PEERS` asks for more, up to the 10 000 that are promised: their keys alone take a debug build a minute.
const PEERS: u32 = 2000;
const PREFIXES: u32 = 131_072;
/// What both processes of a daemon may hold (RELIABILITY 5: many peers).
const MEMORY_KIB_MAX: u64 = 700 << 10;
/// Two daemons beside the other tests of a small machine, in a debug build.
const WITHIN: Duration = Duration::from_secs(60);

/// Resident memory of a site's daemon, in KiB.
fn memory(world: &mut World) -> u64 {
    let children = world.a.daemon().children();
    let of = |pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    children.into_iter().map(of).sum()
}

#[test]
fn thousands_of_peers_are_configured_and_the_one_that_is_there_is_served() {
    if !runnable("thousands_of_peers_are_configured_and_the_one_that_is_there_is_served") {
        return;
    }
    let mut world = World::new();
    let count = std::env::var("PLAIT_PEERS").ok().map_or(PEERS, |text| text.parse().unwrap());
    std::fs::create_dir(world.path().join("peers")).unwrap();
    for n in 1..count {
        let secret =
            Secret::filled(|out| out.iter_mut().zip(n.to_be_bytes().iter().cycle()).for_each(|(o, i)| *o = *i));
        let identity = Identity::from_secret(default_backend(), Suite::MlKem1024, secret).unwrap();
        let file = format!("peers/{n}.pub");
        std::fs::write(world.path().join(&file), write_public(identity.public())).unwrap();
        world.a.config.peers.push(Peer {
            name: format!("p{n}"),
            public_key_file: file,
            endpoint: None,
            allowed_ips: vec![format!("10.{}.{}.0/24", 100 + n / 256, n % 256)],
            more: vec!["policy = { qkd = \"off\" }".to_owned()],
        });
    }
    world.pair.up();
    world.b.up();
    world.a.launch();
    world.a.wait_status("a session with b", WITHIN, |status| status.states()[0] == "HYBRID");
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 50, Duration::from_millis(10)).lost(), 0);
    let held = memory(&mut world);
    eprintln!("{count} peers: {} MiB", held >> 10);
    assert!(held < MEMORY_KIB_MAX, "{held} KiB");
}

#[test]
fn a_peer_with_131072_prefixes_gets_a_route_for_each_and_carries() {
    if !runnable("a_peer_with_131072_prefixes_gets_a_route_for_each_and_carries") {
        return;
    }
    let mut world = World::new();
    let prefix = |n: u32| format!("11.{}.{}.{}/32", n >> 16, n >> 8 & 255, n & 255);
    world.a.config.peers[0].allowed_ips.extend((0..PREFIXES).map(prefix));
    world.pair.up();
    world.b.up();
    world.a.launch();
    world.a.wait_status("a session with b", WITHIN, |status| status.state() == "HYBRID");
    let _echo = Echo::start(&world.net, "b");
    assert_eq!(pings(&world.net, "a", inner4(2), 50, Duration::from_millis(10)).lost(), 0);
    let route = world.net.ip("a", "route get 11.1.255.255");
    assert!(route.contains("dev a"), "{route}");
    let held = memory(&mut world);
    eprintln!("{PREFIXES} prefixes: {} MiB", held >> 10);
    assert!(held < MEMORY_KIB_MAX, "{held} KiB");
    // `plait` answers about all of them within its own deadline.
    let mut ask = plait(&world.path());
    ask.args(["status", "a", "--json"]);
    assert!(ask.output().unwrap().status.success());
}
