//! The ratchet state of one peer: what completed handshakes left behind, to be mixed into the next one (PROTOCOL 2.7).

use std::collections::{BTreeSet, VecDeque};

use super::state_file::{FileKind, FileState, unwrap, wrap};
use crate::types::limits::RATCHET_UNCONFIRMED_MAX;
use crate::types::policy::RatchetPolicy;
use crate::types::secret::{Secret, SecretBytes};
use crate::types::terms::Role;
use crate::types::time::UnixTime;
use crate::wire::terms::RatchetId;

/// Entries a store can hold: what payload1 can offer fits four.
const ENTRIES_MAX: usize = 1 + RATCHET_UNCONFIRMED_MAX;
/// Bytes of one entry in the file: id 8, when 8, role 1, zero 7, rs 32.
const ENTRY_BYTES: usize = 56;
/// Bytes of the file's content: open 1, confirmed 1, count 1, zero 5, then room for all entries.
const CONTENT_BYTES: usize = 8 + ENTRIES_MAX * ENTRY_BYTES;

/// What one completed full handshake leaves.
pub struct RatchetEntry {
    /// Its name.
    pub id: RatchetId,
    /// The secret that the next handshake mixes.
    pub rs: Secret<32>,
    /// When, for reports only.
    pub when: UnixTime,
    /// This end's role in that handshake, for reports only.
    pub role: Role,
}

/// One confirmed entry and the two newest unconfirmed, in the order stored.
///
/// Every change must be on disk before the peer can start relying on it: [`to_bytes`](Self::to_bytes) after
/// [`store`](Self::store), [`confirm`](Self::confirm) and [`seeded_with`](Self::seeded_with).
pub struct RatchetStore {
    file: FileState,
    /// No entry was ever confirmed: under `require` one handshake without ratchet is accepted.
    open: bool,
    confirmed: Option<RatchetEntry>,
    unconfirmed: VecDeque<RatchetEntry>,
    /// Of these the write has not ended: a restart would not have them, so they seed nothing.
    unwritten: BTreeSet<RatchetId>,
}

impl RatchetStore {
    /// No file: a new peer, or `plait ratchet reset`.
    pub fn absent() -> Self {
        Self {
            file: FileState::Absent,
            open: true,
            confirmed: None,
            unconfirmed: VecDeque::new(),
            unwritten: BTreeSet::new(),
        }
    }

    /// A file that cannot be read: no entries, and not open, because an attacker could have damaged it.
    pub fn damaged() -> Self {
        Self { file: FileState::Damaged, open: false, ..Self::absent() }
    }

    /// From what is on disk; never fails, see [`file_state`](Self::file_state).
    pub fn from_file(bytes: Option<&[u8]>) -> Self {
        bytes.map_or_else(Self::absent, |bytes| Self::parse(bytes).unwrap_or_else(Self::damaged))
    }

    /// What was on disk when this store was made.
    pub fn file_state(&self) -> FileState {
        self.file
    }

    /// The policy as payload byte 3 carries it: *require* is *open* until an entry is confirmed after a reset.
    pub fn wire_policy(&self, configured: RatchetPolicy) -> RatchetPolicy {
        match configured {
            RatchetPolicy::Off | RatchetPolicy::Prefer => configured,
            RatchetPolicy::Require | RatchetPolicy::RequireOpen if self.open => RatchetPolicy::RequireOpen,
            RatchetPolicy::Require | RatchetPolicy::RequireOpen => RatchetPolicy::Require,
        }
    }

    /// All entries that are on disk, newest first, as the initiator offers them.
    pub fn offers(&self) -> Vec<(RatchetId, &Secret<32>)> {
        self.written().map(|entry| (entry.id, &entry.rs)).collect()
    }

    /// The responder's choice: its own newest on disk that is offered.
    pub fn select(&self, offered: &[RatchetId]) -> Option<(RatchetId, &Secret<32>)> {
        let chosen = self.written().find(|entry| offered.contains(&entry.id))?;
        Some((chosen.id, &chosen.rs))
    }

