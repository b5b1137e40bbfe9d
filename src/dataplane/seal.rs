//! From an inner packet to a sealed datagram (PROTOCOL 2.9).

use crate::dataplane::report::{PumpEvent, Report};
use crate::dataplane::snapshot::{Endpoint, PeerView, Snapshot};
use crate::session::epoch::{CounterExhausted, SealEpoch};
use crate::types::id::PeerId;
use crate::types::limits::{DATA_HEADER_BYTES, PADDING_BYTES, TAG_BYTES};
use crate::types::time::Instant;
use crate::wire::ip::InnerPacket;
use crate::wire::transport::{Counter, RecordKind};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The datagram is ready; it goes there.
    Transmit {
        /// Whose packet it is.
        peer: PeerId,
        /// Where the datagram goes.
        to: Endpoint,
    },
    /// The engine has it.
    Staged,
    /// It went no further, and was counted.
    Dropped,
}

/// Seals one packet of the TUN interface into `out`, whose capacity is reused. Nothing ever leaves in clear.
///
/// `lane` belongs to the calling thread alone: 1..=7, one for each sending thread (PROTOCOL 2.9 "Lanes").
pub fn seal_packet(
    snapshot: &Snapshot,
    now: Instant,
    lane: u8,
    packet: &[u8],
    out: &mut Vec<u8>,
    report: Report<'_>,
) -> Sent {
    out.clear();
    let Ok(packet) = InnerPacket::parse(packet) else {
        snapshot.unclaimed.not_ip.add(1);
        return Sent::Dropped;
    };
    let owner = snapshot.routes.owner(packet.destination());
    let Some((id, peer)) = owner.and_then(|id| snapshot.peer(id).map(|peer| (id, peer))) else {
        snapshot.unclaimed.no_route.add(1);
        return Sent::Dropped;
    };
    if peer.blocked {
        peer.traffic.drops.no_epoch.add(1);
        return Sent::Dropped;
    }
    let Some(sealing) = peer.sealing.as_ref().filter(|sealing| now < sealing.until) else {
        return stage(id, peer, packet.bytes(), report);
    };
    if packet.bytes().len() > usize::from(sealing.epoch.inner_mtu()) {
        peer.traffic.drops.too_big.add(1);
        return Sent::Dropped;
    }
    let Some(to) = peer.endpoint else {
        peer.traffic.drops.no_endpoint.add(1);
        return Sent::Dropped;
    };
    if seal_into(&sealing.epoch, lane, RecordKind::Data, packet.bytes(), out).is_err() {
        return stage(id, peer, packet.bytes(), report);
    }
    peer.traffic.note_sealed(now, packet.bytes().len());
    Sent::Transmit { peer: id, to }
}

/// One record as a datagram of its own: what the control side seals in lane 0. An empty `Data` is a keepalive.
///
/// # Errors
/// [`CounterExhausted`] if the lane may seal no more under this epoch.
pub fn seal_record(
    epoch: &SealEpoch,
    lane: u8,
    kind: RecordKind,
    plaintext: &[u8],
) -> Result<Vec<u8>, CounterExhausted> {
    let mut out = Vec::with_capacity(DATA_HEADER_BYTES + plaintext.len() + PADDING_BYTES + TAG_BYTES);
    seal_into(epoch, lane, kind, plaintext, &mut out)?;
    Ok(out)
}

/// Writes header, plaintext, padding (of `Data` only) and tag into `out`, sealing in place. Each counter once.
pub fn write_record(epoch: &SealEpoch, counter: Counter, kind: RecordKind, plaintext: &[u8], out: &mut Vec<u8>) {
    let padded =
        if kind == RecordKind::Data { padded_len(plaintext.len(), epoch.inner_mtu()) } else { plaintext.len() };
    out.clear();
    out.resize(DATA_HEADER_BYTES, 0);
    out.extend_from_slice(plaintext);
    out.resize(DATA_HEADER_BYTES + padded, 0);
    if let Some((head, text)) = out.split_first_chunk_mut::<DATA_HEADER_BYTES>() {
        let (header, tag) = epoch.seal(kind, counter, text);
        *head = header;
        out.extend_from_slice(&tag);
    }
}

fn stage(id: PeerId, peer: &PeerView, packet: &[u8], report: Report<'_>) -> Sent {
    if report(PumpEvent::NoEpoch { peer: id, packet: packet.to_vec() }) {
        return Sent::Staged;
    }
    peer.traffic.drops.queue.add(1);
    Sent::Dropped
}

fn seal_into(
    epoch: &SealEpoch,
    lane: u8,
    kind: RecordKind,
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CounterExhausted> {
    let counter = epoch.take_counters(lane, 1)?.next().ok_or(CounterExhausted)?;
    write_record(epoch, counter, kind, plaintext, out);
    Ok(())
}

/// Length of a packet with its padding: the next multiple of 16, but never above the inner MTU (PROTOCOL 2.9).
fn padded_len(length: usize, inner_mtu: u16) -> usize {
    length.next_multiple_of(PADDING_BYTES).min(usize::from(inner_mtu)).max(length)
}
