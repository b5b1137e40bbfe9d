//! Writes opened packets into the TUN queue, and does for the kernel what it refuses to do.

use std::io::{self, IoSlice};

use super::worker::Shared;
use crate::dataplane::frame::finish_checksum;
use crate::dataplane::join::Deliver;
use crate::dataplane::segment::Cut;
use crate::dataplane::snapshot::Snapshot;
use crate::io::refusal::is_refusal;
use crate::io::tun::{is_gone, write_frame};
use crate::types::id::PeerId;
use crate::types::offload::{Offload, OffloadSet};
use crate::wire::layers::{Layers, Transport};
use crate::wire::vnet::VnetHeader;

/// The TUN queue for the length of one burst.
pub(super) struct TunSink<'s> {
    shared: &'s Shared,
    snapshot: &'s Snapshot,
    /// The queue will take nothing any more.
    gone: Option<io::Error>,
}

impl<'s> TunSink<'s> {
    pub(super) fn new(shared: &'s Shared, snapshot: &'s Snapshot) -> Self {
        Self { shared, snapshot, gone: None }
    }

    /// What packets may be written as.
    pub(super) fn offloads(&self) -> OffloadSet {
        if self.shared.tun.has_vnet_header() { self.shared.offloads.set() } else { OffloadSet::NONE }
    }

    /// The end of the burst: an error if the queue is gone.
    pub(super) fn end(self) -> io::Result<()> {
        self.gone.map_or(Ok(()), Err)
    }

    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
        write_frame(&*self.shared.tun, frame)
    }

    /// A packet that the kernel refused, as what the kernel would have made of it. If that works, the offload is what it
    /// cannot do; if not, the interface may just be down.
    fn write_complete(&mut self, peer: PeerId, header: VnetHeader, frame: &[IoSlice<'_>], refused: &io::Error) {
        let mut packet: Vec<u8> = frame.iter().skip(1).flat_map(|part| part.iter().copied()).collect();
        let Some(segments) = header.segments else {
            if let Some(checksum) = header.checksum {
                finish_checksum(&mut packet, checksum);
            }
            return self.write_all(peer, &[packet], Offload::Tso, refused);
        };
        let layers = Layers::of(&packet);
        let Some(cut) = layers.and_then(|layers| Cut::with_layers(&packet, layers, segments.bytes)) else {
            return self.count_lost(peer, frame.len() - 1);
        };
        let piece = |index| {
            let mut piece = Vec::with_capacity(cut.record_bytes());
            cut.write_complete(index, &mut piece);
            piece
        };
        let pieces: Vec<_> = (0..cut.count()).map(piece).collect();
        let offload = match segments.transport {
            Transport::Tcp => Offload::Tso,
            Transport::Udp => Offload::Uso,
        };
        self.write_all(peer, &pieces, offload, refused);
    }

    fn write_all(&mut self, peer: PeerId, packets: &[Vec<u8>], offload: Offload, refused: &io::Error) {
        let plain = VnetHeader::default().to_bytes();
        let mut lost = 0;
        for packet in packets {
            if let Err(error) = self.write(&[IoSlice::new(&plain), IoSlice::new(packet)]) {
                lost += 1;
                self.note(error);
            }
        }
        self.count_lost(peer, lost);
        // An interface that came up in between refused the whole and the first pieces for another reason.
        if lost == 0 {
            self.shared.give_up(offload, refused);
        }
    }

    fn note(&mut self, error: io::Error) {
        if is_gone(&error) {
            self.gone = Some(error);
        }
    }

    /// The interface is down, or the system is short of memory: lost packets.
    fn count_lost(&self, peer: PeerId, count: usize) {
        if let Some(peer) = self.snapshot.peer(peer).filter(|_| count > 0) {
            peer.traffic.drops.tun.add(count as u64);
        }
    }
}

impl Deliver for TunSink<'_> {
    fn deliver(&mut self, peer: PeerId, header: VnetHeader, frame: &[IoSlice<'_>]) {
        match self.write(frame) {
            Ok(()) => {}
            Err(error) if header.checksum.is_some() && is_refusal(&error) => {
                self.write_complete(peer, header, frame, &error);
            }
            Err(error) => {
                let packets = if header.segments.is_some() { frame.len() - 1 } else { 1 };
                self.count_lost(peer, packets);
                self.note(error);
            }
        }
    }
}
