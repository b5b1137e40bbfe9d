//! The key budget of an interface: an estimate a source, and for each peer with `rekey = "auto"` the interval they bear.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::estimate::{KeyEstimate, Rates, Sample, Supply, interval};
use crate::types::id::{PeerId, SourceId, SourceMask};
use crate::types::time::Instant;

/// People are told of an interval that is so many times the one last told of, or as many times shorter: the trend, not
/// each step of it.
const TELL_FACTOR: u32 = 2;

/// A peer whose interval follows the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paced {
    /// Which.
    pub peer: PeerId,
    /// Shortest and longest interval.
    pub range: RangeInclusive<Duration>,
    /// Sources that must be mixed.
    pub need: u8,
}

/// What is known of a source at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whose.
    pub peer: PeerId,
    /// Which of that peer.
    pub source: SourceId,
    /// Keys the KME said it stores, and when it said so; `None` if it never did.
    pub stored: Option<(u64, Instant)>,
    /// Keys this end has been given since its start.
    pub used: u64,
}

/// Fast rekeys of a peer should come at another interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Whose.
    pub peer: PeerId,
    /// The interval from now on.
    pub interval: Duration,
    /// The interval that people were told of last, if this one is another by much.
    pub told_before: Option<Duration>,
    /// What the peer's sources bear.
    pub supplies: Vec<(SourceId, Supply)>,
}

/// The interval of one peer.
#[derive(Clone, Debug)]
struct Pacer {
    paced: Paced,
    /// As the engine was last told.
    set: Option<Duration>,
    /// As people were last told, and the first one, which is no change.
    told: Option<Duration>,
}

/// Estimates and intervals of an interface.
#[derive(Clone, Debug, Default)]
pub struct Pacers {
    peers: Vec<Pacer>,
    estimates: BTreeMap<(PeerId, SourceId), KeyEstimate>,
}

impl Pacers {
    /// Nothing known yet.
    pub fn new(peers: Vec<Paced>) -> Self {
        let peers = peers.into_iter().map(|paced| Pacer { paced, set: None, told: None });
        Self { peers: peers.collect(), estimates: BTreeMap::new() }
    }

    /// For these peers from now on. What is known of a source stays, unless it is among those of `renewed`; the engine
    /// is told every interval anew, people only of what is another to them.
    pub fn rebuilt(&self, peers: Vec<Paced>, renewed: &BTreeMap<PeerId, SourceMask>) -> Self {
        let told = |paced: &Paced| self.peers.iter().find(|old| old.paced == *paced).and_then(|old| old.told);
        let peers = peers.into_iter().map(|paced| Pacer { told: told(&paced), paced, set: None });
        let is_same = |(peer, source): &(PeerId, SourceId)| renewed.get(peer).is_none_or(|mask| !mask.has(*source));
        let kept = self.estimates.iter().filter(|(key, _)| is_same(key));
        Self { peers: peers.collect(), estimates: kept.map(|(key, estimate)| (*key, estimate.clone())).collect() }
    }

    /// Looks at the figures of all sources; gives the peers whose interval is another. Estimates of others are forgotten.
    pub fn look(&mut self, now: Instant, figures: &[Figures]) -> Vec<Pace> {
        let mut before = std::mem::take(&mut self.estimates);
        let mut supplies: BTreeMap<PeerId, Vec<(SourceId, Supply)>> = BTreeMap::new();
        for figures in figures {
            let key = (figures.peer, figures.source);
            let mut estimate = before.remove(&key).unwrap_or_default();
            if let Some((stored, at)) = figures.stored {
                estimate.note(Sample { at, stored, used: figures.used });
            }
            supplies.entry(figures.peer).or_default().push((figures.source, estimate.supply(now, figures.used)));
            self.estimates.insert(key, estimate);
        }
        let mut of_peer = |peer: PeerId| supplies.remove(&peer).unwrap_or_default();
        self.peers.iter_mut().filter_map(|pacer| pacer.look(of_peer(pacer.paced.peer))).collect()
    }

    /// What is known of a source when this end has been given `used` keys.
    pub fn rates(&self, peer: PeerId, source: SourceId, now: Instant, used: u64) -> Rates {
        self.estimates.get(&(peer, source)).map_or_else(Rates::default, |estimate| estimate.rates(now, used))
    }
}

impl Pacer {
    /// The new interval, if it is another by more than a tenth: smaller changes are the wavering of the estimate.
    fn look(&mut self, supplies: Vec<(SourceId, Supply)>) -> Option<Pace> {
        let borne: Vec<Supply> = supplies.iter().map(|(_, supply)| *supply).collect();
        let interval = interval(&borne, self.paced.need, &self.paced.range);
        let is_other = self.set.is_none_or(|set| set.abs_diff(interval) * 10 > set);
        is_other.then(|| {
            self.set = Some(interval);
            Pace { peer: self.paced.peer, interval, told_before: self.tell(interval), supplies }
        })
    }

