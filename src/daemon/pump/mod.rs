//! The packet threads: for each TUN queue one that seals and one that opens, plain and blocking, never through tokio.
//!
//! Out: read TUN -> `pack` -> send a train. In: receive trains -> `open_train` -> write TUN. Each frame and each burst of
//! trains takes the snapshot afresh by one atomic load, so a rekey stops nothing and a deadline holds even if the control
//! side stands still. A thread reads until there is nothing left and only then waits, in poll(2), for more or for the
//! order to stop. What the kernel refuses to do is done here instead, and not asked of it again.

mod deliver;
mod moderation;
mod opener;
mod outlet;
mod sealer;
mod too_big;
mod watch;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;

pub use outlet::{PumpEnd, PumpNews, PumpOutlet};
pub use worker::Clock;

use crate::dataplane::snapshot::Snapshot;
use crate::io::thread::{ThreadStarter, prefer_this_thread};
use crate::io::tun::TunQueue;
use crate::io::udp::DatagramSocket;
use crate::io::wait::{StopOrder, stop_pair};
use crate::types::limits::LANES;
use crate::types::offload::Offloads;
use opener::Opener;
use sealer::Sealer;
use watch::GroWatch;
use worker::Shared;

/// A TUN queue and the socket that its packets leave by and come in by. A flow never changes its pair.
pub struct PumpPair {
    /// The queue.
    pub tun: Arc<dyn TunQueue>,
    /// The socket.
    pub udp: Arc<dyn DatagramSocket>,
}

/// The running packet threads. Dropping them stops them as well, without waiting.
pub struct Pumps {
    stop: StopOrder,
    threads: Vec<JoinHandle<()>>,
}

impl Pumps {
    /// Starts two threads a pair; pair `i` seals in lane `i + 1` (PROTOCOL 2.9 "Lanes").
    ///
    /// # Errors
    /// More pairs than lanes, or no thread or descriptor left; nothing runs then.
    pub fn start(
        pairs: Vec<PumpPair>,
        starter: &ThreadStarter,
        snapshot: Arc<ArcSwap<Snapshot>>,
        clock: Clock,
        offloads: &Arc<Offloads>,
    ) -> io::Result<(Self, PumpOutlet)> {
        if pairs.len() >= LANES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "at most 7 TUN queues: one lane each"));
        }
        let (stop, listener) = stop_pair()?;
        let (inlet, outlet) = outlet::pair();
        let mut pumps = Self { stop, threads: Vec::new() };
        let count = pairs.len();
        for (lane, PumpPair { tun, udp }) in (1..).zip(pairs) {
            let shared = Shared {
                tun,
                udp,
                snapshot: Arc::clone(&snapshot),
                clock: Arc::clone(&clock),
                offloads: Arc::clone(offloads),
                stop: listener.clone(),
                inlet: inlet.clone(),
            };
            let mut sealer = Sealer::new(shared.clone(), lane);
            let mut opener = Opener::new(shared.clone(), GroWatch::new(usize::from(lane) - 1, count));
            pumps.spawn(starter, format!("plait-seal-{lane}"), &shared, move || sealer.run())?;
            pumps.spawn(starter, format!("plait-open-{lane}"), &shared, move || opener.run())?;
        }
        Ok((pumps, outlet))
    }

    fn spawn(
        &mut self,
        starter: &ThreadStarter,
        name: String,
        shared: &Shared,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let inlet = shared.inlet.clone();
        let thread = name.clone();
        let handle = starter.spawn(name, move || {
            if let Err(error) = prefer_this_thread() {
                tracing::warn!("{thread}: not before applications ({error}): packets wait longer while the machine is busy; CAP_SYS_NICE is missing");
            }
            if let Err(error) = run() {
                inlet.end(PumpEnd { thread, error });
            }
        })?;
        self.threads.push(handle);
        Ok(())
    }

    /// Stops all threads and waits for them: each ends with the packet that it has in hand.
    pub fn stop(self) {
        drop(self.stop);
        for thread in self.threads {
            // A thread that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
