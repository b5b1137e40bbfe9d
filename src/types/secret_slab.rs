//! Where secrets lie: slots cut from pages of the process's own, or the heap while there are none.
//!
//! The one piece of process-wide state in the core. A secret must know at its drop where it came from, and it is made in some
//! hundred places by pure code: an allocator handed through all of them would be in every signature and change no result.
//! No output depends on it: the bytes of a secret are the same wherever they lie. Without [`install`] (tests, simulator,
//! fuzzers, short commands) every secret is on the heap.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::{Zeroize, Zeroizing};

use super::limits::SECRET_SLOT_BYTES_MAX;

/// Sizes of slots, in bytes: keys and hashes, two of them, small state, containers, a KEM's decapsulation key.
const CLASSES: [usize; 6] = [32, 64, 128, 256, 1024, SECRET_SLOT_BYTES_MAX];
/// What is cut at once into slots of one size, in bytes: a page, so that pages are touched when they are needed and not before.
const CUT_BYTES: usize = 4096;

static SLAB: Mutex<Slab> = Mutex::new(Slab::empty());

/// What kind of memory holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// memfd_secret(2): taken out of the kernel's own map, so that no other process and no kernel interface reads it.
    Secretmem,
    /// Locked: not swapped, not in a core file; root can read it.
    Locked,
    /// The heap: wiped when dropped, no more.
    Heap,
}

impl MemoryKind {
    /// As `status` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secretmem => "secretmem",
            Self::Locked => "mlock",
            Self::Heap => "heap",
        }
    }
}

/// How the memory of secrets is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFacts {
    /// Of which kind it is.
    pub kind: MemoryKind,
    /// Size of the pages, in bytes; they are taken from the system only as they are cut.
    pub bytes: usize,
    /// Bytes at the beginning that are cut into slots: all that may hold a secret.
    pub cut_bytes: usize,
    /// Slots that hold a secret.
    pub slots_used: usize,
    /// Secrets that had to go to the heap since [`install`]: no slot was left, or they are longer than the longest slot.
    pub overflow: u64,
}

/// Gives the process the pages for its secrets; those that exist stay where they are. Before the first secret is read, and once:
/// false if there are pages already, and the new ones are not used.
pub fn install(pages: &'static mut [u8], kind: MemoryKind) -> bool {
    slab().install(pages, kind)
}

/// What is in force.
pub fn memory_facts() -> MemoryFacts {
    slab().facts()
}

/// After a fork, in the process that is not to have the secrets: those that it still holds are dropped without a look at their
/// slots, which are the other's, and no slot is given out any more.
pub fn leave() {
    slab().is_left = true;
}

/// A panic elsewhere leaves the slab whole: no step of it can be seen half done.
fn slab() -> MutexGuard<'static, Slab> {
    SLAB.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of one secret, in a slot or on the heap; wiped when dropped.
pub(super) enum Held {
    /// The slot, and how many bytes of it are the secret's.
    Slot(&'static mut [u8], usize),
    Heap(Zeroizing<Vec<u8>>),
}

impl Held {
    /// `len` bytes of zero.
    pub(super) fn zeroed(len: usize) -> Self {
        // Not in the match: the lock is given back before the heap is asked.
        let slot = slab().take(len);
        slot.map_or_else(|| Self::Heap(Zeroizing::new(vec![0; len])), |slot| Self::Slot(slot, len))
    }

    /// Takes the bytes over and wipes the caller's.
    pub(super) fn taking(mut bytes: Vec<u8>) -> Self {
        let slot = slab().take(bytes.len());
        let Some(slot) = slot else { return Self::Heap(Zeroizing::new(bytes)) };
        let mut held = Self::Slot(slot, bytes.len());
        held.bytes_mut().copy_from_slice(&bytes);
        bytes.zeroize();
        held
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Slot(slot, len) => slot.get(..*len).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Slot(slot, len) => slot.get_mut(..*len).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The heap wipes itself.
        if let Self::Slot(slot, len) = self {
            if slab().is_left {
                return;
            }
            if let Some(secret) = slot.get_mut(..*len) {
                secret.zeroize();
            }
            slab().give(mem::take(slot));
        }
    }
}

/// Pages, cut into slots from their beginning.
struct Slab {
    kind: MemoryKind,
    bytes: usize,
    uncut: &'static mut [u8],
    /// Wiped slots, one list for each of [`CLASSES`]. Bounded by the pages.
    free: [Vec<&'static mut [u8]>; CLASSES.len()],
    slots_used: usize,
    overflow: u64,
    /// The pages are another process's.
    is_left: bool,
}

impl Slab {
    const fn empty() -> Self {
        Self {
            kind: MemoryKind::Heap,
            bytes: 0,
            uncut: &mut [],
            free: [const { Vec::new() }; CLASSES.len()],
            slots_used: 0,
            overflow: 0,
            is_left: false,
        }
    }

