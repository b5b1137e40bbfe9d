//! Records: what goes in comes out, nothing changed opens, and no bytes of any kind do harm.

use std::net::SocketAddr;

use plait::dataplane::open::Arrival;
use plait::dataplane::pack::View;
use plait::dataplane::seal::write_record;
use plait::dataplane::single::{open_one, seal_one};
use plait::dataplane::snapshot::{Endpoint, Snapshot};
use plait::session::epoch::RecordTerms;
use plait::types::offload::OffloadSet;
use plait::types::policy::Cipher;
use plait::types::time::Instant;
use plait::wire::transport::{Counter, RecordKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::link::both_ends;

const NOW: Instant = Instant::from_nanos(1);
const CIPHERS: [Cipher; 2] = [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm];
const INDEX: u32 = 0x0102_0304;

fn peer_address() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 51900))
}

/// Both ends of one epoch of peer 0, who owns 10.0.0.0/9 and fd00::/16.
fn world(cipher: Cipher, inner_mtu: u16) -> Snapshot {
    let terms = RecordTerms { cipher, inner_mtu, features: 0 };
    both_ends(terms, INDEX, ["10.0.0.0/9", "fd00::/16"], Endpoint { to: peer_address(), from: None })
}

/// An IPv4 packet of 20 bytes or more from a good source, or an IPv6 one of 40 or more.
fn packet(v6: bool, length: u16) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..length).map(|n| n as u8).collect();
    if v6 {
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        packet[8..10].copy_from_slice(&[0xfd, 0]);
        packet[24..26].copy_from_slice(&[0xfd, 0]);
    } else {
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[12..14].copy_from_slice(&[10, 1]);
        packet[16..18].copy_from_slice(&[10, 2]);
    }
    packet
}

fn seal(world: &Snapshot, packet: &[u8]) -> Option<Vec<u8>> {
    let view = View { snapshot: world, now: NOW, offloads: OffloadSet::ALL };
    seal_one(view, 1, packet, &mut |_| true).map(|(_, datagram)| datagram)
}

fn open(world: &Snapshot, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut datagram = datagram.to_vec();
    let arrival = Arrival { now: NOW, from: peer_address(), local: None, stride: 0, tos: 0 };
    open_one(world, arrival, &mut datagram, &mut |_| true).pop().map(|(_, packet)| packet)
}

#[test]
fn every_length_comes_back_and_padding_stays_within_the_mtu() {
    for (cipher, inner_mtu) in CIPHERS.into_iter().flat_map(|cipher| [576, 1280, 1417, 1420].map(|mtu| (cipher, mtu))) {
        let world = world(cipher, inner_mtu);
        for v6 in [false, true] {
            for length in if v6 { 40 } else { 20 }..=inner_mtu {
                let packet = packet(v6, length);
                let datagram = seal(&world, &packet).unwrap();
                let padded = datagram.len() - 32;
                assert!(padded <= usize::from(inner_mtu), "{length} became {padded}");
                assert!(padded.is_multiple_of(16) || padded == usize::from(inner_mtu), "{length} became {padded}");
                assert_eq!(open(&world, &datagram), Some(packet), "{cipher:?} {length}");
            }
            assert_eq!(seal(&world, &packet(v6, inner_mtu + 1)), None);
        }
    }
}

#[test]
fn no_flipped_bit_opens() {
    for cipher in CIPHERS {
        let world = world(cipher, 1420);
        let good = seal(&world, &packet(false, 61)).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&world, &bad), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(open(&world, &good[..length]), None, "cut to {length}");
        }
        assert_eq!(open(&world, &[&good[..], &[0]].concat()), None, "one byte more");
        assert!(open(&world, &good).is_some(), "the true one still opens");
    }
}

proptest! {
    #[test]
    fn only_the_peers_own_sources_pass(v6 in any::<bool>(), source in any::<u16>(), length in 40_u16..200) {
        let world = world(Cipher::ChaCha20Poly1305, 1420);
        let mut packet = packet(v6, length);
        let at = if v6 { 8 } else { 12 };
        packet[at..at + 2].copy_from_slice(&source.to_be_bytes());
        let own = if v6 { source == 0xfd00 } else { source >> 7 == 0x0a00 >> 7 };
        let datagram = seal(&world, &packet).unwrap();
        prop_assert_eq!(open(&world, &datagram), own.then_some(packet));
    }

    #[test]
    fn any_datagram_is_taken_in_peace(mut bytes in vec(any::<u8>(), 0..1600), kind in 0_u8..24, proper in any::<bool>()) {
        let world = world(Cipher::ChaCha20Poly1305, 1420);
        if proper && bytes.len() >= 16 {
            bytes[..8].copy_from_slice(&[kind, 1, 0, 0, 1, 2, 3, 4]);
            bytes[15] &= 7;
        }
        prop_assert_eq!(open(&world, &bytes), None);
    }

    #[test]
    fn any_authentic_plaintext_is_taken_in_peace(
        kind in select(vec![RecordKind::Data, RecordKind::Control, RecordKind::Segment, RecordKind::Bundle]),
        version in select(vec![0x00_u8, 0x40, 0x45, 0x4f, 0x60, 0x6f, 0xf0]),
        mut text in vec(any::<u8>(), 0..1500), lane in 0_u8..8, number in 0_u64..1 << 56,
    ) {
        let world = world(Cipher::ChaCha20Poly1305, 1420);
        if let Some(first) = text.first_mut() {
            *first = version;
        }
        let mut datagram = Vec::new();
        let counter = Counter::new(lane, number).unwrap();
        write_record(&world.peers[0].sealing.as_ref().unwrap().epoch, counter, kind, &text, &mut datagram);
        if let Some(packet) = open(&world, &datagram) {
            prop_assert!(kind == RecordKind::Data && text.starts_with(&packet) && packet.len() >= 20);
        }
        prop_assert!(world.peers[0].traffic.last_open.when().is_some(), "it was authentic");
    }

    #[test]
    fn any_inner_packet_is_taken_in_peace(mut bytes in vec(any::<u8>(), 0..1600), at in any::<Index>(), v6 in any::<bool>()) {
        let world = world(Cipher::ChaCha20Poly1305, 1420);
        let head = packet(v6, 40);
        let length = bytes.len().min(at.index(41));
        bytes[..length].copy_from_slice(&head[..length]);
        if let Some(datagram) = seal(&world, &bytes) {
            let opened = open(&world, &datagram);
            prop_assert!(opened.is_none_or(|packet| bytes.starts_with(&packet)));
        }
    }
}
