//! The judgement over kernels that fail in one way each.

use std::sync::Arc;

use super::*;
use crate::io::doubles::{
    CorruptingSocket, Corruption, FaultyQueue, FaultySocket, LocalQueue, Rule, changed_bytes, joined, lost_stride, nth,
};
use crate::io::udp::Received;
use crate::wire::checksum::{add, finish};
use crate::wire::ip::InnerPacket;

fn set(offloads: &[Offload]) -> OffloadSet {
    offloads.iter().fold(OffloadSet::NONE, |set, offload| set.with(*offload))
}

fn judge(rule: Rule, corruption: Corruption, to: Option<SocketAddr>) -> OffloadSet {
    let (sender, receiver) = (Arc::new(local().unwrap()), Arc::new(local().unwrap()));
    let (from, there) = (sender.local_address().unwrap(), receiver.local_address().unwrap());
    let (sender, receiver) = (FaultySocket::new(sender, rule), CorruptingSocket::new(receiver, corruption));
    Loopback { sender: &sender, receiver: &receiver, from, to: to.unwrap_or(there) }.judge()
}

fn untouched(_: &mut [u8], received: Received) -> Received {
    received
}

fn never() -> Rule {
    Box::new(|_| None)
}

#[test]
fn trains_pass_here() {
    assert_eq!(judge(never(), untouched, None), set(&[Offload::Gso, Offload::Gro]));
    assert_eq!(trains(OffloadSet::ALL), set(&[Offload::Gso, Offload::Gro]));
}

#[test]
fn trains_that_cannot_be_sent_are_not() {
    for code in [libc::EINVAL, libc::EIO, libc::EMSGSIZE] {
        assert_eq!(judge(joined(code), untouched, None), set(&[Offload::Gro]));
    }
}

#[test]
fn trains_that_arrive_spoilt_are_not_received() {
    assert_eq!(judge(never(), changed_bytes, None), set(&[Offload::Gso]));
    assert_eq!(judge(never(), lost_stride, None), set(&[Offload::Gso]));
}

#[test]
fn where_nothing_passes_nothing_is_said() {
    let clock = Clock::start();
    let both = set(&[Offload::Gso, Offload::Gro]);
    let elsewhere = local().unwrap();
    assert_eq!(judge(never(), untouched, Some(elsewhere.local_address().unwrap())), both);
    assert_eq!(judge(Box::new(|_| Some(libc::ENETUNREACH)), untouched, None), both);
    assert!(clock.now().since(Instant::ZERO) < Duration::from_secs(5), "the wait has an end");
}

#[test]
fn a_strangers_datagram_is_passed_over() {
    let (sender, receiver, stranger) = (local().unwrap(), local().unwrap(), local().unwrap());
    let (from, to) = (sender.local_address().unwrap(), receiver.local_address().unwrap());
    stranger.send(b"hello", Endpoint { to, from: None }).unwrap();
    let loopback = Loopback { sender: &sender, receiver: &receiver, from, to };
    assert_eq!(loopback.judge(), set(&[Offload::Gso, Offload::Gro]));
}

fn write_to(rule: Rule, has_header: bool) -> OffloadSet {
    let (local, _host) = LocalQueue::pair(has_header).unwrap();
    writable(&FaultyQueue::new(Arc::new(local), rule), set(&[Offload::Tso, Offload::Uso]))
}

#[test]
fn super_packets_that_are_refused_are_not_usable() {
    let both = set(&[Offload::Tso, Offload::Uso]);
    assert_eq!(write_to(never(), true), both);
    for code in [libc::EINVAL, libc::EIO] {
        assert_eq!(write_to(joined(code), true), OffloadSet::NONE);
        // The plain one, TCP in IPv4 and IPv6, UDP in IPv4 and IPv6.
        for (number, left) in [(1, Offload::Uso), (2, Offload::Uso), (3, Offload::Tso), (4, Offload::Tso)] {
            assert_eq!(write_to(nth(number, code), true), set(&[left]), "{number}");
        }
    }
    for code in [libc::EAGAIN, libc::ENOBUFS] {
        assert_eq!(write_to(joined(code), true), both, "a bad time is no refusal");
    }
}

#[test]
fn without_a_header_or_an_interface_that_takes_packets_there_is_no_judgement() {
    assert_eq!(write_to(never(), false), OffloadSet::NONE);
    assert_eq!(write_to(Box::new(|_| Some(libc::EIO)), true), set(&[Offload::Tso, Offload::Uso]));
}

#[test]
fn only_what_was_granted_is_tried() {
    let (local, _host) = LocalQueue::pair(true).unwrap();
    let queue = FaultyQueue::new(Arc::new(local), joined(libc::EINVAL));
    assert_eq!(writable(&queue, OffloadSet::NONE), OffloadSet::NONE);
    assert_eq!(writable(&queue, set(&[Offload::Tso])), OffloadSet::NONE);
    assert_eq!(queue.broken(), 1);
}

#[test]
fn the_whole_judgement_is_of_what_is_wanted() {
    let tun = |has_header, offloads| {
        let (local, host) = LocalQueue::pair(has_header).unwrap();
        (Tun { name: String::new(), index: 0, queues: vec![Arc::new(local)], offloads }, host)
    };
    let (granted, _host) = tun(true, set(&[Offload::Tso, Offload::Uso]));
    assert_eq!(run(OffloadSet::ALL, &granted), OffloadSet::ALL);
    let wanted = set(&[Offload::Gro, Offload::Tso, Offload::Bundle]);
    assert_eq!(run(wanted, &granted), wanted);
    assert_eq!(run(OffloadSet::NONE, &granted), OffloadSet::NONE);
    let (plain, _host) = tun(false, OffloadSet::NONE);
    assert_eq!(run(OffloadSet::ALL, &plain), set(&[Offload::Gso, Offload::Gro, Offload::Bundle]));
}

#[test]
fn a_probe_is_a_whole_packet_that_no_kernel_delivers() {
    for is_super in [false, true] {
        for (is_v6, is_udp) in [(false, false), (false, true), (true, false), (true, true)] {
            let probe = Probe { is_v6, is_udp, is_super };
            let packet = probe.packet();
            let parsed = InnerPacket::parse(&packet).unwrap();
            assert_eq!(parsed.bytes(), packet);
            assert!(parsed.source().is_loopback() && parsed.destination().is_loopback());
            assert!(is_v6 || finish(add(0, &packet[..20])) != 0, "the header checksum is wrong");
        }
    }
}
