//! The responder's table of unfinished I1, bounded for each sender and in all (PROTOCOL 2.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::cookie::Cookie;
use super::parts::Parts;
use super::refusal::Refusal;
use super::source::SourcePrefix;
use crate::types::limits::{REASSEMBLY_LIFE, REASSEMBLY_MAX, REASSEMBLY_PER_SOURCE_MAX, REASSEMBLY_RESERVED};
use crate::types::policy::Suite;
use crate::types::time::Instant;
use crate::wire::handshake::{HandshakeDatagram, MessageType};

/// A whole I1: every part had a good mac1 and the same good cookie. Nothing of it has been read.
#[derive(Clone, Debug)]
pub struct WholeI1 {
    /// The body.
    pub body: Vec<u8>,
    /// The cookie of all its parts: it enters the transcript.
    pub cookie: Cookie,
    /// The initiator's handshake index.
    pub sender: u32,
    /// Of all its parts.
    pub message_id: u32,
    /// Where it came from.
    pub from: SocketAddr,
}

/// Source address, sender index, message id.
type Key = (SocketAddr, u32, u32);

struct Unfinished {
    parts: Parts,
    cookie: Cookie,
    is_known: bool,
    since: Instant,
    /// Tells entries of one instant apart by their order.
    number: u64,
}

/// Unfinished I1 whose fragments passed the cookie gate.
pub struct I1Reassembly {
    suite: Suite,
    entries: BTreeMap<Key, Unfinished>,
    next_number: u64,
}

impl I1Reassembly {
    /// An empty table for I1 of this suite.
    pub fn new(suite: Suite) -> Self {
        Self { suite, entries: BTreeMap::new(), next_number: 0 }
    }

    /// Takes a fragment that the gate let pass with this cookie; gives the whole message with its last part, and then
    /// keeps nothing of it. `is_known`: a configured or last authenticated peer address.
    pub fn insert(
        &mut self,
        now: Instant,
        from: SocketAddr,
        is_known: bool,
        i1: &HandshakeDatagram<'_>,
        cookie: Cookie,
    ) -> Result<Option<WholeI1>, Refusal> {
        if i1.kind != MessageType::I1 {
            return Err(Refusal::Unexpected);
        }
        if !i1.fits(self.suite) {
            return Err(Refusal::Suite);
        }
        self.entries.retain(|_, entry| now.since(entry.since) <= REASSEMBLY_LIFE);
        let key = (from, i1.sender, i1.message_id);
        if !self.entries.contains_key(&key) {
            self.make_room(from, is_known);
            let (parts, number) = (Parts::new(i1), self.next_number);
            self.next_number += 1;
            self.entries.insert(key, Unfinished { parts, cookie, is_known, since: now, number });
        }
        let Some(entry) = self.entries.get_mut(&key) else { return Ok(None) };
        if entry.cookie != cookie {
            return Err(Refusal::Mac2);
        }
        entry.parts.insert(i1);
        let Some(body) = entry.parts.whole() else { return Ok(None) };
        self.entries.remove(&key);
        Ok(Some(WholeI1 { body, cookie, sender: i1.sender, message_id: i1.message_id, from }))
    }

    /// Number of unfinished messages.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the oldest of the source that would hold too many, and of the one that holds most when the table, or the
    /// part of it open to everyone, is full.
    fn make_room(&mut self, from: SocketAddr, is_known: bool) {
        let source = SourcePrefix::of(from);
        let own = self.entries.keys().filter(|(address, ..)| SourcePrefix::of(*address) == source).count();
        if own >= REASSEMBLY_PER_SOURCE_MAX {
            self.drop_oldest(|key, _| SourcePrefix::of(key.0) == source);
        }
        let unknown = self.entries.values().filter(|entry| !entry.is_known).count();
        if !is_known && unknown >= REASSEMBLY_MAX - REASSEMBLY_RESERVED {
            let greatest = self.greatest_source(|entry| !entry.is_known);
            self.drop_oldest(|key, entry| !entry.is_known && Some(SourcePrefix::of(key.0)) == greatest);
        }
        if self.entries.len() >= REASSEMBLY_MAX {
            let greatest = self.greatest_source(|_| true);
            self.drop_oldest(|key, _| Some(SourcePrefix::of(key.0)) == greatest);
        }
    }

