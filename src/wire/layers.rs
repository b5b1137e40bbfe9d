//! Where the headers of a plain TCP or UDP packet lie: what segmentation offload needs to know of it.

use crate::wire::field::u16_at;
use crate::wire::ip::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES};

/// Bytes of a TCP header without options (RFC 9293).
const TCP_HEADER_BYTES: usize = 20;
/// Where the flags lie in a TCP header (RFC 9293 3.1).
pub const TCP_FLAGS_AT: usize = 13;
/// FIN and PSH: only the last segment of a super-packet carries them.
pub const TCP_FIN_PSH: u8 = 0x09;
/// CWR: only the first segment carries it (RFC 3168 6.1.2: it answers one congestion signal).
pub const TCP_CWR: u8 = 0x80;
/// Bytes of a UDP header (RFC 768).
const UDP_HEADER_BYTES: usize = 8;
/// Bytes of the longest headers that [`Layers`] describes: IPv6 and TCP with all options.
pub const HEADERS_BYTES_MAX: usize = IPV6_HEADER_BYTES + 60;
/// "More fragments" and the fragment offset (RFC 791).
const FRAGMENT_BITS: u16 = 0x3fff;

/// Version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

impl Family {
    /// Bytes of its header without options or extension headers.
    pub fn header_bytes(self) -> usize {
        match self {
            Self::V4 => IPV4_HEADER_BYTES,
            Self::V6 => IPV6_HEADER_BYTES,
        }
    }
}

/// The protocol above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Transport {
    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// Where its checksum lies, from the start of its header.
    pub fn checksum_at(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// Headers of a whole TCP or UDP packet without IP options, extension headers or fragmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Version of IP.
    pub family: Family,
    /// What is above it.
    pub transport: Transport,
    /// Bytes of the IP header: where the transport header starts.
    pub ip_bytes: usize,
    /// Bytes of both headers: where the payload starts.
    pub header_bytes: usize,
}

impl Layers {
    /// Reads the headers. `None` for anything else than such a packet: it can be carried, but not cut or joined. The IP
    /// header's length must be that of `packet`, and so must the UDP header's.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let (family, protocol) = match packet.first()? {
            0x45 => (Family::V4, ipv4_protocol(packet)?),
            first if first >> 4 == 6 => (Family::V6, ipv6_protocol(packet)?),
            _ => return None,
        };
        let ip_bytes = family.header_bytes();
        let above = packet.get(ip_bytes..)?;
        let transport = match protocol {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            _ => return None,
        };
        let own_bytes = own_bytes(transport, above)?;
        let fits = match transport {
            Transport::Tcp => own_bytes <= above.len(),
            Transport::Udp => usize::from(u16_at(above, 4)?) == above.len() && above.len() >= own_bytes,
        };
        fits.then_some(Self { family, transport, ip_bytes, header_bytes: ip_bytes + own_bytes })
    }

    /// Headers of which the transport header begins at `start`: for a packet with IP options or extension headers, of which
    /// the kernel says so. `None` if they do not lie within the packet.
    pub fn beginning_at(packet: &[u8], start: usize, transport: Transport) -> Option<Self> {
        let family = match packet.first()? >> 4 {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        let above = packet.get(start..)?;
        let own_bytes = own_bytes(transport, above)?;
        let fits = start >= family.header_bytes() && own_bytes <= above.len();
        fits.then_some(Self { family, transport, ip_bytes: start, header_bytes: start + own_bytes })
    }

    /// Where the transport checksum lies, from the start of the packet.
    pub fn checksum_at(self) -> usize {
        self.ip_bytes + self.transport.checksum_at()
    }

    /// Where source and destination address lie, one after the other.
    pub fn addresses(self) -> std::ops::Range<usize> {
        match self.family {
            Family::V4 => 12..20,
            Family::V6 => 8..40,
        }
    }
}

/// Bytes of the transport header; `None` if it states fewer than the shortest.
fn own_bytes(transport: Transport, above: &[u8]) -> Option<usize> {
    match transport {
        Transport::Tcp => Some(usize::from(above.get(12)? >> 4) * 4).filter(|bytes| *bytes >= TCP_HEADER_BYTES),
        Transport::Udp => Some(UDP_HEADER_BYTES),
    }
}

fn ipv4_protocol(packet: &[u8]) -> Option<u8> {
    let is_whole = u16_at(packet, 6)? & FRAGMENT_BITS == 0;
    let is_all = usize::from(u16_at(packet, 2)?) == packet.len();
    packet.get(9).copied().filter(|_| is_whole && is_all)
}

