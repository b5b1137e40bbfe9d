//! Nothing in clear: what is said to the other site goes into the tunnel or nowhere, whatever happens to the daemon. Fourteen
//! situations, each with a capture of the wan; before them, that without the kill switch the same capture sees a leak.

use crate::capture::{Capture, Wire};
use crate::process::{succeed, wait_for};
use crate::topology::{Net, inner4, inner6, runnable};
use crate::traffic::{CANARY, Echo, PORT};
use crate::world::World;
use nix::sys::signal::Signal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long each situation is looked at.
const LOOK: Duration = Duration::from_millis(700);
/// Faults of the last situation.
const FAULTS: u64 = 100;

/// Says the canary to everything inner, all the time, as any program of the site would.
struct Shouter {
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Shouter {
    fn start(net: &Net, namespace: &'static str) -> Self {
        let (stop, tried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&tried));
        let other = if namespace == "a" { 2 } else { 1 };
        let thread = net.beside(namespace, move || {
            let sockets = [("0.0.0.0", inner4(other)), ("::", inner6(other))]
                .map(|(any, to)| (UdpSocket::bind((any, 0)).unwrap(), to));
            let text = [CANARY.as_slice(), &[b'.'; 1000]].concat();
            while !stopped.load(Ordering::Relaxed) {
                for (socket, to) in &sockets {
                    // To an echo, a closed port (its refusal quotes the packet), a name server, and in one piece or three.
                    for (port, length) in [(PORT, 64), (PORT + 1, 64), (53, 40), (PORT, 1032)] {
                        // A refusal by the kernel is as good as a drop.
                        let _ = socket.send_to(&text[..length], SocketAddr::new(*to, port));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, tried, thread: Some(thread) }
    }
}

impl Drop for Shouter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Two sites that reach everything through the wan, as a site with a default route does.
fn world(kill_switch: bool) -> World {
    let mut world = World::new();
    for (site, n) in [("a", 1), ("b", 2)] {
        world.net.ip(site, &format!("route add default via 10.1.{n}.254"));
        world.net.ip(site, &format!("-6 route add default via fd01:{n}::fe"));
    }
    for site in [&mut world.a, &mut world.b] {
        site.config.interface.push(format!("killswitch = {kill_switch}"));
    }
    world.set_policy("hold_last", "\"1s\"");
    world.set_policy("rekey", "\"2s\"");
    world
}

fn look(world: &World) -> Wire {
    let capture = Capture::start(&world.net, "wan");
    std::thread::sleep(LOOK);
    capture.stop()
}

fn in_clear(wire: &Wire) -> usize {
    wire.holding(CANARY) + wire.naming(&[inner4(1), inner4(2), inner6(1), inner6(2)])
}

/// What nft says in site `a`, which it does as it is told.
fn nft(net: &Net, arguments: &[&str]) -> String {
    net.inside("a", || succeed(Command::new("nft").args(arguments)))
}

/// Looks at the wan in a situation, of which something is said at the same time.
fn silent(world: &World, shouters: &[Shouter], situation: &str) {
    let before: Vec<usize> = shouters.iter().map(|shouter| shouter.tried.load(Ordering::Relaxed)).collect();
    let wire = look(world);
    assert_eq!(in_clear(&wire), 0, "{situation}: in clear");
    for (shouter, before) in shouters.iter().zip(before) {
        assert!(shouter.tried.load(Ordering::Relaxed) > before, "{situation}: nobody said anything");
    }
}

#[test]
fn without_the_kill_switch_a_dead_daemon_leaks_and_the_capture_sees_it() {
    if !runnable("without_the_kill_switch_a_dead_daemon_leaks_and_the_capture_sees_it") {
        return;
    }
    let mut world = world(false);
    world.up_hybrid();
    let _shouter = Shouter::start(&world.net, "a");
    assert_eq!(in_clear(&look(&world)), 0);
    world.a.kill();
    assert!(in_clear(&look(&world)) > 0, "the default route takes what has lost its tunnel");
}

#[test]
fn the_kill_switch_stays_until_it_is_opened() {
    if !runnable("the_kill_switch_stays_until_it_is_opened") {
        return;
    }
    let mut world = world(true);
    world.up_hybrid();
    world.a.down();
    let routes = world.net.ip("a", "route show type blackhole");
    assert!(routes.contains("10.99.0.2"), "{routes}");
    let shouters = [Shouter::start(&world.net, "a")];
    silent(&world, &shouters, "after a clean stop");
    // Another hand takes the firewall away: the blackholes are left.
    nft(&world.net, &["flush", "ruleset"]);
    silent(&world, &shouters, "without a firewall");
    let opened = world.a.run(&["down", "a", "--open"]);
    assert!(opened.status.success() && String::from_utf8_lossy(&opened.stderr).contains("taken away"), "{opened:?}");
    assert_eq!(world.net.ip("a", "route show type blackhole"), "");
    assert!(in_clear(&look(&world)) > 0, "open means open");
    let none = world.a.run(&["down", "a", "--open"]);
    assert!(none.status.success() && String::from_utf8_lossy(&none.stderr).contains("no kill switch"), "{none:?}");
}

#[test]
fn a_firewall_that_is_flushed_is_set_again_by_the_daemon_and_by_a_reload() {
    if !runnable("a_firewall_that_is_flushed_is_set_again_by_the_daemon_and_by_a_reload") {
        return;
    }
    let mut world = world(true);
    world.up_hybrid();
    let nft = |arguments: &[&str]| nft(&world.net, arguments);
    let rules = nft(&["list", "ruleset"]);
    assert!(rules.contains("table inet plait-a"), "{rules}");
    nft(&["flush", "ruleset"]);
    assert_eq!(nft(&["list", "ruleset"]), "");
    wait_for("the firewall is set again", Duration::from_secs(30), || {
        (nft(&["list", "ruleset"]) == rules).then_some(())
    });
    nft(&["flush", "ruleset"]);
    world.a.reload();
    assert_eq!(nft(&["list", "ruleset"]), rules, "at once");
}

#[test]
fn the_kill_switch_follows_a_reload_and_refuses_what_would_cut_the_site_off() {
    if !runnable("the_kill_switch_follows_a_reload_and_refuses_what_would_cut_the_site_off") {
        return;
    }
    let mut world = world(true);
    world.up_hybrid();
    world.a.config.peers[0].allowed_ips.push("10.20.0.0/16".to_owned());
    world.a.reload();
    let blackholes = || world.net.ip("a", "route show type blackhole");
    assert!(blackholes().contains("10.20.0.0/16"), "{}", blackholes());
    world.a.config.peers[0].allowed_ips.pop();
    world.a.reload();
    assert!(!blackholes().contains("10.20.0.0/16"), "{}", blackholes());
    for (prefix, word) in [("10.1.0.0/16", "10.1.1.1"), ("0.0.0.0/0", "KME")] {
        world.a.config.peers[0].allowed_ips.push(prefix.to_owned());
        world.a.config.interface.push("table = 77".to_owned());
        world.a.write();
        let refused = world.a.run(&["reload", "a"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(6) && said.contains(word), "{said}");
        world.a.config.interface.pop();
        world.a.config.peers[0].allowed_ips.pop();
    }
    world.a.config.interface.retain(|line| !line.starts_with("killswitch"));
    world.a.write();
    let refused = world.a.run(&["reload", "a"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("down NAME --open"), "{refused:?}");
    assert_eq!(world.a.status().state(), "HYBRID");
}

#[test]
fn nobody_outside_speaks_for_an_inner_address() {
    if !runnable("nobody_outside_speaks_for_an_inner_address") {
        return;
    }
    let mut world = world(true);
    world.up_hybrid();
    let heard = world.net.inside("a", || UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
    heard.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    world.net.ip("wan", &format!("addr add {}/32 dev lo", inner4(2)));
    let (to, from) = (SocketAddr::new("10.1.1.1".parse().unwrap(), PORT), SocketAddr::new(inner4(2), 0));
    let say = |from: SocketAddr| {
        world.net.inside("wan", || UdpSocket::bind(from).unwrap().send_to(CANARY, to).unwrap());
        heard.recv_from(&mut [0; 64]).is_ok()
    };
    assert!(say(SocketAddr::new("10.1.1.254".parse().unwrap(), 0)), "under its own address the wan is heard");
    assert!(!say(from), "under an inner address it is not");
}

#[test]
fn nothing_in_clear_in_fourteen_situations() {
    if !runnable("nothing_in_clear_in_fourteen_situations") {
        return;
    }
    let mut world = world(true);
    world.pair.stock(4, 10);
    world.a.up();
    world.b.up();
    let shouters = [Shouter::start(&world.net, "a"), Shouter::start(&world.net, "b")];
    silent(&world, &shouters, "1 before the first key");
    world.pair.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
    let echo = Echo::start(&world.net, "b");
    silent(&world, &shouters, "2 while all is well; refusals quote what they refuse, names are asked for");
    multicast(&world);
    world.pair.cut();
    world.both(&["HOLDOVER", "BLOCKED"], Duration::from_secs(25));
    silent(&world, &shouters, "4 no key from the KME");
    world.both(&["BLOCKED"], Duration::from_secs(10));
    silent(&world, &shouters, "5 hold_last is over");
    world.pair.repair();
    world.both(&["HYBRID"], Duration::from_secs(70));
    world.net.ip("a", &format!("route add {}/32 via 10.1.1.254 metric 5", inner4(2)));
    world.net.ip("a", &format!("-6 route add {}/128 via fd01:1::fe metric 5", inner6(2)));
    silent(&world, &shouters, "6 a route beside ours");
    world.net.ip("a", &format!("route del {}/32 via 10.1.1.254", inner4(2)));
    world.net.ip("a", &format!("-6 route del {}/128 via fd01:1::fe", inner6(2)));
    broken_reload(&world);
    silent(&world, &shouters, "7 a reload with a broken file");
    world.a.daemon().signal_all(Signal::SIGSTOP);
    silent(&world, &shouters, "8 a daemon that stands still");
    world.a.daemon().signal_all(Signal::SIGCONT);
    world.a.kill();
    silent(&world, &shouters, "9 a daemon that was killed");
    world.a.up();
    silent(&world, &shouters, "10 another binary takes its place");
    world.net.ip("a", "link set dev a down");
    silent(&world, &shouters, "11 an interface that is down");
    world.net.ip("a", "link del dev a");
    silent(&world, &shouters, "12 an interface that was deleted");
    let _ = wait_for("its end", Duration::from_secs(10), || world.a.daemon().ended());
    silent(&world, &shouters, "12 a daemon that ended without its interface");
    world.a.kill();
    only_ipv4(&mut world, &shouters);
    drop(echo);
    world.a.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
    many_faults(&mut world, &shouters);
}

/// 3: what a site says to everybody on its tunnel interface.
fn multicast(world: &World) {
    let capture = Capture::start(&world.net, "wan");
    world.net.inside("a", || {
        let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let IpAddr::V4(own) = inner4(1) else { unreachable!() };
        socket2::SockRef::from(&v4).set_multicast_if_v4(&own).unwrap();
        let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let index = nix::net::if_::if_nametoindex("a").unwrap();
        for _ in 0..50 {
            let _ = v4.send_to(CANARY, ("224.0.0.251", 5353));
            let _ = v4.send_to(CANARY, ("10.99.0.255", 5353));
            let everybody = std::net::SocketAddrV6::new("ff02::fb".parse().unwrap(), 5353, 0, index);
            let _ = v6.send_to(CANARY, everybody);
            let neighbour = std::net::SocketAddrV6::new("fe80::2".parse().unwrap(), 5353, 0, index);
            let _ = v6.send_to(CANARY, neighbour);
        }
    });
    assert_eq!(in_clear(&capture.stop()), 0, "3 multicast: in clear");
}

fn broken_reload(world: &World) {
    std::fs::write(world.a.file("toml"), "[interface\n").unwrap();
    assert_eq!(world.a.run(&["reload", "a"]).status.code(), Some(6));
    assert_eq!(world.a.run(&["check", world.a.file("toml").to_str().unwrap()]).status.code(), Some(6));
}

/// 13: the tunnel has IPv4 alone, and somebody leads IPv6 into it.
fn only_ipv4(world: &mut World, shouters: &[Shouter]) {
    let whole = world.a.config.clone();
    world.a.config.address.truncate(1);
    world.a.config.peers[0].allowed_ips.truncate(1);
    world.a.up();
    world.a.wait_state(&["HYBRID"], Duration::from_secs(70));
    world.net.ip("a", &format!("-6 route add {}/128 dev a", inner6(2)));
    silent(world, shouters, "13 IPv6 in a tunnel that has none");
    world.a.down();
    world.a.config = whole;
}

/// 14: a hundred faults in the order of a seed.
fn many_faults(world: &mut World, shouters: &[Shouter]) {
    let capture = Capture::start(&world.net, "wan");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut runs = true;
    for _ in 0..FAULTS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let fault = (seed >> 33) % 8;
        match fault {
            0 if runs => world.a.kill(),
            0 | 1 if !runs => world.a.launch(),
            1 if runs => world.a.daemon().signal(Signal::SIGHUP),
            2 => world.pair.cut(),
            3 => world.pair.repair(),
            // Refused where it is there already or there is no such interface: both are faults of their own.
            4 => drop(try_ip(world, &format!("route replace {}/32 via 10.1.1.254", inner4(2)))),
            5 => drop(try_ip(world, &format!("route del {}/32 via 10.1.1.254", inner4(2)))),
            6 => drop(try_ip(world, "link set dev a down")),
            _ => drop(try_ip(world, "link set dev a up")),
        }
        runs = if runs { fault != 0 } else { fault < 2 };
        std::thread::sleep(Duration::from_millis(50 + (seed >> 40) % 50));
    }
    let wire = capture.stop();
    assert_eq!(in_clear(&wire), 0, "14 a hundred faults: in clear");
    assert!(shouters.iter().all(|shouter| shouter.tried.load(Ordering::Relaxed) > 1000));
    drop(try_ip(world, &format!("route del {}/32 via 10.1.1.254", inner4(2))));
    if runs {
        world.a.kill();
    }
    world.pair.repair();
    world.a.up();
    world.both(&["HYBRID"], Duration::from_secs(70));
}

fn try_ip(world: &World, arguments: &str) -> std::process::Output {
    let name = world.net.name("a");
    Command::new("ip").args(["-n", &name]).args(arguments.split(' ')).output().unwrap()
}
