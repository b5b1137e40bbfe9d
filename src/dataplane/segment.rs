//! Segment records: a super-packet of one flow as packets of its segment size, without a checksum computed (PROTOCOL 2.9).
//!
//! The plaintext is the packet that the segment is, with two differences: the checksum of an IPv4 header is zero, and the
//! two bytes of the transport checksum hold the descriptor. The tag protects the record, so the receiver makes both
//! checksums anew, or has the kernel make them.
//!
//! ```text
//! descriptor, big-endian:  bit 15  last segment of its super-packet    bits 0..14  index in the super-packet
//! ```

use crate::wire::checksum::{self, IPV4_CHECKSUM_AT};
use crate::wire::field::{Malformed, put, u16_at, u32_at};
use crate::wire::layers::{Family, Layers, TCP_CWR, TCP_FIN_PSH, TCP_FLAGS_AT, Transport};

/// Set in the descriptor of the last segment.
const LAST: u16 = 0x8000;
/// Segments of one super-packet: as many as an index has values.
const SEGMENTS_MAX: usize = LAST as usize;

/// A super-packet, or a single packet, that can be written as segment records.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    packet: &'a [u8],
    layers: Layers,
    size: usize,
    count: usize,
}

impl<'a> Cut<'a> {
    /// Cuts the payload into pieces of `size` bytes, the last one shorter. `None` if the packet is no plain TCP or UDP
    /// packet ([`Layers`]), if `size` is 0, or for more pieces than an index can count.
    pub fn new(packet: &'a [u8], size: u16) -> Option<Self> {
        Self::with_layers(packet, Layers::of(packet)?, size)
    }

    /// The same for headers that were found in another way: with IP options or extension headers. Such pieces are no
    /// segment records, they can only be written complete.
    pub fn with_layers(packet: &'a [u8], layers: Layers, size: u16) -> Option<Self> {
        let payload = packet.len().checked_sub(layers.header_bytes)?;
        let size = usize::from(size);
        if size == 0 {
            return None;
        }
        let count = payload.div_ceil(size).max(1);
        (count <= SEGMENTS_MAX).then_some(Self { packet, layers, size, count })
    }

    /// How many records there are, at least one.
    pub fn count(self) -> usize {
        self.count
    }

    /// Bytes of the longest record: all but the last are exactly this long.
    pub fn record_bytes(self) -> usize {
        self.packet.len().min(self.layers.header_bytes + self.size)
    }

    /// Appends the plaintext of record `index`, counted from 0. Nothing is appended beyond the last.
    pub fn write(self, index: usize, out: &mut Vec<u8>) {
        if index >= self.count {
            return;
        }
        let start = out.len();
        self.copy(index, out);
        if let Some(record) = out.get_mut(start..) {
            self.patch(index, record);
        }
    }

    /// Appends piece `index` as the packet that the kernel would have made of it. The super-packet's transport checksum
    /// must hold the sum of its pseudo-header, as the kernel leaves it.
    pub fn write_complete(self, index: usize, out: &mut Vec<u8>) {
        let start = out.len();
        self.write(index, out);
        let ip_bytes = self.layers.ip_bytes;
        let Some(piece) = out.get_mut(start..).filter(|piece| !piece.is_empty()) else { return };
        let partial = u16_at(self.packet, self.layers.checksum_at()).unwrap_or(0);
        let whole = self.packet.len().saturating_sub(ip_bytes) as u16;
        let own = piece.len().saturating_sub(ip_bytes);
        // The pseudo-header of the piece is that of the whole with another length: this is subtraction in ones' complement.
        complete(piece, self.layers, u64::from(partial) + u64::from(!whole) + own as u64);
    }

    /// Bytes of piece `index`, headers included.
    pub fn piece_bytes(self, index: usize) -> usize {
        let payload = self.packet.len() - self.layers.header_bytes;
        self.layers.header_bytes + payload.saturating_sub(index * self.size).min(self.size)
    }

