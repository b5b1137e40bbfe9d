//! The envelope of every small state file: a name, a version, the content, a checksum, so that damage is seen and never read as state.

use crate::crypto::kdf::{HASH_BYTES, hash};

/// Bytes before the content.
const HEAD_BYTES: usize = 8;
/// What every state file begins with.
const MAGIC: &[u8; 5] = b"PLAIT";

/// What was found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// No file: a new peer, or one that was deliberately reset.
    Absent,
    /// A file that cannot be read as what it should be.
    Damaged,
    /// A good file.
    Present,
}

/// Which state a file holds, and in which version of its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileKind {
    /// [`ratchet`](super::ratchet).
    Ratchet = b'r',
    /// [`clock`](super::clock).
    Clock = b'c',
    /// [`budget`](super::budget).
    Budget = b'b',
    /// [`seen`](super::seen).
    Seen = b's',
}

/// The version of all four layouts.
const VERSION: u16 = 1;

/// ```text
/// 0  5  "PLAIT"    5  1  kind    6  2  version    8  n  content    -  48  SHA-384 over all before
/// ```
pub(super) fn wrap(kind: FileKind, content: &[u8]) -> Vec<u8> {
    // One allocation of the final size: growing would leave copies of a secret content behind.
    let mut bytes = Vec::with_capacity(HEAD_BYTES + content.len() + HASH_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(content);
    let sum = hash(&[&bytes]);
    bytes.extend_from_slice(&sum);
    bytes
}

/// The content; `None` for another kind, another version or a wrong checksum.
pub(super) fn unwrap(kind: FileKind, bytes: &[u8]) -> Option<&[u8]> {
    let (rest, sum) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    if hash(&[rest]).as_slice() != sum {
        return None;
    }
    let rest = rest.strip_prefix(MAGIC)?.strip_prefix(&[kind as u8])?;
    rest.strip_prefix(&VERSION.to_be_bytes())
}

/// What a file is, by its envelope alone.
pub fn examine(kind: FileKind, bytes: Option<&[u8]>) -> FileState {
    match bytes {
        None => FileState::Absent,
        Some(bytes) if unwrap(kind, bytes).is_some() => FileState::Present,
        Some(_) => FileState::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_damage() {
        let good = wrap(FileKind::Clock, b"content");
        assert_eq!(unwrap(FileKind::Clock, &good), Some(b"content".as_slice()));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unwrap(FileKind::Clock, &bad), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(unwrap(FileKind::Clock, &good[..length]), None, "length {length}");
        }
    }

    #[test]
    fn a_file_of_another_kind_is_damage() {
        let clock = wrap(FileKind::Clock, b"content");
        assert_eq!(unwrap(FileKind::Budget, &clock), None);
        let states = [(FileKind::Clock, FileState::Present), (FileKind::Seen, FileState::Damaged)];
        for (kind, state) in states {
            assert_eq!(examine(kind, Some(&clock)), state);
        }
        assert_eq!(examine(FileKind::Clock, None), FileState::Absent);
    }
}
