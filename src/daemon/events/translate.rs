//! From the engine's events to sentences: names instead of numbers, and of a source's failures the changes alone.

use std::collections::BTreeMap;

use crate::control::event::{Draft, EventKind};
use crate::control::text::shortened;
use crate::control::time::rfc3339;
use crate::engine::output::{Alarm, Event, EventKind as Engine, OverrideChange, State};
use crate::types::id::{KeyId, PeerId, SourceId};
use crate::types::limits::DEAD_PEER_AFTER;
use crate::types::policy::Reason;

/// The names of a peer and its sources.
pub(in crate::daemon) struct PeerNames {
    /// Of the peer.
    pub(in crate::daemon) name: String,
    /// Of its sources.
    pub(in crate::daemon) sources: Vec<(SourceId, String)>,
}

/// What repeats, by whom: told only a few times in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    FastRekey(PeerId),
    FullHandshake(PeerId),
    Failure(PeerId, bool),
    Source(PeerId, SourceId),
    Endpoint(PeerId),
}

impl Topic {
    /// How often in a window it is told before it is bundled.
    pub(super) fn times(self) -> u32 {
        match self {
            Self::FastRekey(_) => 1,
            Self::FullHandshake(_) | Self::Failure(..) => 3,
            Self::Source(..) | Self::Endpoint(_) => 10,
        }
    }
}

/// An event to be told, by its topic if it may be held back.
pub(super) struct Happening {
    pub(super) topic: Option<Topic>,
    pub(super) draft: Draft,
}

/// Knows the names, and how each source did last.
pub(super) struct Translator {
    peers: BTreeMap<PeerId, PeerNames>,
    /// Of each source that was told of: why it fails, or that it does not.
    classes: BTreeMap<(PeerId, SourceId), Option<Reason>>,
}

impl Translator {
    pub(super) fn new(peers: BTreeMap<PeerId, PeerNames>) -> Self {
        Self { peers, classes: BTreeMap::new() }
    }

    pub(super) fn name_peers(&mut self, peers: impl Iterator<Item = (PeerId, PeerNames)>) {
        for (peer, names) in peers {
            self.classes.retain(|(of, source), _| *of != peer || names.sources.iter().any(|(id, _)| id == source));
            self.peers.insert(peer, names);
        }
    }

    pub(super) fn forget_peers(&mut self, gone: &[PeerId]) {
        self.peers.retain(|peer, _| !gone.contains(peer));
        self.classes.retain(|(peer, _), _| !gone.contains(peer));
    }

    /// What is to be told of an event of the engine.
    pub(super) fn translate(&mut self, event: &Event) -> Vec<Happening> {
        let peer = event.peer;
        let name = self.name(peer);
        let draft = |kind, text: String| Draft::new(kind, text).peer(&name);
        let at_once = |draft| vec![Happening { topic: None, draft }];
        match &event.what {
            Engine::State { from, to } => self.state(peer, *from, *to),
            Engine::Epoch { number, full, sources } => self.epoch(peer, *number, *full, sources),
            Engine::ExchangeFailed { full } => {
                let text = format!("{} came to nothing", if *full { "a full handshake" } else { "a fast rekey" });
                let topic = Some(Topic::Failure(peer, *full));
                vec![Happening { topic, draft: draft(EventKind::RekeyFailed, text) }]
            }
            Engine::SourceFailed { source, reason, text } => {
                self.class(peer, *source, Some(*reason), text).into_iter().collect()
            }
            Engine::PolicyDiffers => at_once(draft(
                EventKind::PolicyDiffers,
                "the peer has another QKD policy; the stricter holds".to_owned(),
            )),
            Engine::Override(OverrideChange::Began { order, ends }) => {
                let (qkd, until) = (order.qkd.as_str(), rfc3339(*ends));
                let text = format!("the policy is overridden: qkd {qkd} until {until}: {}", order.reason);
                at_once(draft(EventKind::Override, text))
            }
            Engine::Override(OverrideChange::Ended { early }) => {
                let why = if *early { "before its time" } else { "its time is up" };
                let text = format!("the override has ended, {why}: the configured policy holds");
                at_once(draft(EventKind::Override, text))
            }
            Engine::Roamed(to) => {
                let draft = draft(EventKind::Endpoint, format!("the peer is at {} now", to.to));
                vec![Happening { topic: Some(Topic::Endpoint(peer)), draft }]
            }
            Engine::Alarm(alarm) => at_once(draft(EventKind::Alarm, self.alarm(peer, alarm))),
        }
    }

