//! A tunnel whose far end is itself, with all offloads, between a host that sends super-packets and doubles that fail: what
//! the host sends comes back to it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::view::snapshot;
use crate::daemon::pump::opener::Opener;
use crate::daemon::pump::outlet;
use crate::daemon::pump::sealer::Sealer;
use crate::daemon::pump::watch::GroWatch;
use crate::daemon::pump::worker::Shared;
use crate::dataplane::frame::{Frame, Shape};
use crate::dataplane::snapshot::Snapshot;
use crate::dataplane::traffic::Drops;
use crate::io::clock::Clock;
use crate::io::doubles::{FaultyQueue, LocalQueue, Rule};
use crate::io::udp::{DatagramSocket, UdpSocket};
use crate::io::wait::{StopOrder, stop_pair};
use crate::types::offload::{OffloadSet, Offloads};
use crate::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use crate::types::time::Instant;
use crate::wire::checksum;
use crate::wire::layers::Transport;
use crate::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Payload bytes of each piece of a super-packet but the last, which has a byte.
pub(super) const PIECE_BYTES: usize = 1000;
/// Pieces of a super-packet: less than a local socket holds.
pub(super) const PIECES: usize = 6;

/// What the host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A TCP super-packet.
    Tcp,
    /// A UDP super-packet.
    Udp,
    /// One UDP packet without its checksum.
    Unfinished,
    /// One UDP packet with all that it needs.
    Whole,
}

pub(super) const ALL_KINDS: [Sent; 4] = [Sent::Tcp, Sent::Udp, Sent::Unfinished, Sent::Whole];

/// The running tunnel.
pub(super) struct Mirror {
    host: UnixDatagram,
    pub(super) queue: Arc<FaultyQueue>,
    pub(super) offloads: Arc<Offloads>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    log: Arc<File>,
    sequence: u32,
    stop: Option<StopOrder>,
    threads: Vec<JoinHandle<()>>,
}

impl Mirror {
    /// `rule` breaks writes into the queue, `wrap` stands before the socket.
    pub(super) fn start<S: DatagramSocket + 'static>(rule: Rule, wrap: impl FnOnce(Arc<UdpSocket>) -> Arc<S>) -> Self {
        let (local, host) = LocalQueue::pair(true).unwrap();
        host.set_nonblocking(false).unwrap();
        host.set_read_timeout(Some(PATIENCE)).unwrap();
        let udp = Arc::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let features = FEATURE_SEGMENT | FEATURE_BUNDLE;
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot(udp.local_address().unwrap(), features)));
        let queue = Arc::new(FaultyQueue::new(Arc::new(local), rule));
        let offloads = Arc::new(Offloads::new(OffloadSet::ALL));
        let (stop, listener) = stop_pair().unwrap();
        let clock = Clock::start();
        let shared = Shared {
            tun: Arc::clone(&queue) as _,
            udp: wrap(udp),
            snapshot: Arc::clone(&snapshot),
            clock: Arc::new(move || clock.now()),
            offloads: Arc::clone(&offloads),
            stop: listener,
            inlet: outlet::pair().0,
        };
        let log = Arc::new(tempfile::tempfile().unwrap());
        let (mut sealer, mut opener) = (Sealer::new(shared.clone(), 1), Opener::new(shared, GroWatch::new(0, 1)));
        let seal = logging(&log, move || sealer.run().unwrap());
        let open = logging(&log, move || opener.run().unwrap());
        let (stop, threads) = (Some(stop), vec![seal, open]);
        Self { host, queue, offloads, snapshot, log, sequence: 0, stop, threads }
    }

    /// Sends one frame and gives the packets that it stands for, as they are due to come back.
    pub(super) fn send(&mut self, what: Sent) -> Vec<Vec<u8>> {
        self.sequence += 1;
        let frame = frame(what, self.sequence);
        self.host.send(&frame).unwrap();
        pieces(&frame)
    }

    /// So many packets that came back, as the kernel would have passed them on.
    pub(super) fn receive(&self, count: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        let mut frame = vec![0; 70_000];
        while received.len() < count {
            let length = self.host.recv(&mut frame).unwrap_or_else(|error| {
                panic!("{} of {count} packets, then {error}; {:?}; {}", received.len(), self.drops(), self.log())
            });
            received.extend(pieces(&frame[..length]));
        }
        received
    }

    /// All of it comes back, in order.
    pub(super) fn passes(&mut self, what: Sent) {
        let expected = self.send(what);
        assert!(self.receive(expected.len()) == expected, "{what:?} was changed");
    }

    /// Nothing waits to be read.
    pub(super) fn is_silent(&self) -> bool {
        self.host.set_nonblocking(true).unwrap();
        let silent = self.host.recv(&mut [0; 1]).is_err();
        self.host.set_nonblocking(false).unwrap();
        silent
    }

    /// Packets dropped: not sent, not written into the queue, not opened.
    pub(super) fn drops(&self) -> [u64; 3] {
        let snapshot = self.snapshot.load();
        let Drops { send, tun, auth, .. } = &snapshot.peers[0].traffic.drops;
        [send, tun, auth].map(|count| count.total())
    }

    /// Waits until so many packets were dropped.
    pub(super) fn wait_drops(&self, expected: [u64; 3]) {
        let clock = Clock::start();
        while self.drops() != expected {
            assert!(
                clock.now().since(Instant::ZERO) < PATIENCE,
                "{:?} dropped, not {expected:?}; {}",
                self.drops(),
                self.log()
            );
            std::thread::yield_now();
        }
    }

    /// What the threads logged.
    pub(super) fn log(&self) -> String {
        let mut text = [0; 10_000];
        let length = self.log.read_at(&mut text, 0).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a packet thread failed");
        }
    }
}

