//! What is on the wan: an AF_PACKET socket of our own, so that nothing is missed and every byte can be looked at.

use crate::topology::Net;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes kept: far more than any test here sends.
const CAPTURE_BYTES_MAX: usize = 256 << 20;
const ETHERNET: usize = 14;

/// A running capture of every interface of a namespace.
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

/// Everything that was on the wire.
pub(crate) struct Wire {
    frames: Vec<Vec<u8>>,
}

/// One UDP datagram of a frame.
#[derive(Clone)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Capture {
    /// Captures in `namespace` from now on.
    pub(crate) fn start(net: &Net, namespace: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let socket = net.inside(namespace, || {
            let protocol = SockProtocol::EthAll;
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
        });
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).unwrap();
        setsockopt(&socket, sockopt::RcvBufForce, &(32 << 20)).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut frames, mut kept) = (Vec::new(), 0);
            let mut buffer = vec![0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
                kept += length;
                assert!(kept < CAPTURE_BYTES_MAX, "the capture is full");
                frames.push(buffer[..length].to_vec());
            }
            frames
        });
        Self { stop, thread }
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Wire {
        // What is in the socket's queue is read before the flag is seen: the queue is empty when a read times out.
        std::thread::sleep(std::time::Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        Wire { frames: self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) }
    }
}

impl Wire {
    /// Frames that hold these bytes anywhere.
    pub(crate) fn holding(&self, bytes: &[u8]) -> usize {
        self.frames.iter().filter(|frame| frame.windows(bytes.len()).any(|window| window == bytes)).count()
    }

    /// Frames whose IP header names one of these addresses.
    pub(crate) fn naming(&self, addresses: &[IpAddr]) -> usize {
        let named = |frame: &&Vec<u8>| {
            ip(frame).is_some_and(|(from, to, ..)| addresses.contains(&from) || addresses.contains(&to))
        };
        self.frames.iter().filter(named).count()
    }

    /// UDP datagrams from or to `port`; one that was forwarded is here twice.
    pub(crate) fn datagrams(&self, port: u16) -> Vec<Datagram> {
        let all = self.frames.iter().filter_map(|frame| udp(frame));
        all.filter(|datagram| datagram.from.port() == port || datagram.to.port() == port).collect()
    }

    /// DS fields and ECN of the datagrams from this address and port that are at least so many bytes long.
    pub(crate) fn tos_of(&self, from: SocketAddr, longer: usize) -> Vec<u8> {
        let is_meant = |datagram: Datagram| datagram.from == from && datagram.bytes.len() >= longer;
        let meant = self.frames.iter().filter(|frame| udp(frame).is_some_and(is_meant));
        meant.filter_map(|frame| outer_tos(frame)).collect()
    }

    /// IP packets that are neither UDP of `port` nor the kernel's own: neighbour discovery, multicast reports, and the answer
    /// "port unreachable" of a site whose daemon does not run yet.
    pub(crate) fn strangers(&self, port: u16) -> usize {
        let own = |protocol: u8, payload: &[u8]| match protocol {
            0 | 2 | 58 => true,
            1 => payload.first() == Some(&3),
            _ => false,
        };
        let strange = |frame: &&Vec<u8>| match (ip(frame), udp(frame)) {
            (Some(_), Some(datagram)) => datagram.from.port() != port && datagram.to.port() != port,
            (Some((_, _, protocol, payload)), None) => !own(protocol, payload),
            (None, _) => false,
        };
        self.frames.iter().filter(strange).count()
    }
}

/// Addresses, protocol and payload of the IP packet in a frame.
fn ip(frame: &[u8]) -> Option<(IpAddr, IpAddr, u8, &[u8])> {
    let packet = frame.get(ETHERNET..)?;
    match frame.get(12..14)? {
        [0x08, 0x00] => {
            let v4 = |at: usize| Some(Ipv4Addr::from(*packet.get(at..at + 4)?.first_chunk::<4>()?));
            let header = usize::from(packet.first()? & 15) * 4;
            Some((v4(12)?.into(), v4(16)?.into(), *packet.get(9)?, packet.get(header..)?))
        }
        [0x86, 0xdd] => {
            let v6 = |at: usize| Some(Ipv6Addr::from(*packet.get(at..at + 16)?.first_chunk::<16>()?));
            Some((v6(8)?.into(), v6(24)?.into(), *packet.get(6)?, packet.get(40..)?))
        }
        _ => None,
    }
}

/// DS field and ECN of the IP packet in a frame.
fn outer_tos(frame: &[u8]) -> Option<u8> {
    match frame.get(ETHERNET..ETHERNET + 2)? {
        [first, second] if first >> 4 == 6 => Some(first << 4 | second >> 4),
        [_, second] => Some(*second),
        _ => None,
    }
}

fn udp(frame: &[u8]) -> Option<Datagram> {
    let (from, to, protocol, payload) = ip(frame)?;
    let port = |at: usize| Some(u16::from_be_bytes(*payload.get(at..at + 2)?.first_chunk::<2>()?));
    let length = usize::from(port(4)?);
    (protocol == 17).then_some(Datagram {
        from: SocketAddr::new(from, port(0)?),
        to: SocketAddr::new(to, port(2)?),
        bytes: payload.get(8..length)?.to_vec(),
    })
}
