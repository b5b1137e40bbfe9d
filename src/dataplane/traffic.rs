//! What the packet threads count and when they last did what: read by the engine's timers and by `status`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::types::time::Instant;

/// A count that only grows.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An instant that may not have come yet.
#[derive(Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// When it was; `None`: not yet.
    pub fn when(&self) -> Option<Instant> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Instant::from_nanos(ns)),
        }
    }

    /// It is now, unless a later one was noted.
    pub fn note(&self, now: Instant) {
        self.0.fetch_max(some_nanos(now), Ordering::Relaxed);
    }

    /// It is now, unless it was noted before.
    fn note_first(&self, now: Instant) {
        if self.0.load(Ordering::Relaxed) == 0 {
            // Whoever was faster noted an instant just as good.
            let _ = self.0.compare_exchange(0, some_nanos(now), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn clear(&self) {
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// Whether `interval` has passed since the last time this was true; true for one caller only.
    pub fn is_due(&self, now: Instant, interval: Duration) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let due = last == 0 || now.since(Instant::from_nanos(last)) >= interval;
        due && self.0.compare_exchange(last, some_nanos(now), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// 0 stands for "not yet", so the first nanosecond of the clock counts as the second.
fn some_nanos(now: Instant) -> u64 {
    now.as_nanos().max(1)
}

/// Packets of a peer that went no further, by reason.
#[derive(Default)]
pub struct Drops {
    /// Seen before, or older than the replay window.
    pub replay: Count,
    /// Did not open.
    pub auth: Count,
    /// No epoch to seal or open under: before the first session, past a limit, while BLOCKED.
    pub no_epoch: Count,
    /// Authentic, but no IP packet, longer than the inner MTU, or a record that was not agreed.
    pub malformed: Count,
    /// Authentic, but its inner source does not belong to the peer.
    pub source: Count,
    /// Met congestion on the way, but its ends understand no marks: loss tells them (RFC 6040 4.2).
    pub congestion: Count,
    /// To be sent, but longer than the agreed inner MTU.
    pub too_big: Count,
    /// To be sent, but the peer has no known address.
    pub no_endpoint: Count,
    /// To be staged or told to the engine, but its queue was full.
    pub queue: Count,
    /// Refused by the system when sending.
    pub send: Count,
    /// Refused by the system when written into the TUN interface.
    pub tun: Count,
}

/// One peer's traffic. Shared by all snapshots of the peer's life, so that counts go on over rekeys.
#[derive(Default)]
pub struct Traffic {
    /// Inner bytes delivered.
    pub received_bytes: Count,
    /// Inner packets delivered.
    pub received_packets: Count,
    /// Inner bytes sealed, padding not counted.
    pub sent_bytes: Count,
    /// Inner packets sealed.
    pub sent_packets: Count,
    /// Any record opened.
    pub last_open: Moment,
    /// A record that carried a packet opened.
    pub last_data_open: Moment,
    /// Any record sealed.
    pub last_seal: Moment,
    /// A record that carries a packet sealed.
    pub last_data_seal: Moment,
    /// The first packet sealed since anything opened; `None`: nothing waits for an answer.
    pub outstanding_since: Moment,
    /// What went no further.
    pub drops: Drops,
    /// When the engine was last told of a packet under an older epoch.
    pub(crate) old_epoch_report: Moment,
    /// When the engine was last told of an empty record.
    pub(crate) empty_report: Moment,
    /// When the engine was last told of a new endpoint.
    pub(crate) roam_report: Moment,
}

impl Traffic {
    /// Notes sealed records and the packets in them: none in a keepalive or control message.
    pub fn note_sealed(&self, now: Instant, packets: u64, packet_bytes: u64) {
        self.last_seal.note(now);
        if packets > 0 {
            self.sent_bytes.add(packet_bytes);
            self.sent_packets.add(packets);
            self.last_data_seal.note(now);
            self.outstanding_since.note_first(now);
        }
    }

    /// Notes that an authentic record opened, whatever it carries.
    pub fn note_opened(&self, now: Instant) {
        self.last_open.note(now);
        self.outstanding_since.clear();
    }

    /// Notes inner packets that are delivered.
    pub fn note_delivered(&self, now: Instant, packets: u64, packet_bytes: u64) {
        self.last_data_open.note(now);
        self.received_bytes.add(packet_bytes);
        self.received_packets.add(packets);
    }
}

/// What belongs to no peer: one for the interface.
#[derive(Default)]
pub struct Unclaimed {
    /// Datagrams that are no message of this protocol.
    pub malformed: Count,
    /// Data packets whose index names no epoch.
    pub unknown_index: Count,
    /// Packets from the TUN interface that are no IP packets.
    pub not_ip: Count,
    /// Packets from the TUN interface whose destination belongs to no peer.
    pub no_route: Count,
    /// Handshake datagrams that found the engine's queue full.
    pub queue: Count,
    /// Handshake datagrams that the engine never saw: not told here, but with those that it refuses.
    pub refused: Refused,
}

/// Handshake datagrams that go no further than the packet threads, by reason.
#[derive(Default)]
pub struct Refused {
    /// They begin like one and are none.
    pub malformed: Count,
    /// I0 and parts of I1 that were made for another responder.
    pub mac1: Count,
}

impl Refused {
    /// The sums so far, by the names of [`Refusal::counter`](crate::handshake::refusal::Refusal::counter).
    pub fn totals(&self) -> [(&'static str, u64); 2] {
        [("malformed", self.malformed.total()), ("mac1", self.mac1.total())]
    }
}

impl Unclaimed {
    /// The sums so far, by reason: the names that operators read.
    pub fn totals(&self) -> [(&'static str, u64); 5] {
        [
            ("malformed", self.malformed.total()),
            ("unknown_index", self.unknown_index.total()),
            ("not_ip", self.not_ip.total()),
            ("no_route", self.no_route.total()),
            ("queue", self.queue.total()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn outstanding_begins_with_the_first_packet_and_ends_with_any_open() {
        let traffic = Traffic::default();
        traffic.note_sealed(Instant::from_nanos(5), 0, 0);
        assert_eq!(traffic.outstanding_since.when(), None, "a keepalive expects no answer");
        traffic.note_sealed(Instant::from_nanos(7), 1, 100);
        traffic.note_sealed(Instant::from_nanos(9), 1, 100);
        assert_eq!(traffic.outstanding_since.when(), Some(Instant::from_nanos(7)));
        assert_eq!(traffic.last_seal.when(), Some(Instant::from_nanos(9)));
        traffic.note_opened(Instant::from_nanos(11));
        assert_eq!(traffic.outstanding_since.when(), None);
        assert_eq!(traffic.sent_packets.total(), 2);
        assert_eq!(traffic.sent_bytes.total(), 200);
    }

    #[test]
    fn due_is_true_once_an_interval() {
        let moment = Moment::default();
        let interval = Duration::from_millis(250);
        assert!(moment.is_due(Instant::ZERO, interval));
        assert!(!moment.is_due(Instant::from_nanos(249 * MS), interval));
        assert!(moment.is_due(Instant::from_nanos(251 * MS), interval));
        assert!(!moment.is_due(Instant::from_nanos(251 * MS), interval));
    }

    #[test]
    fn what_belongs_to_no_peer_is_told_by_its_name() {
        let unclaimed = Unclaimed::default();
        unclaimed.malformed.add(1);
        unclaimed.unknown_index.add(2);
        unclaimed.not_ip.add(3);
        unclaimed.no_route.add(4);
        unclaimed.queue.add(5);
        let expected = [("malformed", 1), ("unknown_index", 2), ("not_ip", 3), ("no_route", 4), ("queue", 5)];
        assert_eq!(unclaimed.totals(), expected);
    }
}