    /// The secret of an entry by its name.
    pub fn secret(&self, id: RatchetId) -> Option<&Secret<32>> {
        self.newest_first().find(|entry| entry.id == id).map(|entry| &entry.rs)
    }

    /// Whether the entry is there.
    pub fn has(&self, id: RatchetId) -> bool {
        self.secret(id).is_some()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.newest_first().next().is_none()
    }

    /// Name of the confirmed entry.
    pub fn confirmed(&self) -> Option<RatchetId> {
        self.confirmed.as_ref().map(|entry| entry.id)
    }

    /// Entries, newest first, for reports.
    pub fn newest_first(&self) -> impl Iterator<Item = &RatchetEntry> {
        self.unconfirmed.iter().rev().chain(&self.confirmed)
    }

    fn written(&self) -> impl Iterator<Item = &RatchetEntry> {
        self.newest_first().filter(|entry| !self.unwritten.contains(&entry.id))
    }

    /// A handshake was seeded with this entry: at R when p3 opens, at I when p4 opens, before the new entry is stored.
    /// As [`confirm`](Self::confirm).
    pub fn seeded_with(&mut self, id: RatchetId) -> Vec<RatchetId> {
        self.confirm(id)
    }

    /// Stores the entry of a completed handshake as the newest unconfirmed. Gives the names of unconfirmed entries
    /// that it displaced: their unconfirmed sessions are to be dropped with them.
    pub fn store(&mut self, entry: RatchetEntry) -> Vec<RatchetId> {
        if self.has(entry.id) {
            return Vec::new();
        }
        self.unconfirmed.push_back(entry);
        let surplus = self.unconfirmed.len().saturating_sub(RATCHET_UNCONFIRMED_MAX);
        self.unconfirmed.drain(..surplus).map(|displaced| displaced.id).collect()
    }

    /// As [`store`](Self::store), while the entry's write is under way: it is offered and chosen when
    /// [`wrote`](Self::wrote) says that it has ended.
    pub fn store_unwritten(&mut self, entry: RatchetEntry) -> Vec<RatchetId> {
        if !self.has(entry.id) {
            self.unwritten.insert(entry.id);
        }
        let displaced = self.store(entry);
        self.unwritten.retain(|id| !displaced.contains(id));
        displaced
    }

    /// The entry may be relied on.
    pub fn wrote(&mut self, id: RatchetId) {
        self.unwritten.remove(&id);
    }

    /// Whether the entry's write is under way.
    pub fn is_unwritten(&self, id: RatchetId) -> bool {
        self.unwritten.contains(&id)
    }

    /// The newest entry could not be written: it is as if it had not been stored, because the disk's copy, which has all
    /// that is left here, is what a restart goes on from. Without effect on a confirmed entry.
    pub fn forget(&mut self, id: RatchetId) {
        self.unconfirmed.retain(|entry| entry.id != id);
        self.unwritten.remove(&id);
    }

    /// Confirms an entry: what was stored earlier is erased, what was stored later stays. Gives the names of the
    /// unconfirmed entries erased: their unconfirmed sessions are to be dropped with them. Without effect on the
    /// confirmed entry and on names not in the store.
    pub fn confirm(&mut self, id: RatchetId) -> Vec<RatchetId> {
        let Some(at) = self.unconfirmed.iter().position(|entry| entry.id == id) else { return Vec::new() };
        let mut erased: Vec<RatchetEntry> = self.unconfirmed.drain(..=at).collect();
        self.confirmed = erased.pop();
        self.open = false;
        let erased: Vec<RatchetId> = erased.into_iter().map(|entry| entry.id).collect();
        self.unwritten.retain(|id| !erased.contains(id));
        erased
    }

