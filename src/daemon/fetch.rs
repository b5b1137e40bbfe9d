//! The key sources at work: one task each, one request at a time, answers by a queue (PROTOCOL 2.5 "KME calls").

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::limits::KEY_REQUESTS_MAX;
use super::setup::PeerSource;
use crate::io::kme_client::registry::KmeClients;
use crate::io::source::{Etsi014Source, KeySource, STATUS_INTERVAL, SourceSnapshot, SourceWatch};
use crate::io::tls::material::SetupError;
use crate::keys::request::{KeyDelivery, KeyRequest, SourceFailure};
use crate::types::id::{PeerId, SourceId};
use crate::types::policy::Reason;

/// All key sources of the interface.
pub(super) struct Fetchers {
    desks: Vec<FetchDesk>,
    _tasks: JoinSet<()>,
}

/// Where requests to one source are handed in.
struct FetchDesk {
    peer: PeerId,
    source: SourceId,
    requests: Sender<KeyRequest>,
    watch: SourceWatch,
}

impl Fetchers {
    /// Starts a task for each source; the deliveries come out of the receiver.
    ///
    /// # Errors
    /// A certificate or key that cannot be used, in words.
    pub(super) fn start(sources: Vec<PeerSource>) -> Result<(Self, Receiver<KeyDelivery>), SetupError> {
        let (deliveries, delivered) = channel(KEY_REQUESTS_MAX);
        let mut clients = KmeClients::default();
        let (mut desks, mut tasks) = (Vec::new(), JoinSet::new());
        for PeerSource { peer, source, setup } in sources {
            let fetcher = Etsi014Source::new(setup, &mut clients)?;
            let (requests, waiting) = channel(KEY_REQUESTS_MAX);
            desks.push(FetchDesk { peer, source, requests, watch: fetcher.watch() });
            tasks.spawn(work(fetcher, waiting, deliveries.clone()));
        }
        Ok((Self { desks, _tasks: tasks }, delivered))
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

/// Requests before status: the status is advisory and waits.
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
