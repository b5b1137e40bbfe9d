//! From a train of received datagrams to inner packets (PROTOCOL 2.9).
//!
//! Order: parse, find the epoch, deadline, replay, open, mark; only then is anything learnt from a record or delivered.
//! Records with counters in a row are a *run*: what is the same for all of them is done once.

use std::net::{IpAddr, SocketAddr};

use crate::dataplane::bundle::{Bundle, Form};
use crate::dataplane::join::{Deliver, Joiner};
use crate::dataplane::report::{PumpEvent, Report};
use crate::dataplane::segment::Segment;
use crate::dataplane::snapshot::{PeerView, Receiving, Snapshot, Standing};
use crate::dataplane::traffic::Unclaimed;
use crate::session::epoch::text_of;
use crate::types::id::PeerId;
use crate::types::limits::{DATA_HEADER_BYTES, EMPTY_INTERVAL, OLD_EPOCH_INTERVAL, ROAM_INTERVAL, TAG_BYTES};
use crate::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use crate::types::time::Instant;
use crate::wire::ecn;
use crate::wire::field::Malformed;
use crate::wire::handshake::{HandshakeDatagram, MessageType};
use crate::wire::ip::InnerPacket;
use crate::wire::transport::{Counter, DataHeader, RecordKind};

/// Types of handshake datagrams (PROTOCOL 2.4).
const HANDSHAKE_TYPES: std::ops::RangeInclusive<u8> = 1..=6;
/// Records of the longest run: one bit each in a word.
const RUN_RECORDS_MAX: usize = 64;

/// A train as it was received: datagrams of `stride` bytes, the last one perhaps shorter.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When.
    pub now: Instant,
    /// Where it came from; no IPv4-mapped address.
    pub from: SocketAddr,
    /// Our address that it came to.
    pub local: Option<IpAddr>,
    /// Bytes of each datagram but the last.
    pub stride: usize,
    /// The DS field and ECN of the outer headers.
    pub tos: u8,
}

/// How the datagrams of a train fared that came for a known epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They opened.
    pub opened: u64,
    /// They did not.
    pub forged: u64,
    /// Of the forged ones, those longer than any that the peer sends.
    pub overlong: u64,
    /// Bit `l`: one of lane `l` opened.
    pub lanes: u8,
}

/// Takes a train apart, in place. What can be joined is delivered by a later call or by [`Joiner::flush`].
pub fn open_train<'a>(
    snapshot: &Snapshot,
    arrival: Arrival,
    train: &'a mut [u8],
    joiner: &mut Joiner<'a>,
    sink: &mut impl Deliver,
    report: Report<'_>,
) -> Tally {
    let stride = arrival.stride.max(1);
    let mut tally = Tally::default();
    let mut rest = train;
    while let Some(kind) = rest.first() {
        if HANDSHAKE_TYPES.contains(kind) {
            let (datagram, after) = rest.split_at_mut(stride.min(rest.len()));
            hand_over(snapshot, arrival, datagram, report);
            rest = after;
            continue;
        }
        let Ok(header) = DataHeader::parse(rest.get(..stride.min(rest.len())).unwrap_or_default()) else {
            snapshot.unclaimed.malformed.add(1);
            rest = rest.get_mut(stride..).unwrap_or_default();
            continue;
        };
        let count = run_length(rest, stride, header);
        let (run, after) = rest.split_at_mut((count * stride).min(rest.len()));
        rest = after;
        let Some(receiving) = snapshot.receiving(header.receiver) else {
            snapshot.unclaimed.unknown_index.add(count as u64);
            continue;
        };
        let Some(peer) = snapshot.peer(receiving.epoch.tag().peer) else { continue };
        let mut opening = Opening { snapshot, arrival, peer, receiving, tally: &mut tally, packets: 0, bytes: 0 };
        opening.run(header, count, run, joiner, sink, report);
    }
    tally
}

/// A handshake datagram goes to the engine, which looks at all of it. What anybody can send who does not know this end goes
/// nowhere: under a flood it costs neither memory nor a place in the queue nor a turn of the control side.
fn hand_over(snapshot: &Snapshot, Arrival { from, local, .. }: Arrival, datagram: &[u8], report: Report<'_>) {
    let Unclaimed { refused, queue, .. } = &*snapshot.unclaimed;
    match HandshakeDatagram::parse(datagram) {
        Err(_) => refused.malformed.add(1),
        Ok(parsed) if !may_knock(snapshot, &parsed) => refused.mac1.add(1),
        Ok(_) => {
            if !report(PumpEvent::Handshake { from, local, bytes: datagram.to_vec() }) {
                queue.add(1);
            }
        }
    }
}

