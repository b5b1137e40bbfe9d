//! A relay on the wan that both sites take for each other: drops, doubles and delays datagrams as the test says, and keeps them.

use crate::topology::{Net, outer4, wan4};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PORT: u16 = 51900;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    AToB,
    BToA,
}

/// What becomes of a datagram: one copy for each delay; none drops it.
pub(crate) type Fate = Vec<Duration>;

/// As it came.
pub(crate) fn pass() -> Fate {
    vec![Duration::ZERO]
}

/// Everything that came, in order.
type Seen = Mutex<Vec<(Way, Vec<u8>)>>;

/// A running relay: `a` and `b` have its addresses as their peer's endpoint.
pub(crate) struct Relay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    seen: Arc<Seen>,
}

/// Where `a` and `b` find the relay in place of each other.
pub(crate) fn endpoints() -> (String, String) {
    (format!("{}:{PORT}", wan4(1)), format!("{}:{PORT}", wan4(2)))
}

impl Relay {
    /// Relays, asking `fate` for every datagram.
    pub(crate) fn start(net: &Net, fate: impl FnMut(Way, &[u8]) -> Fate + Send + 'static) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&seen));
        let (to_a, to_b) = net
            .inside("wan", || (UdpSocket::bind((wan4(1), PORT)).unwrap(), UdpSocket::bind((wan4(2), PORT)).unwrap()));
        let thread = std::thread::spawn(move || run(&to_a, &to_b, fate, &stopped, &kept));
        Self { stop, thread: Some(thread), seen }
    }

    /// Everything that came, in order.
    pub(crate) fn seen(&self) -> Vec<(Way, Vec<u8>)> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(to_a: &UdpSocket, to_b: &UdpSocket, mut fate: impl FnMut(Way, &[u8]) -> Fate, stop: &AtomicBool, seen: &Seen) {
    to_a.set_nonblocking(true).unwrap();
    to_b.set_nonblocking(true).unwrap();
    let mut waiting: Vec<(Instant, Way, Vec<u8>)> = Vec::new();
    let mut buffer = [0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let mut idle = true;
        for (socket, way) in [(to_a, Way::AToB), (to_b, Way::BToA)] {
            let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
            idle = false;
            let bytes = buffer[..length].to_vec();
            seen.lock().unwrap().push((way, bytes.clone()));
            let now = Instant::now();
            waiting.extend(fate(way, &bytes).into_iter().map(|delay| (now + delay, way, bytes.clone())));
        }
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, ..)| *at <= now);
        waiting = later;
        for (_, way, bytes) in due {
            let (socket, site) = if way == Way::AToB { (to_b, 2) } else { (to_a, 1) };
            // A site that is down refuses: the datagram is lost, as on a real path.
            let _ = socket.send_to(&bytes, SocketAddr::new(outer4(site), PORT));
        }
        if idle {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
