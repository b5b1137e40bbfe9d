//! The header in front of each packet of a TUN queue with offloads: what is still to be done to the packet, checksum and
//! segmentation (virtio 1.2, 5.1.6, the legacy layout of 10 bytes).
//!
//! ```text
//! 0 1 flags    1 1 kind of segmentation    2 2 header bytes    4 2 segment bytes    6 2 checksum start    8 2 checksum offset
//! ```
//! Numbers are in the machine's own byte order.

use super::field::Malformed;
use super::layers::Transport;

/// Bytes of the header.
pub const VNET_HEADER_BYTES: usize = 10;
/// The checksum holds the sum of the pseudo-header alone.
const NEEDS_CSUM: u8 = 1;
/// The checksum was verified.
const DATA_VALID: u8 = 2;
/// No segmentation.
const GSO_NONE: u8 = 0;
/// TCP over IPv4.
const GSO_TCPV4: u8 = 1;
/// TCP over IPv6.
const GSO_TCPV6: u8 = 4;
/// UDP over either.
const GSO_UDP_L4: u8 = 5;
/// The first segment carries CWR (RFC 3168).
const GSO_ECN: u8 = 0x80;

/// What is to be done to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VnetHeader {
    /// The transport checksum is to be completed.
    pub checksum: Option<PartialChecksum>,
    /// The transport checksum is whole and was verified.
    pub is_verified: bool,
    /// The packet is to be cut.
    pub segments: Option<Segmentation>,
}

/// Where a checksum is to be computed, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where the transport header begins: summed from there to the end of the packet.
    pub start: u16,
    /// Where the sum lies from there.
    pub offset: u16,
}

/// How a packet is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Version 4 of IP, or 6. Not told for UDP.
    pub is_v6: bool,
    /// What is cut.
    pub transport: Transport,
    /// Payload bytes of every segment but the last.
    pub bytes: u16,
    /// Bytes of all headers. The kernel's own value is a hint only, so it is not read.
    pub header_bytes: u16,
    /// The first segment carries CWR.
    pub has_cwr: bool,
}

impl VnetHeader {
    /// Splits a frame into header and packet.
    ///
    /// # Errors
    /// [`Malformed`] if the frame is shorter than a header, or for a kind of segmentation that was not asked for.
    pub fn split(frame: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (header, packet) = frame.split_first_chunk::<VNET_HEADER_BYTES>().ok_or(Malformed::Length)?;
        let &[flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = header;
        let (is_v6, transport) = match kind & !GSO_ECN {
            GSO_NONE => (false, None),
            GSO_TCPV4 => (false, Some(Transport::Tcp)),
            GSO_TCPV6 => (true, Some(Transport::Tcp)),
            GSO_UDP_L4 => (false, Some(Transport::Udp)),
            _ => return Err(Malformed::Value("segmentation")),
        };
        let segments = transport.map(|transport| Segmentation {
            is_v6,
            transport,
            bytes: u16::from_ne_bytes([s0, s1]),
            header_bytes: u16::from_ne_bytes([h0, h1]),
            has_cwr: kind & GSO_ECN != 0,
        });
        let checksum = PartialChecksum { start: u16::from_ne_bytes([c0, c1]), offset: u16::from_ne_bytes([o0, o1]) };
        let checksum = (flags & NEEDS_CSUM != 0).then_some(checksum);
        Ok((Self { checksum, is_verified: flags & DATA_VALID != 0, segments }, packet))
    }

    /// The bytes for the kernel.
    pub fn to_bytes(self) -> [u8; VNET_HEADER_BYTES] {
        let mut flags = if self.is_verified { DATA_VALID } else { 0 };
        let (mut start, mut offset) = ([0; 2], [0; 2]);
        if let Some(checksum) = self.checksum {
            flags |= NEEDS_CSUM;
            (start, offset) = (checksum.start.to_ne_bytes(), checksum.offset.to_ne_bytes());
        }
        let (mut kind, mut header_bytes, mut size) = (GSO_NONE, [0; 2], [0; 2]);
        if let Some(segments) = self.segments {
            kind = match segments.transport {
                Transport::Tcp if segments.is_v6 => GSO_TCPV6,
                Transport::Tcp => GSO_TCPV4,
                Transport::Udp => GSO_UDP_L4,
            };
            if segments.has_cwr {
                kind |= GSO_ECN;
            }
            (header_bytes, size) = (segments.header_bytes.to_ne_bytes(), segments.bytes.to_ne_bytes());
        }
        let ([h0, h1], [s0, s1], [c0, c1], [o0, o1]) = (header_bytes, size, start, offset);
        [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Vec<VnetHeader> {
        let checksum = Some(PartialChecksum { start: 20, offset: 16 });
        let cut = |is_v6, transport, has_cwr| {
            let segments = Segmentation { is_v6, transport, bytes: 1368, header_bytes: 52, has_cwr };
            VnetHeader { checksum, is_verified: false, segments: Some(segments) }
        };
        vec![
            VnetHeader::default(),
            VnetHeader { is_verified: true, ..VnetHeader::default() },
            VnetHeader { checksum, ..VnetHeader::default() },
            cut(false, Transport::Tcp, false),
            cut(false, Transport::Tcp, true),
            cut(true, Transport::Tcp, false),
            cut(false, Transport::Udp, false),
        ]
    }

    #[test]
    fn a_header_survives_the_way_to_the_kernel_and_back() {
        for header in headers() {
            let frame = [&header.to_bytes()[..], b"packet"].concat();
            assert_eq!(VnetHeader::split(&frame), Ok((header, &b"packet"[..])));
        }
    }

    #[test]
    fn the_layout_is_the_kernel_s() {
        let bytes = headers()[4].to_bytes();
        let mut expected = vec![1, 0x81];
        for number in [52_u16, 1368, 20, 16] {
            expected.extend_from_slice(&number.to_ne_bytes());
        }
        assert_eq!(bytes[..], expected);
        assert_eq!(VnetHeader::default().to_bytes(), [0; 10], "nothing to do");
    }

    #[test]
    fn short_frames_and_unknown_kinds_are_refused() {
        for length in 0..VNET_HEADER_BYTES {
            assert_eq!(VnetHeader::split(&[0; 10][..length]), Err(Malformed::Length));
        }
        for kind in (0..=255_u8).filter(|kind| ![0, 1, 4, 5].contains(&(kind & 0x7f))) {
            let mut frame = [0; 30];
            frame[1] = kind;
            assert_eq!(VnetHeader::split(&frame), Err(Malformed::Value("segmentation")), "{kind:#x}");
        }
    }
}
