//! Which peer owns an inner address: longest prefix first, in a sorted table (PROTOCOL 2.9, crypto routing).
//!
//! Prefixes nest or are disjoint, so they cut the address space into intervals with one owner each. The table holds the
//! intervals' first addresses. The span of all of them is divided into equal parts, about one an interval, and a look-up
//! is a binary search in one part: where the prefixes are spread evenly, as those of sites are, its cost does not depend
//! on their number. 131 072 prefixes are at most 262 145 intervals.

use std::net::IpAddr;

use crate::types::id::PeerId;
use crate::types::prefix::Prefix;

/// Bits of the longest address.
const ADDRESS_BITS_MAX: u32 = 128;

/// Allowed IPs of all peers. Immutable: a change makes a new one.
#[derive(Default)]
pub struct Routes {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
}

impl Routes {
    /// Of two equal prefixes the one given last owns the range, as in wg(8); `check` refuses such a configuration.
    pub fn new(entries: impl IntoIterator<Item = (Prefix, PeerId)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, owner) in entries {
            match prefix.address() {
                IpAddr::V4(first) => {
                    let host_bits = 32 - u32::from(prefix.length());
                    let last = first.to_bits() | u32::MAX.checked_shr(32 - host_bits).unwrap_or(0);
                    v4.push(Owned { first: first.to_bits(), last, owner });
                }
                IpAddr::V6(first) => {
                    let host_bits = 128 - u32::from(prefix.length());
                    let last = first.to_bits() | u128::MAX.checked_shr(128 - host_bits).unwrap_or(0);
                    v6.push(Owned { first: first.to_bits(), last, owner });
                }
            }
        }
        Self {
            v4: Intervals::new(v4, |address| address.checked_add(1)),
            v6: Intervals::new(v6, |address| address.checked_add(1)),
        }
    }

    /// The owner of the longest prefix that holds the address.
    pub fn owner(&self, address: IpAddr) -> Option<PeerId> {
        match address {
            IpAddr::V4(v4) => self.v4.owner(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.owner(v6.to_bits()),
        }
    }
}

/// A prefix as the addresses from `first` to `last`, both included.
struct Owned<A> {
    first: A,
    last: A,
    owner: PeerId,
}

/// An address of either family.
trait Address: Ord + Copy {
    /// Which part of a span that begins at `start` and is divided every `2^shift` addresses; `start` is not later.
    fn part(self, start: Self, shift: u32) -> usize;
}

impl Address for u32 {
    fn part(self, start: Self, shift: u32) -> usize {
        (self - start).checked_shr(shift).unwrap_or(0) as usize
    }
}

impl Address for u128 {
    fn part(self, start: Self, shift: u32) -> usize {
        usize::try_from((self - start).checked_shr(shift).unwrap_or(0)).unwrap_or(usize::MAX)
    }
}

/// Disjoint intervals in order: interval `i` starts at `firsts[i]` and ends before the next one.
#[derive(Default)]
struct Intervals<A> {
    firsts: Vec<A>,
    owners: Vec<Option<PeerId>>,
    /// How many intervals start before each part of the span, and at the end all of them.
    parts: Vec<u32>,
    shift: u32,
}

impl<A: Address> Intervals<A> {
    /// Walks over the prefixes in order with those that are open as a stack: the innermost owns what comes.
    fn new(mut prefixes: Vec<Owned<A>>, after: fn(A) -> Option<A>) -> Self {
        // A covering prefix first, and of equal ones the last given innermost: the sort is stable.
        prefixes.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut intervals = Self { firsts: Vec::new(), owners: Vec::new(), parts: Vec::new(), shift: 0 };
        let mut open: Vec<Owned<A>> = Vec::new();
        for prefix in prefixes {
            intervals.close(&mut open, after, |last| last < prefix.first);
            intervals.begin(prefix.first, Some(prefix.owner));
            open.push(prefix);
        }
        intervals.close(&mut open, after, |_| true);
        intervals.divide();
        intervals
    }

    /// Divides the span: into as many parts as there are intervals, up to twice as many.
    fn divide(&mut self) {
        let (Some(start), Some(end)) = (self.firsts.first().copied(), self.firsts.last().copied()) else { return };
        let most = self.firsts.len().saturating_mul(2);
        self.shift = (0..ADDRESS_BITS_MAX).find(|shift| end.part(start, *shift) < most).unwrap_or(ADDRESS_BITS_MAX);
        let mut before = 0;
        for part in 0..=end.part(start, self.shift) {
            self.parts.push(before as u32);
            let ended = self.firsts.get(before..).unwrap_or_default();
            before += ended.partition_point(|first| first.part(start, self.shift) <= part);
        }
        self.parts.push(self.firsts.len() as u32);
    }

    /// Ends the innermost open prefixes for which `ended` holds; what comes after each belongs to the one around it.
    fn close(&mut self, open: &mut Vec<Owned<A>>, after: fn(A) -> Option<A>, ended: impl Fn(A) -> bool) {
        while let Some(inner) = open.pop_if(|inner| ended(inner.last)) {
            // Nothing comes after the last address of the family.
            if let Some(next) = after(inner.last) {
                self.begin(next, open.last().map(|around| around.owner));
            }
        }
    }