    /// The file's content.
    pub fn to_bytes(&self) -> SecretBytes {
        let content = Secret::<CONTENT_BYTES>::filled(|out| {
            let entries: Vec<&RatchetEntry> = self.confirmed.iter().chain(&self.unconfirmed).collect();
            let (head, room) = out.split_at_mut(8);
            let flags = [u8::from(self.open), u8::from(self.confirmed.is_some()), entries.len() as u8];
            head.iter_mut().zip(flags).for_each(|(byte, flag)| *byte = flag);
            for (out, entry) in room.chunks_exact_mut(ENTRY_BYTES).zip(entries) {
                entry.write(out);
            }
        });
        SecretBytes::new(wrap(FileKind::Ratchet, content.expose()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let content = unwrap(FileKind::Ratchet, bytes).filter(|content| content.len() == CONTENT_BYTES)?;
        let (head, room) = content.split_at_checked(8)?;
        let &[open @ 0..=1, confirmed @ 0..=1, count, 0, 0, 0, 0, 0] = head else { return None };
        let count = usize::from(count);
        if count > RATCHET_UNCONFIRMED_MAX + usize::from(confirmed) || count < usize::from(confirmed) {
            return None;
        }
        let entries = room.chunks_exact(ENTRY_BYTES).take(count).map(RatchetEntry::parse);
        let mut unconfirmed = entries.collect::<Option<VecDeque<_>>>()?;
        let confirmed = if confirmed == 1 { unconfirmed.pop_front() } else { None };
        Some(Self { file: FileState::Present, open: open == 1, confirmed, unconfirmed, unwritten: BTreeSet::new() })
    }
}

impl RatchetEntry {
    fn write(&self, out: &mut [u8]) {
        let role = match self.role {
            Role::Initiator => 0,
            Role::Responder => 1,
        };
        let fields: [&[u8]; 5] = [&self.id, &self.when.0.to_be_bytes(), &[role], &[0; 7], self.rs.expose()];
        let bytes = fields.into_iter().flatten();
        out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = *byte);
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<8>()?;
        let (when, rest) = rest.split_first_chunk::<8>()?;
        let (&[role, zero @ ..], rs) = rest.split_first_chunk::<8>()?;
        let role = match role {
            0 => Role::Initiator,
            1 => Role::Responder,
            _ => return None,
        };
        if zero != [0; 7] {
            return None;
        }
        Some(Self { id: *id, rs: Secret::from_slice(rs)?, when: UnixTime(u64::from_be_bytes(*when)), role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u8) -> RatchetEntry {
        RatchetEntry { id: [n; 8], rs: Secret::take(&mut [n; 32]), when: UnixTime(7), role: Role::Responder }
    }

    fn ids(store: &RatchetStore) -> Vec<u8> {
        store.newest_first().map(|entry| entry.id[0]).collect()
    }

    fn with(numbers: &[u8]) -> RatchetStore {
        let mut store = RatchetStore::absent();
        for &n in numbers {
            store.store(entry(n));
        }
        store
    }

    #[test]
    fn an_entry_that_was_not_written_is_forgotten_unless_it_is_confirmed() {
        let mut store = RatchetStore::absent();
        for n in 1..=3 {
            store.store(entry(n));
            if n == 1 {
                store.confirm(entry(1).id);
            }
        }
        store.forget(entry(3).id);
        store.forget(entry(1).id);
        store.forget(entry(9).id);
        let left: Vec<_> = store.newest_first().map(|entry| entry.id).collect();
        assert_eq!(left, [entry(2).id, entry(1).id]);
    }

    #[test]
    fn an_entry_whose_write_is_under_way_is_neither_offered_nor_chosen() {
        let mut store = with(&[1]);
        store.confirm([1; 8]);
        store.store_unwritten(entry(2));
        let offered = |store: &RatchetStore| store.offers().iter().map(|(id, _)| id[0]).collect::<Vec<_>>();
        let chosen = |store: &RatchetStore| store.select(&[[1; 8], [2; 8]]).map(|(id, _)| id[0]);
        assert_eq!((offered(&store), chosen(&store), ids(&store)), (vec![1], Some(1), vec![2, 1]));
        assert!(store.is_unwritten([2; 8]));
        store.wrote([2; 8]);
        assert_eq!((offered(&store), chosen(&store)), (vec![2, 1], Some(2)));
        store.store_unwritten(entry(3));
        store.forget([3; 8]);
        assert!(!store.is_unwritten([3; 8]) && ids(&store) == [2, 1]);
    }

    #[test]
    fn only_the_two_newest_unconfirmed_stay_and_the_displaced_is_named() {
        let mut store = with(&[1, 2]);
        assert_eq!(store.store(entry(3)), vec![[1; 8]]);
        assert_eq!(ids(&store), [3, 2]);
    }

    #[test]
    fn the_confirmed_entry_is_never_displaced() {
        let mut store = with(&[1]);
        store.confirm([1; 8]);
        for n in 2..9 {
            store.store(entry(n));
        }
        assert_eq!(ids(&store), [8, 7, 1]);
    }

    #[test]
    fn confirming_erases_what_was_stored_earlier_and_keeps_what_was_stored_later() {
        let mut store = with(&[1]);
        store.confirm([1; 8]);
        store.store(entry(2));
        store.store(entry(3));
        assert_eq!(store.confirm([2; 8]), Vec::<RatchetId>::new(), "the confirmed one has no unconfirmed session");
        assert_eq!((ids(&store), store.confirmed()), (vec![3, 2], Some([2; 8])));
        store.store(entry(4));
        assert_eq!(store.confirm([4; 8]), vec![[3; 8]]);
        assert_eq!(ids(&store), [4]);
    }

    #[test]
    fn confirming_an_unknown_or_the_confirmed_entry_changes_nothing() {
        let mut store = with(&[1, 2]);
        assert!(store.confirm([9; 8]).is_empty());
        assert_eq!((ids(&store), store.confirmed()), (vec![2, 1], None));
        store.confirm([1; 8]);
        assert!(store.seeded_with([1; 8]).is_empty());
        assert_eq!((ids(&store), store.confirmed()), (vec![2, 1], Some([1; 8])));
    }

    #[test]
    fn the_responder_takes_its_own_newest_that_is_offered() {
        let store = with(&[1, 2]);
        assert_eq!(store.select(&[[1; 8], [2; 8]]).map(|(id, _)| id), Some([2; 8]));
        assert_eq!(store.select(&[[7; 8], [1; 8], [0; 8]]).map(|(id, _)| id), Some([1; 8]));
        assert!(store.select(&[[0; 8]; 4]).is_none());
        assert_eq!(store.offers().iter().map(|(id, _)| id[0]).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn require_is_open_from_a_reset_until_an_entry_is_confirmed_also_over_a_restart() {
        let mut store = RatchetStore::from_file(None);
        assert_eq!(store.wire_policy(RatchetPolicy::Require), RatchetPolicy::RequireOpen);
        store.store(entry(1));
        let mut again = RatchetStore::from_file(Some(store.to_bytes().expose()));
        assert_eq!(again.file_state(), FileState::Present);
        assert_eq!(again.wire_policy(RatchetPolicy::Require), RatchetPolicy::RequireOpen);
        again.confirm([1; 8]);
        assert_eq!(again.wire_policy(RatchetPolicy::Require), RatchetPolicy::Require);
        let last = RatchetStore::from_file(Some(again.to_bytes().expose()));
        assert_eq!(last.wire_policy(RatchetPolicy::Require), RatchetPolicy::Require);
    }

    #[test]
    fn a_damaged_file_requires_without_entries() {
        let mut bytes = with(&[1]).to_bytes().expose().to_vec();
        bytes[20] ^= 1;
        for bad in [bytes.as_slice(), b""] {
            let mut store = RatchetStore::from_file(Some(bad));
            assert_eq!(store.file_state(), FileState::Damaged);
            assert!(store.offers().is_empty());
            assert_eq!(store.wire_policy(RatchetPolicy::Require), RatchetPolicy::Require);
            assert_eq!(store.wire_policy(RatchetPolicy::Prefer), RatchetPolicy::Prefer);
            store.store(entry(2));
            let store = RatchetStore::from_file(Some(store.to_bytes().expose()));
            assert_eq!(store.wire_policy(RatchetPolicy::Require), RatchetPolicy::Require, "writing does not open it");
        }
    }

    #[test]
    fn a_well_summed_file_with_impossible_content_is_damaged() {
        let good = with(&[1, 2]).to_bytes().expose().to_vec();
        let content = good[8..8 + CONTENT_BYTES].to_vec();
        for (at, value) in [(0, 2), (1, 2), (2, 3), (2, 4), (3, 1), (7, 1), (8 + 16, 2), (8 + 17, 1)] {
            let mut content = content.clone();
            content[at] = value;
            let store = RatchetStore::from_file(Some(&wrap(FileKind::Ratchet, &content)));
            assert_eq!(store.file_state(), FileState::Damaged, "byte {at} = {value}");
        }
        let empty_confirmed =
            RatchetStore::from_file(Some(&wrap(FileKind::Ratchet, &[[0, 1].as_slice(), &content[2..]].concat())));
        assert_eq!(empty_confirmed.file_state(), FileState::Present, "one confirmed, one unconfirmed is possible");
        let short = RatchetStore::from_file(Some(&wrap(FileKind::Ratchet, &content[1..])));
        assert_eq!(short.file_state(), FileState::Damaged);
    }

    #[test]
    fn the_file_brings_back_every_field_in_order() {
        let mut store = with(&[1, 2]);
        store.confirm([1; 8]);
        store.store(entry(3));
        let again = RatchetStore::from_file(Some(store.to_bytes().expose()));
        assert_eq!((ids(&again), again.confirmed()), (vec![3, 2, 1], Some([1; 8])));
        for (a, b) in store.newest_first().zip(again.newest_first()) {
            assert!(a.rs.ct_eq(&b.rs) && a.when == b.when && a.role == b.role);
        }
    }

    #[test]
    fn an_entry_that_is_erased_is_no_more_under_way() {
        let mut store = RatchetStore::absent();
        store.store_unwritten(entry(1));
        store.store_unwritten(entry(2));
        assert_eq!(store.confirm([2; 8]), vec![[1; 8]]);
        assert_eq!((store.is_unwritten([1; 8]), store.is_unwritten([2; 8])), (false, true));
    }

    #[test]
    fn an_entry_is_found_by_its_name() {
        let store = with(&[1]);
        assert!(store.secret([1; 8]).is_some_and(|secret| secret.ct_eq(&entry(1).rs)) && store.has([1; 8]));
        assert!(store.secret([2; 8]).is_none() && !store.has([2; 8]));
        assert!(!store.is_empty() && RatchetStore::absent().is_empty());
    }

    #[test]
    fn being_seeded_with_an_entry_confirms_it() {
        let mut store = with(&[1, 2]);
        assert_eq!((store.seeded_with([2; 8]), store.confirmed()), (vec![[1; 8]], Some([2; 8])));
    }

    #[test]
    fn the_confirmed_entry_alone_comes_back_with_its_role() {
        let mut store = RatchetStore::absent();
        store.store(RatchetEntry { role: Role::Initiator, ..entry(1) });
        store.confirm([1; 8]);
        let bytes = store.to_bytes().expose().to_vec();
        let again = RatchetStore::from_file(Some(&bytes));
        let roles: Vec<_> = again.newest_first().map(|entry| entry.role).collect();
        assert_eq!((again.confirmed(), roles), (Some([1; 8]), vec![Role::Initiator]));
        // A confirmed entry among none.
        let mut content = bytes[8..8 + CONTENT_BYTES].to_vec();
        content[2] = 0;
        let none = RatchetStore::from_file(Some(&wrap(FileKind::Ratchet, &content)));
        assert_eq!(none.file_state(), FileState::Damaged);
    }

    #[test]
    fn a_store_without_entries_comes_back() {
        let again = RatchetStore::from_file(Some(RatchetStore::absent().to_bytes().expose()));
        assert_eq!((again.file_state(), again.is_empty()), (FileState::Present, true));
    }
}
