//! The key sources at work: one task each, one request at a time, answers by a queue (PROTOCOL 2.5 "KME calls").

use std::collections::BTreeMap;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::limits::KEY_REQUESTS_MAX;
use super::setup::PeerSource;
use crate::control::time::rfc3339;
use crate::crypto::digest::sha256;
use crate::etsi014::v1::pin::Pin;
use crate::io::keyfile;
use crate::io::kme_client::registry::KmeClients;
use crate::io::source::{Etsi014Source, KeySource, STATUS_INTERVAL, SourceSetup, SourceSnapshot, SourceWatch};
use crate::io::tls::material::SetupError;
use crate::keys::request::{KeyDelivery, KeyRequest, SourceFailure};
use crate::types::id::{PeerId, SourceId};
use crate::types::limits::CONFIG_BYTES_MAX;
use crate::types::policy::Reason;
use crate::types::time::UnixTime;

/// All key sources of the interface.
pub(super) struct Fetchers {
    desks: Vec<FetchDesk>,
    clients: KmeClients,
    deliveries: Sender<KeyDelivery>,
    tasks: JoinSet<()>,
}

/// Where requests to one source are handed in.
struct FetchDesk {
    peer: PeerId,
    source: SourceId,
    setup: SourceSetup,
    files: SourceFiles,
    requests: Sender<KeyRequest>,
    watch: SourceWatch,
}

/// A source whose files have been read; nothing runs yet.
pub(super) struct ReadySource {
    /// Whose, by the place in the configuration.
    pub(super) peer: PeerId,
    pub(super) source: SourceId,
    pub(super) setup: SourceSetup,
    pub(super) files: SourceFiles,
    fetcher: Etsi014Source,
}

/// What the files of a source held when they were read, as far as a change is told by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFiles {
    /// Our certificate.
    pub(super) own: Pin,
    own_ends: Option<UnixTime>,
    /// The file of who signs the KME's.
    pub(super) ca: Option<[u8; 32]>,
}

impl SourceFiles {
    /// When our certificate ends.
    pub(super) fn ends(&self) -> String {
        self.own_ends.map_or_else(|| "?".to_owned(), rfc3339)
    }
}

/// Reads the files of all sources.
///
/// # Errors
/// A certificate or key that cannot be used, in words.
pub(super) fn ready_sources(
    sources: Vec<PeerSource>,
    clients: &mut KmeClients,
) -> Result<Vec<ReadySource>, SetupError> {
    let ready = |PeerSource { peer, source, setup }: PeerSource| {
        let ca = keyfile::read_public(&setup.reach.ca_file, CONFIG_BYTES_MAX).ok().map(|bytes| sha256(&bytes));
        let fetcher = Etsi014Source::new(setup.clone(), clients)?;
        let own = fetcher.own();
        let own_ends = u64::try_from(own.not_after).ok().map(UnixTime);
        let files = SourceFiles { own: own.sha256, own_ends, ca };
        Ok(ReadySource { peer, source, setup, files, fetcher })
    };
    sources.into_iter().map(ready).collect()
}

impl Fetchers {
    /// Starts a task for each source; the deliveries come out of the receiver. Needs a tokio runtime.
    pub(super) fn start(sources: Vec<ReadySource>, clients: KmeClients) -> (Self, Receiver<KeyDelivery>) {
        let (deliveries, delivered) = channel(KEY_REQUESTS_MAX);
        let mut fetchers = Self { desks: Vec::new(), clients, deliveries, tasks: JoinSet::new() };
        for source in sources {
            let peer = source.peer;
            fetchers.open(peer, source);
        }
        (fetchers, delivered)
    }

    /// For clients that read all files anew, beside those in use.
    pub(super) fn fresh_clients(&self) -> KmeClients {
        self.clients.fresh()
    }

    /// These sources from now on; `ids` are the numbers of the peers by their places. What was asked before is still
    /// answered; a source that goes on under its name goes on with its figures.
    pub(super) fn change(&mut self, sources: Vec<ReadySource>, ids: &[PeerId]) {
        while self.tasks.try_join_next().is_some() {}
        let before = std::mem::take(&mut self.desks);
        let before: BTreeMap<_, _> = before.iter().map(|desk| ((desk.peer, desk.source), desk)).collect();
        for source in sources {
            let Some(peer) = ids.get(usize::from(source.peer.0)).copied() else { continue };
            let earlier = before.get(&(peer, source.source)).filter(|desk| desk.setup.name == source.setup.name);
            let source = match earlier {
                Some(desk) => ReadySource { fetcher: source.fetcher.with_figures_of(&desk.watch), ..source },
                None => source,
            };
            self.open(peer, source);
        }
    }

    fn open(&mut self, peer: PeerId, ready: ReadySource) {
        let ReadySource { source, setup, files, fetcher, .. } = ready;
        let (requests, waiting) = channel(KEY_REQUESTS_MAX);
        self.desks.push(FetchDesk { peer, source, setup, files, requests, watch: fetcher.watch() });
        self.tasks.spawn(work(fetcher, waiting, self.deliveries.clone()));
    }

    /// How each source is set up, and what its files held.
    pub(super) fn by_number(&self) -> BTreeMap<(PeerId, SourceId), (&SourceSetup, &SourceFiles)> {
        self.desks.iter().map(|desk| ((desk.peer, desk.source), (&desk.setup, &desk.files))).collect()
    }

    /// Hands a request in. If that is not possible the failure comes back at once.
    pub(super) fn ask(&self, request: KeyRequest) -> Result<(), KeyDelivery> {
        let desk = self.desks.iter().find(|desk| desk.peer == request.peer && desk.source == request.source);
        let refused = match desk {
            None => (request, Reason::NotConfigured, "no such source"),
            Some(desk) => match desk.requests.try_send(request) {
                Ok(()) => return Ok(()),
                Err(error) => (error.into_inner(), Reason::Other, "too many requests wait for this source"),
            },
        };
        let (KeyRequest { id, peer, source, .. }, reason, text) = refused;
        Err(KeyDelivery { id, peer, source, outcome: Err(SourceFailure { reason, text: text.to_owned() }) })
    }

    /// The figures of every source with the peer that it keys and its number there.
    pub(super) fn figures(&self) -> impl Iterator<Item = (PeerId, SourceId, SourceSnapshot)> {
        self.desks.iter().map(|desk| (desk.peer, desk.source, desk.watch.snapshot()))
    }
}

/// Requests before status: the status is advisory and waits. Ends when its desk is gone and all that was asked is answered.
async fn work(mut source: Etsi014Source, mut requests: Receiver<KeyRequest>, deliveries: Sender<KeyDelivery>) {
    let mut polls = interval_at(Instant::now(), STATUS_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            request = requests.recv() => {
                let Some(request) = request else { return };
                let outcome = source.fetch(&request).await;
                let delivery = KeyDelivery { id: request.id, peer: request.peer, source: request.source, outcome };
                if deliveries.send(delivery).await.is_err() {
                    return;
                }
            }
            _ = polls.tick() => {
                if let Err(failure) = source.status().await {
                    tracing::debug!(reason = failure.reason.as_str(), text = failure.text, "KME status");
                }
            }
        }
    }
}