    /// From `first` on the owner is this one; an interval that begins at the same address would be empty and goes.
    fn begin(&mut self, first: A, owner: Option<PeerId>) {
        if self.firsts.last() == Some(&first) {
            self.firsts.pop();
            self.owners.pop();
        }
        if self.owners.last().copied().flatten() != owner || self.owners.is_empty() {
            self.firsts.push(first);
            self.owners.push(owner);
        }
    }

    fn owner(&self, address: A) -> Option<PeerId> {
        let start = self.firsts.first().filter(|start| **start <= address)?;
        // Beyond the last part there is the last interval.
        let part = address.part(*start, self.shift).min(self.parts.len().saturating_sub(2));
        let (from, to) = (*self.parts.get(part)? as usize, *self.parts.get(part + 1)? as usize);
        let later = self.firsts.get(from..to)?.partition_point(|first| *first <= address);
        self.owners.get((from + later).checked_sub(1)?).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(entries: &[(&str, u16)]) -> Routes {
        Routes::new(entries.iter().map(|(prefix, peer)| (prefix.parse().unwrap(), PeerId(*peer))))
    }

    fn owner(routes: &Routes, address: &str) -> Option<u16> {
        routes.owner(address.parse().unwrap()).map(|peer| peer.0)
    }

    #[test]
    fn the_longest_prefix_wins_in_any_order() {
        let mut entries = [("10.0.0.0/8", 1), ("10.20.0.0/16", 2), ("10.20.30.0/24", 1), ("10.20.30.40/32", 3)];
        for _ in 0..entries.len() {
            entries.rotate_left(1);
            let routes = routes(&entries);
            assert_eq!(owner(&routes, "10.0.0.0"), Some(1));
            assert_eq!(owner(&routes, "10.20.0.0"), Some(2));
            assert_eq!(owner(&routes, "10.20.30.39"), Some(1));
            assert_eq!(owner(&routes, "10.20.30.40"), Some(3));
            assert_eq!(owner(&routes, "10.20.30.41"), Some(1));
            assert_eq!(owner(&routes, "10.20.31.0"), Some(2));
            assert_eq!(owner(&routes, "10.255.255.255"), Some(1));
            assert_eq!(owner(&routes, "11.0.0.0"), None);
            assert_eq!(owner(&routes, "9.255.255.255"), None);
        }
    }

    #[test]
    fn the_ends_of_the_address_space_belong_to_somebody() {
        let routes = routes(&[("0.0.0.0/0", 1), ("255.255.255.255/32", 2), ("::/0", 3), ("ffff::/16", 4)]);
        assert_eq!(owner(&routes, "0.0.0.0"), Some(1));
        assert_eq!(owner(&routes, "255.255.255.254"), Some(1));
        assert_eq!(owner(&routes, "255.255.255.255"), Some(2));
        assert_eq!(owner(&routes, "::"), Some(3));
        assert_eq!(owner(&routes, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(4));
    }

    #[test]
    fn families_do_not_mix() {
        let routes = routes(&[("0.0.0.0/0", 1)]);
        assert_eq!(owner(&routes, "::"), None);
        assert_eq!(owner(&routes, "::ffff:10.0.0.1"), None);
        assert_eq!(owner(&Routes::default(), "10.0.0.1"), None);
    }

    #[test]
    fn of_equal_prefixes_the_last_given_owns() {
        assert_eq!(owner(&routes(&[("10.0.0.0/8", 1), ("10.0.0.0/8", 2)]), "10.1.1.1"), Some(2));
        assert_eq!(owner(&routes(&[("10.0.0.0/8", 2), ("10.0.0.0/8", 1)]), "10.1.1.1"), Some(1));
    }

    #[test]
    fn every_address_is_found_wherever_the_span_is_divided() {
        // Few far apart, many close together, and one at each end: parts that are empty and parts that are full.
        let mut entries = vec![("0.0.0.0/32".to_owned(), 1), ("255.255.255.255/32".to_owned(), 2)];
        entries.extend((0..500).map(|n| (format!("10.1.{}.{}/32", n / 250, n % 250), 3 + n)));
        entries.extend((0..7).map(|n| (format!("fd00:{:x}::/32", n * 9000), 1000 + n)));
        let routes = Routes::new(entries.iter().map(|(prefix, peer)| (prefix.parse().unwrap(), PeerId(*peer))));
        for (prefix, peer) in &entries {
            let first = prefix.split('/').next().unwrap();
            assert_eq!(owner(&routes, first), Some(*peer), "{prefix}");
        }
        for nobody in
            ["0.0.0.1", "10.0.255.255", "10.1.0.250", "10.1.2.0", "255.255.255.254", "fd00:1::", "fcff::", "fe80::1"]
        {
            assert_eq!(owner(&routes, nobody), None, "{nobody}");
        }
        assert!(routes.v4.parts.len() <= 2 * routes.v4.firsts.len() + 1, "{}", routes.v4.parts.len());
    }

    #[test]
    fn neighbours_of_one_owner_are_one_interval() {
        let halves: Vec<(Prefix, PeerId)> =
            (0..=255).map(|n| (Prefix::new(IpAddr::from([10, n, 0, 0]), 16).unwrap(), PeerId(1))).collect();
        let routes = Routes::new(halves);
        assert_eq!(routes.v4.firsts.len(), 2);
        assert_eq!(owner(&routes, "10.255.0.1"), Some(1));
    }
}
