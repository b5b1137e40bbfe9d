//! Numbered pings over UDP with exact counts: an echo at one site, a sender at the other, a canary in every packet.

use crate::topology::Net;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes that every ping carries and that must never be seen on the wan.
pub(crate) const CANARY: &[u8; 32] = b"canary: never in clear on a wire";
const CANARY_LENGTH: usize = 32;
/// Where an echo answers.
pub(crate) const PORT: u16 = 7007;
/// A reply later than this after the last ping counts as lost.
const LATE: Duration = Duration::from_secs(2);

/// Seconds of thousands of pings.
const ECHO_BUFFER_BYTES: usize = 8 << 20;

/// Answers every datagram at its namespace until it is dropped.
pub(crate) struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Starts to answer in `namespace`, over IPv4 and IPv6.
    pub(crate) fn start(net: &Net, namespace: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let socket = net.inside(namespace, || UdpSocket::bind(("::", PORT)).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // What waits for an echo on a busy machine is not lost by the tunnel.
        setsockopt(&socket, sockopt::RcvBufForce, &ECHO_BUFFER_BYTES).unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while !stopped.load(Ordering::Relaxed) {
                // Errors are timeouts and unreachable senders: both are what the pings count.
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// When each ping left and when its answer came.
pub(crate) struct Pings {
    sent: Vec<Instant>,
    answered: BTreeMap<usize, Instant>,
    pub(crate) duplicates: usize,
}

impl Pings {
    /// How many were sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.len()
    }

    /// How many were not answered.
    pub(crate) fn lost(&self) -> usize {
        self.sent.len() - self.answered.len()
    }

    /// Pings that left in the time from `from` to `to`: how many, and how many of them were lost.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> (usize, usize) {
        let within = self.sent.iter().enumerate().filter(|(_, at)| **at >= from && **at <= to);
        let mut counts = (0, 0);
        for (number, _) in within {
            counts.0 += 1;
            counts.1 += usize::from(!self.answered.contains_key(&number));
        }
        counts
    }

    /// When the first ping that left after `from` was answered.
    pub(crate) fn first_answer_after(&self, from: Instant) -> Option<Instant> {
        self.answered.iter().filter(|(number, _)| self.sent[**number] >= from).map(|(_, at)| *at).min()
    }
}

/// Pings that go on beside the test.
pub(crate) struct Flow {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Pings>,
}

impl Flow {
    /// Pings `to` from `namespace` every `interval` until it is stopped.
    pub(crate) fn start(net: &Net, namespace: &str, to: IpAddr, interval: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = net.beside(namespace, move || ping(to, interval, 64, |_| !stopped.load(Ordering::Relaxed)));
        Self { stop, thread }
    }

    /// Ends it and waits for late answers.
    pub(crate) fn stop(self) -> Pings {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// `count` pings of 64 bytes from `namespace`, one every `interval`.
pub(crate) fn pings(net: &Net, namespace: &str, to: IpAddr, count: usize, interval: Duration) -> Pings {
    net.inside(namespace, || ping(to, interval, 64, |sent| sent < count))
}

/// `count` pings whose UDP payload has `length` bytes.
pub(crate) fn large_pings(net: &Net, namespace: &str, to: IpAddr, count: usize, length: usize) -> Pings {
    net.inside(namespace, || ping(to, Duration::from_millis(5), length, |sent| sent < count))
}

fn ping(to: IpAddr, interval: Duration, length: usize, more: impl Fn(usize) -> bool) -> Pings {
    let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    let mut pings = Pings { sent: Vec::new(), answered: BTreeMap::new(), duplicates: 0 };
    let begun = Instant::now();
    while more(pings.sent.len()) {
        let mut packet = vec![0; length];
        packet[..8].copy_from_slice(&u64::try_from(pings.sent.len()).unwrap().to_be_bytes());
        packet[8..8 + CANARY_LENGTH].copy_from_slice(CANARY);
        pings.sent.push(Instant::now());
        // A send that the kernel refuses (no route, no interface) is a lost ping.
        let _ = socket.send_to(&packet, SocketAddr::new(to, PORT));
        let next = begun + interval * u32::try_from(pings.sent.len()).unwrap();
        collect(&socket, &mut pings, next);
    }
    let end = Instant::now() + LATE;
    while pings.lost() > 0 && Instant::now() < end {
        collect(&socket, &mut pings, (Instant::now() + Duration::from_millis(50)).min(end));
    }
    pings
}

/// Takes answers until `until`.
fn collect(socket: &UdpSocket, pings: &mut Pings, until: Instant) {
    let mut buffer = [0; 2048];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(number) = buffer[..length].first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) {
            let again = pings.answered.insert(usize::try_from(number).unwrap(), Instant::now());
            pings.duplicates += usize::from(again.is_some());
        }
    }
}
