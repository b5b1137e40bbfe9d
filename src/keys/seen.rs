//! The key_IDs a peer's exchanges have used, so that none is used twice (PROTOCOL 2.5 "Seen table").

use std::collections::{BTreeSet, VecDeque};

use crate::types::id::{KeyId, SourceId};
use crate::types::limits::SEEN_KEY_IDS_MAX;

/// (source, key_ID) pairs of one peer, the oldest out when full. Entered when I receives a key and when R sends its request.
#[derive(Default)]
pub struct SeenTable {
    known: BTreeSet<(SourceId, KeyId)>,
    order: VecDeque<(SourceId, KeyId)>,
}

impl SeenTable {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters the pair; `false` if it was there: the key must not be fetched (R) or used (I).
    #[must_use = "a key_ID that was seen must not be used"]
    pub fn insert(&mut self, source: SourceId, key_id: &KeyId) -> bool {
        if !self.known.insert((source, key_id.clone())) {
            return false;
        }
        self.order.push_back((source, key_id.clone()));
        if self.order.len() > SEEN_KEY_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Whether the pair is known.
    pub fn contains(&self, source: SourceId, key_id: &KeyId) -> bool {
        self.known.contains(&(source, key_id.clone()))
    }

    /// Pairs known, at most [`SEEN_KEY_IDS_MAX`].
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> KeyId {
        KeyId::new(format!("key-{n}").as_bytes()).unwrap()
    }

    fn source(n: u8) -> SourceId {
        SourceId::new(n).unwrap()
    }

    #[test]
    fn a_key_id_passes_once_for_each_source() {
        let mut seen = SeenTable::new();
        assert!(seen.insert(source(0), &id(1)));
        assert!(!seen.insert(source(0), &id(1)));
        assert!(seen.insert(source(1), &id(1)));
        assert!(seen.insert(source(0), &KeyId::new(b"KEY-1").unwrap()), "key_IDs are compared byte for byte");
    }

    #[test]
    fn the_oldest_goes_when_the_table_is_full_and_a_hit_does_not_make_it_younger() {
        let mut seen = SeenTable::new();
        for n in 0..SEEN_KEY_IDS_MAX {
            assert!(seen.insert(source(0), &id(n)));
        }
        assert!(!seen.insert(source(0), &id(0)));
        assert!(seen.insert(source(0), &id(SEEN_KEY_IDS_MAX)));
        assert_eq!(seen.len(), SEEN_KEY_IDS_MAX);
        assert!(!seen.contains(source(0), &id(0)));
        assert!(seen.contains(source(0), &id(1)));
    }
}
