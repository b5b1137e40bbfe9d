//! Signals that ask `top` to end are noted, not obeyed at once: the terminal is put in order first.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// SIGTERM, SIGHUP and SIGINT, held back and read.
pub(super) struct Stop {
    signals: SignalFd,
}

impl Stop {
    /// From here on they do not end the process. Before any other thread starts: a mask is a thread's own.
    pub(super) fn listen() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self { signals: SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)? })
    }

    /// Whether one has come.
    pub(super) fn is_wanted(&self) -> bool {
        // A descriptor that cannot be read can tell of no signal: to end is the safe reading.
        self.signals.read_signal().map_or(true, |signal| signal.is_some())
    }
}
