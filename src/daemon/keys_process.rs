//! The keys process: TLS, HTTP, JSON and names of the KMEs, away from packets. It holds no key but those that pass through it.
//!
//! Its keeper hands sources over and says nothing else; the packet process asks. One task a source, one request at a time
//! (PROTOCOL 2.5 "KME calls"). It ends when its keeper does.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram as StdDatagram, UnixStream as StdStream};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use zeroize::Zeroizing;

use super::limits::KEY_REQUESTS_MAX;
use crate::control::sandbox::Sandbox;
use crate::io::keys_link::frames::{FRAME_BYTES_MAX, KeyAsk, SourcePlace, Told, method_of};
use crate::io::keys_link::handover::{HANDOVER_BYTES_MAX, Handover};
use crate::io::kme_client::registry::KmeClients;
use crate::io::source::{Asked, Etsi014Source, KeySource, STATUS_INTERVAL, SourceSetup};
use crate::keys::request::SourceFailure;
use crate::types::policy::Reason;

/// Answers that wait for the packet process: it takes them at once, or has stopped, and then nothing more is fetched.
const ANSWERS_MAX: usize = 64;

/// The sources of one handover.
struct Desks {
    generation: u32,
    requests: Vec<Sender<KeyAsk>>,
}

/// Works until the keeper is gone. Needs a tokio runtime.
///
/// # Errors
/// The system refuses the sockets, or the keeper sends what is no handover.
pub async fn serve(keeper: OwnedFd, packets: OwnedFd, sandbox: &Sandbox) -> io::Result<()> {
    let keeper = StdStream::from(keeper);
    keeper.set_nonblocking(true)?;
    let mut keeper = UnixStream::from_std(keeper)?;
    let packets = StdDatagram::from(packets);
    packets.set_nonblocking(true)?;
    let packets = Arc::new(UnixDatagram::from_std(packets)?);
    let (told, telling) = channel(ANSWERS_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(tell(Arc::clone(&packets), telling));
    let mut desks: Option<Desks> = None;
    let mut clients = KmeClients::default();
    // One that is begun is read whole before the next look: who waits for it is dropped at the end alone.
    let (came, mut handovers) = channel(1);
    let (mut listening, mut answering) = keeper.split();
    let listen = async {
        while let Some(handover) = next_handover(&mut listening).await? {
            if came.send(handover).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let work = async {
        let mut frame = Zeroizing::new(vec![0; FRAME_BYTES_MAX]);
        loop {
            tokio::select! {
                Some(handover) = handovers.recv() => {
                    let before = desks.replace(Desks::open(handover, &mut clients, &mut tasks, &told));
                    confirm(&mut answering, sandbox).await?;
                    if before.is_none() && told.send(Told::Began).await.is_err() {
                        return Ok(());
                    }
                }
                // What is asked before there are sources waits.
                received = packets.recv(&mut frame), if desks.is_some() => {
                    let length = received?;
                    if length == 0 {
                        // No question is empty: who asks has gone, and this would come again at once, for ever.
                        return Ok(());
                    }
                    let Ok(ask) = KeyAsk::parse(frame.get(..length).unwrap_or_default()) else {
                        tracing::warn!("the packet process asks for what is no key");
                        continue;
                    };
                    if let Some(refused) = desks.as_ref().and_then(|desks| desks.hand_in(ask))
                        && told.send(refused).await.is_err()
                    {
                        return Ok(());
                    }
                }
            }
        }
    };
    tokio::select! {
        ended = listen => ended,
        ended = work => ended,
    }
}

impl Desks {
    /// Starts a task for each source. Those of the handover before end when what was asked of them is answered.
    fn open(handover: Handover, clients: &mut KmeClients, tasks: &mut JoinSet<()>, told: &Sender<Told>) -> Self {
        let Handover { generation, sources, files } = handover;
        *clients = clients.anew(files);
        while tasks.try_join_next().is_some() {}
        let open = |(place, setup)| {
            let (requests, waiting) = channel(KEY_REQUESTS_MAX);
            let source = SourcePlace { generation, place };
            tasks.spawn(ask(source, made(setup, clients), waiting, told.clone()));
            requests
        };
        Self { generation, requests: (0..).zip(sources).map(open).collect() }
    }

    /// To the task of its source; what cannot be handed in comes back as refused.
    fn hand_in(&self, ask: KeyAsk) -> Option<Told> {
        let SourcePlace { generation, place } = ask.source;
        let requests = usize::try_from(place).ok().and_then(|place| self.requests.get(place));
        let (ask, reason, text) = match requests.filter(|_| generation == self.generation) {
            None => (ask, Reason::NotConfigured, "no such source"),
            Some(requests) => match requests.try_send(ask) {
                Ok(()) => return None,
                Err(error) => (error.into_inner(), Reason::Other, "too many requests wait for this source"),
            },
        };
        Some(refusal(&ask, reason, text))
    }
}

fn refusal(ask: &KeyAsk, reason: Reason, text: &str) -> Told {
    let method = method_of(&ask.kind);
    let result = Err(SourceFailure { reason, text: text.to_owned() });
    Told::Answer { request: ask.request, asked: Asked { method, took: std::time::Duration::ZERO, tls: None, result } }
}

/// The source, or why there is none: the keeper has tried these very files, so that this is not to be expected.
fn made(setup: SourceSetup, clients: &mut KmeClients) -> Result<Etsi014Source, String> {
    let name = setup.name.clone();
    Etsi014Source::new(setup, clients).map_err(|error| {
        tracing::error!(source = name, %error, "the source cannot be asked");
        error.to_string()
    })
}

/// Requests before status: the status is advisory and waits. Ends when there is another handover and all that was asked is
/// answered.
async fn ask(
    place: SourcePlace,
    source: Result<Etsi014Source, String>,
    mut requests: Receiver<KeyAsk>,
    told: Sender<Told>,
) {
    let mut source = match source {
        Ok(source) => source,
        Err(text) => {
            while let Some(ask) = requests.recv().await {
                if told.send(refusal(&ask, Reason::Other, &text)).await.is_err() {
                    return;
                }
            }
            return;
        }
    };
    let mut polls = interval_at(Instant::now(), STATUS_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let news = tokio::select! {
            biased;
            ask = requests.recv() => {
                let Some(ask) = ask else { return };
                Told::Answer { request: ask.request, asked: source.fetch(&ask.kind, ask.deadline).await }
            }
            _ = polls.tick() => Told::Status { source: place, asked: source.status().await },
        };
        if told.send(news).await.is_err() {
            return;
        }
    }
}

/// What there is to tell, one after the other.
async fn tell(packets: Arc<UnixDatagram>, mut telling: Receiver<Told>) {
    while let Some(told) = telling.recv().await {
        if let Err(error) = packets.send(&told.to_bytes()).await {
            tracing::warn!(%error, "the packet process does not listen");
        }
    }
}

/// `None` when the keeper is gone.
async fn next_handover(keeper: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Option<Handover>> {
    let length = match keeper.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > HANDOVER_BYTES_MAX {
        return Err(io::Error::other(format!(
            "a handover of {length} bytes, at most {HANDOVER_BYTES_MAX} were expected"
        )));
    }
    let mut whole = Zeroizing::new(vec![0; length]);
    keeper.read_exact(&mut whole).await?;
    Handover::parse(&whole).map(Some).map_err(io::Error::other)
}

/// The sources are in use, and this is how the process is confined.
async fn confirm(keeper: &mut (impl AsyncWriteExt + Unpin), sandbox: &Sandbox) -> io::Result<()> {
    let answer = serde_json::to_vec(sandbox).map_err(io::Error::other)?;
    keeper.write_u32(u32::try_from(answer.len()).map_err(io::Error::other)?).await?;
    keeper.write_all(&answer).await
}
