//! Packets as the kernel takes them from a TUN queue: one UDP datagram, and a super-packet of many.

use std::net::SocketAddrV4;

use crate::wire::checksum;
use crate::wire::layers::Transport;
use crate::wire::vnet::{PartialChecksum, Segmentation, VNET_HEADER_BYTES, VnetHeader};

/// Bytes of an IPv4 header without options.
const IP_BYTES: u16 = 20;
/// Bytes of a UDP header.
const UDP_BYTES: u16 = 8;
/// Bytes of both headers.
pub(super) const HEADER_BYTES: usize = (IP_BYTES + UDP_BYTES) as usize;
/// Number of UDP in an IP header.
const UDP: u8 = 17;

/// An IPv4 packet with a UDP datagram of this payload, without UDP checksum, which IPv4 allows (RFC 768).
pub(super) fn packet(from: SocketAddrV4, to: SocketAddrV4, payload: u16) -> Vec<u8> {
    let (total, datagram) = (HEADER_BYTES as u16 + payload, UDP_BYTES + payload);
    let mut packet = Vec::with_capacity(usize::from(total));
    packet.extend_from_slice(&[0x45, 0]);
    packet.extend_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, UDP, 0, 0]);
    packet.extend_from_slice(&from.ip().octets());
    packet.extend_from_slice(&to.ip().octets());
    let sum = checksum::finish(checksum::add(0, &packet)).to_be_bytes();
    packet.splice(10..12, sum);
    for number in [from.port(), to.port(), datagram, 0] {
        packet.extend_from_slice(&number.to_be_bytes());
    }
    packet.resize(usize::from(total), 0x42);
    packet
}

/// The same as a super-packet of datagrams with `segment` bytes of payload, and its header.
pub(super) fn super_packet(
    from: SocketAddrV4,
    to: SocketAddrV4,
    segment: u16,
    count: u16,
) -> ([u8; VNET_HEADER_BYTES], Vec<u8>) {
    let payload = segment * count;
    let mut packet = packet(from, to, payload);
    let addresses = [from.ip().octets(), to.ip().octets()].concat();
    let pseudo = checksum::pseudo_header(&addresses, UDP, usize::from(UDP_BYTES + payload));
    packet.splice(26..28, checksum::fold(pseudo).to_be_bytes());
    let header = VnetHeader {
        checksum: Some(PartialChecksum { start: IP_BYTES, offset: 6 }),
        segments: Some(Segmentation {
            is_v6: false,
            transport: Transport::Udp,
            bytes: segment,
            header_bytes: HEADER_BYTES as u16,
            has_cwr: false,
        }),
        ..VnetHeader::default()
    };
    (header.to_bytes(), packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ip::InnerPacket;

    const FROM: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 98, 0, 2), 9);
    const TO: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 98, 0, 1), 7);

    #[test]
    fn the_packet_is_one_with_a_good_header() {
        let packet = packet(FROM, TO, 100);
        let parsed = InnerPacket::parse(&packet).unwrap();
        assert_eq!(
            (parsed.bytes().len(), parsed.source(), parsed.destination()),
            (128, (*FROM.ip()).into(), (*TO.ip()).into())
        );
        assert_eq!(checksum::finish(checksum::add(0, &packet[..20])), 0);
        assert_eq!(&packet[20..28], &[0, 9, 0, 7, 0, 108, 0, 0]);
    }

    #[test]
    fn the_super_packet_says_how_it_is_cut() {
        let (header, packet) = super_packet(FROM, TO, 1392, 45);
        assert_eq!(packet.len(), HEADER_BYTES + 45 * 1392);
        let frame = [&header[..], &packet].concat();
        let (read, _) = VnetHeader::split(&frame).unwrap();
        assert_eq!(read.segments.map(|segments| segments.bytes), Some(1392));
        assert_ne!(&packet[26..28], &[0, 0], "the sum of the pseudo-header");
    }
}
