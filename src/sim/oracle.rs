//! What must never happen, watched from outside: counters, key_IDs, epochs, policies, budgets, bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::plan::{FaultKind, PairPlan, Plan};
use crate::crypto::kdf::HASH_BYTES;
use crate::engine::Engine;
use crate::types::id::{KeyId, SourceId};
use crate::types::limits::{
    BUDGET_INTERVAL_MAX, BUDGET_TOKENS_MAX, DATA_HEADER_BYTES, LANES, RECEIVE_EPOCHS_MAX, REJECT_AFTER_FAST,
};
use crate::types::policy::QkdPolicy;

/// What a watcher outside cannot know to the second: the last exchange, its resends, datagrams on the way.
const SLACK: Duration = Duration::from_secs(60);
/// Indices of one peer: 2 of an attempt, 9 pending answers, 6 receive epochs, a rekey and its answer; a few to spare.
const INDICES_MAX: usize = 24;
/// Counters of a lane that may still come: the copies of a CLOSE, and what went nowhere for want of an address.
const COUNTERS_MISSING_MAX: usize = 64;
/// Roots of one peer: of each receive epoch and the next of each.
const ROOTS_MAX: usize = 2 * RECEIVE_EPOCHS_MAX;

type Verdict = Result<(), String>;

/// An epoch's handshake hash. Its check words are 32 bits, which two epochs of a long life share.
type EpochName = [u8; HASH_BYTES];

/// One epoch.
struct EpochSeen {
    /// Sites that confirmed it.
    sites: [bool; 3],
    keys: Vec<(SourceId, KeyId)>,
    /// When the first one did.
    at: Duration,
}

/// Key sets that a site may ask for.
struct Bucket {
    /// In nanoseconds of the interval.
    tokens: u128,
    at: Duration,
}

/// How long traffic may go on without fresh keys, `required` anywhere (PROTOCOL 2.8a).
struct Limit {
    min_sources: usize,
    after: Duration,
}

/// Counters of a lane: nearly in order, for a CLOSE is sealed a little before it leaves.
#[derive(Default)]
struct SeenCounters {
    next: u64,
    /// Below `next`, and not seen.
    missing: BTreeSet<u64>,
}

impl SeenCounters {
    /// Whether it is new.
    fn note(&mut self, number: u64) -> bool {
        if number < self.next {
            return self.missing.remove(&number);
        }
        self.missing.extend((self.next..number).rev().take(COUNTERS_MISSING_MAX));
        while self.missing.len() > COUNTERS_MISSING_MAX {
            self.missing.pop_first();
        }
        self.next = number + 1;
        true
    }
}

/// The watcher.
pub(super) struct Oracle {
    limits: Vec<Option<Limit>>,
    epochs: BTreeMap<(usize, EpochName), EpochSeen>,
    used: BTreeMap<(usize, SourceId, KeyId), EpochName>,
    /// By receiver index: the counters seen in each lane, and when the last one was.
    counters: BTreeMap<[u8; 4], ([SeenCounters; LANES], Duration)>,
    buckets: BTreeMap<(usize, usize), Bucket>,
    /// Old or unwritten budget files give tokens back.
    keeps_budget: bool,
    pub(super) confirmed: u64,
}

fn limit(pair: &PairPlan) -> Option<Limit> {
    let required = pair.ends.iter().filter(|end| end.policy.qkd == QkdPolicy::Required);
    let hold = required.filter_map(|end| end.policy.hold_last).min()?;
    let min_sources = pair.ends.iter().map(|end| usize::from(end.policy.min_sources)).max()?;
    let rekey = pair.ends.iter().map(|end| end.policy.rekey).max()?;
    Some(Limit { min_sources, after: rekey + REJECT_AFTER_FAST + hold + SLACK })
}

impl Oracle {
    pub(super) fn new(plan: &Plan) -> Self {
        let keeps_budget = !plan.faults.iter().any(|(kind, _)| matches!(kind, FaultKind::Rollback | FaultKind::Disk));
        Self {
            limits: plan.pairs.iter().map(limit).collect(),
            epochs: BTreeMap::new(),
            used: BTreeMap::new(),
            counters: BTreeMap::new(),
            buckets: BTreeMap::new(),
            keeps_budget,
            confirmed: 0,
        }
    }

    /// A datagram leaves a site: no counter of a lane comes twice under one index.
    pub(super) fn sent(&mut self, now: Duration, bytes: &[u8]) -> Verdict {
        if bytes.len() < DATA_HEADER_BYTES || !(16..=19).contains(&bytes[0]) {
            return Ok(());
        }
        let index = [bytes[4], bytes[5], bytes[6], bytes[7]];
        let lane = usize::from(bytes[15]);
        let number = bytes[8..15].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (lanes, at) = self.counters.entry(index).or_insert_with(|| (Default::default(), now));
        *at = now;
        let Some(seen) = lanes.get_mut(lane) else { return Err(format!("a record of lane {lane}")) };
        if seen.note(number) {
            return Ok(());
        }
        Err(format!("counter {number} of lane {lane} comes again under index {index:02x?}"))
    }

