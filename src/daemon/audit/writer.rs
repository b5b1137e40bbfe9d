//! The thread that writes the audit: what the disk does not take waits, in order, until it does.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::control::audit::record::What;
use crate::daemon::limits::{AUDIT_RETRY, AUDIT_WAITING_MAX};
use crate::io::audit_file::AuditFile;
use crate::io::state::StateDir;
use crate::types::time::UnixMillis;

/// How the writing thread does.
#[derive(Default)]
pub(super) struct Progress {
    /// Lines on the disk.
    pub(super) written: AtomicU64,
    /// Attempts in a row that failed; 0: the last one succeeded.
    pub(super) failures: AtomicU64,
}

/// A record with its time.
type Entry = (UnixMillis, What);

/// Where records are handed in.
#[derive(Default)]
pub(super) struct Writer {
    entries: Option<SyncSender<Entry>>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
    /// What found no room on its way to the thread, and when the last of it did not: a disk that hangs refuses nothing.
    lost: u64,
    lost_at: UnixMillis,
}

/// What takes records: the files, or in tests a disk that fails.
pub(super) trait Lines: Send {
    /// One more line, on the disk when this returns.
    fn append(&mut self, time: UnixMillis, what: What) -> io::Result<()>;
}

/// The files, opened again if they could not be at first.
struct Files {
    state: StateDir,
    file: Option<AuditFile>,
}

impl Lines for Files {
    fn append(&mut self, time: UnixMillis, what: What) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open(time)?,
        };
        let written = file.append(time, what);
        self.file = Some(file);
        written
    }
}

impl Files {
    fn open(&self, time: UnixMillis) -> io::Result<AuditFile> {
        let (mut file, trouble) = AuditFile::open(&self.state)?;
        if let Some(text) = trouble {
            tracing::error!("the audit is not as it was written: {text}");
            file.append(time, What::Broken { text })?;
        }
        Ok(file)
    }
}

impl Writer {
    /// Starts the thread; files that could not be opened are tried again with each line.
    pub(super) fn start(opened: io::Result<AuditFile>, state: StateDir, progress: Arc<Progress>) -> Self {
        let file = opened.inspect_err(|error| tracing::error!(%error, "the audit cannot be opened")).ok();
        Self::with(Files { state, file }, progress)
    }

    fn with(lines: impl Lines + 'static, progress: Arc<Progress>) -> Self {
        let (entries, waiting) = sync_channel(AUDIT_WAITING_MAX);
        let counted = Arc::clone(&progress);
        let thread = std::thread::Builder::new().name("plait-audit".to_owned());
        let thread = thread.spawn(move || Desk { lines, waiting, counted, held: VecDeque::new(), lost: 0 }.work());
        match thread {
            Ok(thread) => Self { entries: Some(entries), progress, thread: Some(thread), ..Self::default() },
            Err(error) => {
                tracing::error!(%error, "no thread to write the audit");
                progress.failures.fetch_add(1, Ordering::Relaxed);
                Self { progress, ..Self::default() }
            }
        }
    }

    /// Hands a record in; never waits. One that finds no room counts as a failure, and the next one that does tells of it.
    pub(super) fn put(&mut self, time: UnixMillis, what: What) {
        if self.tell_lost(time) && self.hand_in(time, what) {
            return;
        }
        self.lost += 1;
        self.lost_at = time;
        self.progress.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn hand_in(&self, time: UnixMillis, what: What) -> bool {
        self.entries.as_ref().is_some_and(|entries| entries.try_send((time, what)).is_ok())
    }

    /// Where they are missing; whether nothing is left to be told.
    fn tell_lost(&mut self, time: UnixMillis) -> bool {
        if self.lost == 0 || self.hand_in(time, What::Gap { lost: self.lost }) {
            self.lost = 0;
        }
        self.lost == 0
    }

    /// Returns when everything is written, or the disk has refused it once more.
    pub(super) fn finish(&mut self) {
        if let Some(entries) = self.entries.take().filter(|_| self.lost > 0) {
            // The thread takes it unless it has ended.
            drop(entries.send((self.lost_at, What::Gap { lost: self.lost })));
        }
        if let Some(thread) = self.thread.take() {
            // It ends with its queue; a panic in it was logged.
            drop(thread.join());
        }
    }
}

/// The thread's own.
struct Desk<L> {
    lines: L,
    waiting: Receiver<Entry>,
    counted: Arc<Progress>,
    /// What the disk has not taken yet.
    held: VecDeque<Entry>,
    /// What found no room there.
    lost: u64,
}

impl<L: Lines> Desk<L> {
    fn work(mut self) {
        loop {
            let next = match self.held.is_empty() {
                true => self.waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.waiting.recv_timeout(AUDIT_RETRY),
            };
            match next {
                Ok(entry) => self.hold(entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.write();
        }
        if !self.held.is_empty() {
            self.write();
        }
        if !self.held.is_empty() {
            tracing::error!(lines = self.held.len(), "the audit ends without lines that could not be written");
        }
    }

    fn hold(&mut self, entry: Entry) {
        if self.held.len() < AUDIT_WAITING_MAX {
            self.held.push_back(entry);
        } else {
            self.lost += 1;
        }
    }

    /// As much as the disk takes.
    fn write(&mut self) {
        while let Some((time, what)) = self.held.front() {
            if let Err(error) = self.lines.append(*time, what.clone()) {
                if self.counted.failures.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::error!(%error, "the audit cannot be written");
                }
                return;
            }
            self.counted.written.fetch_add(1, Ordering::Relaxed);
            let time = *time;
            self.held.pop_front();
            if self.held.is_empty() && self.lost > 0 {
                self.held.push_back((time, What::Gap { lost: std::mem::take(&mut self.lost) }));
            }
        }
        if self.counted.failures.swap(0, Ordering::Relaxed) > 0 {
            tracing::info!("the audit is written again");
        }
    }
}

#[cfg(test)]
mod tests;
