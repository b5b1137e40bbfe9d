//! A look at the header of an inner packet: its length and its two addresses, nothing more (PROTOCOL 2.9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::field::Malformed;

/// Bytes of an IPv4 header without options (RFC 791).
pub(super) const IPV4_HEADER_BYTES: usize = 20;
/// Bytes of an IPv6 header without extension headers (RFC 8200).
pub(super) const IPV6_HEADER_BYTES: usize = 40;

/// An inner IP packet, cut to the length its own header states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerPacket<'a> {
    bytes: &'a [u8],
    source: IpAddr,
    destination: IpAddr,
}

impl<'a> InnerPacket<'a> {
    /// Trims what follows the packet: the padding of a record (PROTOCOL 2.9).
    ///
    /// # Errors
    /// [`Malformed`] if the version is neither 4 nor 6, or the header states less than itself or more than there is.
    pub fn parse(padded: &'a [u8]) -> Result<Self, Malformed> {
        match padded.first().map(|byte| byte >> 4) {
            Some(4) => Self::parse_v4(padded),
            Some(6) => Self::parse_v6(padded),
            Some(_) => Err(Malformed::Value("IP version")),
            None => Err(Malformed::Length),
        }
    }

    fn parse_v4(padded: &'a [u8]) -> Result<Self, Malformed> {
        let header = padded.first_chunk::<IPV4_HEADER_BYTES>().ok_or(Malformed::Length)?;
        let &[v_ihl, _, l0, l1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
        let header_bytes = usize::from(v_ihl & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([l0, l1]));
        if header_bytes < IPV4_HEADER_BYTES || total < header_bytes {
            return Err(Malformed::Length);
        }
        Ok(Self {
            bytes: padded.get(..total).ok_or(Malformed::Length)?,
            source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
            destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        })
    }

    fn parse_v6(padded: &'a [u8]) -> Result<Self, Malformed> {
        let (&[_, _, _, _, l0, l1, _, _], rest) = padded.split_first_chunk().ok_or(Malformed::Length)?;
        let (source, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::Length)?;
        let (destination, _) = rest.split_first_chunk::<16>().ok_or(Malformed::Length)?;
        let total = IPV6_HEADER_BYTES + usize::from(u16::from_be_bytes([l0, l1]));
        Ok(Self {
            bytes: padded.get(..total).ok_or(Malformed::Length)?,
            source: IpAddr::V6(Ipv6Addr::from(*source)),
            destination: IpAddr::V6(Ipv6Addr::from(*destination)),
        })
    }

    /// The packet without padding.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Who sent it, as the packet says.
    pub fn source(self) -> IpAddr {
        self.source
    }

    /// Where it goes.
    pub fn destination(self) -> IpAddr {
        self.destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(ihl: u8, total: u16, length: usize) -> Vec<u8> {
        let mut packet = vec![0; length.max(20)];
        packet[0] = 0x40 | ihl;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
        packet.truncate(length);
        packet
    }

    fn v6(payload: u16, length: usize) -> Vec<u8> {
        let mut packet = vec![0; length.max(40)];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
        packet[23] = 1;
        packet[39] = 2;
        packet.truncate(length);
        packet
    }

    #[test]
    fn padding_is_trimmed_and_addresses_are_read() {
        let padded = v4(5, 61, 64);
        let packet = InnerPacket::parse(&padded).unwrap();
        assert_eq!(packet.bytes().len(), 61);
        assert_eq!(packet.source(), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(packet.destination(), IpAddr::from([10, 0, 0, 2]));
        let padded = v6(8, 64);
        let packet = InnerPacket::parse(&padded).unwrap();
        assert_eq!(packet.bytes().len(), 48);
        assert_eq!(packet.source(), "::1".parse::<IpAddr>().unwrap());
        assert_eq!(packet.destination(), "::2".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for packet in [
            v4(5, 19, 32),
            v4(5, 0, 32),
            v4(4, 32, 32),
            v4(15, 59, 64),
            v4(5, 33, 32),
            v4(5, 19, 19),
            v6(9, 48),
            v6(0, 39),
            vec![],
            vec![0x45],
            vec![0x60],
        ] {
            assert_eq!(InnerPacket::parse(&packet), Err(Malformed::Length), "{packet:02x?}");
        }
        assert!(InnerPacket::parse(&v4(15, 60, 64)).is_ok());
        assert!(InnerPacket::parse(&v6(0, 40)).is_ok());
    }

    #[test]
    fn other_versions_are_refused() {
        for version in (0..16).filter(|v| ![4, 6].contains(v)) {
            assert_eq!(InnerPacket::parse(&[version << 4; 64]), Err(Malformed::Value("IP version")), "{version}");
        }
    }
}
