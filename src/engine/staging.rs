//! Inner packets that wait for the first epoch: bounded, oldest out, never in clear (PROTOCOL 1, glossary "staging").

use std::collections::VecDeque;

use crate::types::limits::STAGING_PACKETS_MAX;

/// A short queue of inner packets.
#[derive(Default)]
pub(super) struct Staging(VecDeque<Vec<u8>>);

impl Staging {
    /// Puts a packet in; gives back the oldest if there are too many.
    pub(super) fn push(&mut self, packet: Vec<u8>) -> Option<Vec<u8>> {
        self.0.push_back(packet);
        (self.0.len() > STAGING_PACKETS_MAX).then(|| self.0.pop_front()).flatten()
    }

    /// Takes all, oldest first.
    pub(super) fn take(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_full() {
        let mut staging = Staging::default();
        for number in 0..STAGING_PACKETS_MAX {
            assert!(staging.push(vec![number as u8]).is_none());
        }
        assert_eq!(staging.push(vec![0xff]), Some(vec![0]));
        assert_eq!(staging.take().len(), STAGING_PACKETS_MAX);
        assert!(staging.take().is_empty());
    }
}
