//! Attackers on the wan who own 10.2.0.0/16: datagrams at a rate, from one address or thousands, and a count of what comes back.

use crate::forge::ipv4_udp;
use crate::process::succeed;
use crate::topology::Net;
use plait::crypto::kdf::{hash, hmac_tag};
use plait::crypto::kem::default_backend;
use plait::identity::read_public;
use plait::schedule::labels;
use plait::types::policy::Suite;
use plait::wire::handshake::{Header, MessageType, cut};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// IPv4 and UDP headers of a datagram, in bytes.
const HEADERS: u64 = 28;
/// Datagrams between two looks at the clock.
const BURST: u32 = 20;
/// Everything of the attackers that site `a` sends is counted; that nobody listens is not told, as it would cost the victim time.
const RULES: &str = "table ip flood {
  counter replies { }
  chain seen { type filter hook prerouting priority raw; ip daddr 10.2.0.0/16 counter name replies; }
  chain mute { type filter hook output priority filter; ip saddr 10.2.0.0/16 icmp type destination-unreachable drop; }
}
";

/// Address `n` of the attackers; the port belongs to it.
pub(crate) fn attacker(n: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from(0x0a02_0000 + u32::from(n)).into(), 4444)
}

/// The attackers' network: `victims` have a route to it.
pub(crate) fn attackers(net: &Net, victims: &[&str]) {
    net.ip("wan", "route add local 10.2.0.0/16 dev lo");
    for (n, victim) in (1..).zip(victims) {
        net.ip(victim, &format!("route add 10.2.0.0/16 via 10.1.{n}.254"));
    }
    net.inside("wan", || {
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut nft.stdin.take().unwrap(), RULES.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success());
    });
}

/// Bytes of IP packets that came back to the attackers so far, whatever they were.
pub(crate) fn replies(net: &Net) -> u64 {
    let counter = ["list", "counter", "ip", "flood", "replies"];
    let text = net.inside("wan", || succeed(Command::new("nft").args(counter)));
    text.split_once("bytes ").unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    /// Bytes of the IP packets.
    pub(crate) bytes: u64,
}

/// A flood that goes on beside the test.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Sent>,
}

impl Flood {
    /// Sends the datagram `make(n)`, its source first, for each n from 0, `a_second` of them a second.
    pub(crate) fn start(
        net: &Net,
        to: SocketAddr,
        a_second: u32,
        mut make: impl FnMut(u64) -> (SocketAddr, Vec<u8>) + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = net.beside("wan", move || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).unwrap();
            let (mut sent, mut due) = (Sent::default(), Instant::now());
            let at = SockAddr::from(SocketAddr::new(to.ip(), 0));
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..BURST {
                    let (from, bytes) = make(sent.datagrams);
                    // A full queue loses it: that is part of a flood.
                    let _ = socket.send_to(&ipv4_udp(from, to, &bytes), &at);
                    sent.datagrams += 1;
                    sent.bytes += HEADERS + bytes.len() as u64;
                }
                due = (due + Duration::from_secs(1) * BURST / a_second).max(Instant::now() - Duration::from_millis(5));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            sent
        });
        Self { stop, thread }
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Somebody who has a site's public file, and no more.
#[derive(Clone)]
pub(crate) struct Forger {
    mac1: [u8; 48],
}

/// What an attacker was given for its own address and one sender index.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    from: SocketAddr,
    sender: u32,
    cookie: [u8; 16],
}

impl Forger {
    /// Reads the file.
    pub(crate) fn of(public: &Path) -> Self {
        let text = std::fs::read_to_string(public).unwrap();
        let public = read_public(default_backend(), &text).unwrap();
        Self { mac1: hash(&[labels::MAC1, public.fp().as_bytes()]) }
    }

    /// The parts of a message with a good mac1, and a good mac2 if there is a cookie.
    fn parts(&self, header: &Header, body: &[u8], cookie: Option<&[u8; 16]>) -> Vec<Vec<u8>> {
        let mut parts = cut(header, body);
        for bytes in &mut parts {
            let mac1: [u8; 16] = hmac_tag(&self.mac1, &[bytes]);
            bytes.extend(mac1);
            let mac2: [u8; 16] = cookie.map_or([0; 16], |cookie| hmac_tag(cookie, &[bytes]));
            bytes.extend(mac2);
        }
        parts
    }

    /// An I0.
    pub(crate) fn i0(&self, sender: u32, message_id: u32) -> Vec<u8> {
        let header = Header { kind: MessageType::I0, sender, receiver: 0, message_id };
        self.parts(&header, &[vec![7; 32], vec![0; 16]].concat(), None).remove(0)
    }

    /// The parts of an I1 of nonsense, with the cookie that the responder gave.
    pub(crate) fn i1(&self, ticket: &Ticket, message_id: u32, filler: u8) -> Vec<Vec<u8>> {
        let header = Header { kind: MessageType::I1, sender: ticket.sender, receiver: 0, message_id };
        let mut body = vec![filler; MessageType::I1.body_bytes(Suite::MlKem1024)];
        // What is read of it before it is opened is as in a true one.
        body[..4].copy_from_slice(&[0, 1, 0, 0]);
        self.parts(&header, &body, Some(&ticket.cookie))
    }

    /// Asks for a cookie as anybody can, from an attacker's own address.
    pub(crate) fn ticket(&self, net: &Net, to: SocketAddr, n: u16) -> Ticket {
        let (from, sender) = (attacker(n), 0x1000_0000 + u32::from(n));
        let socket = net.inside("wan", || UdpSocket::bind(from).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        for _ in 0..10 {
            socket.send_to(&self.i0(sender, 1), to).unwrap();
            let mut r0 = [0; 2048];
            if let Ok((96, _)) = socket.recv_from(&mut r0) {
                return Ticket { from, sender, cookie: *r0[48..].first_chunk().unwrap() };
            }
        }
        panic!("no cookie for {from}");
    }
}

impl Ticket {
    /// Where it holds.
    pub(crate) fn from(&self) -> SocketAddr {
        self.from
    }
}