fn ipv6_protocol(packet: &[u8]) -> Option<u8> {
    let is_all = IPV6_HEADER_BYTES + usize::from(u16_at(packet, 4)?) == packet.len();
    packet.get(6).copied().filter(|_| is_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::field::put;

    fn packet(family: Family, transport: Transport, own_bytes: usize, payload: usize) -> Vec<u8> {
        let ip_bytes = if family == Family::V4 { 20 } else { 40 };
        let length = ip_bytes + own_bytes + payload;
        let mut packet = vec![0; length];
        if family == Family::V4 {
            packet[0] = 0x45;
            put(&mut packet, 2, (length as u16).to_be_bytes());
            packet[9] = transport.number();
        } else {
            packet[0] = 0x60;
            put(&mut packet, 4, ((length - 40) as u16).to_be_bytes());
            packet[6] = transport.number();
        }
        match transport {
            Transport::Tcp => packet[ip_bytes + 12] = (own_bytes as u8 / 4) << 4,
            Transport::Udp => put(&mut packet, ip_bytes + 4, ((own_bytes + payload) as u16).to_be_bytes()),
        }
        packet
    }

    const KINDS: [(Family, Transport, usize); 6] = [
        (Family::V4, Transport::Tcp, 20),
        (Family::V4, Transport::Tcp, 60),
        (Family::V4, Transport::Udp, 8),
        (Family::V6, Transport::Tcp, 20),
        (Family::V6, Transport::Tcp, 60),
        (Family::V6, Transport::Udp, 8),
    ];

    #[test]
    fn plain_packets_are_understood() {
        for (family, transport, own_bytes) in KINDS {
            for payload in [0, 1, 1000] {
                let layers = Layers::of(&packet(family, transport, own_bytes, payload)).unwrap();
                assert_eq!((layers.family, layers.transport), (family, transport));
                assert_eq!(layers.header_bytes, layers.ip_bytes + own_bytes);
                assert!(layers.header_bytes <= HEADERS_BYTES_MAX);
                assert_eq!(layers.checksum_at() - layers.ip_bytes, transport.checksum_at());
            }
        }
    }

    #[test]
    fn no_shortened_or_lengthened_packet_is() {
        for (family, transport, own_bytes) in KINDS {
            let good = packet(family, transport, own_bytes, 3);
            for length in 0..good.len() {
                assert_eq!(Layers::of(&good[..length]), None, "{family:?} {transport:?} {length}");
            }
            assert_eq!(Layers::of(&[&good[..], &[0]].concat()), None);
        }
    }

    #[test]
    fn options_fragments_and_other_protocols_are_not() {
        let changed = |family, at: usize, to: u8| {
            let mut packet = packet(family, Transport::Udp, 8, 40);
            packet[at] = to;
            Layers::of(&packet)
        };
        assert_eq!(changed(Family::V4, 0, 0x46), None, "IPv4 options");
        assert_eq!(changed(Family::V4, 0, 0x55), None, "another version");
        assert_eq!(changed(Family::V4, 6, 0x20), None, "more fragments");
        assert_eq!(changed(Family::V4, 7, 1), None, "a later fragment");
        assert!(changed(Family::V4, 6, 0x40).is_some(), "don't fragment is no fragment");
        assert_eq!(changed(Family::V4, 9, 1), None, "ICMP");
        assert_eq!(changed(Family::V6, 6, 44), None, "a fragment header");
        assert_eq!(changed(Family::V6, 45, 1), None, "the UDP length is another");
        let mut tcp = packet(Family::V4, Transport::Tcp, 20, 8);
        for words in (0..5).chain(8..16) {
            tcp[32] = words << 4;
            assert_eq!(Layers::of(&tcp), None, "TCP header of {words} words");
        }
        tcp[32] = 7 << 4;
        assert_eq!(Layers::of(&tcp).map(|layers| layers.header_bytes), Some(48));
    }

    #[test]
    fn headers_are_found_where_the_kernel_says_that_they_begin() {
        for (family, transport, own_bytes) in KINDS {
            let good = packet(family, transport, own_bytes, 3);
            let start = if family == Family::V4 { 20 } else { 40 };
            assert_eq!(Layers::beginning_at(&good, start, transport), Layers::of(&good));
            assert_eq!(Layers::beginning_at(&good, start - 1, transport), None, "within the IP header");
            assert_eq!(Layers::beginning_at(&good[..start + own_bytes - 1], start, transport), None, "not whole");
            assert!(Layers::beginning_at(&good[..start + own_bytes], start, transport).is_some(), "no payload");
            // Eight bytes of options or extension headers.
            let longer = [&good[..start], &[0; 8], &good[start..]].concat();
            let layers = Layers::beginning_at(&longer, start + 8, transport).unwrap();
            assert_eq!((layers.ip_bytes, layers.header_bytes), (start + 8, start + 8 + own_bytes));
            assert_eq!(layers.checksum_at(), start + 8 + if transport == Transport::Tcp { 16 } else { 6 });
        }
        let mut other = packet(Family::V4, Transport::Udp, 8, 3);
        other[0] = 0x55;
        assert_eq!(Layers::beginning_at(&other, 20, Transport::Udp), None, "another version");
    }

    #[test]
    fn only_version_6_is_read_as_ipv6() {
        let mut packet = packet(Family::V6, Transport::Udp, 8, 3);
        packet[0] = 0x70;
        assert_eq!(Layers::of(&packet), None);
    }
}
