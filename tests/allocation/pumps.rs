//! The same with the packet threads themselves, over a local socket in place of the interface and a real UDP socket.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::sys::uio::writev;
use plait::daemon::pump::{PumpPair, Pumps};
use plait::io::thread::ThreadStarter;
use plait::io::tun::TunQueue;
use plait::io::udp::UdpSocket;
use plait::types::offload::{OffloadSet, Offloads};
use plait::types::policy::Cipher;
use plait::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use plait::types::time::Instant;
use plait::wire::layers::Transport;

use crate::counting::{mark_pump, of_pumps};
use crate::world::{frame, whole, world};

/// Rounds before the count begins.
const WARM_UP: usize = 50;
/// Rounds that are counted.
const COUNTED: usize = 500;

/// The pump's side of a local socket, with the kernel's header in front of every packet.
struct LocalQueue(UnixDatagram);

impl TunQueue for LocalQueue {
    fn has_vnet_header(&self) -> bool {
        true
    }

    fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        self.0.recv(frame)
    }

    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
        writev(&self.0, frame).map(drop).map_err(io::Error::from)
    }
}

impl AsFd for LocalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends each frame through the tunnel and waits until as many bytes came back.
fn round(host: &UnixDatagram, frames: &[Vec<u8>], buffer: &mut [u8]) {
    for frame in frames {
        host.send(frame).unwrap();
        let mut came = 0;
        // What was not joined comes in pieces, each with headers of its own.
        while came < frame.len() {
            came += host.recv(buffer).expect("the packet comes back within 5 s");
        }
    }
}

#[test]
fn the_packet_threads_ask_for_no_memory() {
    let (host, queue) = UnixDatagram::pair().unwrap();
    host.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    queue.set_nonblocking(true).unwrap();
    let udp = Arc::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let at = udp.local_address().unwrap();
    let snapshot = world(Cipher::ChaCha20Poly1305, FEATURE_SEGMENT | FEATURE_BUNDLE, at);
    let pair = PumpPair { tun: Arc::new(LocalQueue(queue)), udp };
    // Only packet threads read this clock.
    let clock = Arc::new(|| {
        mark_pump();
        Instant::from_nanos(1_000_000_000)
    });
    let offloads = Arc::new(Offloads::new(OffloadSet::ALL));
    let (pumps, _outlet) = Pumps::start(
        vec![pair],
        &ThreadStarter::new().unwrap(),
        Arc::new(ArcSwap::from_pointee(snapshot)),
        clock,
        &offloads,
    )
    .unwrap();
    let frames = [
        frame(false, Transport::Tcp, 60_000, 1380),
        frame(true, Transport::Udp, 30_000, 1372),
        frame(false, Transport::Udp, 64, 1392),
        whole(84),
        whole(1420),
    ];
    let mut buffer = vec![0; 70_000];
    (0..WARM_UP).for_each(|_| round(&host, &frames, &mut buffer));
    let before = of_pumps();
    assert!(before > 0, "the packet threads are counted: they reported the first packet");
    (0..COUNTED).for_each(|_| round(&host, &frames, &mut buffer));
    assert_eq!(of_pumps() - before, 0, "memory asked for in {COUNTED} rounds");
    pumps.stop();
}
