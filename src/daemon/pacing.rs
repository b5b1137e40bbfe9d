//! `rekey = "auto"`: the interval of each such peer follows what its KMEs give.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fetch::Fetchers;
use crate::config::Policy;
use crate::engine::Engine;
use crate::engine::output::{Command, Now};
use crate::keys::estimate::{KeyEstimate, Sample, Supply, interval};
use crate::types::id::PeerId;
use crate::types::time::Instant;

/// How often it is looked: several times between two status reports of a KME.
const LOOK: Duration = Duration::from_secs(5);

/// One peer.
struct Paced {
    id: PeerId,
    /// `None`: its interval is fixed.
    range: Option<RangeInclusive<Duration>>,
    need: u8,
    /// As the engine was last told.
    told: Option<Duration>,
}

/// All peers of an interface.
pub(super) struct Pacing {
    peers: Vec<Paced>,
    /// In the order of the sources.
    estimates: Vec<KeyEstimate>,
    next: Instant,
}

impl Pacing {
    /// By the policies of the peers, in their order.
    pub(super) fn new<'p>(policies: impl Iterator<Item = (PeerId, &'p Policy)>) -> Self {
        let paced = |(id, policy): (PeerId, &Policy)| Paced {
            id,
            range: policy.rekey_min.map(|shortest| shortest..=policy.rekey),
            need: policy.min_sources,
            told: None,
        };
        Self { peers: policies.map(paced).collect(), estimates: Vec::new(), next: Instant::ZERO }
    }

    /// Looks at the KMEs' figures and tells the engine of other intervals.
    pub(super) fn look(&mut self, now: Now, fetchers: &Fetchers, engine: &mut Engine) {
        if now.at < self.next || self.peers.iter().all(|peer| peer.range.is_none()) {
            return;
        }
        self.next = now.at + LOOK;
        let mut supplies: Vec<(PeerId, Supply)> = Vec::new();
        for (at, (peer, _, figures)) in fetchers.figures().enumerate() {
            if self.estimates.len() <= at {
                self.estimates.resize_with(at + 1, KeyEstimate::default);
            }
            let Some(estimate) = self.estimates.get_mut(at) else { continue };
            if let Some((stored, age)) = figures.stored_keys {
                estimate.note(Sample { at: now.at - age, stored, used: figures.keys_used });
            }
            let supply = Supply { stored: estimate.stored(figures.keys_used), bearable: estimate.bearable() };
            supplies.push((peer, supply));
        }
        for peer in &mut self.peers {
            let id = peer.id;
            let Some(range) = &peer.range else { continue };
            let own: Vec<Supply> = supplies.iter().filter(|(of, _)| *of == id).map(|(_, supply)| *supply).collect();
            let interval = interval(&own, peer.need, range);
            if peer.told.is_none_or(|told| differs(told, interval)) {
                peer.told = Some(interval);
                engine.handle_command(now, Command::Pace { peer: id, interval });
            }
        }
    }
}

/// Whether an interval is another by more than a tenth: smaller changes are the wavering of the estimate.
fn differs(told: Duration, interval: Duration) -> bool {
    told.abs_diff(interval) * 10 > told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tenth_and_more_is_another_interval() {
        let seconds = Duration::from_secs;
        for (told, interval, expected) in [(100, 109, false), (100, 91, false), (100, 111, true), (100, 89, true)] {
            assert_eq!(differs(seconds(told), seconds(interval)), expected, "{told} {interval}");
        }
    }
}