fn logging(log: &Arc<File>, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let log = tracing_subscriber::fmt().with_writer(Arc::clone(log)).with_ansi(false).finish();
    std::thread::spawn(move || tracing::subscriber::with_default(log, run))
}

/// The frame as the kernel gives it.
fn frame(what: Sent, sequence: u32) -> Vec<u8> {
    let transport = if what == Sent::Tcp { Transport::Tcp } else { Transport::Udp };
    let payload = match what {
        Sent::Tcp | Sent::Udp => (PIECES - 1) * PIECE_BYTES + 1,
        Sent::Unfinished | Sent::Whole => 300,
    };
    let transport_bytes = if transport == Transport::Tcp { 20 } else { 8 };
    let above = transport_bytes + payload;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, transport.number(), 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&(20 + above as u16).to_be_bytes());
    packet.extend([0, 9, 0, 9]);
    if transport == Transport::Tcp {
        packet.extend((sequence * 0x10000).to_be_bytes());
        packet.extend([0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        packet.extend((above as u16).to_be_bytes());
        packet.extend([0, 0]);
    }
    packet.extend((0..payload).map(|at| (at as u32 + sequence * 37) as u8));
    checksum::write_ipv4(&mut packet, 20);
    let sum = checksum::pseudo_header(&packet[12..20], transport.number(), above);
    let offset = transport.checksum_at() as u16;
    let at = 20 + usize::from(offset);
    packet[at..at + 2].copy_from_slice(&checksum::fold(sum).to_be_bytes());
    if what == Sent::Whole {
        let whole = checksum::finish(checksum::add(0, &packet[20..]));
        packet[at..at + 2].copy_from_slice(&whole.to_be_bytes());
    }
    let segments = matches!(what, Sent::Tcp | Sent::Udp).then_some(Segmentation {
        is_v6: false,
        transport,
        bytes: PIECE_BYTES as u16,
        header_bytes: 20 + transport_bytes as u16,
        has_cwr: false,
    });
    let checksum = (what != Sent::Whole).then_some(PartialChecksum { start: 20, offset });
    [&VnetHeader { checksum, is_verified: false, segments }.to_bytes()[..], &packet].concat()
}

/// The packets that a frame stands for.
fn pieces(frame: &[u8]) -> Vec<Vec<u8>> {
    let Frame { packet, shape } = Frame::parse(frame, true).unwrap();
    match shape {
        Shape::Segments(cut) => (0..cut.count())
            .map(|index| {
                let mut piece = Vec::new();
                cut.write_complete(index, &mut piece);
                piece
            })
            .collect(),
        Shape::Whole => vec![packet.bytes().to_vec()],
        Shape::Unfinished(_) | Shape::Verified(_) | Shape::Pieces(_) => panic!("{shape:?}"),
    }
}