    fn copy(self, index: usize, out: &mut Vec<u8>) {
        let Some((headers, payload)) = self.packet.split_at_checked(self.layers.header_bytes) else { return };
        let Some(rest) = payload.get(index * self.size..) else { return };
        out.extend_from_slice(headers);
        out.extend_from_slice(rest.get(..self.size).unwrap_or(rest));
    }

    /// The fields in which a segment differs from its super-packet.
    fn patch(self, index: usize, record: &mut [u8]) {
        let Layers { family, transport, ip_bytes, .. } = self.layers;
        let (length, is_last) = (record.len(), index + 1 == self.count);
        match family {
            Family::V4 => {
                let id = u16_at(record, 4).unwrap_or(0).wrapping_add(index as u16);
                put(record, 2, (length as u16).to_be_bytes());
                put(record, 4, id.to_be_bytes());
                put(record, IPV4_CHECKSUM_AT, [0, 0]);
            }
            Family::V6 => put(record, 4, ((length - family.header_bytes()) as u16).to_be_bytes()),
        }
        match transport {
            Transport::Tcp => {
                let sequence = u32_at(record, ip_bytes + 4).unwrap_or(0).wrapping_add((index * self.size) as u32);
                put(record, ip_bytes + 4, sequence.to_be_bytes());
                if let Some(flags) = record.get_mut(ip_bytes + TCP_FLAGS_AT) {
                    if !is_last {
                        *flags &= !TCP_FIN_PSH;
                    }
                    if index > 0 {
                        *flags &= !TCP_CWR;
                    }
                }
            }
            Transport::Udp => put(record, ip_bytes + 4, ((length - ip_bytes) as u16).to_be_bytes()),
        }
        let descriptor = index as u16 | if is_last { LAST } else { 0 };
        put(record, self.layers.checksum_at(), descriptor.to_be_bytes());
    }
}

/// What a segment record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its headers.
    pub layers: Layers,
    /// Its place in the super-packet.
    pub index: u16,
    /// Whether it is the last one.
    pub is_last: bool,
}

impl Segment {
    /// Reads the plaintext of a segment record; what the peer claims is believed only as far as the bytes bear it out.
    ///
    /// # Errors
    /// [`Malformed`] if it is no plain TCP or UDP packet of exactly this length, if an IPv4 header checksum is not zero, if
    /// a segment that is not the only one is empty, if one before the last carries FIN or PSH, or one after the first CWR.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let layers = Layers::of(text).ok_or(Malformed::Value("segment headers"))?;
        if layers.family == Family::V4 && u16_at(text, IPV4_CHECKSUM_AT) != Some(0) {
            return Err(Malformed::NotZero);
        }
        let descriptor = u16_at(text, layers.checksum_at()).ok_or(Malformed::Length)?;
        let segment = Self { layers, index: descriptor & !LAST, is_last: descriptor & LAST != 0 };
        let is_only = segment.index == 0 && segment.is_last;
        if !is_only && text.len() == layers.header_bytes {
            return Err(Malformed::Length);
        }
        if layers.transport == Transport::Tcp {
            let flags = text.get(layers.ip_bytes + TCP_FLAGS_AT).copied().ok_or(Malformed::Length)?;
            let misplaced_end = !segment.is_last && flags & TCP_FIN_PSH != 0;
            let misplaced_start = segment.index != 0 && flags & TCP_CWR != 0;
            if misplaced_end || misplaced_start {
                return Err(Malformed::Value("segment flags"));
            }
        }
        Ok(segment)
    }

    /// Computes both checksums of the segment in place: it is then the packet that was cut off.
    pub fn complete(self, text: &mut [u8]) {
        let Layers { transport, ip_bytes, .. } = self.layers;
        let addresses = text.get(self.layers.addresses()).unwrap_or_default();
        let above = text.len().saturating_sub(ip_bytes);
        let pseudo = checksum::pseudo_header(addresses, transport.number(), above);
        complete(text, self.layers, pseudo);
    }
}

