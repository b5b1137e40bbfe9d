//! What an inner packet's own headers say survives: fragments, DS field and ECN, flow label, and packets of 9000 bytes.

use crate::capture::Capture;
use crate::load::stream;
use crate::topology::{Net, inner4, inner6, outer4, outer6, runnable};
use crate::world::World;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

const PORT: u16 = 7009;

/// Sends datagrams of these lengths and compares them at the other end.
fn exchange(net: &Net, from: &str, at: &str, to: IpAddr, lengths: &[usize]) {
    let receiver = net.inside(at, || UdpSocket::bind((to, PORT)).unwrap());
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
    let sender = net.inside(from, || UdpSocket::bind((any, 0)).unwrap());
    let mut buffer = vec![0; 65_536];
    for (round, length) in lengths.iter().enumerate() {
        let sent: Vec<u8> = (0..*length).map(|at| (at * 7 + at / 251 + round) as u8).collect();
        sender.send_to(&sent, (to, PORT)).unwrap();
        let got = receiver.recv(&mut buffer).unwrap_or_else(|error| panic!("{length} bytes to {to}: {error}"));
        assert!(buffer[..got] == sent, "{length} bytes to {to} changed");
    }
}

#[test]
fn inner_fragments_are_put_together_again() {
    if !runnable("inner_fragments_are_put_together_again") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    for (from, at, to) in [("a", "b", inner4(2)), ("a", "b", inner6(2)), ("b", "a", inner4(1)), ("b", "a", inner6(1))] {
        exchange(&world.net, from, at, to, &[1392, 1393, 1500, 4000, 9000, 30_000, 60_000]);
    }
}

/// DS fields and ECN outside of datagrams that say this inside.
fn marked(world: &World, outer: IpAddr, to: IpAddr, tos: u8) -> Vec<u8> {
    let capture = Capture::start(&world.net, "wan");
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = world.net.inside("a", || UdpSocket::bind(any).unwrap());
    let class = i32::from(tos);
    if to.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4Tos, &class).unwrap();
    } else {
        setsockopt(&socket, sockopt::Ipv6TClass, &class).unwrap();
    }
    for _ in 0..20 {
        socket.send_to(&[5; 300], (to, PORT)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    // On a busy machine some share a record; nothing else here is as long.
    capture.stop().tos_of(SocketAddr::new(outer, 51900), 300)
}

#[test]
fn the_outer_header_says_what_the_inner_one_says() {
    if !runnable("the_outer_header_says_what_the_inner_one_says") {
        return;
    }
    for over_v6 in [false, true] {
        let mut world = World::new();
        if over_v6 {
            world.a.config.peers[0].endpoint = Some(SocketAddr::new(outer6(2), 51900).to_string());
            world.b.config.peers[0].endpoint = Some(SocketAddr::new(outer6(1), 51900).to_string());
        }
        world.up_hybrid();
        let outer = if over_v6 { outer6(1) } else { outer4(1) };
        // Expedited forwarding, not ECN-capable; AF41 with ECT(0); nothing but ECT(1).
        for (to, tos) in [(inner4(2), 0xb8), (inner6(2), 0xb8), (inner4(2), 0x8a), (inner6(2), 0x8a), (inner4(2), 0x01)]
        {
            let seen = marked(&world, outer, to, tos);
            let are_all = seen.len() >= 10 && seen.iter().all(|seen| *seen == tos);
            assert!(are_all, "tos {tos:#x} to {to} over {outer}: {seen:x?}");
        }
    }
}

/// An IPv6 packet with UDP that no socket waits for, with this flow label.
fn labelled(label: u32, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (inner6(1), inner6(2)) else { panic!("IPv6") };
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut packet = (6 << 28 | 0xb8 << 20 | label).to_be_bytes().to_vec();
    packet.extend(length.to_be_bytes());
    packet.extend([17, 61]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([0x1f, 0x90, 0x1f, 0x91]);
    packet.extend(length.to_be_bytes());
    // The kernel looks at the checksum only where a socket waits; the tunnel never.
    packet.extend([0xab, 0xcd]);
    packet.extend(payload);
    packet
}

#[test]
fn an_ipv6_flow_label_and_every_other_byte_is_kept() {
    if !runnable("an_ipv6_flow_label_and_every_other_byte_is_kept") {
        return;
    }
    let mut world = World::new();
    world.up_hybrid();
    let packets: Vec<Vec<u8>> = [(0xfffff, 0), (0x12345, 1), (0x00001, 64), (0x80000, 1372)]
        .map(|(label, n)| labelled(label, &vec![9; n]))
        .into();
    let capture = Capture::start(&world.net, "b");
    world.net.inside("a", || {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).unwrap();
        for packet in &packets {
            socket.send_to(packet, &SockAddr::from(SocketAddr::new(inner6(2), 0))).unwrap();
        }
    });
    let wire = capture.stop();
    for packet in &packets {
        // A checksum of "0 bytes" of payload is part of no other packet: each is there once, whole.
        assert_eq!(wire.holding(packet), 1, "{} bytes arrive as they were", packet.len());
    }
}

#[test]
fn nine_thousand_bytes_inside_where_the_path_takes_them() {
    if !runnable("nine_thousand_bytes_inside_where_the_path_takes_them") {
        return;
    }
    let mut world = World::new();
    for site in ["a", "b"] {
        world.net.ip(site, "link set dev wan mtu 9100");
        world.net.ip("wan", &format!("link set dev {site} mtu 9100"));
    }
    for site in [&mut world.a, &mut world.b] {
        site.config.interface.push("mtu = 9000".to_owned());
    }
    let (a, _) = world.up_hybrid();
    assert_eq!(a.json["mtu"], 9000);
    for (from, at, to, headers) in [("a", "b", inner4(2), 28), ("b", "a", inner6(1), 48)] {
        exchange(&world.net, from, at, to, &[100, 1392, 8000, 9000 - headers, 9001 - headers, 40_000]);
        let bytes = stream(&world.net, from, at, to, Duration::from_secs(2));
        assert!(bytes > 10 << 20, "{bytes} bytes from {from} to {to}");
    }
    for status in [world.a.status(), world.b.status()] {
        let drops = status.peer()["drops"].as_object().unwrap().clone();
        assert!(drops.values().all(|count| *count == 0), "{drops:?}");
    }
}