    fn install(&mut self, pages: &'static mut [u8], kind: MemoryKind) -> bool {
        if self.bytes > 0 {
            return false;
        }
        (self.kind, self.bytes, self.uncut) = (kind, pages.len(), pages);
        true
    }

    fn facts(&self) -> MemoryFacts {
        MemoryFacts {
            kind: self.kind,
            bytes: self.bytes,
            cut_bytes: self.bytes - self.uncut.len(),
            slots_used: self.slots_used,
            overflow: self.overflow,
        }
    }

    /// A wiped slot of at least `len` bytes; `None` without pages, when they are used up, and for what is longer than any slot.
    fn take(&mut self, len: usize) -> Option<&'static mut [u8]> {
        if self.bytes == 0 || len == 0 || self.is_left {
            return None;
        }
        let slot = self.slot(len);
        match slot {
            Some(_) => self.slots_used += 1,
            None => self.overflow += 1,
        }
        slot
    }

    fn slot(&mut self, len: usize) -> Option<&'static mut [u8]> {
        let (size, free) = CLASSES.iter().zip(&mut self.free).find(|(size, _)| len <= **size)?;
        if free.is_empty() {
            let (page, rest) = mem::take(&mut self.uncut).split_at_mut_checked(CUT_BYTES).unwrap_or_default();
            self.uncut = rest;
            free.extend(page.chunks_exact_mut(*size));
        }
        free.pop()
    }

    /// Takes a wiped slot back.
    fn give(&mut self, slot: &'static mut [u8]) {
        self.slots_used -= 1;
        if let Some((_, free)) = CLASSES.iter().zip(&mut self.free).find(|(size, _)| slot.len() == **size) {
            free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slab_of(pages: usize) -> Slab {
        let mut slab = Slab::empty();
        assert!(slab.install(vec![0; pages * CUT_BYTES].leak(), MemoryKind::Locked));
        slab
    }

    #[test]
    fn a_slot_is_as_long_as_asked_and_comes_again() {
        let mut slab = slab_of(CLASSES.len());
        for len in [1, 32, 33, 64, 96, 129, 1024, 1025, SECRET_SLOT_BYTES_MAX] {
            let slot = slab.take(len).unwrap();
            assert!(slot.len() >= len);
            let first = slot.as_ptr();
            slab.give(slot);
            let again = slab.take(len).unwrap();
            assert_eq!(again.as_ptr(), first);
            slab.give(again);
        }
        assert_eq!((slab.facts().slots_used, slab.facts().overflow), (0, 0));
    }

    #[test]
    fn a_full_slab_says_no_and_counts_until_a_slot_comes_back() {
        let mut slab = slab_of(1);
        let mut taken: Vec<_> = (0..CUT_BYTES / 32).map(|_| slab.take(32).unwrap()).collect();
        assert!(slab.take(32).is_none() && slab.take(64).is_none() && slab.take(SECRET_SLOT_BYTES_MAX + 1).is_none());
        assert_eq!((slab.facts().slots_used, slab.facts().overflow, slab.facts().cut_bytes), (128, 3, CUT_BYTES));
        slab.give(taken.pop().unwrap());
        assert!(slab.take(20).is_some());
    }

    #[test]
    fn slots_do_not_overlap() {
        let mut slab = slab_of(8);
        let mut taken: Vec<_> = (0..200).filter_map(|at| slab.take(1 + at * 7 % 300)).collect();
        for (slot, mark) in taken.iter_mut().zip(0_u8..) {
            slot.fill(mark);
        }
        for (slot, mark) in taken.iter().zip(0_u8..) {
            assert!(slot.iter().all(|byte| *byte == mark));
        }
    }

    #[test]
    fn without_pages_nothing_is_counted_and_pages_come_once() {
        let mut slab = Slab::empty();
        assert!(slab.take(32).is_none());
        assert_eq!(slab.facts().overflow, 0);
        assert!(slab.install(vec![0; CUT_BYTES].leak(), MemoryKind::Secretmem));
        assert!(!slab.install(vec![0; CUT_BYTES].leak(), MemoryKind::Locked));
        assert_eq!(slab.facts().kind, MemoryKind::Secretmem);
    }

    #[test]
    fn a_dropped_secret_leaves_a_wiped_slot() {
        install(vec![0; CUT_BYTES * 512].leak(), MemoryKind::Locked);
        // Other tests take slots as well: what comes out next must be clean whoever had it.
        for _ in 0..100 {
            let mut held = Held::taking(vec![0xa7; 200]);
            assert!(matches!(held, Held::Slot(..)) && held.bytes() == [0xa7; 200]);
            held.bytes_mut().fill(0xa8);
            drop(held);
            assert!(Held::zeroed(256).bytes().iter().all(|byte| *byte == 0));
        }
    }
}
