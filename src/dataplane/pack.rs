//! From the frames of a TUN queue to trains of sealed datagrams (PROTOCOL 2.9).
//!
//! A super-packet becomes segment records; small packets of one burst share bundle records; what the peer did not agree to
//! goes as plain packets whose checksums are computed here. Order is kept: what came first leaves first. Nothing ever
//! leaves in clear.

use crate::dataplane::bundle::{self, Form};
use crate::dataplane::bundling::Bundling;
use crate::dataplane::frame::{Frame, Shape, finish_checksum};
use crate::dataplane::report::{PumpEvent, Report};
use crate::dataplane::seal::{append_record, datagram_len};
use crate::dataplane::segment::{Cut, Segment};
use crate::dataplane::snapshot::{PeerView, Snapshot};
use crate::dataplane::traffic::Count;
use crate::dataplane::train::{Destination, TRAIN_DATAGRAMS_MAX, Train};
use crate::session::epoch::SealEpoch;
use crate::types::id::PeerId;
use crate::types::offload::{Offload, OffloadSet};
use crate::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use crate::types::time::Instant;
use crate::wire::ecn::{outer_of, read_tos};
use crate::wire::transport::RecordKind;

/// What the work of one moment is done with.
#[derive(Clone, Copy)]
pub struct View<'s> {
    /// Keys, peers and routes.
    pub snapshot: &'s Snapshot,
    /// The time.
    pub now: Instant,
    /// What is in use.
    pub offloads: OffloadSet,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: all was taken.
    Done,
    /// The train has to be sent and cleared, then the same again with a fresh view.
    Send,
    /// The packet is longer than the peer's inner MTU, and was dropped and counted.
    TooBig(u16),
}

/// A frame, and how many of its pieces are packed.
pub struct Cursor<'a> {
    frame: Frame<'a>,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// At its start.
    pub fn new(frame: Frame<'a>) -> Self {
        Self { frame, next: 0 }
    }
}

/// Packs what one thread reads from its TUN queue.
pub struct Packer {
    lane: u8,
    train: Train,
    bundle: Bundling,
    /// A packet whose checksum is computed here.
    scratch: Vec<u8>,
}

/// A peer that packets can be sealed to.
struct Way<'s> {
    peer: &'s PeerView,
    epoch: &'s SealEpoch,
    destination: Destination,
}

/// Why a packet cannot be sealed to a peer.
enum NoWay<'s> {
    /// It is dropped, and counted there.
    Drop(&'s Count),
    /// It is longer than the peer's inner MTU.
    TooBig(u16),
    /// There is no session: the engine is told.
    NoEpoch,
}

impl Packer {
    /// `lane` belongs to the calling thread alone: 1..=7, one for each sending thread (PROTOCOL 2.9 "Lanes").
    pub fn new(lane: u8) -> Self {
        Self { lane, train: Train::new(), bundle: Bundling::default(), scratch: Vec::new() }
    }

    /// What is to be sent.
    pub fn train(&mut self) -> &mut Train {
        &mut self.train
    }

    /// Packs as much of the frame as goes without sending.
    pub fn pack(&mut self, view: View<'_>, cursor: &mut Cursor<'_>, report: Report<'_>) -> Step {
        let Frame { packet, shape } = cursor.frame;
        let View { snapshot, .. } = view;
        let owner = snapshot.routes.owner(packet.destination());
        let Some((id, peer)) = owner.and_then(|id| snapshot.peer(id).map(|peer| (id, peer))) else {
            snapshot.unclaimed.no_route.add(1);
            return Step::Done;
        };
        let longest = match shape {
            Shape::Segments(cut) | Shape::Pieces(cut) => cut.record_bytes(),
            Shape::Whole | Shape::Unfinished(_) | Shape::Verified(_) => packet.bytes().len(),
        };
        let tos = outer_of(read_tos(packet.bytes()));
        let way = match way(view, id, peer, tos, longest) {
            Ok(way) => way,
            Err(reason) => return self.refuse(peer, id, &reason, cursor, report),
        };
        let has_segments = way.epoch.has(FEATURE_SEGMENT);
        match shape {
            Shape::Segments(cut) if cut.count() > 1 && has_segments => {
                self.pack_super(view, &way, cut, RecordKind::Segment, cursor, report)
            }
            Shape::Segments(cut) | Shape::Pieces(cut) if cut.count() > 1 => {
                self.pack_super(view, &way, cut, RecordKind::Data, cursor, report)
            }
            Shape::Segments(cut) | Shape::Verified(cut) if has_segments => {
                self.pack_one(view, &way, Form::Segment, packet.bytes().len(), report, |out| cut.write(0, out))
            }
            Shape::Segments(cut) | Shape::Pieces(cut) => {
                self.pack_one(view, &way, Form::Packet, packet.bytes().len(), report, |out| {
                    cut.write_complete(0, out);
                })
            }
            Shape::Whole | Shape::Verified(_) => {
                let bytes = packet.bytes();
                self.pack_one(view, &way, Form::Packet, bytes.len(), report, |out| out.extend_from_slice(bytes))
            }
            Shape::Unfinished(checksum) => {
                let bytes = packet.bytes();
                self.pack_one(view, &way, Form::Packet, bytes.len(), report, |out| {
                    let start = out.len();
                    out.extend_from_slice(bytes);
                    finish_checksum(out.get_mut(start..).unwrap_or_default(), checksum);
                })
            }
        }
    }

