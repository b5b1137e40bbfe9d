//! An interface that takes more than the tunnel: the sender is told, by ICMP, and learns.

use crate::load::stream;
use crate::topology::{Net, inner4, inner6, runnable};
use crate::world::World;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

/// Inner MTU that both ends agree on.
const AGREED: u16 = 1300;

/// The tunnel takes 1300 bytes, both interfaces take 1500.
fn narrow() -> World {
    let mut world = World::new();
    for site in [&mut world.a, &mut world.b] {
        site.config.interface.push(format!("mtu = {AGREED}"));
    }
    world.up_hybrid();
    for name in ["a", "b"] {
        world.net.ip(name, &format!("link set dev {name} mtu 1500"));
    }
    world
}

/// Path MTU that the kernel learnt.
fn learnt(net: &Net, namespace: &str, to: IpAddr) -> String {
    let route = net.ip(namespace, &format!("route get {to}"));
    route.split_whitespace().skip_while(|word| *word != "mtu").nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_ping_that_must_not_be_cut_is_told_what_fits() {
    if !runnable("a_ping_that_must_not_be_cut_is_told_what_fits") {
        return;
    }
    let world = narrow();
    for (from, to, headers) in [("a", inner4(2), 28), ("a", inner6(2), 48), ("b", inner4(1), 28), ("b", inner6(1), 48)]
    {
        let ping = |bytes: u16| {
            let mut command = Command::new("ping");
            let payload = (bytes - headers).to_string();
            command.args(["-M", "do", "-c", "2", "-i", "0.2", "-W", "2", "-s", &payload, &to.to_string()]);
            let output = world.net.inside(from, || command.output().unwrap());
            let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            (output.status.success(), said.concat())
        };
        let (answered, said) = ping(1500);
        assert!(!answered, "1500 bytes to {to}: {said}");
        let told = said.replace(' ', "").to_lowercase();
        assert!(told.contains(&format!("mtu={AGREED}")), "1500 bytes to {to}: {said}");
        assert_eq!(learnt(&world.net, from, to), AGREED.to_string(), "{from} to {to}");
        let (answered, said) = ping(AGREED);
        assert!(answered, "{AGREED} bytes to {to}: {said}");
    }
    let dropped = world.a.status().peer()["drops"]["too_big"].as_u64().unwrap();
    assert!((2..=4).contains(&dropped), "{dropped} were dropped: one or two of each family");
}

#[test]
fn a_stream_finds_the_size_that_fits() {
    if !runnable("a_stream_finds_the_size_that_fits") {
        return;
    }
    let world = narrow();
    for (from, at, to) in [("a", "b", inner4(2)), ("b", "a", inner6(1))] {
        let bytes = stream(&world.net, from, at, to, Duration::from_secs(2));
        assert!(bytes > 1 << 20, "{bytes} bytes from {from} to {to}");
        assert_eq!(learnt(&world.net, from, to), AGREED.to_string(), "{from} to {to}");
    }
    assert!(world.a.status().peer()["drops"]["too_big"].as_u64().unwrap() > 0, "something too long was sent");
}
