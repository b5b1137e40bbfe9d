//! What both threads of a pair hold, and how they wait.

use std::fmt::Display;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::outlet::Inlet;
use crate::dataplane::snapshot::Snapshot;
use crate::io::tun::TunQueue;
use crate::io::udp::DatagramSocket;
use crate::io::wait::{StopListener, Woken};
use crate::types::offload::{Offload, Offloads};
use crate::types::time::Instant;

/// Failed reads in a row after which a thread gives up: with the pauses between them about a second.
const FAILED_READS_MAX: u32 = 50;
/// Pause after a failed read, so that a descriptor that always fails costs nothing.
const FAILED_READ_PAUSE: Duration = Duration::from_millis(20);

/// Reads the clock of the engine: suspend counts.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What both threads of a pair hold.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) tun: Arc<dyn TunQueue>,
    pub(super) udp: Arc<dyn DatagramSocket>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) clock: Clock,
    pub(super) offloads: Arc<Offloads>,
    pub(super) stop: StopListener,
    pub(super) inlet: Inlet,
}

impl Shared {
    /// After a read that gave nothing: waits for more if that is all, else a while, and not for ever.
    pub(super) fn wait(&self, what: BorrowedFd<'_>, error: io::Error, failures: &mut Failures) -> io::Result<()> {
        if error.kind() == io::ErrorKind::WouldBlock && self.stop.wait_readable(what)? != Woken::Broken {
            return Ok(());
        }
        failures.one(error)?;
        self.stop.pause(FAILED_READ_PAUSE)
    }

    /// Uses an offload no more because the kernel refused it.
    pub(super) fn give_up(&self, offload: Offload, error: &io::Error) {
        self.switch_off(offload, &format_args!("refused by the kernel ({error}), nothing was lost"));
    }

    /// Uses an offload no more; one log line for all threads.
    pub(super) fn switch_off(&self, offload: Offload, why: &dyn Display) {
        if self.offloads.give_up(offload) {
            let name = offload.name();
            tracing::warn!("{name}: {why}; off from now on. To start without it: offload = {{ {name} = false }}");
        }
    }
}

/// Failures in a row.
#[derive(Default)]
pub(super) struct Failures(u32);

impl Failures {
    pub(super) fn none(&mut self) {
        self.0 = 0;
    }

    /// Gives the error back when there were too many.
    fn one(&mut self, error: io::Error) -> io::Result<()> {
        self.0 += 1;
        if self.0 < FAILED_READS_MAX { Ok(()) } else { Err(error) }
    }
}