    /// A receiver no longer opens this index: another epoch may have it next.
    pub(super) fn retired(&mut self, index: u32) {
        self.counters.remove(&index.to_be_bytes());
    }

    /// A site confirmed an epoch.
    pub(super) fn confirmed(
        &mut self,
        now: Duration,
        pair: usize,
        site: usize,
        epoch: EpochName,
        full: bool,
        keys: &[(SourceId, KeyId)],
    ) -> Verdict {
        self.confirmed += 1;
        if let Some(limit) = self.limits.get(pair).and_then(Option::as_ref)
            && full
            && keys.len() < limit.min_sources
        {
            return Err(format!(
                "site {site} made a session of {} keys where {} are required",
                keys.len(),
                limit.min_sources
            ));
        }
        for (source, key_id) in keys {
            let before = self.used.insert((pair, *source, key_id.clone()), epoch);
            if let Some(before) = before.filter(|before| *before != epoch) {
                return Err(format!("key {} is in epochs {} and {}", key_id.as_str(), short(&before), short(&epoch)));
            }
        }
        let first = || EpochSeen { sites: [false; 3], keys: keys.to_vec(), at: now };
        let seen = self.epochs.entry((pair, epoch)).or_insert_with(first);
        let epoch = short(&epoch);
        if seen.keys != keys {
            return Err(format!("epoch {epoch} has keys {:?} at one end and {keys:?} at the other", seen.keys));
        }
        match seen.sites.get_mut(site) {
            Some(here) if !*here => *here = true,
            _ => return Err(format!("site {site} confirmed epoch {epoch} twice")),
        }
        Ok(())
    }

    /// A packet of a pair came out.
    pub(super) fn delivered(&self, now: Duration, pair: usize, last_fetches: &[Option<Duration>]) -> Verdict {
        let Some(limit) = self.limits.get(pair).and_then(Option::as_ref) else { return Ok(()) };
        let fresh = last_fetches.iter().flatten().filter(|at| **at + limit.after >= now).count();
        if fresh >= limit.min_sources {
            return Ok(());
        }
        Err(format!("traffic passes with {fresh} of {} sources used within {:?}", limit.min_sources, limit.after))
    }

    /// A site asks for a new key of its first source: a key set, against the budget (PROTOCOL 2.5).
    pub(super) fn asked(&mut self, now: Duration, site: usize, peer: usize, rekey: Duration) -> Verdict {
        let interval = BUDGET_INTERVAL_MAX.min(rekey / 2).as_nanos();
        // One to spare: a set whose note was still on its way to the disk when the power went.
        let most = (u128::from(BUDGET_TOKENS_MAX) + 1) * interval;
        let bucket = self.buckets.entry((site, peer)).or_insert(Bucket { tokens: most, at: now });
        bucket.tokens = (bucket.tokens + now.saturating_sub(bucket.at).as_nanos() * 1001 / 1000).min(most);
        bucket.at = now;
        let left = bucket.tokens.checked_sub(interval);
        bucket.tokens = left.unwrap_or(0);
        if left.is_none() && self.keeps_budget {
            return Err(format!("site {site} asks for more key sets than its budget gives"));
        }
        Ok(())
    }

    /// A site lost power: what its budget file says may be one set behind.
    pub(super) fn crashed(&mut self, site: usize) {
        for ((_, _), bucket) in self.buckets.iter_mut().filter(|((at, _), _)| *at == site) {
            bucket.tokens += u128::from(u64::MAX).min(BUDGET_INTERVAL_MAX.as_nanos());
        }
    }

    /// What a site holds is bounded.
    pub(super) fn bounded(&self, site: usize, engine: &Engine, peers: usize) -> Verdict {
        let (indices, roots) = (engine.live_indices(), engine.live_roots());
        if indices > INDICES_MAX * peers || roots > ROOTS_MAX * peers {
            return Err(format!("site {site} holds {indices} indices and {roots} roots of {peers} peers"));
        }
        Ok(())
    }

    /// Forgets indices that nobody used for an hour, and epochs that old, which no end confirms any more.
    pub(super) fn tidy(&mut self, now: Duration) {
        self.epochs.retain(|_, seen| now.saturating_sub(seen.at) < Duration::from_secs(3600));
        self.counters.retain(|_, (_, at)| now.saturating_sub(*at) < Duration::from_secs(3600));
    }
}

