//! Both ends of one epoch, and frames of every kind that a TUN queue gives.

use std::net::SocketAddr;

use plait::dataplane::snapshot::{Endpoint, Snapshot};
use plait::session::epoch::RecordTerms;
use plait::types::policy::Cipher;
use plait::wire::layers::{Layers, Transport};
use plait::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};

use crate::link::{ALL, both_ends};

const INDEX: u32 = 7;
const INNER_MTU: u16 = 1420;

/// A peer that owns every address and lives at `at`; what is sealed to it opens here.
pub(crate) fn world(cipher: Cipher, features: u8, at: SocketAddr) -> Snapshot {
    let terms = RecordTerms { cipher, inner_mtu: INNER_MTU, features };
    both_ends(terms, INDEX, ALL, Endpoint { to: at, from: Some(at.ip()) })
}

/// A frame with the kernel's header in front: cut into pieces of `size` bytes if it is longer.
pub(crate) fn frame(v6: bool, transport: Transport, payload: usize, size: u16) -> Vec<u8> {
    let own: usize = if transport == Transport::Tcp { 20 } else { 8 };
    let above = own + payload;
    let mut packet = if v6 {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, transport.number(), 64];
        packet[4..6].copy_from_slice(&u16::try_from(above).unwrap().to_be_bytes());
        packet.extend_from_slice(&[0xfd; 32]);
        packet
    } else {
        let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, transport.number(), 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet[2..4].copy_from_slice(&u16::try_from(20 + above).unwrap().to_be_bytes());
        packet
    };
    packet.extend_from_slice(&[1, 2, 3, 4]);
    match transport {
        Transport::Tcp => packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 1, 0, 0, 0, 0]),
        Transport::Udp => {
            packet.extend_from_slice(&u16::try_from(above).unwrap().to_be_bytes());
            packet.extend_from_slice(&[0, 0]);
        }
    }
    packet.resize(packet.len() + payload, 0x5a);
    with_header(&packet, size)
}

fn with_header(packet: &[u8], size: u16) -> Vec<u8> {
    let Layers { transport, ip_bytes, header_bytes, .. } = Layers::of(packet).unwrap();
    let segments = (packet.len() > header_bytes + usize::from(size)).then_some(Segmentation {
        is_v6: transport == Transport::Tcp && packet[0] >> 4 == 6,
        transport,
        bytes: size,
        header_bytes: u16::try_from(header_bytes).unwrap(),
        has_cwr: false,
    });
    let start = u16::try_from(ip_bytes).unwrap();
    let offset = u16::try_from(transport.checksum_at()).unwrap();
    let header = VnetHeader { checksum: Some(PartialChecksum { start, offset }), is_verified: false, segments };
    [&header.to_bytes()[..], packet].concat()
}

/// A frame with nothing left to be done: ICMP of so many bytes in all.
pub(crate) fn whole(length: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.resize(usize::from(length), 8);
    [&VnetHeader::default().to_bytes()[..], &packet].concat()
}
