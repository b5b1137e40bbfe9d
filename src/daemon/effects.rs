//! What the engine wants done: datagrams, key requests, files, snapshots, words for people.

use std::collections::VecDeque;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::journal;
use super::limits::STORES_MAX;
use super::start::Running;
use crate::engine::output::{Output, StateFile, StoreId};
use crate::io::state::{StateDir, StateKind};
use crate::types::id::PeerId;
use crate::types::secret::SecretBytes;

/// One write for the disk.
struct Write {
    id: StoreId,
    peer: String,
    kind: StateKind,
    bytes: SecretBytes,
}

/// What the writing thread is told.
enum Job {
    Write(Write),
    /// Everything before it has been written.
    Mark(oneshot::Sender<()>),
}

/// What the writing thread holds.
struct Writer {
    waiting: Receiver<Job>,
    report: Sender<(StoreId, bool)>,
}

/// Carries effects out. Files are written one after the other by one thread, in the order the engine asked for.
pub(super) struct Effects {
    writes: Sender<Job>,
    done: Receiver<(StoreId, bool)>,
    writer: Option<Writer>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Writes that found no room, or no thread: they have failed.
    failed: VecDeque<StoreId>,
}

impl Effects {
    /// The thread starts with the first drain, when the state folder is known.
    pub(super) fn new() -> Self {
        let (writes, waiting) = channel(STORES_MAX);
        let (report, done) = channel(STORES_MAX);
        Self { writes, done, writer: Some(Writer { waiting, report }), thread: None, failed: VecDeque::new() }
    }

    /// The next write that is done, and whether it succeeded. May be dropped while it waits.
    pub(super) async fn stored(&mut self) -> Option<(StoreId, bool)> {
        match self.failed.pop_front() {
            Some(id) => Some((id, false)),
            None => self.done.recv().await,
        }
    }

    /// Carries out all effects that the engine has.
    pub(super) fn drain(&mut self, running: &mut Running) {
        self.start_writer(&running.state);
        while let Some(output) = running.engine.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    let sent = running.wires.sockets.first().map(|udp| udp.send(&bytes, to));
                    if let Some(Err(error)) = sent {
                        tracing::debug!(to = %to.to, %error, "datagram not sent");
                    }
                }
                Output::WantKeys(request) => {
                    if let Err(refused) = running.fetchers.ask(request) {
                        running.engine.handle_keys(running.now(), refused);
                    }
                }
                Output::Store { id, peer, file, bytes } => self.store(running, id, peer, file, bytes),
                Output::Publish(snapshot) => running.snapshot.store(snapshot),
                Output::InnerMtu(bytes) => running.mtu.ask(bytes),
                Output::Event(event) => {
                    journal::event(running.peer_name(event.peer), &event);
                    running.events.tell(&event);
                    let now = running.now();
                    running.audit.tell(&running.engine, now, &event);
                }
            }
        }
    }

    fn store(&mut self, running: &Running, id: StoreId, peer: PeerId, file: StateFile, bytes: SecretBytes) {
        let kind = match file {
            StateFile::Ratchet => StateKind::Ratchet,
            StateFile::Clock => StateKind::Clock,
            StateFile::Budget => StateKind::Budget,
            StateFile::Seen => StateKind::Seen,
        };
        let name = running.peer_name(peer).to_owned();
        if self.writes.try_send(Job::Write(Write { id, peer: name, kind, bytes })).is_err() {
            self.failed.push_back(id);
        }
    }

    /// Waits until every write asked for so far is done.
    pub(super) async fn settle(&self) {
        let (reached, mark) = oneshot::channel();
        if self.thread.is_some() && self.writes.send(Job::Mark(reached)).await.is_ok() {
            // A thread that has ended writes nothing more.
            let _ = mark.await;
        }
    }

    fn start_writer(&mut self, state: &StateDir) {
        let Some(writer) = self.writer.take() else { return };
        let state = state.clone();
        let thread = std::thread::Builder::new().name("plait-state".to_owned());
        match thread.spawn(move || writer.write_all(&state)) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::error!(%error, "no thread to write the state: nothing can be kept"),
        }
    }

    /// The last effects, and every write on the disk before it returns.
    pub(super) async fn finish(mut self, running: &mut Running) {
        self.drain(running);
        drop(self.writes);
        if let Some(thread) = self.thread.take() {
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

impl Writer {
    fn write_all(mut self, state: &StateDir) {
        while let Some(job) = self.waiting.blocking_recv() {
            let Write { id, peer, kind, bytes } = match job {
                Job::Write(write) => write,
                Job::Mark(reached) => {
                    // Who waited may have gone.
                    let _ = reached.send(());
                    continue;
                }
            };
            let written = state.write(&peer, kind, bytes.expose());
            if let Err(error) = &written {
                tracing::error!(peer, file = %state.path(&peer, kind).display(), %error, "state not written");
            }
            // At the end nobody listens any more; the write is what matters.
            let _ = self.report.blocking_send((id, written.is_ok()));
        }
    }
}
