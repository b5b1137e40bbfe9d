//! From opened packets to what is written into the TUN queue: pieces of a flow that come one after the other become one
//! super-packet again, in place, without a copy.
//!
//! Two pieces are joined only if the kernel, cutting the whole, would make these very pieces. What a piece claims of itself
//! was checked when it was parsed; the header for the kernel is made here, from the packet alone.

use std::io::IoSlice;

use crate::dataplane::segment::Segment;
use crate::types::id::PeerId;
use crate::types::offload::{Offload, OffloadSet};
use crate::wire::checksum;
use crate::wire::field::{put, u16_at, u32_at};
use crate::wire::layers::{Family, Layers, TCP_CWR, TCP_FIN_PSH, TCP_FLAGS_AT, Transport};
use crate::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};

/// Pieces of the longest UDP super-packet: what every kernel with USO accepts.
const UDP_PIECES_MAX: usize = 64;
/// Pieces of the longest super-packet.
const PIECES_MAX: usize = 128;
/// Bytes of the longest packet: its length field has 16 bits.
const PACKET_BYTES_MAX: usize = 65_535;
/// "Don't fragment", in the byte that holds the flags of an IPv4 header.
const IPV4_DF: u8 = 0x40;

/// Takes what is to be written.
pub trait Deliver {
    /// One packet or super-packet, and what the kernel has to do to it: if nothing, the packet is complete. The first part
    /// of the frame is the header's bytes, all others are the packet.
    fn deliver(&mut self, peer: PeerId, header: VnetHeader, frame: &[IoSlice<'_>]);
}

/// A super-packet under construction. The pieces stay where they were opened.
pub struct Joiner<'a> {
    offloads: OffloadSet,
    first: Option<First<'a>>,
    /// Payloads of all pieces but the first.
    rest: [IoSlice<'a>; PIECES_MAX],
    count: usize,
    /// Bytes of the whole so far.
    bytes: usize,
    /// A piece shorter than the first: the last one.
    is_closed: bool,
}

/// The first piece: its headers become those of the whole.
struct First<'a> {
    peer: PeerId,
    text: &'a mut [u8],
    segment: Segment,
    /// Payload bytes of every piece but the last.
    size: usize,
}

impl<'a> Joiner<'a> {
    /// Empty. Without TSO in `offloads` packets are completed here and delivered one by one.
    pub fn new(offloads: OffloadSet) -> Self {
        Self { offloads, first: None, rest: [IoSlice::new(&[]); PIECES_MAX], count: 0, bytes: 0, is_closed: false }
    }

    /// Adds a piece that continues what is under construction; gives any other back.
    ///
    /// # Errors
    /// The piece itself.
    pub fn join(
        &mut self,
        peer: PeerId,
        text: &'a mut [u8],
        segment: Segment,
        sink: &mut impl Deliver,
    ) -> Result<(), &'a mut [u8]> {
        let header_bytes = segment.layers.header_bytes;
        let size = text.len() - header_bytes;
        let most = self.most_pieces(segment.layers.transport);
        let has_room = !self.is_closed && self.count < most && self.bytes + size <= PACKET_BYTES_MAX;
        let Some(first) = self.first.as_mut().filter(|_| has_room) else { return Err(text) };
        if first.peer != peer
            || first.segment.layers != segment.layers
            || !first.goes_on_with(self.count, text, segment)
        {
            return Err(text);
        }
        self.is_closed = size < first.size;
        first.end_with(text);
        let payload: &'a [u8] = text;
        if let Some(place) = self.rest.get_mut(self.count - 1) {
            *place = IoSlice::new(payload.get(header_bytes..).unwrap_or_default());
        }
        self.count += 1;
        self.bytes += size;
        self.settle(segment, sink);
        Ok(())
    }

