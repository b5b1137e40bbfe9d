//! The replay window of one lane of one receive epoch (PROTOCOL 2.9, RFC 6479).

/// Bits of the ring.
const RING_BITS: u64 = 8192;
/// Bits of a word of the ring.
const WORD_BITS: u64 = 64;
/// Words of the ring; a power of two, so that a word is found by masking.
const WORDS: usize = (RING_BITS / WORD_BITS) as usize;
/// How far behind the greatest number a packet may come: one word less than the ring, which is being overwritten.
pub const REPLAY_BITS_USABLE: u64 = RING_BITS - WORD_BITS;

/// What a number that was accepted did to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is the greatest so far. Only such a packet may move the endpoint (PROTOCOL 2.9 "Roaming").
    RaisedTop,
    /// It filled a gap below the greatest.
    Behind,
}

/// Which numbers of a lane were accepted. 1 KiB, no allocation after the first.
pub struct ReplayWindow {
    /// Greatest number accepted, plus one; 0: none yet.
    next: u64,
    ring: Box<[u64; WORDS]>,
}

impl ReplayWindow {
    /// Nothing accepted yet.
    pub fn new() -> Self {
        Self { next: 0, ring: Box::new([0; WORDS]) }
    }

    /// Whether the number could be accepted. Asked before the costly open; it changes nothing.
    pub fn would_accept(&self, number: u64) -> bool {
        if number >= self.next {
            return true;
        }
        let behind = self.next - 1 - number;
        behind <= REPLAY_BITS_USABLE && self.ring.get(word(number)).is_some_and(|bits| bits & bit(number) == 0)
    }

    /// Marks the number as used; `None` if it was used before or is too old. Called only after a successful open.
    pub fn accept(&mut self, number: u64) -> Option<Accepted> {
        if !self.would_accept(number) {
            return None;
        }
        let raised = number >= self.next;
        if raised {
            self.advance_to(number);
        }
        if let Some(bits) = self.ring.get_mut(word(number)) {
            *bits |= bit(number);
        }
        Some(if raised { Accepted::RaisedTop } else { Accepted::Behind })
    }

    /// Which of the 64 numbers from `first` on could be accepted: bit `k` stands for `first + k`. It changes nothing.
    pub fn would_accept_run(&self, first: u64) -> u64 {
        let fresh = at_least(first, self.next);
        fresh | self.unseen(first)
    }

    /// Marks the numbers `first + k` whose bit `k` is set, in one step. Returns those that were accepted, and whether one of
    /// them is the greatest so far. The same as [`Self::accept`] for each, the greatest first.
    pub fn accept_run(&mut self, first: u64, wanted: u64) -> (u64, bool) {
        let Some(highest) = wanted.checked_ilog2() else { return (0, false) };
        let greatest = first.saturating_add(u64::from(highest));
        let raised = greatest >= self.next;
        if raised {
            self.advance_to(greatest);
        }
        let accepted = wanted & self.unseen(first);
        let (low, high) = split(first, accepted);
        for (number, bits) in [(first, low), (first.saturating_add(WORD_BITS), high)] {
            if let Some(place) = self.ring.get_mut(word(number)) {
                *place |= bits;
            }
        }
        (accepted, raised)
    }

    /// Which of the 64 numbers from `first` on are within the window, below `next` and not marked.
    fn unseen(&self, first: u64) -> u64 {
        let Some(top) = self.next.checked_sub(1) else { return 0 };
        let is_kept = at_least(first, top.saturating_sub(REPLAY_BITS_USABLE)) & !at_least(first, self.next);
        let at = |number: u64| self.ring.get(word(number)).copied().unwrap_or(0);
        is_kept & !join(first, at(first), at(first.saturating_add(WORD_BITS)))
    }

    /// Clears the words that the window slides over, at most the whole ring.
    fn advance_to(&mut self, number: u64) {
        // With nothing accepted yet every word is clear already, the first one too.
        let top_word = self.next.saturating_sub(1) / WORD_BITS;
        let passed = (number / WORD_BITS - top_word).min(WORDS as u64);
        for step in 1..=passed {
            if let Some(bits) = self.ring.get_mut(((top_word + step) % WORDS as u64) as usize) {
                *bits = 0;
            }
        }
        self.next = number.saturating_add(1);
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

/// Of the 64 numbers from `first` on those that are not below `least`.
fn at_least(first: u64, least: u64) -> u64 {
    let below = u32::try_from(least.saturating_sub(first)).unwrap_or(u32::MAX);
    u64::MAX.checked_shl(below).unwrap_or(0)
}

/// A run that begins at `first` as bits of the word of `first` and of the next one.
fn split(first: u64, run: u64) -> (u64, u64) {
    let shift = (first % WORD_BITS) as u32;
    (run << shift, run.checked_shr(64 - shift).unwrap_or(0))
}

/// The inverse of [`split`]: bits of two neighbouring words as a run that begins at `first`.
fn join(first: u64, low: u64, high: u64) -> u64 {
    let shift = (first % WORD_BITS) as u32;
    low >> shift | high.checked_shl(64 - shift).unwrap_or(0)
}

fn word(number: u64) -> usize {
    (number / WORD_BITS % WORDS as u64) as usize
}

fn bit(number: u64) -> u64 {
    1 << (number % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_accepted_once() {
        let mut window = ReplayWindow::new();
        assert_eq!(window.accept(5), Some(Accepted::RaisedTop));
        assert_eq!(window.accept(3), Some(Accepted::Behind));
        for number in [5, 3] {
            assert!(!window.would_accept(number));
            assert_eq!(window.accept(number), None);
        }
    }

    #[test]
    fn asking_changes_nothing() {
        let mut window = ReplayWindow::new();
        assert!(window.would_accept(1 << 55) && window.would_accept(0));
        assert_eq!(window.accept(0), Some(Accepted::RaisedTop));
    }

    #[test]
    fn the_window_is_8128_deep_at_every_place_in_a_word() {
        for top in 20_000..20_000 + 2 * WORD_BITS {
            let mut window = ReplayWindow::new();
            window.accept(top);
            assert_eq!(window.accept(top - REPLAY_BITS_USABLE - 1), None, "top {top}");
            assert_eq!(window.accept(top - REPLAY_BITS_USABLE), Some(Accepted::Behind), "top {top}");
        }
    }

    #[test]
    fn the_greatest_number_of_a_lane_does_not_wrap() {
        let mut window = ReplayWindow::new();
        let last = (1 << 56) - 1;
        assert_eq!(window.accept(last), Some(Accepted::RaisedTop));
        assert_eq!(window.accept(last), None);
        assert_eq!(window.accept(last - 1), Some(Accepted::Behind));
        assert_eq!(window.accept(0), None);
    }
}
