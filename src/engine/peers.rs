//! All peers, and when each is to be looked at again: a step costs what it touches, however many are configured.
//!
//! What a peer does next follows from its own state, which only [`Peers::touch`] and the like give away to be changed.
//! Whatever the packet threads count meanwhile is looked at every [`PULSE_INTERVAL`](crate::types::limits::PULSE_INTERVAL).

use std::collections::VecDeque;

use super::peer::Peer;
use crate::types::id::PeerId;
use crate::types::limits::{PEER_NUMBER_REST, PEER_NUMBERS_MAX};
use crate::types::time::Instant;

/// The peers of one interface, in the order of the configuration.
pub(super) struct Peers {
    all: Vec<Peer>,
    /// When each is to be looked at; [`Instant::ZERO`]: at the end of this step.
    due: Vec<Instant>,
    /// The place of each by its number; `None`: nobody has this number.
    places: Vec<Option<usize>>,
    /// Numbers of peers that went, and from when on another may have each: what was said of the first has come by then.
    resting: VecDeque<(Instant, PeerId)>,
}

impl Peers {
    /// Numbered by their places. All are to be looked at.
    pub(super) fn new(all: Vec<Peer>) -> Self {
        let (due, places) = (vec![Instant::ZERO; all.len()], (0..all.len()).map(Some).collect());
        Self { all, due, places, resting: VecDeque::new() }
    }

    /// All of them, to be read.
    pub(super) fn as_slice(&self) -> &[Peer] {
        &self.all
    }

    /// One more than the greatest number that was ever given.
    pub(super) fn numbers(&self) -> usize {
        self.places.len()
    }

    /// One, to be read.
    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.all.get(self.place(id)?)
    }

    /// One, to be changed.
    pub(super) fn touch(&mut self, id: PeerId) -> Option<&mut Peer> {
        let at = self.place(id)?;
        *self.due.get_mut(at)? = Instant::ZERO;
        self.all.get_mut(at)
    }

    fn place(&self, id: PeerId) -> Option<usize> {
        self.places.get(usize::from(id.0)).copied().flatten()
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

    /// How many numbers are free.
    pub(super) fn free_numbers(&self, now: Instant) -> usize {
        let rested = self.resting.iter().take_while(|(from, _)| *from <= now).count();
        rested + PEER_NUMBERS_MAX.saturating_sub(self.places.len())
    }

    /// A number that nobody has and nobody speaks of.
    pub(super) fn take_number(&mut self, now: Instant) -> Option<PeerId> {
        if self.resting.front().is_some_and(|(from, _)| *from <= now) {
            return self.resting.pop_front().map(|(_, id)| id);
        }
        let id = u16::try_from(self.places.len()).ok().map(PeerId)?;
        self.places.push(None);
        Some(id)
    }

    /// Gives all peers away, to be put back by [`put_all`](Self::put_all).
    pub(super) fn take_all(&mut self) -> Vec<Peer> {
        std::mem::take(&mut self.all)
    }

    /// In this order from now on. Numbers that nobody has any more rest.
    pub(super) fn put_all(&mut self, now: Instant, all: Vec<Peer>) {
        let nobody = vec![None; self.places.len()];
        let before = std::mem::replace(&mut self.places, nobody);
        for (at, peer) in all.iter().enumerate() {
            if let Some(place) = self.places.get_mut(usize::from(peer.id.0)) {
                *place = Some(at);
            }
        }
        for (number, (was, is)) in (0..).zip(before.iter().zip(&self.places)) {
            if was.is_some() && is.is_none() {
                self.resting.push_back((now + PEER_NUMBER_REST, PeerId(number)));
            }
        }
        self.due = vec![Instant::ZERO; all.len()];
        self.all = all;
    }
}