    /// Begins with a piece that continues nothing; all else is delivered before.
    pub fn begin(&mut self, peer: PeerId, text: &'a mut [u8], segment: Segment, sink: &mut impl Deliver) {
        self.flush(sink);
        let size = text.len() - segment.layers.header_bytes;
        self.bytes = text.len();
        self.first = Some(First { peer, text, segment, size });
        self.count = 1;
        self.is_closed = size == 0;
        self.settle(segment, sink);
    }

    /// A whole super-packet need not wait; a single UDP packet waits for others of its flow.
    fn settle(&mut self, segment: Segment, sink: &mut impl Deliver) {
        if segment.is_last && (segment.index > 0 || segment.layers.transport == Transport::Tcp) {
            self.flush(sink);
        }
    }

    /// Delivers a packet that is complete, after what came before it.
    pub fn pass(&mut self, peer: PeerId, packet: &[u8], sink: &mut impl Deliver) {
        self.flush(sink);
        deliver_one(peer, VnetHeader::default(), packet, sink);
    }

    /// Delivers what is under construction.
    pub fn flush(&mut self, sink: &mut impl Deliver) {
        let Some(first) = self.first.take() else { return };
        let First { peer, text, segment, size } = first;
        let rest = self.rest.get(..self.count - 1).unwrap_or_default();
        if !self.offloads.has(Offload::Tso) {
            segment.complete(text);
            return deliver_one(peer, VnetHeader::default(), text, sink);
        }
        let is_whole = rest.is_empty();
        let header = describe(text, segment.layers, self.bytes, (!is_whole).then_some(size));
        if is_whole {
            return deliver_one(peer, header, text, sink);
        }
        let bytes = header.to_bytes();
        let mut frame = [IoSlice::new(&[]); PIECES_MAX + 1];
        let (head, tail) = frame.split_at_mut(2);
        head.copy_from_slice(&[IoSlice::new(&bytes), IoSlice::new(text)]);
        tail.iter_mut().zip(rest).for_each(|(place, piece)| *place = *piece);
        sink.deliver(peer, header, frame.get(..=self.count).unwrap_or_default());
    }

    /// After so many pieces no other is added.
    fn most_pieces(&self, transport: Transport) -> usize {
        let (offload, most) = match transport {
            Transport::Tcp => (Offload::Tso, PIECES_MAX),
            Transport::Udp => (Offload::Uso, UDP_PIECES_MAX),
        };
        if self.offloads.has(offload) && self.offloads.has(Offload::Tso) { most } else { 0 }
    }
}

fn deliver_one(peer: PeerId, header: VnetHeader, packet: &[u8], sink: &mut impl Deliver) {
    sink.deliver(peer, header, &[IoSlice::new(&header.to_bytes()), IoSlice::new(packet)]);
}