    /// The source that holds most of the entries counted; of equals the one with the oldest entry.
    fn greatest_source(&self, counts: impl Fn(&Unfinished) -> bool) -> Option<SourcePrefix> {
        let mut held: BTreeMap<SourcePrefix, (usize, u64)> = BTreeMap::new();
        for (key, entry) in self.entries.iter().filter(|(_, entry)| counts(entry)) {
            let (count, oldest) = held.entry(SourcePrefix::of(key.0)).or_insert((0, u64::MAX));
            (*count, *oldest) = (*count + 1, entry.number.min(*oldest));
        }
        let greatest = held.into_iter().max_by_key(|(_, (count, oldest))| (*count, u64::MAX - oldest));
        greatest.map(|(source, _)| source)
    }

    fn drop_oldest(&mut self, may_go: impl Fn(&Key, &Unfinished) -> bool) {
        let candidates = self.entries.iter().filter(|(key, entry)| may_go(key, entry));
        if let Some(key) = candidates.min_by_key(|(_, entry)| entry.number).map(|(key, _)| *key) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::handshake::{Header, MAC_BYTES, cut};
    use std::time::Duration;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);
    const COOKIE: Cookie = Cookie([7; 16]);

    fn i1(message_id: u32) -> Vec<Vec<u8>> {
        let body: Vec<u8> = (0..MessageType::I1.body_bytes(Suite::MlKem1024)).map(|i| i as u8).collect();
        let mut parts = cut(&Header { kind: MessageType::I1, sender: 1, receiver: 0, message_id }, &body);
        parts.iter_mut().for_each(|part| part.resize(part.len() + 2 * MAC_BYTES, 0));
        parts
    }

