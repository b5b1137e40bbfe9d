//! The packet process's side of the key sources: what was asked and is open, and how each source does (PROTOCOL 2.5 "KME calls").
//!
//! Who asks the KMEs is the keys process, which is not trusted with more than that: an answer to what was not asked is thrown away.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::limits::{KEY_ANSWERS_MAX, KEY_REQUEST_AGE_MAX, KEY_REQUESTS_MAX, KEYS_SILENCE_MAX};
use super::setup::PeerSource;
use crate::etsi014::v1::path::Method;
use crate::io::keys_link::frames::{FRAME_BYTES_MAX, KeyAsk, SourcePlace, Told, method_of};
use crate::io::source::{Asked, HeldFiles, SourceFigures, SourceSetup, SourceSnapshot};
use crate::keys::request::{DeliveredKey, KeyDelivery, KeyRequest, RequestId, SourceFailure};
use crate::types::id::{PeerId, SourceId};
use crate::types::policy::Reason;

/// All key sources of the interface.
pub(super) struct Fetchers {
    /// In the order in which the keeper handed them over.
    desks: Vec<Desk>,
    generation: u32,
    open: BTreeMap<RequestId, Open>,
    asks: Sender<KeyAsk>,
    /// When the keys process last said anything.
    heard: Instant,
    /// Keys processes that have begun.
    begun: u64,
    _tasks: JoinSet<()>,
}

/// One source.
struct Desk {
    peer: PeerId,
    source: SourceId,
    setup: SourceSetup,
    files: HeldFiles,
    figures: SourceFigures,
}

/// A request without an answer.
struct Open {
    peer: PeerId,
    source: SourceId,
    method: Method,
    since: Instant,
}

/// A source with what its files held when they were read.
pub(super) struct ReadSource {
    /// Whose, by the place in the configuration.
    pub(super) peer: PeerId,
    pub(super) source: SourceId,
    pub(super) setup: SourceSetup,
    pub(super) files: HeldFiles,
}

/// Both lists are of all sources, in the order of the configuration.
pub(super) fn read_sources(sources: Vec<PeerSource>, held: Vec<HeldFiles>) -> Vec<ReadSource> {
    let both = sources.into_iter().zip(held);
    both.map(|(PeerSource { peer, source, setup }, files)| ReadSource { peer, source, setup, files }).collect()
}

