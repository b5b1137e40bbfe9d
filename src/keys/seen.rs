//! The key_IDs a peer's exchanges have used, so that none is used twice (PROTOCOL 2.5 "Seen table").

use std::collections::{BTreeSet, VecDeque};

use super::state_file::{FileKind, FileState, unwrap, wrap};
use crate::crypto::kdf::hash;
use crate::types::id::{KeyId, SourceId};
use crate::types::limits::{SEEN_KEY_IDS_KEPT, SEEN_KEY_IDS_MAX};
use crate::types::secret::SecretBytes;

/// Bytes that stand for a pair: the first of SHA-384 over source and key_ID. Who makes two key_IDs meet has to try 2^64 of
/// them, and has then a key that is refused.
const MARK_BYTES: usize = 16;

/// A (source, key_ID) pair.
type Mark = [u8; MARK_BYTES];

/// (source, key_ID) pairs of one peer, the oldest out when full. Entered when I receives a key and when R sends its request;
/// the newest [`SEEN_KEY_IDS_KEPT`] outlive a restart.
#[derive(Default)]
pub struct SeenTable {
    known: BTreeSet<Mark>,
    order: VecDeque<Mark>,
}

impl SeenTable {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// From what is on disk. A damaged file is an empty table: safety does not rest on it (PROTOCOL 2.5).
    pub fn from_file(bytes: Option<&[u8]>) -> (Self, FileState) {
        let Some(bytes) = bytes else { return (Self::new(), FileState::Absent) };
        let marks = unwrap(FileKind::Seen, bytes).map(<[u8]>::as_chunks::<MARK_BYTES>);
        let Some((marks, [])) = marks.filter(|(marks, _)| marks.len() <= SEEN_KEY_IDS_KEPT) else {
            return (Self::new(), FileState::Damaged);
        };
        let mut table = Self::new();
        for mark in marks {
            table.enter(*mark);
        }
        (table, FileState::Present)
    }

    /// The file's content: written after each entry.
    ///
    /// ```text
    /// n * 16   the first bytes of SHA-384(source byte || key_ID), oldest first
    /// ```
    pub fn to_bytes(&self) -> SecretBytes {
        let older = self.order.len().saturating_sub(SEEN_KEY_IDS_KEPT);
        let content: Vec<u8> = self.order.iter().skip(older).flatten().copied().collect();
        SecretBytes::new(wrap(FileKind::Seen, &content))
    }

    /// Enters the pair; `false` if it was there: the key must not be fetched (R) or used (I).
    #[must_use = "a key_ID that was seen must not be used"]
    pub fn insert(&mut self, source: SourceId, key_id: &KeyId) -> bool {
        self.enter(mark(source, key_id))
    }

    fn enter(&mut self, mark: Mark) -> bool {
        if !self.known.insert(mark) {
            return false;
        }
        self.order.push_back(mark);
        if self.order.len() > SEEN_KEY_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Whether the pair is known.
    pub fn contains(&self, source: SourceId, key_id: &KeyId) -> bool {
        self.known.contains(&mark(source, key_id))
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

fn mark(source: SourceId, key_id: &KeyId) -> Mark {
    let whole = hash(&[&[source.number()], key_id.as_str().as_bytes()]);
    whole.first_chunk().copied().unwrap_or_default()
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

    #[test]
    fn the_newest_pairs_outlive_a_restart() {
        let mut seen = SeenTable::new();
        for n in 0..SEEN_KEY_IDS_KEPT + 3 {
            assert!(seen.insert(source(2), &id(n)));
        }
        let file = seen.to_bytes();
        let (mut again, state) = SeenTable::from_file(Some(file.expose()));
        assert_eq!((again.len(), state), (SEEN_KEY_IDS_KEPT, FileState::Present));
        assert!(!again.contains(source(2), &id(2)), "older than what is kept");
        for n in 3..SEEN_KEY_IDS_KEPT + 3 {
            assert!(!again.insert(source(2), &id(n)), "{n}");
        }
        assert!(again.insert(source(1), &id(5)), "of another source");
    }

    #[test]
    fn a_file_of_another_form_is_damage_and_an_empty_table() {
        assert_eq!(SeenTable::from_file(None).1, FileState::Absent);
        let cut = wrap(FileKind::Seen, &[7; MARK_BYTES * 3 - 1]);
        let long = wrap(FileKind::Seen, &[7; MARK_BYTES * (SEEN_KEY_IDS_KEPT + 1)]);
        let other = wrap(FileKind::Budget, &[7; MARK_BYTES]);
        for bad in [b"".as_slice(), &cut, &long, &other] {
            let (table, state) = SeenTable::from_file(Some(bad));
            assert!(table.is_empty() && state == FileState::Damaged);
        }
        assert_eq!(SeenTable::from_file(Some(&wrap(FileKind::Seen, &[]))).1, FileState::Present);
    }

    #[test]
    fn a_table_is_empty_until_the_first_pair() {
        let mut seen = SeenTable::new();
        assert!(seen.is_empty() && seen.insert(source(0), &id(1)) && !seen.is_empty());
    }
}
