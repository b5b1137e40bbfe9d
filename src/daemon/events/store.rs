//! The thread that writes events down: the control loop never waits for a disk.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::control::event::Event;
use crate::daemon::limits::EVENTS_WAITING_MAX;
use crate::io::event_file::EventFile;

/// Takes events for the file. Without the thread, or with a disk that hangs, they are kept in memory alone.
pub(super) struct EventStore {
    events: Option<SyncSender<Event>>,
    thread: Option<JoinHandle<()>>,
}

impl EventStore {
    /// Starts the thread.
    pub(super) fn start(file: EventFile) -> Self {
        let (events, waiting) = sync_channel(EVENTS_WAITING_MAX);
        match std::thread::Builder::new().name("plait-events".to_owned()).spawn(move || write_all(file, &waiting)) {
            Ok(thread) => Self { events: Some(events), thread: Some(thread) },
            Err(error) => {
                tracing::error!(%error, "no thread to write events: they are not kept over a restart");
                Self { events: None, thread: None }
            }
        }
    }

    /// Hands one in; never waits.
    pub(super) fn put(&self, event: &Event) {
        let Some(events) = &self.events else { return };
        if let Err(TrySendError::Full(event) | TrySendError::Disconnected(event)) = events.try_send(event.clone()) {
            tracing::warn!(number = event.seq, "an event is not kept over a restart: the disk is too slow");
        }
    }

    /// Returns when everything handed in has been written.
    pub(super) fn finish(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            // It ends with its queue; a panic in it was logged.
            drop(thread.join());
        }
    }
}

fn write_all(mut file: EventFile, waiting: &Receiver<Event>) {
    let mut failing = false;
    while let Ok(event) = waiting.recv() {
        match file.append(&event) {
            Ok(()) if failing => tracing::info!("events are written again"),
            Ok(()) => {}
            Err(error) if !failing => {
                tracing::error!(%error, "events cannot be written: they are kept in memory alone")
            }
            Err(_) => {}
        }
        failing = file.is_failing();
    }
}