impl Fetchers {
    /// Over this end of the meeting; what the keys process tells comes out of the receiver, for [`Fetchers::hear`]. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(
        meeting: OwnedFd,
        generation: u32,
        sources: Vec<ReadSource>,
    ) -> io::Result<(Self, Receiver<Told>)> {
        let socket = StdDatagram::from(meeting);
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UnixDatagram::from_std(socket)?);
        let (asks, asking) = channel(KEY_REQUESTS_MAX);
        let (telling, told) = channel(KEY_ANSWERS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(ask_all(Arc::clone(&socket), asking));
        tasks.spawn(hear_all(socket, telling));
        let desks = sources.into_iter().map(|source| Desk::new(source.peer, source)).collect();
        let open = BTreeMap::new();
        Ok((Self { desks, generation, open, asks, heard: Instant::now(), begun: 0, _tasks: tasks }, told))
    }

    /// These sources from now on, of this handover; `ids` are the numbers of the peers by their places. What was asked before is
    /// still answered; a source that goes on under its name goes on with its figures.
    pub(super) fn change(&mut self, generation: u32, sources: Vec<ReadSource>, ids: &[PeerId]) {
        self.generation = generation;
        let before = std::mem::take(&mut self.desks);
        let mut before: BTreeMap<_, _> = before.into_iter().map(|desk| ((desk.peer, desk.source), desk)).collect();
        for source in sources {
            // Every peer has a number; without one its source would take the place of the next.
            let peer = ids.get(usize::from(source.peer.0)).copied().unwrap_or(source.peer);
            let earlier = before.remove(&(peer, source.source));
            let desk = Desk::new(peer, source);
            self.desks.push(match earlier.filter(|earlier| earlier.setup.name == desk.setup.name) {
                Some(earlier) => desk.with_figures_of(earlier),
                None => desk,
            });
        }
    }

    /// How each source is set up, and what its files held.
    pub(super) fn by_number(&self) -> BTreeMap<(PeerId, SourceId), (&SourceSetup, &HeldFiles)> {
        self.desks.iter().map(|desk| ((desk.peer, desk.source), (&desk.setup, &desk.files))).collect()
    }

    /// Hands a request in. If that is not possible the failure comes back at once.
    pub(super) fn ask(&mut self, request: KeyRequest) -> Result<(), KeyDelivery> {
        let KeyRequest { id, peer, source, kind, deadline } = request;
        let failed = |reason, text| Err(failure(id, peer, source, reason, text));
        let place = self.desks.iter().position(|desk| desk.peer == peer && desk.source == source);
        let Some(place) = place.and_then(|place| u32::try_from(place).ok()) else {
            return failed(Reason::NotConfigured, "no such source");
        };
        let place = SourcePlace { generation: self.generation, place };
        let method = method_of(&kind);
        let ask = KeyAsk { source: place, request: id, kind, deadline };
        if self.open.len() >= KEY_REQUESTS_MAX || self.asks.try_send(ask).is_err() {
            return failed(Reason::Other, "too many requests wait for the keys process");
        }
        self.open.insert(id, Open { peer, source, method, since: Instant::now() });
        Ok(())
    }

    /// What follows from what the keys process tells: figures, and deliveries for the engine.
    pub(super) fn hear(&mut self, told: Told) -> Vec<KeyDelivery> {
        self.heard = Instant::now();
        match told {
            Told::Began => self.begin(),
            // Late, or never asked for: it is wiped here.
            Told::Answer { request, asked } => self.close(request, asked).into_iter().collect(),
            Told::Status { source, asked } => {
                let place = usize::try_from(source.place).ok().filter(|_| source.generation == self.generation);
                if let Err(failure) = &asked.result {
                    tracing::debug!(reason = failure.reason.as_str(), text = failure.text, "KME status");
                }
                if let Some(desk) = place.and_then(|place| self.desks.get_mut(place)) {
                    desk.figures.note_status(&asked);
                }
                Vec::new()
            }
        }
    }

    /// Another keys process is at work: it knows nothing of what was asked of the one before.
    fn begin(&mut self) -> Vec<KeyDelivery> {
        self.begun = self.begun.saturating_add(1);
        if self.begun == 1 {
            return Vec::new();
        }
        self.give_up(|_| true, Reason::Other, "the keys process ended before it answered")
    }

    /// How often the keys process was started again.
    pub(super) fn restarts(&self) -> u64 {
        self.begun.saturating_sub(1)
    }

    /// Whether the keys process stands still: something is asked of it, and nothing comes.
    pub(super) fn is_silent(&self) -> bool {
        // Requests are numbered as they are made: the first is the oldest.
        let oldest = self.open.first_key_value();
        oldest.is_some_and(|(_, open)| open.since.max(self.heard).elapsed() > KEYS_SILENCE_MAX)
    }

    /// What is given up: everything, of a keys process that stands still; else requests so old that no answer comes any more.
    pub(super) fn overdue(&mut self) -> Vec<KeyDelivery> {
        let age_max = if self.is_silent() { Duration::ZERO } else { KEY_REQUEST_AGE_MAX };
        self.give_up(|since| since.elapsed() >= age_max, Reason::Deadline, "the keys process does not answer")
    }

    fn give_up(&mut self, is_given_up: impl Fn(Instant) -> bool, reason: Reason, text: &str) -> Vec<KeyDelivery> {
        let old = self.open.iter().filter(|(_, open)| is_given_up(open.since));
        let old: Vec<RequestId> = old.map(|(id, _)| *id).collect();
        let fail = |id: RequestId| {
            let open = self.open.get(&id)?;
            let failure = SourceFailure { reason, text: text.to_owned() };
            let asked = Asked { method: open.method, took: open.since.elapsed(), tls: None, result: Err(failure) };
            self.close(id, asked)
        };
        old.into_iter().filter_map(fail).collect()
    }

    /// The end of a request, whatever came of it; `None` if there is no such request.
    fn close(&mut self, id: RequestId, asked: Asked<DeliveredKey>) -> Option<KeyDelivery> {
        let Open { peer, source, .. } = self.open.remove(&id)?;
        if let Some(desk) = self.desks.iter_mut().find(|desk| desk.peer == peer && desk.source == source) {
            desk.figures.note_key(&asked);
        }
        Some(KeyDelivery { id, peer, source, outcome: asked.result })
    }

    /// The figures of every source with the peer that it keys and its number there.
    pub(super) fn figures(&self) -> impl Iterator<Item = (PeerId, SourceId, SourceSnapshot)> {
        self.desks.iter().map(|desk| (desk.peer, desk.source, desk.figures.snapshot()))
    }
}

impl Desk {
    fn new(peer: PeerId, ReadSource { source, setup, files, .. }: ReadSource) -> Self {
        let figures = SourceFigures::new(&setup.name, "etsi014", files.ends());
        Self { peer, source, setup, files, figures }
    }

    fn with_figures_of(self, earlier: Self) -> Self {
        let mut figures = earlier.figures;
        figures.renew(self.files.ends());
        Self { figures, ..self }
    }
}

fn failure(id: RequestId, peer: PeerId, source: SourceId, reason: Reason, text: &str) -> KeyDelivery {
    KeyDelivery { id, peer, source, outcome: Err(SourceFailure { reason, text: text.to_owned() }) }
}

async fn ask_all(socket: Arc<UnixDatagram>, mut asking: Receiver<KeyAsk>) {
    while let Some(ask) = asking.recv().await {
        // The keeper keeps the other end open, so that only the system can refuse; the request is then overdue one day.
        if let Err(error) = socket.send(&ask.to_bytes()).await {
            tracing::warn!(%error, "a request did not reach the keys process");
        }
    }
}

/// A pause after what cannot be read, so that a broken socket does not make this spin.
const HEAR_AGAIN: Duration = Duration::from_secs(1);

async fn hear_all(socket: Arc<UnixDatagram>, telling: Sender<Told>) {
    let mut frame = Zeroizing::new(vec![0; FRAME_BYTES_MAX]);
    loop {
        let told = match socket.recv(&mut frame).await {
            Ok(length) => Told::parse(frame.get(..length).unwrap_or_default()).map_err(io::Error::other),
            Err(error) => Err(error),
        };
        match told {
            Ok(told) => {
                if telling.send(told).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the keys process says what cannot be understood");
                tokio::time::sleep(HEAR_AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