    fn tell(&mut self, interval: Duration) -> Option<Duration> {
        let told = *self.told.get_or_insert(interval);
        let is_much = interval >= told * TELL_FACTOR || interval * TELL_FACTOR <= told;
        is_much.then(|| {
            self.told = Some(interval);
            told
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId(3);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn paced(peer: PeerId) -> Paced {
        Paced { peer, range: seconds(10)..=seconds(600), need: 1 }
    }

    fn source(number: u8) -> SourceId {
        SourceId::new(number).unwrap()
    }

    /// A stock without any rate: a day is divided by it.
    fn figures(peer: PeerId, stored: u64, at: u64) -> Figures {
        Figures { peer, source: source(0), stored: Some((stored, Instant::ZERO + seconds(at))), used: 0 }
    }

    fn intervals(paces: &[Pace]) -> Vec<u64> {
        paces.iter().map(|pace| pace.interval.as_secs()).collect()
    }

    #[test]
    fn only_more_than_a_tenth_is_another_interval() {
        for (stored, expected) in [(792, None), (786, None), (785, Some(110)), (960, None), (961, Some(89))] {
            let mut pacers = Pacers::new(vec![paced(PEER)]);
            assert_eq!(intervals(&pacers.look(Instant::ZERO, &[figures(PEER, 864, 0)])), [100]);
            let next = pacers.look(Instant::ZERO + seconds(30), &[figures(PEER, stored, 30)]);
            assert_eq!(intervals(&next).first().copied(), expected, "{stored}");
        }
    }

    #[test]
    fn people_are_told_of_twice_and_of_half_and_not_of_what_lies_between() {
        let mut pacer = Pacer { paced: paced(PEER), set: None, told: None };
        let mut tell = |interval| pacer.tell(seconds(interval)).map(|told| told.as_secs());
        let told = [600, 301, 300, 151, 599, 600, 301, 150].map(&mut tell);
        assert_eq!(told, [None, None, Some(600), None, None, Some(300), None, Some(600)]);
    }

    #[test]
    fn a_peers_interval_is_that_of_its_own_sources_whatever_its_number() {
        let mut pacers = Pacers::new(vec![paced(PEER), paced(PeerId(7))]);
        let all = [figures(PeerId(9), 86_400, 0), figures(PeerId(7), 432, 0), figures(PEER, 864, 0)];
        let paces = pacers.look(Instant::ZERO, &all);
        let seen: Vec<_> = paces.iter().map(|pace| (pace.peer.0, pace.interval.as_secs())).collect();
        assert_eq!(seen, [(3, 100), (7, 200)]);
    }

    #[test]
    fn a_reload_tells_the_engine_anew_and_keeps_what_is_known_of_the_sources_that_stay() {
        let mut pacers = Pacers::new(vec![paced(PEER)]);
        for at in [0, 60, 120] {
            pacers.look(Instant::ZERO + seconds(at), &[figures(PEER, 864 + at, at)]);
        }
        let now = Instant::ZERO + seconds(121);
        let income = |pacers: &Pacers| pacers.rates(PEER, source(0), now, 0).income;
        let same = pacers.rebuilt(vec![paced(PEER)], &BTreeMap::new());
        assert_eq!((income(&pacers), income(&same)), (Some(1.0), Some(1.0)));
        let told = same.clone().look(now, &[figures(PEER, 984, 120)]);
        assert_eq!(told.iter().map(|pace| pace.told_before).collect::<Vec<_>>(), [None], "set anew, no news");
        let all = SourceMask::EMPTY.with(source(0));
        assert_eq!(income(&pacers.rebuilt(vec![paced(PEER)], &BTreeMap::from([(PEER, all)]))), None);
        let mut gone = same;
        gone.look(now, &[]);
        assert_eq!(income(&gone), None);
    }

    #[test]
    fn what_a_peer_was_told_stays_with_it_over_a_reload_and_with_no_other() {
        let mut pacers = Pacers::new(vec![paced(PEER)]);
        pacers.look(Instant::ZERO, &[figures(PEER, 864, 0)]);
        let told = |peers: Vec<Paced>| {
            let mut again = pacers.rebuilt(peers, &BTreeMap::new());
            let paces = again.look(Instant::ZERO + seconds(30), &[figures(PEER, 432, 30)]);
            paces.iter().map(|pace| pace.told_before).collect::<Vec<_>>()
        };
        assert_eq!(told(vec![paced(PEER)]), [Some(seconds(100))]);
        assert_eq!(told(vec![Paced { need: 2, ..paced(PEER) }]), [None]);
    }
}