    /// Packs what waits for companions: at the end of a burst, and before what may not overtake it.
    pub fn close(&mut self, view: View<'_>, report: Report<'_>) -> Step {
        let Some((id, tos)) = self.bundle.whose() else { return Step::Done };
        let Some(peer) = view.snapshot.peer(id) else {
            self.bundle.clear();
            return Step::Done;
        };
        let (kind, text) = self.bundle.record();
        let way = match way(view, id, peer, tos, text.len()) {
            Ok(way) => way,
            Err(NoWay::Drop(count)) => {
                count.add(self.bundle.packets());
                self.bundle.clear();
                return Step::Done;
            }
            // The inner MTU became smaller while the packets waited: the next ones are told.
            Err(NoWay::TooBig(_)) => {
                peer.traffic.drops.too_big.add(self.bundle.packets());
                self.bundle.clear();
                return Step::Done;
            }
            Err(NoWay::NoEpoch) => {
                self.stage_bundle(peer, id, report);
                return Step::Done;
            }
        };
        let is_agreed = match kind {
            RecordKind::Segment => way.epoch.has(FEATURE_SEGMENT),
            RecordKind::Bundle => way.epoch.has(FEATURE_BUNDLE),
            RecordKind::Data | RecordKind::Control => true,
        };
        if !is_agreed {
            // A new session with other terms began while the packets waited: the engine sends them.
            self.stage_bundle(peer, id, report);
            return Step::Done;
        }
        let length = datagram_len(kind, text.len(), way.epoch.inner_mtu());
        if self.train.room(way.destination, length, most(view)) == 0 {
            return Step::Send;
        }
        let Some(counter) = way.epoch.take_counters(self.lane, 1).ok().and_then(|mut range| range.next()) else {
            self.stage_bundle(peer, id, report);
            return Step::Done;
        };
        self.train.push(way.destination, |out| {
            let sealed = append_record(way.epoch, counter, kind, out, |out| out.extend_from_slice(text));
            way.epoch.count_bytes(self.lane, sealed);
        });
        way.peer.traffic.note_sealed(view.now, self.bundle.packets(), self.bundle.packet_bytes());
        self.bundle.clear();
        Step::Done
    }

    /// A packet that is one record, or part of one.
    fn pack_one(
        &mut self,
        view: View<'_>,
        way: &Way<'_>,
        form: Form,
        length: usize,
        report: Report<'_>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Step {
        let may_share = view.offloads.has(Offload::Bundle) && way.epoch.has(FEATURE_BUNDLE);
        let limit = if may_share { usize::from(way.epoch.inner_mtu()) } else { 0 };
        if !self.bundle.has_room(way.destination.peer, way.destination.tos, length, limit)
            && self.close(view, report) == Step::Send
        {
            return Step::Send;
        }
        self.bundle.add(way.destination.peer, way.destination.tos, form, length, write);
        Step::Done
    }