    fn state(&self, peer: PeerId, from: State, to: State) -> Vec<Happening> {
        let name = self.name(peer);
        let seconds = DEAD_PEER_AFTER.as_secs();
        let text = match to {
            State::Hybrid => "QKD keys are mixed as the policy asks".to_owned(),
            State::Off => "QKD is off at both ends: X25519 and ML-KEM only".to_owned(),
            State::Holdover => format!("too few QKD keys{}; traffic goes on until hold_last ends", self.why(peer)),
            State::Degraded => format!("too few QKD keys{}; traffic goes on until degrade_for ends", self.why(peer)),
            State::Holding => format!("no session{}; waiting for the peer or the KME", self.why(peer)),
            State::Blocked => format!("traffic is stopped for want of QKD keys{}", self.why(peer)),
            State::Down => format!("nothing authentic came from the peer for {seconds} s"),
        };
        let change = Draft::new(EventKind::State, &text).peer(&name).change(from.as_str(), to.as_str());
        let timeout = (to == State::Down).then(|| Draft::new(EventKind::PeerTimeout, &text).peer(&name));
        [timeout, Some(change)].into_iter().flatten().map(|draft| Happening { topic: None, draft }).collect()
    }

    fn epoch(&mut self, peer: PeerId, number: u64, full: bool, sources: &[(SourceId, KeyId)]) -> Vec<Happening> {
        let mut told: Vec<Happening> =
            sources.iter().filter_map(|(source, _)| self.class(peer, *source, None, "")).collect();
        let key = |(source, id): &(SourceId, KeyId)| {
            format!("{} (key_ID {})", self.source(peer, *source), shortened(id.as_str()))
        };
        let keys = match sources {
            [] => "no QKD key".to_owned(),
            mixed => mixed.iter().map(key).collect::<Vec<_>>().join(" + "),
        };
        let (what, topic) = match full {
            true => ("full handshake", Topic::FullHandshake(peer)),
            false => ("fast rekey", Topic::FastRekey(peer)),
        };
        let text = format!("{what}: epoch {number} is in use with {keys}");
        let draft = Draft::new(EventKind::Rekey, text).peer(&self.name(peer));
        told.push(Happening { topic: Some(topic), draft });
        told
    }

    /// A source gives keys (`None`) or fails: told if it did otherwise before.
    fn class(&mut self, peer: PeerId, source: SourceId, class: Option<Reason>, text: &str) -> Option<Happening> {
        if class == Some(Reason::NotAsked) {
            // Says nothing of the KME: the exchange was short without it.
            return None;
        }
        let before = self.classes.insert((peer, source), class);
        let word = |class: Option<Reason>| class.map_or("ok", Reason::as_str);
        // The first that is told of a source is how it does, if that is not well.
        if before == Some(class) || (before.is_none() && class.is_none()) {
            return None;
        }
        let (from, to) = (word(before.flatten()), word(class));
        let text = match class {
            None => "QKD keys are mixed again".to_owned(),
            Some(reason) if text.is_empty() => format!("no QKD key: {}", reason.as_str()),
            Some(reason) => format!("no QKD key: {}: {text}", reason.as_str()),
        };
        let draft = Draft::new(EventKind::Kme, text).peer(&self.name(peer)).source(&self.source(peer, source));
        Some(Happening { topic: Some(Topic::Source(peer, source)), draft: draft.change(from, to) })
    }

    /// The sources of a peer that fail, in brackets.
    fn why(&self, peer: PeerId) -> String {
        let failing = self.classes.iter().filter(|((of, _), _)| *of == peer);
        let word = |(_, source): &(PeerId, SourceId), reason: Reason| {
            format!("{}: {}", self.source(peer, *source), reason.as_str())
        };
        let words: Vec<String> = failing.filter_map(|(key, class)| class.map(|reason| word(key, reason))).collect();
        if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
    }

    fn alarm(&self, peer: PeerId, alarm: &Alarm) -> String {
        match alarm {
            Alarm::QkdMismatch { keys } => {
                let key = |(source, id): &(SourceId, Option<KeyId>)| {
                    let id = id.as_ref().map_or_else(|| "?".to_owned(), |id| shortened(id.as_str()));
                    format!("{} (key_ID {id})", self.source(peer, *source))
                };
                let keys = keys.iter().map(key).collect::<Vec<_>>().join(", ");
                format!("QKD_MISMATCH: the two KMEs gave different keys: {keys}")
            }
            Alarm::QkdRequiredMissing => "QKD_REQUIRED_MISSING: too few QKD keys for a session".to_owned(),
            Alarm::RatchetLost => {
                "RATCHET_LOST: no common ratchet entry; a copy, a restored backup, or an impersonator".to_owned()
            }
            Alarm::RatchetNotWritten => "the ratchet state could not be written".to_owned(),
            Alarm::PskOrIdentity => "PSK or identity differs for this peer".to_owned(),
        }
    }

    pub(super) fn name(&self, peer: PeerId) -> String {
        self.peers.get(&peer).map_or("?", |peer| peer.name.as_str()).to_owned()
    }

    fn source(&self, peer: PeerId, source: SourceId) -> String {
        let sources = self.peers.get(&peer).map(|peer| peer.sources.as_slice()).unwrap_or_default();
        sources.iter().find(|(id, _)| *id == source).map_or("?", |(_, name)| name).to_owned()
    }
}

#[cfg(test)]
mod tests;
