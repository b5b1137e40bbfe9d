//! The two loops of a pair: one seals what the TUN queue gives, one opens what the socket gives.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::outlet::Inlet;
use crate::dataplane::open::{Opened, open_datagram};
use crate::dataplane::seal::{Sent, seal_packet};
use crate::dataplane::snapshot::{Endpoint, Snapshot};
use crate::io::tun::{TunQueue, is_gone};
use crate::io::udp::{DatagramSocket, Received, UdpSocket};
use crate::io::wait::{StopListener, Woken};
use crate::types::id::PeerId;
use crate::types::time::Instant;

/// Bytes of the longest packet or datagram: the length fields of IP and UDP have 16 bits.
const PACKET_BYTES_MAX: usize = 65_535;
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
    pub(super) udp: Arc<UdpSocket>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) clock: Clock,
    pub(super) stop: StopListener,
    pub(super) inlet: Inlet,
}

/// From the TUN queue to the socket.
pub(super) struct Sealer {
    shared: Shared,
    lane: u8,
    packet: Vec<u8>,
    datagram: Vec<u8>,
}

/// From the socket to the TUN queue.
pub(super) struct Opener {
    shared: Shared,
    train: Vec<u8>,
}

impl Sealer {
    pub(super) fn new(shared: Shared, lane: u8) -> Self {
        let datagram = Vec::with_capacity(PACKET_BYTES_MAX);
        Self { shared, lane, packet: vec![0; PACKET_BYTES_MAX], datagram }
    }

    /// Until the order to stop (`Ok`), or until the TUN queue fails for good.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut failures = Failures::default();
        while !self.shared.stop.is_given() {
            match self.shared.tun.read(&mut self.packet) {
                Ok(length) => {
                    failures.none();
                    self.carry(length)?;
                }
                Err(error) if is_gone(&error) => return Err(error),
                Err(error) => self.shared.wait(self.shared.tun.as_fd(), error, &mut failures)?,
            }
        }
        Ok(())
    }

    /// One packet.
    fn carry(&mut self, length: usize) -> io::Result<()> {
        let Shared { snapshot, clock, inlet, .. } = &self.shared;
        let packet = self.packet.get(..length).unwrap_or_default();
        let mut report = |event| inlet.offer(event);
        let sent = seal_packet(&snapshot.load(), clock(), self.lane, packet, &mut self.datagram, &mut report);
        // The snapshot is not held while this waits: with it go the keys, when the engine erases them.
        match sent {
            Sent::Transmit { peer, to } => self.send(peer, to),
            Sent::Staged | Sent::Dropped => Ok(()),
        }
    }

    /// Waits while the send buffer is full: the packets behind this one wait in the TUN queue, which has a bound.
    fn send(&self, peer: PeerId, to: Endpoint) -> io::Result<()> {
        let Shared { udp, snapshot, stop, .. } = &self.shared;
        while let Err(error) = udp.send(&self.datagram, to) {
            if error.kind() != io::ErrorKind::WouldBlock || stop.wait_writable(udp.as_fd())? != Woken::Ready {
                // No route, no memory, a firewall: the network may come back, and the peer sees a lost packet.
                if let Some(peer) = snapshot.load().peer(peer) {
                    peer.traffic.drops.send.add(1);
                }
                break;
            }
        }
        Ok(())
    }
}

impl Opener {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, train: vec![0; PACKET_BYTES_MAX] }
    }

    /// Until the order to stop (`Ok`), or until the socket or the TUN queue fails for good.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut failures = Failures::default();
        while !self.shared.stop.is_given() {
            match self.shared.udp.recv_train(&mut self.train) {
                Ok(received) => {
                    failures.none();
                    let train = self.train.get_mut(..received.bytes).unwrap_or_default();
                    for datagram in train.chunks_mut(received.stride) {
                        carry(&self.shared, datagram, received)?;
                    }
                }
                Err(error) => self.shared.wait(self.shared.udp.as_fd(), error, &mut failures)?,
            }
        }
        Ok(())
    }
}

/// One datagram of those received together.
fn carry(shared: &Shared, datagram: &mut [u8], received: Received) -> io::Result<()> {
    let Shared { tun, snapshot, clock, inlet, .. } = shared;
    let snapshot = snapshot.load();
    let mut report = |event| inlet.offer(event);
    let opened = open_datagram(&snapshot, clock(), received.from, received.local, datagram, &mut report);
    let Opened::Deliver { peer, packet } = opened else { return Ok(()) };
    match tun.write(&[IoSlice::new(packet)]) {
        Ok(()) => Ok(()),
        Err(error) if is_gone(&error) => Err(error),
        Err(_) => {
            // The interface is down, or the system is short of memory: a lost packet.
            if let Some(peer) = snapshot.peer(peer) {
                peer.traffic.drops.tun.add(1);
            }
            Ok(())
        }
    }
}

impl Shared {
    /// After a read that gave nothing: waits for more if that is all, else a while, and not for ever.
    fn wait(&self, what: BorrowedFd<'_>, error: io::Error, failures: &mut Failures) -> io::Result<()> {
        if error.kind() == io::ErrorKind::WouldBlock && self.stop.wait_readable(what)? != Woken::Broken {
            return Ok(());
        }
        failures.one(error)?;
        self.stop.pause(FAILED_READ_PAUSE)
    }
}

/// Failures in a row.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    fn none(&mut self) {
        self.0 = 0;
    }

    /// Gives the error back when there were too many.
    fn one(&mut self, error: io::Error) -> io::Result<()> {
        self.0 += 1;
        if self.0 < FAILED_READS_MAX { Ok(()) } else { Err(error) }
    }
}