    /// A super-packet: as many of its pieces as the train has room for, again and again.
    fn pack_super(
        &mut self,
        view: View<'_>,
        way: &Way<'_>,
        cut: Cut<'_>,
        kind: RecordKind,
        cursor: &mut Cursor<'_>,
        report: Report<'_>,
    ) -> Step {
        if self.close(view, report) == Step::Send {
            return Step::Send;
        }
        while cursor.next < cut.count() {
            let left = cut.count() - cursor.next;
            let length = datagram_len(kind, cut.piece_bytes(cursor.next), way.epoch.inner_mtu());
            let room = self.train.room(way.destination, length, most(view)).min(left);
            if room == 0 {
                return Step::Send;
            }
            let first = cursor.next;
            let Ok(counters) = way.epoch.take_counters(self.lane, room as u64) else {
                stage_pieces(way.peer, way.destination.peer, cut, cursor, report);
                return Step::Done;
            };
            let (mut sealed, mut bytes) = (0, 0);
            for counter in counters {
                let index = cursor.next;
                bytes += cut.piece_bytes(index) as u64;
                self.train.push(way.destination, |out| {
                    sealed += append_record(way.epoch, counter, kind, out, |out| match kind {
                        RecordKind::Segment => cut.write(index, out),
                        RecordKind::Data | RecordKind::Control | RecordKind::Bundle => cut.write_complete(index, out),
                    });
                });
                cursor.next += 1;
            }
            way.epoch.count_bytes(self.lane, sealed);
            way.peer.traffic.note_sealed(view.now, (cursor.next - first) as u64, bytes);
        }
        Step::Done
    }

    /// Counts or stages a packet that cannot be sealed.
    fn refuse(
        &mut self,
        peer: &PeerView,
        id: PeerId,
        reason: &NoWay<'_>,
        cursor: &mut Cursor<'_>,
        report: Report<'_>,
    ) -> Step {
        let Frame { packet, shape } = cursor.frame;
        let pieces = match shape {
            Shape::Segments(cut) | Shape::Pieces(cut) => cut.count() - cursor.next,
            Shape::Whole | Shape::Unfinished(_) | Shape::Verified(_) => 1,
        };
        match reason {
            NoWay::Drop(count) => {
                count.add(pieces as u64);
                Step::Done
            }
            NoWay::TooBig(mtu) => {
                peer.traffic.drops.too_big.add(pieces as u64);
                Step::TooBig(*mtu)
            }
            NoWay::NoEpoch => {
                match shape {
                    Shape::Segments(cut) | Shape::Pieces(cut) => stage_pieces(peer, id, cut, cursor, report),
                    Shape::Whole | Shape::Verified(_) => stage(peer, id, packet.bytes(), report),
                    Shape::Unfinished(checksum) => {
                        self.scratch.clear();
                        self.scratch.extend_from_slice(packet.bytes());
                        finish_checksum(&mut self.scratch, checksum);
                        stage(peer, id, &self.scratch, report);
                    }
                }
                Step::Done
            }
        }
    }

    fn stage_bundle(&mut self, peer: &PeerView, id: PeerId, report: Report<'_>) {
        for (form, range) in bundle::entries(self.bundle.text()) {
            self.scratch.clear();
            self.scratch.extend_from_slice(self.bundle.text().get(range).unwrap_or_default());
            if form == Form::Segment
                && let Ok(segment) = Segment::parse(&self.scratch)
            {
                segment.complete(&mut self.scratch);
            }
            stage(peer, id, &self.scratch, report);
        }
        self.bundle.clear();
    }
}

/// Datagrams of the longest train that may be sent now.
fn most(view: View<'_>) -> usize {
    if view.offloads.has(Offload::Gso) { TRAIN_DATAGRAMS_MAX } else { 1 }
}

/// Whether packets of so many bytes can be sealed to the peer now.
fn way<'s>(view: View<'s>, id: PeerId, peer: &'s PeerView, tos: u8, longest: usize) -> Result<Way<'s>, NoWay<'s>> {
    let drops = &peer.traffic.drops;
    if peer.blocked {
        return Err(NoWay::Drop(&drops.no_epoch));
    }
    let sealing = peer.sealing.as_ref().filter(|sealing| view.now < sealing.until).ok_or(NoWay::NoEpoch)?;
    let epoch = &*sealing.epoch;
    if longest > usize::from(epoch.inner_mtu()) {
        return Err(NoWay::TooBig(epoch.inner_mtu()));
    }
    let to = peer.endpoint.ok_or(NoWay::Drop(&drops.no_endpoint))?;
    Ok(Way { peer, epoch, destination: Destination { peer: id, to, tos } })
}

fn stage(peer: &PeerView, id: PeerId, packet: &[u8], report: Report<'_>) {
    if !report(PumpEvent::NoEpoch { peer: id, packet: packet.to_vec() }) {
        peer.traffic.drops.queue.add(1);
    }
}

fn stage_pieces(peer: &PeerView, id: PeerId, cut: Cut<'_>, cursor: &mut Cursor<'_>, report: Report<'_>) {
    let mut piece = Vec::new();
    while cursor.next < cut.count() {
        piece.clear();
        cut.write_complete(cursor.next, &mut piece);
        stage(peer, id, &piece, report);
        cursor.next += 1;
    }
}
