//! What a peer went through: its last epochs and changes of state, and how long its exchanges took.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::output::State;
use crate::types::histogram::Histogram;
use crate::types::time::Instant;

/// Epochs kept a peer: an hour of the default interval.
pub const EPOCH_MARKS_MAX: usize = 64;
/// Changes of state kept a peer: a night of an unsteady link.
pub const STATE_MARKS_MAX: usize = 64;

/// One confirmed epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochMark {
    /// Confirmed epochs since the start.
    pub number: u64,
    /// When it was confirmed.
    pub at: Instant,
    /// By a full handshake, else by a fast rekey.
    pub full: bool,
    /// Fresh QKD keys that it mixed.
    pub qkd_keys: u8,
}

/// One change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMark {
    /// When.
    pub at: Instant,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
}

/// A peer's course since the start.
#[derive(Default)]
pub struct Course {
    epochs: VecDeque<EpochMark>,
    states: VecDeque<StateMark>,
    transitions: BTreeMap<(State, State), u64>,
    full: Histogram,
    fast: Histogram,
}

impl Course {
    /// The last epochs, at most [`EPOCH_MARKS_MAX`], oldest first.
    pub fn epochs(&self) -> impl DoubleEndedIterator<Item = &EpochMark> {
        self.epochs.iter()
    }

    /// The last changes of state, at most [`STATE_MARKS_MAX`], oldest first. Before the first it was HOLDING.
    pub fn states(&self) -> impl DoubleEndedIterator<Item = &StateMark> {
        self.states.iter()
    }

    /// How often the state changed from one to another.
    pub fn transitions(&self) -> impl Iterator<Item = (State, State, u64)> {
        self.transitions.iter().map(|((from, to), count)| (*from, *to, *count))
    }

    /// How long full handshakes took that this end began, those that came to a session.
    pub fn full(&self) -> &Histogram {
        &self.full
    }

    /// How long fast rekeys took that this end began, those that came to an epoch.
    pub fn fast(&self) -> &Histogram {
        &self.fast
    }

    pub(super) fn note_epoch(&mut self, mark: EpochMark) {
        keep(&mut self.epochs, mark, EPOCH_MARKS_MAX);
    }

    pub(super) fn note_state(&mut self, mark: StateMark) {
        *self.transitions.entry((mark.from, mark.to)).or_default() += 1;
        keep(&mut self.states, mark, STATE_MARKS_MAX);
    }

    pub(super) fn note_full(&mut self, took: Duration) {
        self.full.note(took);
    }

    pub(super) fn note_fast(&mut self, took: Duration) {
        self.fast.note(took);
    }
}

fn keep<T>(marks: &mut VecDeque<T>, mark: T, most: usize) {
    if marks.len() >= most {
        marks.pop_front();
    }
    marks.push_back(mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_marks_go_and_the_counts_stay() {
        let mut course = Course::default();
        let more = STATE_MARKS_MAX as u64 + 5;
        for at in 0..more {
            let at = Instant::from_nanos(at);
            course.note_state(StateMark { at, from: State::Hybrid, to: State::Holdover });
            course.note_epoch(EpochMark { number: at.as_nanos(), at, full: false, qkd_keys: 1 });
        }
        assert_eq!((course.states().count(), course.epochs().count()), (STATE_MARKS_MAX, EPOCH_MARKS_MAX));
        assert_eq!(course.states().next().unwrap().at, Instant::from_nanos(5));
        assert_eq!(course.transitions().collect::<Vec<_>>(), [(State::Hybrid, State::Holdover, more)]);
    }
}
