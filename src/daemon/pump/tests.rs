//! The packet threads over a pair of local sockets in place of the interface: no privilege needed.

mod fallbacks;
mod gro;
mod mirror;
mod view;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{PumpNews, PumpOutlet, PumpPair, Pumps};
use crate::dataplane::report::PumpEvent;
use crate::dataplane::snapshot::{Endpoint, Snapshot};
use crate::io::thread::ThreadStarter;
use crate::io::tun::TunQueue;
use crate::io::udp::UdpSocket;
use crate::types::offload::{OffloadSet, Offloads};
use crate::types::time::Instant;

/// The pump's side of a local socket. `fails_with` makes every read fail so.
struct LocalQueue {
    socket: UnixDatagram,
    reads: AtomicU64,
    fails_with: Option<i32>,
}

impl TunQueue for LocalQueue {
    fn has_vnet_header(&self) -> bool {
        false
    }

    fn read(&self, packet: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        match self.fails_with {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => self.socket.recv(packet),
        }
    }

    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
        let frame: Vec<u8> = frame.iter().flat_map(|part| part.to_vec()).collect();
        self.socket.send(&frame).map(drop)
    }
}

impl AsFd for LocalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

struct World {
    /// The host's side of the local socket.
    host: UnixDatagram,
    queue: Arc<LocalQueue>,
    udp: Arc<UdpSocket>,
    snapshot: Arc<ArcSwap<Snapshot>>,
}

/// A tunnel whose far end is itself: what it seals comes back and is delivered.
fn world(fails_with: Option<i32>) -> World {
    let (host, socket) = UnixDatagram::pair().unwrap();
    host.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.set_nonblocking(true).unwrap();
    let udp = Arc::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let snapshot = view::snapshot(udp.local_address().unwrap(), 0);
    let queue = Arc::new(LocalQueue { socket, reads: AtomicU64::new(0), fails_with });
    World { host, queue, udp, snapshot: Arc::new(ArcSwap::from_pointee(snapshot)) }
}

fn start(world: &World) -> (Pumps, PumpOutlet) {
    let pair = PumpPair { tun: Arc::clone(&world.queue) as Arc<dyn TunQueue>, udp: Arc::clone(&world.udp) as _ };
    Pumps::start(
        vec![pair],
        &ThreadStarter::new().unwrap(),
        Arc::clone(&world.snapshot),
        Arc::new(|| Instant::from_nanos(1)),
        &all(),
    )
    .unwrap()
}

fn all() -> Arc<Offloads> {
    Arc::new(Offloads::new(OffloadSet::ALL))
}

fn packet(content: u8) -> Vec<u8> {
    let mut packet = vec![content; 40];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 40]);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

fn next(outlet: &mut PumpOutlet) -> Option<PumpNews> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(5), outlet.next()).await };
    runtime.block_on(limited).expect("news within 5 s")
}

#[test]
fn a_packet_goes_out_and_comes_in() {
    let world = world(None);
    let (pumps, mut outlet) = start(&world);
    for content in 0..50 {
        world.host.send(&packet(content)).unwrap();
        let mut received = [0; 100];
        let length = world.host.recv(&mut received).unwrap();
        assert_eq!(received[..length], packet(content));
    }
    assert!(matches!(next(&mut outlet), Some(PumpNews::Event(PumpEvent::FirstOpened { .. }))));
    // The endpoint names no address of ours yet, so the one that was talked to is told too.
    let local = Some([127, 0, 0, 1].into());
    assert!(matches!(next(&mut outlet), Some(PumpNews::Event(PumpEvent::Roamed { local: l, .. })) if l == local));
    pumps.stop();
    assert!(next(&mut outlet).is_none(), "after the last thread there is no more news");
}

#[test]
fn an_idle_thread_waits_instead_of_reading() {
    let world = world(None);
    let (pumps, _outlet) = start(&world);
    for content in 0..10 {
        world.host.send(&packet(content)).unwrap();
        world.host.recv(&mut [0; 100]).unwrap();
    }
    pumps.stop();
    let reads = world.queue.reads.load(Ordering::Relaxed);
    // One read a packet, one that finds nothing, and as many again for waking: a loop that spins makes thousands.
    assert!((10..=40).contains(&reads), "{reads} reads for 10 packets");
}

#[test]
fn the_order_to_stop_is_heard_in_the_middle_of_a_flood() {
    let world = world(None);
    let (pumps, _outlet) = start(&world);
    let host = world.host.try_clone().unwrap();
    host.set_nonblocking(true).unwrap();
    let (stopped, is_stopped) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 100];
            while is_stopped.try_recv().is_err() {
                let _ = (host.send(&packet(1)), host.recv(&mut bytes));
            }
        });
        while world.queue.reads.load(Ordering::Relaxed) < 1000 {
            std::thread::yield_now();
        }
        pumps.stop();
        stopped.send(()).unwrap();
    });
}

#[test]
fn without_a_session_the_packet_is_handed_over_and_handshakes_come_through() {
    let world = world(None);
    let mut peer = world.snapshot.load().peers[0].clone();
    peer.sealing = None;
    let snapshot =
        Snapshot { peers: vec![peer], routes: Arc::clone(&world.snapshot.load().routes), ..Snapshot::default() };
    world.snapshot.store(Arc::new(snapshot));
    let (pumps, mut outlet) = start(&world);
    world.host.send(&packet(7)).unwrap();
    let staged = next(&mut outlet);
    assert!(matches!(staged, Some(PumpNews::Event(PumpEvent::NoEpoch { packet: p, .. })) if p == packet(7)));
    let to = Endpoint { to: world.udp.local_address().unwrap(), from: None };
    let i0 = [&[1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 80]].concat();
    world.udp.send(&i0, to).unwrap();
    let handshake = next(&mut outlet);
    assert!(matches!(handshake, Some(PumpNews::Event(PumpEvent::Handshake { bytes, .. })) if bytes == i0));
    pumps.stop();
}

#[test]
fn a_queue_that_is_gone_ends_its_thread_at_once_and_one_that_fails_after_some_tries() {
    for (code, reads_max) in [(libc::EBADFD, 1), (libc::EIO, 50)] {
        let world = world(Some(code));
        let (pumps, mut outlet) = start(&world);
        let Some(PumpNews::Ended(end)) = next(&mut outlet) else { panic!("no end") };
        assert_eq!((end.thread.as_str(), end.error.raw_os_error()), ("plait-seal-1", Some(code)));
        assert_eq!(world.queue.reads.load(Ordering::Relaxed), reads_max);
        pumps.stop();
    }
}

#[test]
fn dropping_the_pumps_stops_them() {
    let world = world(None);
    let (pumps, mut outlet) = start(&world);
    drop(pumps);
    assert!(next(&mut outlet).is_none());
}

#[test]
fn there_are_no_more_pairs_than_lanes() {
    let world = world(None);
    let pair = || PumpPair { tun: Arc::clone(&world.queue) as Arc<dyn TunQueue>, udp: Arc::clone(&world.udp) as _ };
    let pairs = |count| (0..count).map(|_| pair()).collect();
    let clock: super::Clock = Arc::new(|| Instant::ZERO);
    let starter = ThreadStarter::new().unwrap();
    assert!(Pumps::start(pairs(8), &starter, Arc::clone(&world.snapshot), Arc::clone(&clock), &all()).is_err());
    let (pumps, _outlet) = Pumps::start(pairs(7), &starter, Arc::clone(&world.snapshot), clock, &all()).unwrap();
    pumps.stop();
}