/// Answers carry a mac1 for the other end, and indices that only the engine knows: they pass.
fn may_knock(snapshot: &Snapshot, datagram: &HandshakeDatagram<'_>) -> bool {
    let opens = matches!(datagram.kind, MessageType::I0 | MessageType::I1);
    snapshot.door.as_ref().is_none_or(|door| !opens || door.check(datagram).is_ok())
}

/// How many datagrams from the first on have the same receiver and counters in a row.
fn run_length(train: &[u8], stride: usize, first: DataHeader) -> usize {
    let follows = |(at, datagram): &(usize, &[u8])| {
        DataHeader::parse(datagram).is_ok_and(|header| header_in_run(first, *at, datagram) == Some(header))
    };
    train.chunks(stride).enumerate().take(RUN_RECORDS_MAX).take_while(follows).count()
}

/// The header of datagram `at` of a run, counted from 0: all but its kind follows from the first one's.
fn header_in_run(first: DataHeader, at: usize, datagram: &[u8]) -> Option<DataHeader> {
    let kind = RecordKind::from_byte(*datagram.first()?)?;
    let counter = Counter::new(first.counter.lane() as u8, first.counter.number() + at as u64)?;
    Some(DataHeader { kind, counter, ..first })
}

/// A run being opened: all records are of one peer and one epoch.
struct Opening<'s> {
    snapshot: &'s Snapshot,
    arrival: Arrival,
    peer: &'s PeerView,
    receiving: &'s Receiving,
    tally: &'s mut Tally,
    packets: u64,
    bytes: u64,
}

