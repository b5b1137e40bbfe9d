//! All peers, and when each is to be looked at again: a step costs what it touches, however many are configured.
//!
//! What a peer does next follows from its own state, which only [`Peers::touch`] and the like give away to be changed.
//! Whatever the packet threads count meanwhile is looked at every [`PULSE_INTERVAL`](crate::types::limits::PULSE_INTERVAL).

use super::peer::Peer;
use crate::types::id::PeerId;
use crate::types::time::Instant;

/// The peers of one interface, in the order of [`PeerId`].
pub(super) struct Peers {
    all: Vec<Peer>,
    /// When each is to be looked at; [`Instant::ZERO`]: at the end of this step.
    due: Vec<Instant>,
}

impl Peers {
    /// All are to be looked at.
    pub(super) fn new(all: Vec<Peer>) -> Self {
        let due = vec![Instant::ZERO; all.len()];
        Self { all, due }
    }

    /// All of them, to be read.
    pub(super) fn as_slice(&self) -> &[Peer] {
        &self.all
    }

    /// One, to be changed.
    pub(super) fn touch(&mut self, id: PeerId) -> Option<&mut Peer> {
        let at = usize::from(id.0);
        *self.due.get_mut(at)? = Instant::ZERO;
        self.all.get_mut(at)
    }

    /// The first of which this is true, to be changed.
    pub(super) fn touch_where(&mut self, is: impl FnMut(&Peer) -> bool) -> Option<&mut Peer> {
        let at = self.all.iter().position(is)?;
        *self.due.get_mut(at)? = Instant::ZERO;
        self.all.get_mut(at)
    }

    /// All of them, to be changed.
    pub(super) fn touch_all(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.due.fill(Instant::ZERO);
        self.all.iter_mut()
    }

    /// Those whose time has come, to be changed.
    pub(super) fn touch_due(&mut self, now: Instant) -> impl Iterator<Item = &mut Peer> {
        let due = self.all.iter_mut().zip(&mut self.due).filter(move |(_, due)| **due <= now);
        due.map(|(peer, due)| {
            *due = Instant::ZERO;
            peer
        })
    }

    /// Ends a step: each that was touched, or whose time has come, is looked at, and its next time is noted.
    pub(super) fn settle(&mut self, now: Instant, mut look: impl FnMut(&mut Peer)) {
        for (peer, due) in self.all.iter_mut().zip(&mut self.due).filter(|(_, due)| **due <= now) {
            look(peer);
            *due = peer.next_deadline(now).unwrap_or(Instant::FAR_FUTURE);
        }
    }

    /// When the first of them is to be looked at.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().copied().min()
    }
}