    fn address(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    struct Table(I1Reassembly);

    impl Table {
        fn new() -> Self {
            Self(I1Reassembly::new(Suite::MlKem1024))
        }

        fn feed(&mut self, now: Instant, from: SocketAddr, is_known: bool, bytes: &[u8]) -> Option<WholeI1> {
            self.0.insert(now, from, is_known, &HandshakeDatagram::parse(bytes).unwrap(), COOKIE).unwrap()
        }

        /// Feeds the missing two parts of a message whose part 0 came before; whether that was still there.
        fn is_finished_by_rest(&mut self, from: SocketAddr, is_known: bool, message_id: u32) -> bool {
            let parts = i1(message_id);
            self.feed(NOW, from, is_known, &parts[1]);
            self.feed(NOW, from, is_known, &parts[2]).is_some()
        }
    }

    #[test]
    fn parts_of_another_cookie_suite_or_message_are_refused() {
        let (mut table, parts) = (Table::new(), i1(1));
        assert!(table.feed(NOW, address(1, 1), false, &parts[0]).is_none());
        let part = HandshakeDatagram::parse(&parts[1]).unwrap();
        let other = table.0.insert(NOW, address(1, 1), false, &part, Cookie([8; 16]));
        assert_eq!(other.err(), Some(Refusal::Mac2));
        assert!(table.is_finished_by_rest(address(1, 1), false, 1));
        assert!(table.0.is_empty());
        let mut other_suite = I1Reassembly::new(Suite::MlKem768);
        let last = HandshakeDatagram::parse(&parts[2]).unwrap();
        assert_eq!(other_suite.insert(NOW, address(1, 1), false, &last, COOKIE).err(), Some(Refusal::Suite));
        let r0 = [vec![2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], vec![0; 84]].concat();
        let r0 = HandshakeDatagram::parse(&r0).unwrap();
        assert_eq!(table.0.insert(NOW, address(1, 1), false, &r0, COOKIE).err(), Some(Refusal::Unexpected));
    }

    #[test]
    fn an_unfinished_message_lives_ten_seconds() {
        for (late, is_whole) in [(Duration::from_secs(10), true), (Duration::from_millis(10_001), false)] {
            let (mut table, parts) = (Table::new(), i1(1));
            table.feed(NOW, address(1, 1), false, &parts[0]);
            table.feed(NOW, address(1, 1), false, &parts[1]);
            assert_eq!(table.feed(NOW + late, address(1, 1), false, &parts[2]).is_some(), is_whole, "{late:?}");
        }
    }

    #[test]
    fn one_source_has_four_places_whatever_its_ports() {
        let mut table = Table::new();
        for id in 1..=5 {
            table.feed(NOW, address(1, id as u16), false, &i1(id)[0]);
        }
        assert_eq!(table.0.len(), REASSEMBLY_PER_SOURCE_MAX);
        assert!(table.is_finished_by_rest(address(1, 5), false, 5), "the newest is there");
        assert!(!table.is_finished_by_rest(address(1, 1), false, 1), "the oldest went");
    }

    #[test]
    fn a_flood_of_strangers_leaves_sixteen_places_to_known_addresses() {
        let mut table = Table::new();
        for host in 1..=100 {
            table.feed(NOW, address(host, 1), false, &i1(1)[0]);
        }
        assert_eq!(table.0.len(), REASSEMBLY_MAX - REASSEMBLY_RESERVED);
        for host in 101..=116 {
            table.feed(NOW, address(host, 1), true, &i1(1)[0]);
        }
        assert_eq!(table.0.len(), REASSEMBLY_MAX);
        for host in 120..=250 {
            table.feed(NOW, address(host, 1), false, &i1(1)[0]);
        }
        assert_eq!(table.0.len(), REASSEMBLY_MAX);
        assert!((101..=116).all(|host| table.is_finished_by_rest(address(host, 1), true, 1)));
    }

    #[test]
    fn when_full_the_source_that_holds_most_loses_its_oldest() {
        let mut table = Table::new();
        for host in 1..=45 {
            table.feed(NOW, address(host, 1), false, &i1(1)[0]);
        }
        for id in 1..=3 {
            table.feed(NOW, address(200, 1), false, &i1(id)[0]);
        }
        table.feed(NOW, address(201, 1), false, &i1(1)[0]);
        assert!((1..=45).all(|host| table.is_finished_by_rest(address(host, 1), false, 1)));
        assert!(table.is_finished_by_rest(address(200, 1), false, 2));
        assert!(!table.is_finished_by_rest(address(200, 1), false, 1), "it was the oldest of the three");
    }

    #[test]
    fn the_oldest_is_what_came_first_whatever_its_number() {
        let mut table = Table::new();
        for id in [5, 4, 3, 2, 1] {
            table.feed(NOW, address(1, 1), false, &i1(id)[0]);
        }
        assert!(!table.0.is_empty());
        assert!(table.is_finished_by_rest(address(1, 1), false, 1), "the newest is there");
        assert!(!table.is_finished_by_rest(address(1, 1), false, 5), "the oldest went");
    }

    #[test]
    fn a_known_address_takes_a_place_of_the_source_that_holds_most() {
        let mut table = Table::new();
        for host in 1..=60 {
            table.feed(NOW, address(host, 1), host > 48, &i1(1)[0]);
        }
        for id in 1..=4 {
            table.feed(NOW, address(100, 1), true, &i1(id)[0]);
        }
        assert_eq!(table.0.len(), REASSEMBLY_MAX);
        table.feed(NOW, address(101, 1), true, &i1(1)[0]);
        assert_eq!(table.0.len(), REASSEMBLY_MAX);
        assert!((1..=60).all(|host| table.is_finished_by_rest(address(host, 1), host > 48, 1)));
        assert!(table.is_finished_by_rest(address(100, 1), true, 2));
        assert!(!table.is_finished_by_rest(address(100, 1), true, 1), "it was the oldest of the four");
    }
}
