//! A site's disk: writes take time, end in order, may be refused, and are old or new after a crash, never torn.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::draw::{Draw, MILLION};
use crate::engine::output::{StateFile, StoreId};

/// Peer and file.
pub(super) type Name = (u16, StateFile);

/// What a disk does with writes at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskMood {
    Good,
    Refuses,
    /// Ends none before its bad time is over; at a crash they are lost.
    Hangs,
}

struct Write {
    id: StoreId,
    name: Name,
    bytes: Vec<u8>,
}

/// Files, and writes that are under way.
pub(super) struct Disk {
    files: BTreeMap<Name, Vec<u8>>,
    /// As they were long ago.
    backup: BTreeMap<Name, Vec<u8>>,
    under_way: VecDeque<Write>,
    last_due: Duration,
    mood: DiskMood,
    bad_until: Duration,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            backup: BTreeMap::new(),
            under_way: VecDeque::new(),
            last_due: Duration::ZERO,
            mood: DiskMood::Good,
            bad_until: Duration::ZERO,
        }
    }

    /// Takes a write; says when it ends: after all before it, and not within the time that a disk hangs.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        takes: Duration,
        id: StoreId,
        name: Name,
        bytes: Vec<u8>,
    ) -> Duration {
        self.look(now);
        self.under_way.push_back(Write { id, name, bytes });
        let free = if self.mood == DiskMood::Hangs { self.bad_until } else { now };
        self.last_due = self.last_due.max(free + takes);
        self.last_due
    }

    /// From now on, until then.
    pub(super) fn set_mood(&mut self, mood: DiskMood, until: Duration) {
        (self.mood, self.bad_until) = (mood, until);
    }

    /// It is good from now on: what hung can end. Gives the writes under way, in their order.
    pub(super) fn heal(&mut self, now: Duration) -> Vec<StoreId> {
        self.set_mood(DiskMood::Good, now);
        self.last_due = now;
        self.under_way.iter().map(|write| write.id).collect()
    }

    /// It is good again when its bad time is over.
    fn look(&mut self, now: Duration) {
        if now >= self.bad_until {
            self.mood = DiskMood::Good;
        }
    }

    /// The write ends: whether it succeeded. `None` if it was lost in a crash.
    pub(super) fn end(&mut self, now: Duration, id: StoreId) -> Option<bool> {
        self.look(now);
        let at = self.under_way.iter().position(|write| write.id == id)?;
        let write = self.under_way.remove(at)?;
        let ok = self.mood != DiskMood::Refuses;
        if ok {
            self.put(write.name, write.bytes);
        }
        Some(ok)
    }

    fn put(&mut self, name: Name, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.files.remove(&name);
        } else {
            self.files.insert(name, bytes);
        }
    }

    /// Power goes: the first so many writes under way had reached the disk, the others had not.
    pub(super) fn crash(&mut self, now: Duration, draw: &mut Draw) {
        self.look(now);
        let reached = if self.mood == DiskMood::Good { draw.below(self.under_way.len() as u64 + 1) } else { 0 };
        for _ in 0..reached {
            if let Some(write) = self.under_way.pop_front() {
                self.put(write.name, write.bytes);
            }
        }
        self.under_way.clear();
        self.last_due = now;
    }

    /// Keeps a copy of everything, for [`roll_back`](Self::roll_back).
    pub(super) fn back_up(&mut self) {
        self.backup = self.files.clone();
    }

    /// Files are as they were at the copy, or one of them has a flipped bit, or is cut, or gone.
    pub(super) fn roll_back(&mut self, draw: &mut Draw) {
        if draw.hits(MILLION / 2) {
            self.files = self.backup.clone();
            return;
        }
        let names: Vec<Name> = self.files.keys().copied().collect();
        let Some(name) = names.get(draw.below(names.len() as u64) as usize) else { return };
        let Some(bytes) = self.files.get_mut(name) else { return };
        match draw.below(3) {
            0 => bytes.truncate(draw.below(bytes.len() as u64) as usize),
            1 => {
                let bit = draw.below(bytes.len() as u64 * 8) as usize;
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            _ => bytes.clear(),
        }
    }

    /// The content of a file.
    pub(super) fn read(&self, name: Name) -> Option<Vec<u8>> {
        self.files.get(&name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = (0, StateFile::Clock);

    #[test]
    fn writes_end_in_order_and_a_crash_leaves_old_or_new() {
        let mut disk = Disk::new();
        let ms = Duration::from_millis;
        assert_eq!(disk.begin(ms(0), ms(50), StoreId(1), NAME, vec![1]), ms(50));
        assert_eq!(disk.begin(ms(10), ms(5), StoreId(2), NAME, vec![2]), ms(50), "not before the first");
        assert_eq!((disk.end(ms(50), StoreId(1)), disk.read(NAME)), (Some(true), Some(vec![1])));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut disk = Disk::new();
            disk.begin(ms(0), ms(50), StoreId(1), NAME, vec![1]);
            disk.begin(ms(0), ms(50), StoreId(2), NAME, vec![2]);
            disk.crash(ms(20), &mut Draw::new(seed, "test"));
            assert_eq!(disk.end(ms(50), StoreId(2)), None);
            seen.insert(disk.read(NAME));
        }
        assert_eq!(seen, [None, Some(vec![1]), Some(vec![2])].into());
    }

    #[test]
    fn a_refused_write_changes_nothing_and_one_that_hangs_ends_late_or_in_a_crash() {
        let mut disk = Disk::new();
        let ms = Duration::from_millis;
        disk.set_mood(DiskMood::Refuses, ms(100));
        disk.begin(ms(0), ms(0), StoreId(1), NAME, vec![1]);
        assert_eq!((disk.end(ms(99), StoreId(1)), disk.read(NAME)), (Some(false), None));
        disk.set_mood(DiskMood::Hangs, ms(300));
        assert_eq!(disk.begin(ms(200), ms(5), StoreId(2), NAME, vec![1]), ms(305));
        disk.crash(ms(250), &mut Draw::new(1, "test"));
        assert_eq!(disk.read(NAME), None);
        assert_eq!(disk.begin(ms(400), ms(5), StoreId(3), NAME, vec![1]), ms(405), "good again");
    }

    #[test]
    fn a_roll_back_gives_old_or_damaged_files() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut disk = Disk::new();
            disk.put(NAME, vec![1, 2]);
            disk.back_up();
            disk.put(NAME, vec![3, 4]);
            disk.roll_back(&mut Draw::new(seed, "test"));
            seen.insert(disk.read(NAME));
        }
        assert!(seen.contains(&Some(vec![1, 2])) && seen.contains(&Some(vec![])) && seen.contains(&Some(vec![3])));
        assert!(!seen.contains(&Some(vec![3, 4])));
    }
}
