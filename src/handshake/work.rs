//! How many whole I1 are opened: that costs public-key work, so senders are limited one by one and together (PROTOCOL 2.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::source::SourcePrefix;
use crate::types::bucket::Bucket;
use crate::types::limits::{WORK_PER_SOURCE, WORK_RESERVED_RATE, WORK_SHARED_RATE, WORK_SOURCES_MAX};
use crate::types::time::Instant;

/// Buckets of single sources and of all together, with a share that only known addresses may use.
pub struct WorkLimit {
    sources: BTreeMap<SourcePrefix, Bucket>,
    shared: Bucket,
    reserved: Bucket,
}

impl Default for WorkLimit {
    fn default() -> Self {
        Self { sources: BTreeMap::new(), shared: Bucket::FULL, reserved: Bucket::FULL }
    }
}

impl WorkLimit {
    /// Whether one more I1 of this source may be opened; if so it is counted. `is_known`: a configured or last
    /// authenticated peer address.
    pub fn allow(&mut self, now: Instant, from: SocketAddr, is_known: bool) -> bool {
        let source = SourcePrefix::of(from);
        let (per_second, burst) = WORK_PER_SOURCE;
        let own = self.sources.get(&source).copied().unwrap_or(Bucket::FULL);
        let Some(own) = own.less_one(now, per_second, burst) else { return false };
        if !self.take_global(now, is_known) {
            return false;
        }
        self.make_room(now, source);
        self.sources.insert(source, own);
        true
    }

    fn take_global(&mut self, now: Instant, is_known: bool) -> bool {
        if let Some(shared) = self.shared.less_one(now, WORK_SHARED_RATE, WORK_SHARED_RATE) {
            self.shared = shared;
            return true;
        }
        let reserved = self.reserved.less_one(now, WORK_RESERVED_RATE, WORK_RESERVED_RATE).filter(|_| is_known);
        if let Some(reserved) = reserved {
            self.reserved = reserved;
        }
        reserved.is_some()
    }

    /// Forgets full buckets, which say nothing; the global rate leaves fewer others than there are places.
    fn make_room(&mut self, now: Instant, source: SourcePrefix) {
        if self.sources.len() < WORK_SOURCES_MAX || self.sources.contains_key(&source) {
            return;
        }
        self.sources.retain(|_, bucket| bucket.full_at() > now);
        if self.sources.len() >= WORK_SOURCES_MAX {
            let fullest = self.sources.iter().min_by_key(|(_, bucket)| bucket.full_at()).map(|(source, _)| *source);
            fullest.map(|source| self.sources.remove(&source));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Instant = Instant::from_nanos(5_000_000_000);

    fn address(n: u32) -> SocketAddr {
        SocketAddr::from((n.to_be_bytes(), 1))
    }

    fn allowed(limit: &mut WorkLimit, now: Instant, of: impl Iterator<Item = u32>, is_known: bool) -> usize {
        of.filter(|n| limit.allow(now, address(*n), is_known)).count()
    }

    #[test]
    fn one_source_has_a_burst_of_32_and_16_a_second() {
        let mut limit = WorkLimit::default();
        let mut tries = |now| allowed(&mut limit, now, std::iter::repeat_n(1, 100), false);
        assert_eq!(tries(NOW), 32);
        assert_eq!(tries(NOW + Duration::from_secs(1)), 16);
        assert_eq!(tries(NOW + Duration::from_secs(60)), 32);
    }

    #[test]
    fn all_sources_have_64_a_second_of_which_a_quarter_is_for_known_addresses() {
        let mut limit = WorkLimit::default();
        assert_eq!(allowed(&mut limit, NOW, 0..1000, false), 48);
        assert_eq!(allowed(&mut limit, NOW, 2000..3000, true), 16);
        assert_eq!(allowed(&mut limit, NOW, 3000..4000, true), 0);
        let later = NOW + Duration::from_secs(1);
        assert_eq!(allowed(&mut limit, later, 4000..5000, true), 64);
    }

    #[test]
    fn a_refused_message_costs_its_source_nothing() {
        let mut limit = WorkLimit::default();
        assert_eq!(allowed(&mut limit, NOW, 0..48, false), 48);
        assert_eq!(allowed(&mut limit, NOW, std::iter::repeat_n(99, 50), false), 0);
        assert_eq!(allowed(&mut limit, NOW + Duration::from_secs(1), std::iter::repeat_n(99, 50), false), 32);
    }

    #[test]
    fn the_table_of_sources_is_bounded() {
        let mut limit = WorkLimit::default();
        for second in 0..100 {
            let now = NOW + Duration::from_secs(second);
            allowed(&mut limit, now, (0..1000).map(|n| second as u32 * 1000 + n), false);
            assert!(limit.sources.len() <= WORK_SOURCES_MAX);
        }
    }

    /// Full of sources, each of which took one token at that time.
    fn full(taken_at: impl Fn(u32) -> Instant) -> WorkLimit {
        let (per_second, burst) = WORK_PER_SOURCE;
        let bucket = |n| Bucket::FULL.less_one(taken_at(n), per_second, burst).unwrap();
        let sources = (0..WORK_SOURCES_MAX as u32).map(|n| (SourcePrefix::of(address(n)), bucket(n)));
        WorkLimit { sources: sources.collect(), ..WorkLimit::default() }
    }

    fn has(limit: &WorkLimit, n: u32) -> bool {
        limit.sources.contains_key(&SourcePrefix::of(address(n)))
    }

    #[test]
    fn a_full_table_forgets_every_full_bucket_and_no_other() {
        // A token takes 62.5 ms.
        let mut limit = full(|n| NOW + Duration::from_micros(if n < 10 { 1 } else { 0 }));
        assert!(limit.allow(NOW + Duration::from_micros(62_500), address(9999), false));
        assert_eq!(limit.sources.len(), 11);
        assert!((0..10).all(|n| has(&limit, n)) && has(&limit, 9999));
    }

    #[test]
    fn where_no_bucket_is_full_the_fullest_one_goes() {
        let mut limit = full(|n| NOW + Duration::from_nanos(n.abs_diff(7).into()));
        assert!(limit.allow(NOW + Duration::from_millis(1), address(9999), false));
        assert_eq!((limit.sources.len(), has(&limit, 7), has(&limit, 9999)), (WORK_SOURCES_MAX, false, true));
    }

    #[test]
    fn nothing_is_forgotten_for_a_source_that_is_there_or_while_there_is_room() {
        let mut limit = full(|_| NOW);
        assert!(limit.allow(NOW + Duration::from_secs(1), address(3), false));
        assert_eq!(limit.sources.len(), WORK_SOURCES_MAX);
        limit.sources.remove(&SourcePrefix::of(address(3)));
        assert!(limit.allow(NOW + Duration::from_secs(1), address(9999), false));
        assert_eq!(limit.sources.len(), WORK_SOURCES_MAX);
    }
}