/// Computes both checksums in place; `pseudo` is the sum of the pseudo-header.
fn complete(packet: &mut [u8], layers: Layers, pseudo: u64) {
    if layers.family == Family::V4 {
        checksum::write_ipv4(packet, layers.ip_bytes);
    }
    put(packet, layers.checksum_at(), [0, 0]);
    let above = packet.get(layers.ip_bytes..).unwrap_or_default();
    let sum = match checksum::finish(checksum::add(pseudo, above)) {
        // In UDP a zero says that there is no checksum (RFC 768), which RFC 8200 8.1 forbids.
        0 if layers.transport == Transport::Udp => 0xffff,
        sum => sum,
    };
    put(packet, layers.checksum_at(), sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn super_packet(payload: usize) -> Vec<u8> {
        let length = 40 + payload;
        let mut packet = vec![0x45, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, 6, 0xaa, 0xaa, 10, 0, 0, 1, 10, 0, 0, 2];
        packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        packet
            .extend_from_slice(&[0, 80, 1, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 0x50, 0x99, 1, 1, 0xbb, 0xbb, 0, 0]);
        packet.extend((0..payload).map(|n| n as u8));
        packet
    }

    fn records(packet: &[u8], size: u16) -> Vec<Vec<u8>> {
        let cut = Cut::new(packet, size).unwrap();
        let write = |index| {
            let mut out = Vec::new();
            cut.write(index, &mut out);
            out
        };
        (0..cut.count()).map(write).collect()
    }

    #[test]
    fn what_differs_between_segments_differs() {
        let records = records(&super_packet(25), 10);
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 45]);
        let field = |at: usize| records.iter().map(|record| u16_at(record, at).unwrap()).collect::<Vec<_>>();
        assert_eq!(field(2), [50, 50, 45], "total length");
        assert_eq!(field(4), [0xffff, 0, 1], "identification");
        assert_eq!(field(10), [0, 0, 0], "IPv4 header checksum");
        assert_eq!(field(26), [0xffff, 9, 19], "low half of the sequence number");
        assert_eq!(field(32), [0x5090, 0x5010, 0x5019], "CWR first, FIN and PSH last");
        assert_eq!(field(36), [0, 1, 0x8002], "descriptor");
    }

    #[test]
    fn a_packet_that_is_not_cut_is_one_last_segment() {
        for payload in [0, 1, 10] {
            let records = records(&super_packet(payload), 10);
            assert_eq!(records.len(), 1);
            let segment = Segment::parse(&records[0]).unwrap();
            assert_eq!((segment.index, segment.is_last), (0, true));
        }
        let mut out = Vec::new();
        Cut::new(&super_packet(10), 10).unwrap().write(1, &mut out);
        assert!(out.is_empty(), "there is no second one");
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        assert!(Cut::new(&super_packet(10), 0).is_none());
        assert!(Cut::new(&super_packet(32_768), 1).is_some());
        assert!(Cut::new(&super_packet(32_769), 1).is_none());
        assert!(Cut::new(&super_packet(10)[1..], 10).is_none());
    }

    #[test]
    fn a_record_that_no_cut_makes_is_malformed() {
        let good = records(&super_packet(25), 10);
        let changed = |which: usize, at: usize, to: u8| {
            let mut record = good[which].clone();
            record[at] = to;
            Segment::parse(&record)
        };
        assert!(good.iter().all(|record| Segment::parse(record).is_ok()));
        assert_eq!(changed(0, 10, 1), Err(Malformed::NotZero));
        assert_eq!(changed(1, 11, 1), Err(Malformed::NotZero));
        assert_eq!(changed(0, 33, 0x11), Err(Malformed::Value("segment flags")), "FIN before the last");
        assert_eq!(changed(0, 33, 0x18), Err(Malformed::Value("segment flags")), "PSH before the last");
        assert_eq!(changed(2, 33, 0x90), Err(Malformed::Value("segment flags")), "CWR after the first");
        assert_eq!(changed(0, 3, 51), Err(Malformed::Value("segment headers")), "longer than it is");
        let empty = records(&super_packet(0), 10);
        for descriptor in [[0, 0], [0x80, 1], [0, 1]] {
            let mut record = empty[0].clone();
            record[36..38].copy_from_slice(&descriptor);
            record[33] = 0x10;
            assert_eq!(Segment::parse(&record), Err(Malformed::Length), "{descriptor:?} without payload");
        }
    }
}
