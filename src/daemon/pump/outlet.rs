//! What the packet threads tell the control side: three bounded queues, so that a flood in one costs nothing in another.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

use crate::dataplane::report::PumpEvent;

/// Reports from authentic records: a few a second for each peer.
const SESSION_EVENTS_MAX: usize = 1024;
/// Handshake datagrams: 1232 bytes each, four whole floods of the work limit of one second (PROTOCOL 2.4) and their parts.
const HANDSHAKE_EVENTS_MAX: usize = 512;
/// Packets waiting to be staged: the engine keeps no more than a few a peer, and asks for a handshake at the first.
const STAGED_EVENTS_MAX: usize = 128;
/// Handshake datagrams in a row that are a crowd: more than some peers' handshakes at once, which are nine datagrams each.
const CROWD: usize = 64;
/// What comes after so long a pause is not of the same row.
const APART: Duration = Duration::from_millis(5);
/// How long a crowd gathers: at 50 000 a second these are a tenth of [`HANDSHAKE_EVENTS_MAX`].
const GATHER: Duration = Duration::from_millis(1);
/// Two threads a queue end at most once each.
const ENDS_MAX: usize = 16;

/// A packet thread ended by itself: the interface was deleted, or a descriptor failed for good.
#[derive(Debug)]
pub struct PumpEnd {
    /// Name of the thread.
    pub thread: String,
    /// What it met.
    pub error: io::Error,
}

/// What comes out of the pumps.
#[derive(Debug)]
pub enum PumpNews {
    /// Something was learnt from a packet.
    Event(PumpEvent),
    /// A thread ended, and the tunnel with it.
    Ended(PumpEnd),
}

/// The packet threads' end of the queues. Never waits.
#[derive(Clone)]
pub(super) struct Inlet {
    session: Sender<PumpEvent>,
    handshake: Sender<PumpEvent>,
    staged: Sender<PumpEvent>,
    ended: Sender<PumpEnd>,
}

/// The control side's end of the queues.
pub struct PumpOutlet {
    session: Receiver<PumpEvent>,
    handshake: Receiver<PumpEvent>,
    staged: Receiver<PumpEvent>,
    ended: Receiver<PumpEnd>,
    crowd: Crowd,
}

pub(super) fn pair() -> (Inlet, PumpOutlet) {
    let (session, session_out) = channel(SESSION_EVENTS_MAX);
    let (handshake, handshake_out) = channel(HANDSHAKE_EVENTS_MAX);
    let (staged, staged_out) = channel(STAGED_EVENTS_MAX);
    let (ended, ended_out) = channel(ENDS_MAX);
    let outlet = PumpOutlet {
        session: session_out,
        handshake: handshake_out,
        staged: staged_out,
        ended: ended_out,
        crowd: Crowd::new(),
    };
    (Inlet { session, handshake, staged, ended }, outlet)
}

impl Inlet {
    /// Whether the event found room in its queue.
    pub(super) fn offer(&self, event: PumpEvent) -> bool {
        let queue = match &event {
            PumpEvent::Handshake { .. } => &self.handshake,
            PumpEvent::NoEpoch { .. } => &self.staged,
            PumpEvent::Control { .. }
            | PumpEvent::FirstOpened { .. }
            | PumpEvent::Roamed { .. }
            | PumpEvent::OldEpoch { .. }
            | PumpEvent::Empty { .. } => &self.session,
        };
        queue.try_send(event).is_ok()
    }

    /// The last word of a thread; there is room for one of each.
    pub(super) fn end(&self, end: PumpEnd) {
        let _ = self.ended.try_send(end);
    }
}

