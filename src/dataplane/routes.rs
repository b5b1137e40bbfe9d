//! Which peer owns an inner address: longest prefix first, in a sorted table (PROTOCOL 2.9, crypto routing).
//!
//! Prefixes nest or are disjoint, so they cut the address space into intervals with one owner each. The table holds the
//! intervals' first addresses; a look-up is one binary search, and 131 072 prefixes are at most 262 145 intervals.

use std::net::IpAddr;

use crate::types::id::PeerId;
use crate::types::prefix::Prefix;

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

/// Disjoint intervals in order: interval `i` starts at `firsts[i]` and ends before the next one.
#[derive(Default)]
struct Intervals<A> {
    firsts: Vec<A>,
    owners: Vec<Option<PeerId>>,
}

impl<A: Ord + Copy> Intervals<A> {
    /// Walks over the prefixes in order with those that are open as a stack: the innermost owns what comes.
    fn new(mut prefixes: Vec<Owned<A>>, after: fn(A) -> Option<A>) -> Self {
        // A covering prefix first, and of equal ones the last given innermost: the sort is stable.
        prefixes.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut intervals = Self { firsts: Vec::new(), owners: Vec::new() };
        let mut open: Vec<Owned<A>> = Vec::new();
        for prefix in prefixes {
            intervals.close(&mut open, after, |last| last < prefix.first);
            intervals.begin(prefix.first, Some(prefix.owner));
            open.push(prefix);
        }
        intervals.close(&mut open, after, |_| true);
        intervals
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
        let at = self.firsts.partition_point(|first| *first <= address).checked_sub(1)?;
        self.owners.get(at).copied().flatten()
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
    fn neighbours_of_one_owner_are_one_interval() {
        let halves: Vec<(Prefix, PeerId)> =
            (0..=255).map(|n| (Prefix::new(IpAddr::from([10, n, 0, 0]), 16).unwrap(), PeerId(1))).collect();
        let routes = Routes::new(halves);
        assert_eq!(routes.v4.firsts.len(), 2);
        assert_eq!(owner(&routes, "10.255.0.1"), Some(1));
    }
}