impl Opening<'_> {
    fn run<'a>(
        &mut self,
        first: DataHeader,
        count: usize,
        run: &'a mut [u8],
        joiner: &mut Joiner<'a>,
        sink: &mut impl Deliver,
        report: Report<'_>,
    ) {
        let (accepted, raised) = self.unseal(first, count, run);
        if accepted == 0 {
            return;
        }
        self.learn(raised, report);
        for (at, datagram) in run.chunks_mut(self.arrival.stride.max(1)).enumerate() {
            if accepted >> at & 1 == 0 {
                continue;
            }
            let kind = datagram.first().copied().and_then(RecordKind::from_byte);
            if let (Some(kind), Some(text)) = (kind, text_of(datagram)) {
                self.record(kind, text, joiner, sink, report);
            }
        }
        if self.packets > 0 {
            self.peer.traffic.note_delivered(self.arrival.now, self.packets, self.bytes);
        }
    }

    /// Opens what may be opened, marks it, and counts what did not open. Bit `k` of the answer stands for record `k`.
    fn unseal(&mut self, first: DataHeader, count: usize, run: &mut [u8]) -> (u64, bool) {
        let (epoch, drops) = (&self.receiving.epoch, &self.peer.traffic.drops);
        if self.arrival.now >= self.receiving.until || epoch.is_worn_out() {
            drops.no_epoch.add(count as u64);
            return (0, false);
        }
        let (lane, number) = (first.counter.lane(), first.counter.number());
        let fresh = epoch.would_accept_run(lane, number);
        let (mut authentic, mut forged) = (0_u64, 0);
        for (at, datagram) in run.chunks_mut(self.arrival.stride.max(1)).enumerate() {
            if fresh >> at & 1 == 0 {
                continue;
            }
            match header_in_run(first, at, datagram) {
                Some(header) if epoch.unseal(header, datagram) => authentic |= 1 << at,
                Some(_) | None => {
                    forged += 1;
                    let longest = DATA_HEADER_BYTES + usize::from(epoch.inner_mtu()) + TAG_BYTES;
                    self.tally.overlong += u64::from(datagram.len() > longest);
                }
            }
        }
        self.tally.forged += forged;
        self.tally.opened += u64::from(authentic.count_ones());
        self.tally.lanes |= u8::from(authentic != 0).checked_shl(lane as u32).unwrap_or(0);
        let (accepted, raised) = epoch.accept_run(lane, number, authentic);
        if forged > 0 {
            drops.auth.add(forged);
        }
        let replayed = (count as u64).saturating_sub(forged + u64::from(accepted.count_ones()));
        if replayed > 0 {
            drops.replay.add(replayed);
        }
        (accepted, raised)
    }

    /// What authentic records tell, whatever they carry.
    fn learn(&self, raised: bool, report: Report<'_>) {
        let Self { snapshot, arrival: Arrival { now, from, local, .. }, peer, receiving, .. } = *self;
        let (epoch, traffic) = (&receiving.epoch, &peer.traffic);
        let tag = epoch.tag();
        epoch.note_opened(now);
        traffic.note_opened(now);
        // Nothing else would repeat this report, so one that was not taken is made again with the next record.
        if !epoch.is_reported() && epoch.claim_report() && !report(PumpEvent::FirstOpened { tag, from, local }) {
            epoch.withdraw_report();
        }
        match receiving.standing {
            Standing::Current => {
                let moved = raised && snapshot.has_moved(tag, from, local);
                if moved && traffic.roam_report.is_due(now, ROAM_INTERVAL) {
                    report(PumpEvent::Roamed { tag, from, local });
                }
            }
            Standing::Previous => {
                if traffic.old_epoch_report.is_due(now, OLD_EPOCH_INTERVAL) {
                    report(PumpEvent::OldEpoch { tag });
                }
            }
            Standing::Unconfirmed => {}
        }
    }

    /// One authentic record.
    fn record<'a>(
        &mut self,
        kind: RecordKind,
        text: &'a mut [u8],
        joiner: &mut Joiner<'a>,
        sink: &mut impl Deliver,
        report: Report<'_>,
    ) {
        let epoch = &self.receiving.epoch;
        let is_agreed = match kind {
            RecordKind::Segment => epoch.has(FEATURE_SEGMENT),
            RecordKind::Bundle => epoch.has(FEATURE_BUNDLE),
            RecordKind::Data | RecordKind::Control => true,
        };
        let drops = &self.peer.traffic.drops;
        if !is_agreed || text.len() > usize::from(epoch.inner_mtu()) {
            drops.malformed.add(1);
            return;
        }
        let taken = match kind {
            RecordKind::Data if text.is_empty() => {
                self.empty(report);
                Ok(())
            }
            RecordKind::Data => self.packet(text, joiner, sink),
            RecordKind::Segment => Segment::parse(text).map(|segment| self.segment(text, segment, joiner, sink)),
            RecordKind::Bundle => self.bundle(text, joiner, sink),
            RecordKind::Control => {
                let Arrival { from, local, .. } = self.arrival;
                if !report(PumpEvent::Control { tag: epoch.tag(), from, local, bytes: text.to_vec() }) {
                    drops.queue.add(1);
                }
                Ok(())
            }
        };
        if taken.is_err() {
            drops.malformed.add(1);
        }
    }

    fn empty(&self, report: Report<'_>) {
        let traffic = &self.peer.traffic;
        if self.receiving.standing == Standing::Current && traffic.empty_report.is_due(self.arrival.now, EMPTY_INTERVAL)
        {
            report(PumpEvent::Empty { tag: self.receiving.epoch.tag() });
        }
    }

    /// Lets a packet pass whose inner source belongs to the peer by the longest prefix.
    fn packet<'a>(
        &mut self,
        text: &'a mut [u8],
        joiner: &mut Joiner<'a>,
        sink: &mut impl Deliver,
    ) -> Result<(), Malformed> {
        let packet = InnerPacket::parse(text)?;
        let bytes = packet.bytes().len();
        if self.is_owned(packet.source()) && self.take_mark(text, ecn::set_tos) {
            joiner.pass(self.id(), text.get(..bytes).unwrap_or_default(), sink);
            self.count(bytes);
        }
        Ok(())
    }

    /// Takes over the congestion that the outer header met on the way. False, and counted, if the packet must be dropped.
    fn take_mark(&self, packet: &mut [u8], set_tos: fn(&mut [u8], u8)) -> bool {
        let before = ecn::read_tos(packet);
        match ecn::inner_after(before, self.arrival.tos) {
            Some(after) if after == before => true,
            Some(after) => {
                set_tos(packet, after);
                true
            }
            None => {
                self.peer.traffic.drops.congestion.add(1);
                false
            }
        }
    }

    fn segment<'a>(&mut self, text: &'a mut [u8], segment: Segment, joiner: &mut Joiner<'a>, sink: &mut impl Deliver) {
        let bytes = text.len();
        if !self.take_mark(text, ecn::set_tos_alone) {
            return;
        }
        // What is joined has the source of what it is joined to.
        if let Err(text) = joiner.join(self.id(), text, segment, sink) {
            if !InnerPacket::parse(text).is_ok_and(|packet| self.is_owned(packet.source())) {
                return;
            }
            joiner.begin(self.id(), text, segment, sink);
        }
        self.count(bytes);
    }

    fn bundle<'a>(
        &mut self,
        text: &'a mut [u8],
        joiner: &mut Joiner<'a>,
        sink: &mut impl Deliver,
    ) -> Result<(), Malformed> {
        Bundle::parse(text)?;
        let mut rest = text;
        while let Some((form, entry, after)) = Bundle::split_first(rest) {
            rest = after;
            match form {
                Form::Packet => self.packet(entry, joiner, sink)?,
                Form::Segment => self.segment(entry, Segment::parse(entry)?, joiner, sink),
            }
        }
        Ok(())
    }

    fn id(&self) -> PeerId {
        self.receiving.epoch.tag().peer
    }

    fn is_owned(&self, source: IpAddr) -> bool {
        let is_owned = self.snapshot.routes.owner(source) == Some(self.id());
        if !is_owned {
            self.peer.traffic.drops.source.add(1);
        }
        is_owned
    }

    fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}
