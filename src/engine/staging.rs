//! Inner packets that wait for the first epoch: bounded in number and age, oldest out, never in clear (PROTOCOL 1, glossary "staging").

use std::collections::VecDeque;

use crate::types::limits::{STAGING_LIFE, STAGING_PACKETS_MAX};
use crate::types::time::Instant;

/// A short queue of inner packets, each with the time it came.
#[derive(Default)]
pub(super) struct Staging(VecDeque<(Instant, Vec<u8>)>);

impl Staging {
    /// Puts a packet in; says how many had to go, for their age or for want of room.
    pub(super) fn push(&mut self, now: Instant, packet: Vec<u8>) -> usize {
        let mut gone = self.drop_old(now);
        self.0.push_back((now, packet));
        if self.0.len() > STAGING_PACKETS_MAX {
            self.0.pop_front();
            gone += 1;
        }
        gone
    }

    /// Takes all that are not too old, oldest first. What waited through an outage of hours is of no use to anyone.
    pub(super) fn take(&mut self, now: Instant) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.drop_old(now);
        std::mem::take(&mut self.0).into_iter().map(|(_, packet)| packet)
    }

    /// Nothing waits any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn drop_old(&mut self, now: Instant) -> usize {
        let before = self.0.len();
        while self.0.front().is_some_and(|(came, _)| now.since(*came) > STAGING_LIFE) {
            self.0.pop_front();
        }
        before - self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_full() {
        let mut staging = Staging::default();
        for number in 0..STAGING_PACKETS_MAX {
            assert_eq!(staging.push(Instant::ZERO, vec![number as u8]), 0);
        }
        assert_eq!(staging.push(Instant::ZERO, vec![0xff]), 1);
        let taken: Vec<Vec<u8>> = staging.take(Instant::ZERO).collect();
        assert_eq!((taken.len(), &taken[0]), (STAGING_PACKETS_MAX, &vec![1]));
        assert_eq!(staging.take(Instant::ZERO).count(), 0);
    }

    #[test]
    fn what_waited_too_long_goes() {
        let mut staging = Staging::default();
        let late = Instant::ZERO + STAGING_LIFE + std::time::Duration::from_nanos(1);
        staging.push(Instant::ZERO, vec![1]);
        staging.push(Instant::ZERO + STAGING_LIFE, vec![2]);
        assert_eq!(staging.take(late).collect::<Vec<_>>(), [vec![2]]);
        staging.push(Instant::ZERO, vec![1]);
        assert_eq!(staging.push(late, vec![2]), 1);
    }
}