/// As much of it as people tell apart.
fn short(epoch: &EpochName) -> String {
    HEXLOWER.encode(&epoch[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::Crypto;

    fn oracle(wanted: impl Fn(&Plan) -> bool) -> Oracle {
        let plan = (0..10_000).map(|seed| Plan::of(seed, Crypto::Double)).find(|plan| wanted(plan)).unwrap();
        Oracle::new(&plan)
    }

    fn record(index: u8, lane: u8, number: u8) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        bytes[0] = 16;
        bytes[7] = index;
        bytes[8] = number;
        bytes[15] = lane;
        bytes
    }

    #[test]
    fn a_counter_that_comes_again_is_found() {
        let mut oracle = oracle(|_| true);
        let now = Duration::from_secs(1);
        for (index, lane, number) in [(1, 0, 0), (1, 1, 0), (2, 0, 0), (1, 0, 5)] {
            assert_eq!(oracle.sent(now, &record(index, lane, number)), Ok(()));
        }
        assert!(oracle.sent(now, &record(1, 0, 5)).is_err());
        assert_eq!(oracle.sent(now, &record(1, 0, 3)), Ok(()), "late, and new");
        assert!(oracle.sent(now, &record(1, 0, 3)).is_err());
        assert!(oracle.sent(now, &record(1, 8, 0)).is_err(), "no such lane");
        oracle.retired(1);
        assert_eq!(oracle.sent(now, &record(1, 0, 0)), Ok(()), "another epoch");
    }

    #[test]
    fn a_key_in_two_epochs_and_ends_that_differ_are_found() {
        let mut oracle = oracle(|plan| plan.pairs[0].ends.iter().all(|end| end.policy.qkd == QkdPolicy::Preferred));
        let source = SourceId::new(0).unwrap();
        let keys = |id: &str| vec![(source, KeyId::new(id.as_bytes()).unwrap())];
        assert_eq!(oracle.confirmed(Duration::ZERO, 0, 0, [0xaa; HASH_BYTES], true, &keys("k1")), Ok(()));
        assert_eq!(oracle.confirmed(Duration::ZERO, 0, 1, [0xaa; HASH_BYTES], true, &keys("k1")), Ok(()));
        assert!(oracle.confirmed(Duration::ZERO, 0, 1, [0xaa; HASH_BYTES], true, &keys("k1")).is_err(), "twice");
        assert!(oracle.confirmed(Duration::ZERO, 0, 1, [0xbb; HASH_BYTES], true, &keys("k1")).is_err(), "a key twice");
        assert_eq!(oracle.confirmed(Duration::ZERO, 0, 0, [0xcc; HASH_BYTES], false, &keys("k2")), Ok(()));
        assert!(oracle.confirmed(Duration::ZERO, 0, 1, [0xcc; HASH_BYTES], false, &[]).is_err(), "the ends differ");
        let later = Duration::from_secs(4000);
        oracle.tidy(later);
        assert_eq!(
            oracle.confirmed(later, 0, 1, [0xcc; HASH_BYTES], false, &keys("k3")),
            Ok(()),
            "an hour later it is forgotten"
        );
    }

    #[test]
    fn required_stops_and_a_session_without_keys_is_found() {
        let mut oracle = oracle(|plan| plan.pairs[0].ends.iter().all(|end| end.policy.qkd == QkdPolicy::Required));
        let after = oracle.limits[0].as_ref().unwrap().after;
        let fetched = [Some(Duration::from_secs(10)); 3];
        assert_eq!(oracle.delivered(after, 0, &fetched), Ok(()));
        assert!(oracle.delivered(after + Duration::from_secs(11), 0, &fetched).is_err());
        assert!(oracle.delivered(Duration::from_secs(10), 0, &[None; 3]).is_err());
        assert!(oracle.confirmed(Duration::ZERO, 0, 0, [0xaa; HASH_BYTES], true, &[]).is_err());
        assert_eq!(
            oracle.confirmed(Duration::ZERO, 0, 0, [0xab; HASH_BYTES], false, &[]),
            Ok(()),
            "a rekey may be short"
        );
    }

    #[test]
    fn more_key_sets_than_the_budget_are_found() {
        let mut oracle =
            oracle(|plan| plan.faults.iter().all(|(kind, _)| !matches!(kind, FaultKind::Rollback | FaultKind::Disk)));
        let rekey = Duration::from_secs(60);
        let now = Duration::from_secs(100);
        assert!((0..5).all(|_| oracle.asked(now, 0, 0, rekey).is_ok()));
        assert!(oracle.asked(now, 0, 0, rekey).is_err());
        assert_eq!(oracle.asked(now, 1, 0, rekey), Ok(()), "another site");
        assert_eq!(oracle.asked(now + Duration::from_secs(6), 0, 0, rekey), Ok(()));
        assert!(oracle.asked(now + Duration::from_secs(7), 0, 0, rekey).is_err());
    }
}
