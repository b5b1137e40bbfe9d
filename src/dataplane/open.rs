//! From a received datagram to an inner packet (PROTOCOL 2.9).
//!
//! Order: parse, find the epoch, deadline, replay, open, mark; only then is anything learnt from the record.

use std::net::{IpAddr, SocketAddr};

use crate::dataplane::report::{PumpEvent, Report};
use crate::dataplane::snapshot::{PeerView, Receiving, Snapshot, Standing};
use crate::session::epoch::OpenFailure;
use crate::session::replay::Accepted;
use crate::types::id::PeerId;
use crate::types::limits::{EMPTY_INTERVAL, HANDSHAKE_DATAGRAM_BYTES_MAX, OLD_EPOCH_INTERVAL, ROAM_INTERVAL};
use crate::types::time::Instant;
use crate::wire::ip::InnerPacket;
use crate::wire::transport::{DataHeader, RecordKind};

/// Types of handshake datagrams (PROTOCOL 2.4).
const HANDSHAKE_TYPES: std::ops::RangeInclusive<u8> = 1..=6;

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// An inner packet for the TUN interface.
    Deliver {
        /// Whose packet it is.
        peer: PeerId,
        /// The packet, without padding.
        packet: &'a [u8],
    },
    /// Nothing to deliver: reported, counted, or a keepalive.
    Nothing,
}

/// Where a datagram came from.
#[derive(Clone, Copy)]
struct Path {
    from: SocketAddr,
    local: Option<IpAddr>,
}

/// Takes one datagram apart, in place. `from` is normalised (no IPv4-mapped address), `local` our address that it came to.
pub fn open_datagram<'a>(
    snapshot: &Snapshot,
    now: Instant,
    from: SocketAddr,
    local: Option<IpAddr>,
    datagram: &'a mut [u8],
    report: Report<'_>,
) -> Opened<'a> {
    let path = Path { from, local };
    if datagram.first().is_some_and(|kind| HANDSHAKE_TYPES.contains(kind)) {
        hand_over(snapshot, path, datagram, report);
        return Opened::Nothing;
    }
    let Ok(header) = DataHeader::parse(datagram) else {
        snapshot.unclaimed.malformed.add(1);
        return Opened::Nothing;
    };
    let Some(receiving) = snapshot.receiving(header.receiver) else {
        snapshot.unclaimed.unknown_index.add(1);
        return Opened::Nothing;
    };
    let id = receiving.epoch.tag().peer;
    let Some(peer) = snapshot.peer(id) else { return Opened::Nothing };
    let Some((text, accepted)) = open_record(peer, receiving, now, header, datagram) else { return Opened::Nothing };
    learn(snapshot, peer, receiving, now, path, accepted, report);
    if text.len() > usize::from(receiving.epoch.inner_mtu()) {
        peer.traffic.drops.malformed.add(1);
        return Opened::Nothing;
    }
    match header.kind {
        RecordKind::Data if text.is_empty() => {
            if receiving.standing == Standing::Current && peer.traffic.empty_report.is_due(now, EMPTY_INTERVAL) {
                report(PumpEvent::Empty { tag: receiving.epoch.tag() });
            }
            Opened::Nothing
        }
        RecordKind::Data => deliver(snapshot, id, peer, now, text),
        RecordKind::Control => {
            let Path { from, local } = path;
            if !report(PumpEvent::Control { tag: receiving.epoch.tag(), from, local, bytes: text.to_vec() }) {
                peer.traffic.drops.queue.add(1);
            }
            Opened::Nothing
        }
        // Not agreed in any handshake: this end sets no feature bit.
        RecordKind::Segment | RecordKind::Bundle => {
            peer.traffic.drops.malformed.add(1);
            Opened::Nothing
        }
    }
}

/// A handshake datagram goes to the engine unread; one that is longer than any of them goes nowhere.
fn hand_over(snapshot: &Snapshot, Path { from, local }: Path, datagram: &[u8], report: Report<'_>) {
    if datagram.len() > HANDSHAKE_DATAGRAM_BYTES_MAX {
        snapshot.unclaimed.malformed.add(1);
    } else if !report(PumpEvent::Handshake { from, local, bytes: datagram.to_vec() }) {
        snapshot.unclaimed.queue.add(1);
    }
}

/// Opens the record if its epoch may still open; counts why not.
fn open_record<'a>(
    peer: &PeerView,
    receiving: &Receiving,
    now: Instant,
    header: DataHeader,
    datagram: &'a mut [u8],
) -> Option<(&'a [u8], Accepted)> {
    let drops = &peer.traffic.drops;
    if now >= receiving.until {
        drops.no_epoch.add(1);
        return None;
    }
    match receiving.epoch.open(header, datagram) {
        Ok((text, accepted)) => Some((text, accepted)),
        Err(failure) => {
            match failure {
                OpenFailure::Replay => drops.replay.add(1),
                OpenFailure::NotAuthentic => drops.auth.add(1),
                OpenFailure::WornOut => drops.no_epoch.add(1),
            }
            None
        }
    }
}

/// What an authentic record tells, whatever it carries.
fn learn(
    snapshot: &Snapshot,
    peer: &PeerView,
    receiving: &Receiving,
    now: Instant,
    Path { from, local }: Path,
    accepted: Accepted,
    report: Report<'_>,
) {
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
            let moved = accepted == Accepted::RaisedTop && snapshot.has_moved(tag, from, local);
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

/// Lets a packet pass whose inner source belongs to the peer by the longest prefix.
fn deliver<'a>(snapshot: &Snapshot, id: PeerId, peer: &PeerView, now: Instant, text: &'a [u8]) -> Opened<'a> {
    let Ok(packet) = InnerPacket::parse(text) else {
        peer.traffic.drops.malformed.add(1);
        return Opened::Nothing;
    };
    if snapshot.routes.owner(packet.source()) != Some(id) {
        peer.traffic.drops.source.add(1);
        return Opened::Nothing;
    }
    peer.traffic.note_delivered(now, packet.bytes().len());
    Opened::Deliver { peer: id, packet: packet.bytes() }
}
