//! A network namespace without a name: it lives as long as the thread that entered it and the children it started.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use nix::sched::{CloneFlags, unshare};

type Job = Box<dyn FnOnce() + Send>;

/// A thread inside a new network namespace that does what it is handed. Children it starts are inside too; they are
/// asked to end when it ends (`--end-with-parent`).
pub(in crate::cli) struct Namespace {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    file: File,
}

impl Namespace {
    /// Makes one.
    pub(in crate::cli) fn create(name: &str) -> io::Result<Self> {
        let (jobs, work) = channel::<Job>();
        let (entered, answer) = channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            let file = unshare(CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .and_then(|()| File::open("/proc/thread-self/ns/net"));
            drop(entered.send(file));
            serve(&work);
        })?;
        let file = answer.recv().map_err(|_| gone())??;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), file })
    }

    /// Does `job` inside and waits for its answer.
    pub(in crate::cli) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (send, receive) = channel();
        let job = Box::new(move || drop(send.send(job())));
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        receive.recv().map_err(|_| gone())
    }

    /// The descriptor by which an interface is moved here.
    pub(in crate::cli) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn serve(work: &Receiver<Job>) {
    while let Ok(job) = work.recv() {
        job();
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread of a namespace has ended")
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