impl First<'_> {
    /// Whether piece number `count` of the whole, counted from 0, would look like this.
    fn goes_on_with(&self, count: usize, text: &[u8], segment: Segment) -> bool {
        let Layers { family, transport, ip_bytes, header_bytes } = segment.layers;
        let payload = text.len() - header_bytes;
        let is_next = usize::from(segment.index) == usize::from(self.segment.index) + count;
        let is_single = |segment: Segment| segment.index == 0 && segment.is_last;
        // Packets that were never part of a super-packet: UDP keeps their bounds, so they may become one.
        let both_single = transport == Transport::Udp && is_single(self.segment) && is_single(segment);
        let fits = payload > 0 && if segment.is_last { payload <= self.size } else { payload == self.size };
        fits && (is_next && !self.segment.is_last || both_single)
            && same(self.text, text, 0..2)
            && match family {
                Family::V4 => {
                    same(self.text, text, 6..10) && same(self.text, text, 12..20) && self.has_next_id(count, text)
                }
                Family::V6 => same(self.text, text, 2..4) && same(self.text, text, 6..40),
            }
            && match transport {
                Transport::Udp => same(self.text, text, ip_bytes..ip_bytes + 4),
                Transport::Tcp => {
                    self.has_next_sequence(count, text, ip_bytes)
                        && same(self.text, text, ip_bytes..ip_bytes + 4)
                        && same(self.text, text, ip_bytes + 8..ip_bytes + TCP_FLAGS_AT)
                        && self.has_same_flags(text, ip_bytes + TCP_FLAGS_AT)
                        && same(self.text, text, ip_bytes + TCP_FLAGS_AT + 1..ip_bytes + 16)
                        && same(self.text, text, ip_bytes + 18..header_bytes)
                }
            }
    }

    /// The whole carries the FIN and PSH of its last piece.
    fn end_with(&mut self, text: &[u8]) {
        let Layers { transport, ip_bytes, .. } = self.segment.layers;
        let at = ip_bytes + TCP_FLAGS_AT;
        if transport == Transport::Tcp
            && let (Some(ours), Some(theirs)) = (self.text.get_mut(at), text.get(at))
        {
            *ours |= theirs & TCP_FIN_PSH;
        }
    }

    /// The kernel counts the identification up; where nothing may be fragmented it means nothing (RFC 6864), and many
    /// senders leave it alone.
    fn has_next_id(&self, count: usize, text: &[u8]) -> bool {
        let (Some(ours), Some(theirs)) = (u16_at(self.text, 4), u16_at(text, 4)) else { return false };
        let is_atomic = text.get(6).is_some_and(|flags| flags & IPV4_DF != 0);
        theirs == ours.wrapping_add(count as u16) || is_atomic && theirs == ours
    }

    fn has_next_sequence(&self, count: usize, text: &[u8], tcp_at: usize) -> bool {
        let (Some(ours), Some(theirs)) = (u32_at(self.text, tcp_at + 4), u32_at(text, tcp_at + 4)) else {
            return false;
        };
        theirs == ours.wrapping_add((count * self.size) as u32)
    }

    /// FIN and PSH may come with the last piece, CWR with the first.
    fn has_same_flags(&self, text: &[u8], at: usize) -> bool {
        let (Some(ours), Some(theirs)) = (self.text.get(at), text.get(at)) else { return false };
        (ours ^ theirs) & !(TCP_FIN_PSH | TCP_CWR) == 0 && ours & TCP_FIN_PSH == 0 && theirs & TCP_CWR == 0
    }
}

fn same(ours: &[u8], theirs: &[u8], range: std::ops::Range<usize>) -> bool {
    matches!((ours.get(range.clone()), theirs.get(range)), (Some(ours), Some(theirs)) if ours == theirs)
}

/// Makes the headers of the first piece those of a packet of `bytes` bytes, with the pseudo-header's sum in place of the
/// transport checksum, and says what the kernel has to do. `size` is set if it is to be cut again.
fn describe(text: &mut [u8], layers: Layers, bytes: usize, size: Option<usize>) -> VnetHeader {
    let Layers { family, transport, ip_bytes, header_bytes } = layers;
    let above = bytes - ip_bytes;
    match family {
        Family::V4 => {
            put(text, 2, (bytes as u16).to_be_bytes());
            checksum::write_ipv4(text, ip_bytes);
        }
        Family::V6 => put(text, 4, (above as u16).to_be_bytes()),
    }
    if transport == Transport::Udp {
        put(text, ip_bytes + 4, (above as u16).to_be_bytes());
    }
    let addresses = text.get(layers.addresses()).unwrap_or_default();
    let sum = checksum::fold(checksum::pseudo_header(addresses, transport.number(), above));
    put(text, layers.checksum_at(), sum.to_be_bytes());
    let flags = text.get(ip_bytes + TCP_FLAGS_AT).copied().unwrap_or(0);
    let segments = size.map(|size| Segmentation {
        is_v6: transport == Transport::Tcp && family == Family::V6,
        transport,
        bytes: size as u16,
        header_bytes: header_bytes as u16,
        has_cwr: transport == Transport::Tcp && flags & TCP_CWR != 0,
    });
    let checksum = PartialChecksum { start: ip_bytes as u16, offset: transport.checksum_at() as u16 };
    VnetHeader { checksum: Some(checksum), is_verified: false, segments }
}

#[cfg(test)]
mod tests;
