//! What happened, kept for people: every event is numbered, remembered, and given to whoever asks or waits.

mod expiry;
mod quiet;
mod store;
mod translate;
mod waiting;

use tokio::sync::oneshot::Sender;

use self::expiry::Expiry;
use self::quiet::Quiet;
use self::store::EventStore;
pub(super) use self::translate::PeerNames;
use self::translate::Translator;
use self::waiting::Waiting;
use crate::control::event::{Draft, Event, EventKind};
use crate::control::recent::{RecentEvents, Selection};
use crate::control::request::Answer;
use crate::daemon::fetch::Fetchers;
use crate::daemon::limits::EXPIRY_LOOK;
use crate::engine::output;
use crate::io::clock::Clock;
use crate::io::event_file::{EventFile, read_events};
use crate::io::state::StateDir;
use crate::types::id::PeerId;
use crate::types::offload::{Offload, OffloadSet};
use crate::types::time::Instant;

/// All events of one interface. Independent of the log and its level.
pub(super) struct Events {
    clock: Clock,
    recent: RecentEvents,
    translator: Translator,
    quiet: Quiet,
    waiting: Waiting,
    offload: Option<OffloadSet>,
    expiry: Expiry,
    expiry_next: Instant,
    store: Option<EventStore>,
}

impl Events {
    /// None yet.
    pub(super) fn new(clock: Clock, peers: impl Iterator<Item = (PeerId, PeerNames)>) -> Self {
        Self {
            clock,
            recent: RecentEvents::default(),
            translator: Translator::new(peers.collect()),
            quiet: Quiet::default(),
            waiting: Waiting::default(),
            offload: None,
            expiry: Expiry::default(),
            expiry_next: Instant::ZERO,
            store: None,
        }
    }

    /// Goes on where the last daemon ended, keeps what happens, and says that this one runs.
    pub(super) fn start(&mut self, state: &StateDir) {
        let earlier = read_events(state).unwrap_or_else(|error| {
            tracing::warn!(%error, "earlier events cannot be read");
            None
        });
        self.recent = RecentEvents::restored(earlier.unwrap_or_default());
        self.store = Some(EventStore::start(EventFile::of(state)));
        let before = match self.recent.latest().map(|event| event.kind) {
            None | Some(EventKind::Stop) => "",
            Some(_) => "; the one before ended without a word: killed, or the machine went down",
        };
        let version = env!("CARGO_PKG_VERSION");
        self.record(Draft::new(EventKind::Start, format!("the daemon of version {version} runs{before}")));
    }

    /// Writes one down.
    pub(super) fn record(&mut self, draft: Draft) {
        let event = self.recent.add(draft, self.clock.unix_millis());
        if let Some(store) = &self.store {
            store.put(&event);
        }
    }

    /// These peers have these names from now on.
    pub(super) fn name_peers(&mut self, peers: impl Iterator<Item = (PeerId, PeerNames)>) {
        self.translator.name_peers(peers);
        // Another certificate is looked at soon, not in minutes.
        self.expiry_next = Instant::ZERO;
    }

    /// Nothing more is told of these peers.
    pub(super) fn forget_peers(&mut self, gone: &[PeerId]) {
        for draft in self.quiet.rest() {
            self.record(draft);
        }
        self.translator.forget_peers(gone);
    }

    /// Writes down what the engine tells of.
    pub(super) fn tell(&mut self, event: &output::Event) {
        let now = self.clock.now();
        for happening in self.translator.translate(event) {
            for draft in self.quiet.pass(now, happening) {
                self.record(draft);
            }
        }
    }

    /// What time brings, several times a second: bundled events, and answers for those who wait.
    pub(super) fn look(&mut self, offload: OffloadSet, fetchers: &Fetchers) {
        self.look_at_certificates(fetchers);
        for draft in self.quiet.due(self.clock.now()) {
            self.record(draft);
        }
        let before = self.offload.replace(offload).unwrap_or(offload);
        for given_up in Offload::ALL.into_iter().filter(|kind| before.has(*kind) && !offload.has(*kind)) {
            let name = given_up.name();
            self.record(Draft::new(
                EventKind::Offload,
                format!("{name} failed in use and is off until the next start"),
            ));
        }
        let (recent, now) = (&self.recent, self.clock.unix_millis());
        self.waiting.look(self.clock.now(), recent.newest(), |which| recent.select(which, now));
    }

    fn look_at_certificates(&mut self, fetchers: &Fetchers) {
        if self.clock.now() < self.expiry_next {
            return;
        }
        self.expiry_next = self.clock.now() + EXPIRY_LOOK;
        for (peer, _, source) in fetchers.figures() {
            let Some(end) = source.certificate_expiry else { continue };
            let peer = self.translator.name(peer);
            if let Some(draft) = self.expiry.look(self.clock.unix(), &peer, &source.name, end) {
                self.record(draft);
            }
        }
    }

    /// The end: what was held back is written, and nobody waits any longer.
    pub(super) fn stop(&mut self) {
        for draft in self.quiet.rest() {
            self.record(draft);
        }
        self.record(Draft::new(EventKind::Stop, "the daemon stops in order"));
        if let Some(store) = &mut self.store {
            store.finish();
        }
        let (recent, now) = (&self.recent, self.clock.unix_millis());
        self.waiting.look(self.clock.now(), recent.newest(), |which| recent.select(which, now));
    }

    /// Answers at once, or when there is something if the caller waits and there is nothing yet.
    pub(super) fn answer(&mut self, which: Selection, wait: bool, answer: Sender<Answer>) {
        let events = self.select(which);
        if wait && events.is_empty() {
            self.waiting.add(self.clock.now(), which, self.recent.newest(), answer);
        } else {
            // A caller who has gone needs no answer.
            drop(answer.send(Answer::Events { events }));
        }
    }

    /// Those that are meant, oldest first.
    pub(super) fn select(&self, which: Selection) -> Vec<Event> {
        self.recent.select(which, self.clock.unix_millis())
    }
}
