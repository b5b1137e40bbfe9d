//! The key budget at work: what each KME gives and what is used of it; with `rekey = "auto"` the interval follows that.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fetch::Fetchers;
use crate::config::Peer;
use crate::control::event::{Draft, EventKind};
use crate::control::time::per_second;
use crate::engine::Engine;
use crate::engine::output::{Command, Now};
use crate::keys::estimate::{Rates, Supply};
use crate::keys::pacer::{Figures, Pace, Paced, Pacers};
use crate::types::id::{PeerId, SourceId, SourceMask};
use crate::types::time::Instant;

/// How often it is looked: several times between two status reports of a KME.
const LOOK: Duration = Duration::from_secs(5);

/// All peers of an interface.
pub(super) struct Pacing {
    pacers: Pacers,
    next: Instant,
}

impl Pacing {
    /// For these peers, whose sources nothing is known of yet.
    pub(super) fn new<'p>(peers: impl Iterator<Item = (PeerId, &'p Peer)>) -> Self {
        Self { pacers: Pacers::new(paced(peers)), next: Instant::ZERO }
    }

    /// For these peers from now on; of the sources in `renewed` nothing is known.
    pub(super) fn rebuilt<'p>(
        &self,
        peers: impl Iterator<Item = (PeerId, &'p Peer)>,
        renewed: &BTreeMap<PeerId, SourceMask>,
    ) -> Self {
        Self { pacers: self.pacers.rebuilt(paced(peers), renewed), next: Instant::ZERO }
    }

    /// Looks at the KMEs' figures and tells the engine of other intervals; what people should know is returned.
    pub(super) fn look(&mut self, now: Now, fetchers: &Fetchers, engine: &mut Engine) -> Vec<(PeerId, Draft)> {
        if now.at < self.next {
            return Vec::new();
        }
        self.next = now.at + LOOK;
        let mut names = BTreeMap::new();
        let mut all = Vec::new();
        for (peer, source, figures) in fetchers.figures() {
            let stored = figures.stored_keys.map(|(stored, age)| (stored, now.at - age));
            all.push(Figures { peer, source, stored, used: figures.keys_used });
            names.insert((peer, source), figures.name);
        }
        let mut news = Vec::new();
        for pace in self.pacers.look(now.at, &all) {
            engine.handle_command(now, Command::Pace { peer: pace.peer, interval: pace.interval });
            let name = |source| names.get(&(pace.peer, source)).map_or("", String::as_str);
            news.extend(draft(&pace, name).map(|draft| (pace.peer, draft)));
        }
        news
    }

    /// What is known of a source, which has given this end `used` keys.
    pub(super) fn rates(&self, peer: PeerId, source: SourceId, now: Instant, used: u64) -> Rates {
        self.pacers.rates(peer, source, now, used)
    }
}

fn paced<'p>(peers: impl Iterator<Item = (PeerId, &'p Peer)>) -> Vec<Paced> {
    let paced = |(id, peer): (PeerId, &Peer)| {
        let policy = &peer.policy;
        Some(Paced { peer: id, range: policy.rekey_min?..=policy.rekey, need: policy.min_sources })
    };
    peers.filter_map(paced).collect()
}

/// The event of an interval that is another by much.
fn draft<'n>(pace: &Pace, name: impl Fn(SourceId) -> &'n str) -> Option<Draft> {
    let told = pace.told_before?;
    let (before, after) = (told.as_secs(), pace.interval.as_secs());
    let word = if pace.interval > told { "less often" } else { "more often" };
    let sources = pace.supplies.iter().map(|(source, supply)| format!("{} {}", name(*source), words(*supply)));
    let sources = sources.collect::<Vec<_>>().join(", ");
    let text = format!("keys are renewed {word}, every {after} s instead of {before} s: {sources}");
    Some(Draft::new(EventKind::Budget, text).change(&format!("{before} s"), &format!("{after} s")))
}

fn words(supply: Supply) -> String {
    let stored =
        supply.stored.map_or_else(|| "does not tell its stock".to_owned(), |stored| format!("stores {stored} keys"));
    let bearable = supply.bearable.map(|rate| format!(" and bears {}", per_second(rate)));
    stored + &bearable.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixMillis;

    #[test]
    fn the_event_says_which_way_the_interval_went_and_what_the_sources_bear() {
        let source = SourceId::new(2).unwrap();
        let supply = Supply { stored: Some(9), bearable: Some(0.5) };
        let seconds = Duration::from_secs;
        let pace = |told_before, interval| Pace {
            peer: PeerId(0),
            interval: seconds(interval),
            told_before,
            supplies: vec![(source, supply)],
        };
        let text = |pace: &Pace| draft(pace, |of| if of == source { "fibre-1" } else { "" });
        let text = |pace: &Pace| text(pace).map(|draft| draft.numbered(1, UnixMillis(0)));
        assert!(text(&pace(None, 60)).is_none());
        let slower = text(&pace(Some(seconds(60)), 600)).unwrap();
        let words = "keys are renewed less often, every 600 s instead of 60 s: fibre-1 stores 9 keys and bears 0.50/s";
        assert_eq!(slower.text, words);
        assert_eq!((slower.from.as_deref(), slower.to.as_deref()), (Some("60 s"), Some("600 s")));
        assert!(text(&pace(Some(seconds(600)), 60)).unwrap().text.contains("more often, every 60 s"));
    }

    #[test]
    fn a_kme_that_tells_nothing_is_said_to() {
        assert_eq!(words(Supply { stored: None, bearable: None }), "does not tell its stock");
    }
}
