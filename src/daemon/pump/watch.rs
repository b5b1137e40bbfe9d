//! Whether the trains that the kernel puts together (`UDP_GRO`) are what was sent: a look at how their datagrams fare.
//!
//! Kernels and network cards that join what does not belong together exist. The test at the start sees the loopback alone,
//! so this goes on looking. Who floods this end with forged datagrams that the kernel joins can bring it to the same end: it
//! costs speed, never security.

use std::time::Duration;

use crate::dataplane::open::Tally;
use crate::types::time::Instant;

/// Counts are of so long a time.
const WINDOW: Duration = Duration::from_secs(10);
/// Datagrams of trains that did not open, within a window, before anything follows from it. Damage on the way comes alone
/// and rarely, a peer seals nothing that does not open; and a TCP stream of which only single packets pass fails no more than
/// about 50 times in a window.
const FAILED_MIN: u64 = 16;

/// What a receiving thread has seen.
pub(super) struct GroWatch {
    /// Bit `l`: lane `l` comes to this socket.
    own_lanes: u8,
    until: Instant,
    opened: u64,
    failed: u64,
}

impl GroWatch {
    /// For the socket `index` of `count`: lane `l` comes to socket `(l - 1) mod count`, lane 0 is no flow's.
    pub(super) fn new(index: usize, count: usize) -> Self {
        let own = (1..8_usize).filter(|lane| (lane - 1) % count.max(1) == index);
        let own_lanes = own.fold(1, |lanes, lane| lanes | 1 << lane);
        Self { own_lanes, until: Instant::ZERO, opened: 0, failed: 0 }
    }

    /// Takes note of a train, or of one datagram that may be a train of which nobody said so. If trains are to be received
    /// no more: why.
    pub(super) fn note(&mut self, now: Instant, is_train: bool, tally: Tally) -> Option<String> {
        let (opened, failed) = if is_train { (tally.opened, tally.forged) } else { (0, tally.overlong) };
        if now >= self.until {
            (self.until, self.opened, self.failed) = (now + WINDOW, 0, 0);
        }
        self.opened += opened;
        self.failed += failed;
        if failed > 0 && self.failed >= FAILED_MIN && self.failed > self.opened {
            let Self { opened, failed, .. } = self;
            return Some(format!(
                "of the datagrams that the kernel put together {failed} did not open and {opened} did"
            ));
        }
        let strays = is_train && tally.lanes & !self.own_lanes != 0;
        strays.then(|| "the kernel puts datagrams of several queues together, which could reorder a flow".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(opened: u64, forged: u64) -> Tally {
        Tally { opened, forged, overlong: 0, lanes: 2 }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn trains_of_which_most_fail_are_to_blame() {
        let mut watch = GroWatch::new(0, 1);
        for _ in 0..3 {
            assert_eq!(watch.note(at(1), true, tally(1, 5)), None);
        }
        assert!(watch.note(at(10), true, tally(1, 5)).is_some_and(|why| why.contains("20 did not open and 4 did")));
    }

    #[test]
    fn single_datagrams_are_nobody_s_fault() {
        let mut watch = GroWatch::new(0, 1);
        for _ in 0..1000 {
            assert_eq!(watch.note(at(1), false, tally(0, 1)), None);
        }
        for _ in 1..FAILED_MIN {
            assert_eq!(watch.note(at(1), false, Tally { overlong: 1, ..tally(0, 1) }), None);
        }
        assert!(watch.note(at(1), false, Tally { overlong: 1, ..tally(0, 1) }).is_some(), "unless they are trains");
    }

    #[test]
    fn a_few_or_the_lesser_part_or_such_of_long_ago_count_for_nothing() {
        let mut watch = GroWatch::new(0, 1);
        assert_eq!(watch.note(at(1), true, tally(0, FAILED_MIN - 1)), None);
        assert_eq!(watch.note(at(11), true, tally(0, FAILED_MIN - 1)), None, "another window");
        let mut watch = GroWatch::new(0, 1);
        assert_eq!(watch.note(at(1), true, tally(1000, 0)), None);
        assert_eq!(watch.note(at(2), true, tally(0, 1000)), None);
        assert!(watch.note(at(3), true, tally(0, 1)).is_some());
    }

    #[test]
    fn lanes_of_other_sockets_are_seen() {
        let lanes = |lanes| Tally { lanes, ..tally(2, 0) };
        for lane in 0..8 {
            assert_eq!(GroWatch::new(0, 1).note(at(1), true, lanes(1 << lane)), None);
            assert_eq!(GroWatch::new(1, 2).note(at(1), true, lanes(1 << lane)).is_some(), lane % 2 == 1, "{lane}");
            assert_eq!(GroWatch::new(1, 2).note(at(1), false, lanes(1 << lane)), None);
        }
        assert_eq!(GroWatch::new(2, 3).note(at(1), true, lanes(0b100_1001)), None, "3 and 6, and the control side");
    }
}
