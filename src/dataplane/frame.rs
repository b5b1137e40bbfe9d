//! What a TUN queue gave: a packet, and what the kernel left to be done to it.

use crate::dataplane::segment::Cut;
use crate::wire::checksum;
use crate::wire::field::{Malformed, put, u16_at};
use crate::wire::ip::InnerPacket;
use crate::wire::layers::{Layers, Transport};
use crate::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};

/// A packet or super-packet of the TUN interface.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The packet.
    pub packet: InnerPacket<'a>,
    /// How it can be carried.
    pub shape: Shape<'a>,
}

/// How a packet can be carried.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// As it is.
    Whole,
    /// As it is, once its checksum is computed.
    Unfinished(PartialChecksum),
    /// In segment records, or in pieces that are computed here. The transport checksum holds the pseudo-header's sum.
    Segments(Cut<'a>),
    /// As it is or in a segment record: its checksum was verified, so it may as well be computed anew.
    Verified(Cut<'a>),
    /// In pieces that are computed here alone: it has IP options or extension headers.
    Pieces(Cut<'a>),
}

impl<'a> Frame<'a> {
    /// Reads a frame, with the kernel's header in front if the queue has it.
    ///
    /// # Errors
    /// [`Malformed`] if it is no IP packet, or to be cut in a way that its headers do not allow.
    pub fn parse(frame: &'a [u8], has_vnet_header: bool) -> Result<Self, Malformed> {
        if !has_vnet_header {
            return Ok(Self { packet: InnerPacket::parse(frame)?, shape: Shape::Whole });
        }
        let (header, bytes) = VnetHeader::split(frame)?;
        let packet = InnerPacket::parse(bytes)?;
        let shape = match (header.segments, header.checksum) {
            (Some(segments), Some(checksum)) => cut(packet.bytes(), segments, checksum),
            (Some(_), None) => None,
            (None, Some(checksum)) => Some(partial(packet.bytes(), checksum)),
            (None, None) if header.is_verified => Some(verified(packet.bytes())),
            (None, None) => Some(Shape::Whole),
        };
        Ok(Self { packet, shape: shape.ok_or(Malformed::Value("super-packet"))? })
    }
}

fn cut(packet: &[u8], segments: Segmentation, checksum: PartialChecksum) -> Option<Shape<'_>> {
    let Segmentation { transport, bytes, .. } = segments;
    if let Some(layers) = plain(packet, checksum).filter(|layers| layers.transport == transport) {
        return Cut::with_layers(packet, layers, bytes).map(Shape::Segments);
    }
    let layers = Layers::beginning_at(packet, usize::from(checksum.start), transport)?;
    Cut::with_layers(packet, layers, bytes).map(Shape::Pieces)
}

fn partial(packet: &[u8], checksum: PartialChecksum) -> Shape<'_> {
    let cut = plain(packet, checksum).and_then(|layers| Cut::with_layers(packet, layers, u16::MAX));
    cut.map_or(Shape::Unfinished(checksum), Shape::Segments)
}

/// A UDP packet without a checksum stays without one, so it goes as it is.
fn verified(packet: &[u8]) -> Shape<'_> {
    let layers = Layers::of(packet);
    let summed = layers.filter(|l| l.transport == Transport::Tcp || u16_at(packet, l.checksum_at()) != Some(0));
    summed.and_then(|layers| Cut::with_layers(packet, layers, u16::MAX)).map_or(Shape::Whole, Shape::Verified)
}

/// The headers if they are plain and the checksum to be computed is the one that they say.
fn plain(packet: &[u8], checksum: PartialChecksum) -> Option<Layers> {
    let PartialChecksum { start, offset } = checksum;
    let matches = |l: &Layers| (l.ip_bytes, l.transport.checksum_at()) == (usize::from(start), usize::from(offset));
    Layers::of(packet).filter(matches)
}

/// Computes a checksum of which the packet holds the pseudo-header's sum. Nothing happens if it would lie beyond the end.
pub fn finish_checksum(packet: &mut [u8], PartialChecksum { start, offset }: PartialChecksum) {
    let start = usize::from(start);
    let sum = match checksum::finish(checksum::add(0, packet.get(start..).unwrap_or_default())) {
        // In UDP a zero says that there is no checksum; elsewhere both zeros mean the same.
        0 => 0xffff,
        sum => sum,
    };
    put(packet, start + usize::from(offset), sum.to_be_bytes());
}
