//! Datagrams of equal length to one address, one after the other: one send for all of them (`UDP_SEGMENT`).

use crate::dataplane::snapshot::Endpoint;
use crate::types::id::PeerId;

/// Bytes of the longest train: the payload of the longest UDP datagram over IPv4 (RFC 768).
const TRAIN_BYTES_MAX: usize = 65_507;
/// Datagrams of the longest train: what every kernel with `UDP_SEGMENT` takes in one call.
pub const TRAIN_DATAGRAMS_MAX: usize = 64;

/// Where a train goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Whose datagrams they are.
    pub peer: PeerId,
    /// Where they go.
    pub to: Endpoint,
    /// Their DS field and ECN (RFC 2474, RFC 3168).
    pub tos: u8,
}

/// A train under construction. Its memory is used again and again.
pub struct Train {
    bytes: Vec<u8>,
    stride: usize,
    count: usize,
    /// A shorter datagram is the last one.
    is_closed: bool,
    destination: Option<Destination>,
}

impl Train {
    /// Empty, with all the memory that it will ever need.
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(TRAIN_BYTES_MAX), stride: 0, count: 0, is_closed: false, destination: None }
    }

    /// How many more datagrams of that length can go with it; 0: it has to leave first. `most` is the limit of its length
    /// in datagrams. A single datagram may have any length.
    pub fn room(&self, destination: Destination, length: usize, most: usize) -> usize {
        if self.count == 0 {
            return (TRAIN_BYTES_MAX / length.max(1)).clamp(1, most.max(1));
        }
        let fits = !self.is_closed && length <= self.stride && self.destination == Some(destination);
        let left = TRAIN_BYTES_MAX.saturating_sub(self.bytes.len()) / length.max(1);
        let room = left.min(most.saturating_sub(self.count));
        // After a shorter one nothing can follow.
        if !fits {
            0
        } else if length < self.stride {
            room.min(1)
        } else {
            room
        }
    }

    /// Appends the datagram that `write` appends to the bytes. There must be room for it.
    pub fn push(&mut self, destination: Destination, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        if self.count == 0 {
            self.stride = length;
            self.destination = Some(destination);
        }
        self.is_closed |= length < self.stride;
        self.count += 1;
    }

    /// All datagrams.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of every datagram but the last, which may be shorter.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// How many datagrams there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where it goes; `None` if it is empty.
    pub fn destination(&self) -> Option<Destination> {
        self.destination
    }

    /// Empty again.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.stride, self.count, self.is_closed, self.destination) = (0, 0, false, None);
    }
}

impl Default for Train {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(peer: u16) -> Destination {
        let to = Endpoint { to: ([192, 0, 2, 1], 51900).into(), from: None };
        Destination { peer: PeerId(peer), to, tos: 0 }
    }

    fn train(lengths: &[usize]) -> Train {
        let mut train = Train::new();
        for length in lengths {
            assert!(train.room(to(0), *length, 64) > 0, "{length} after {}", train.count());
            train.push(to(0), |out| out.resize(out.len() + length, 7));
        }
        train
    }

    #[test]
    fn all_are_equal_but_the_last() {
        let train = train(&[100, 100, 60]);
        assert_eq!((train.bytes().len(), train.stride(), train.count()), (260, 100, 3));
        assert_eq!(train.room(to(0), 60, 64), 0, "after a shorter one comes nothing");
        assert_eq!(train.destination(), Some(to(0)));
    }

    #[test]
    fn what_goes_elsewhere_or_is_longer_waits() {
        let train = train(&[100]);
        assert_eq!(train.room(to(0), 100, 64), 63);
        assert_eq!(train.room(to(0), 99, 64), 1);
        assert_eq!(train.room(to(0), 101, 64), 0);
        assert_eq!(train.room(to(1), 100, 64), 0);
        assert_eq!(train.room(Destination { tos: 1, ..to(0) }, 100, 64), 0);
        assert_eq!(train.room(to(0), 100, 1), 0, "trains are switched off");
    }

    #[test]
    fn a_train_is_no_longer_than_a_datagram_can_be() {
        let empty = Train::new();
        assert_eq!(empty.room(to(0), 1452, 64), 45);
        assert_eq!(empty.room(to(0), 70_000, 64), 1);
        assert_eq!(empty.room(to(0), 1452, 1), 1);
        let full = train(&[1452; 45]);
        assert_eq!(full.room(to(0), 1452, 64), 0);
        assert_eq!(full.room(to(0), 100, 64), 1);
        assert_eq!(full.room(to(0), 168, 64), 0);
        assert_eq!(train(&[40; 64]).room(to(0), 40, 64), 0);
    }

    #[test]
    fn a_train_that_has_left_is_empty() {
        let mut train = train(&[100, 60]);
        train.clear();
        assert_eq!((train.bytes().len(), train.count(), train.destination()), (0, 0, None));
        assert_eq!(train.room(to(1), 200, 64), 64);
    }
}