impl PumpOutlet {
    /// The next news: an end before all else, then what authentic records said, then handshakes, then packets to stage.
    /// `None` once all packet threads have ended and all is read. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> Option<PumpNews> {
        let Self { session, handshake, staged, ended, crowd } = self;
        let look = crowd.next_look();
        let handshake = async {
            if let Some(look) = look {
                sleep_until(look).await;
            }
            handshake.recv().await
        };
        tokio::select! {
            biased;
            Some(end) = ended.recv() => Some(PumpNews::Ended(end)),
            Some(event) = session.recv() => Some(PumpNews::Event(event)),
            Some(event) = handshake => {
                crowd.note(Instant::now());
                Some(PumpNews::Event(event))
            }
            Some(event) = staged.recv() => Some(PumpNews::Event(event)),
            else => None,
        }
    }

    /// What is there already, in the same order.
    pub fn ready(&mut self) -> Option<PumpNews> {
        let end = self.ended.try_recv().map(PumpNews::Ended);
        let queues = [&mut self.session, &mut self.handshake, &mut self.staged];
        let news = end.ok().or_else(|| queues.into_iter().find_map(|queue| queue.try_recv().ok().map(PumpNews::Event)));
        if matches!(news, Some(PumpNews::Event(PumpEvent::Handshake { .. }))) {
            self.crowd.note(Instant::now());
        }
        news
    }
}

/// Handshake datagrams that come one after the other without an end: then they are looked at together every [`GATHER`]. To wake
/// the control side for each of them would cost more than the look, and a handshake does not notice.
struct Crowd {
    /// Datagrams in a row, none of them [`APART`] behind the one before.
    row: usize,
    last: Instant,
}

impl Crowd {
    fn new() -> Self {
        Self { row: 0, last: Instant::now() }
    }

    fn note(&mut self, now: Instant) {
        self.row = if now - self.last < APART { self.row.saturating_add(1) } else { 1 };
        self.last = now;
    }

    /// Before it nothing needs to be looked at.
    fn next_look(&self) -> Option<Instant> {
        (self.row > CROWD).then_some(self.last + GATHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::epoch::EpochTag;
    use crate::types::id::PeerId;

    fn handshake() -> PumpEvent {
        PumpEvent::Handshake { from: ([192, 0, 2, 1], 1).into(), local: None, bytes: vec![1; 96] }
    }

    fn old_epoch() -> PumpEvent {
        PumpEvent::OldEpoch { tag: EpochTag { peer: PeerId(0), session: 0, number: 0 } }
    }

    fn no_epoch() -> PumpEvent {
        PumpEvent::NoEpoch { peer: PeerId(0), packet: vec![0x45; 20] }
    }

    #[test]
    fn a_long_row_gathers_and_ends_with_a_pause() {
        let (mut crowd, start) = (Crowd::new(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        (0..64).for_each(|n| crowd.note(at(4 * n)));
        assert_eq!(crowd.next_look(), None);
        crowd.note(at(256));
        assert_eq!(crowd.next_look(), Some(at(257)));
        crowd.note(at(261));
        assert_eq!(crowd.next_look(), None, "five milliseconds later");
    }

    #[tokio::test]
    async fn a_flood_of_handshakes_or_packets_displaces_nothing_else() {
        let (inlet, mut outlet) = pair();
        assert_eq!((0..2000).filter(|_| inlet.offer(handshake())).count(), HANDSHAKE_EVENTS_MAX);
        assert_eq!((0..2000).filter(|_| inlet.offer(no_epoch())).count(), STAGED_EVENTS_MAX);
        assert!(inlet.offer(old_epoch()));
        inlet.end(PumpEnd { thread: "x".to_owned(), error: io::ErrorKind::NotConnected.into() });
        drop(inlet);
        assert!(matches!(outlet.next().await, Some(PumpNews::Ended(_))));
        assert!(matches!(outlet.ready(), Some(PumpNews::Event(PumpEvent::OldEpoch { .. }))));
        assert!(matches!(outlet.next().await, Some(PumpNews::Event(PumpEvent::Handshake { .. }))));
        let rest = std::iter::from_fn(|| outlet.ready()).count();
        assert_eq!(rest, HANDSHAKE_EVENTS_MAX - 1 + STAGED_EVENTS_MAX);
        assert!(outlet.next().await.is_none());
    }
}
