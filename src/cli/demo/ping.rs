//! Pings through the tunnel, fifty a second: numbered, each with a canary, counted exactly.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::cli::lab::namespace::Namespace;
use crate::cli::lab::pause::now;

/// Bytes in every ping that must never be seen on the wan.
pub(super) const CANARY: &[u8; 32] = b"plait demo: never in clear there";
/// Time from ping to ping.
const INTERVAL: Duration = Duration::from_millis(20);
const PORT: u16 = 7007;

/// Pings from one site to the other, until dropped.
pub(super) struct Pings {
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<Vec<bool>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pings {
    /// An echo in `to`, a sender in `from`; the sockets belong to these namespaces.
    pub(super) fn start(from: &Namespace, to: &Namespace, target: Ipv4Addr) -> io::Result<Self> {
        let (sender, echo) = (from.run(|| socket(0))??, to.run(|| socket(PORT))??);
        let mut pings = Self { stop: Arc::default(), answered: Arc::default(), threads: Vec::new() };
        let stop = Arc::clone(&pings.stop);
        pings.threads.push(Builder::new().name("echo".to_owned()).spawn(move || answer(&echo, &stop))?);
        let (stop, answered) = (Arc::clone(&pings.stop), Arc::clone(&pings.answered));
        let target = SocketAddrV4::new(target, PORT);
        pings
            .threads
            .push(Builder::new().name("ping".to_owned()).spawn(move || send(&sender, target, &stop, &answered))?);
        Ok(pings)
    }

    /// How many were sent so far.
    pub(super) fn sent(&self) -> usize {
        held(&self.answered).len()
    }

    /// How many were answered so far.
    pub(super) fn answered(&self) -> usize {
        held(&self.answered).iter().filter(|answered| **answered).count()
    }

    /// Sent and lost among the pings numbered `from` to `to`.
    pub(super) fn lost(&self, from: usize, to: usize) -> (usize, usize) {
        let answered = held(&self.answered);
        let slice = answered.get(from..to.min(answered.len())).unwrap_or_default();
        (slice.len(), slice.iter().filter(|answered| !**answered).count())
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// A panic elsewhere cannot leave flags half written.
fn held(answered: &Mutex<Vec<bool>>) -> MutexGuard<'_, Vec<bool>> {
    answered.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo plays the user of the tunnel, with a socket like any program's"
)]
fn socket(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    socket.set_read_timeout(Some(INTERVAL))?;
    Ok(socket)
}

fn answer(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 128];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        // An answer that cannot be sent is a lost ping, which is what is counted.
        drop(socket.send_to(buffer.get(..length).unwrap_or_default(), from));
    }
}

fn send(socket: &UdpSocket, target: SocketAddrV4, stop: &AtomicBool, answered: &Mutex<Vec<bool>>) {
    let mut due = now();
    while !stop.load(Ordering::Relaxed) {
        let number = {
            let mut answered = held(answered);
            answered.push(false);
            answered.len() - 1
        };
        let mut packet = (number as u64).to_be_bytes().to_vec();
        packet.extend_from_slice(CANARY);
        // No route or a blocked tunnel: the ping counts as lost.
        drop(socket.send_to(&packet, target));
        due += INTERVAL;
        collect(socket, due, answered);
    }
}

/// Notes answers until `due`.
fn collect(socket: &UdpSocket, due: std::time::Instant, answered: &Mutex<Vec<bool>>) {
    let mut buffer = [0; 128];
    loop {
        let left = due.saturating_duration_since(now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        if socket.recv_from(&mut buffer).is_err() {
            continue;
        }
        let number = buffer.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let mut answered = held(answered);
        let flag = number.and_then(|number| usize::try_from(number).ok()).and_then(|number| answered.get_mut(number));
        if let Some(flag) = flag {
            *flag = true;
        }
    }
}
