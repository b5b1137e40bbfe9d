//! Round trips through the tunnel: one small datagram at a time, echoed at the other end.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::meter::Bench;
use super::row::{Figure, Trouble, Unit};
use crate::cli::lab::namespace::Namespace;
use crate::cli::lab::pause::now;

/// Time between an answer and the next question: the tunnel is idle.
const INTERVAL: Duration = Duration::from_millis(2);
/// An answer that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_millis(500);
const PORT: u16 = 7007;
/// Fewer round trips than this say nothing of the slowest hundredth.
const ROUND_TRIPS_MIN: usize = 20;

/// An echo in a namespace, until dropped.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Median and slowest hundredth of the round trips from `a` to the inner address of `b`.
pub(super) fn measure(bench: &Bench, a: &Namespace, b: &Namespace, target: Ipv4Addr) -> Result<Vec<Figure>, Trouble> {
    let _echo = Echo::start(b)?;
    let socket = a.run(|| socket(0, LOST_AFTER))??;
    let mut times = Vec::new();
    let begun = now();
    while begun.elapsed() < bench.short || times.len() < ROUND_TRIPS_MIN {
        bench.pause.check()?;
        let number = times.len() as u64;
        times.push(ask(&socket, target, number)?);
        std::thread::park_timeout(INTERVAL);
    }
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    Ok(vec![(at(50), Unit::MicrosecondsMedian), (at(99), Unit::MicrosecondsP99)])
}

fn ask(socket: &UdpSocket, target: Ipv4Addr, number: u64) -> Result<Duration, Trouble> {
    let (question, mut answer) = (number.to_be_bytes(), [0; 8]);
    let begun = now();
    socket.send_to(&question, SocketAddrV4::new(target, PORT))?;
    while begun.elapsed() < LOST_AFTER {
        // An answer to an earlier question came too late for it.
        match socket.recv(&mut answer) {
            Ok(8) if answer == question => return Ok(begun.elapsed()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Trouble::Failed(format!("no answer within {} ms", LOST_AFTER.as_millis())))
}

impl Echo {
    fn start(place: &Namespace) -> Result<Self, Trouble> {
        let socket = place.run(|| socket(PORT, INTERVAL))??;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = Builder::new().name("echo".to_owned()).spawn(move || answer(&socket, &stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answer(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        // An answer that cannot be sent is a lost one, which the asker tells.
        drop(socket.send_to(buffer.get(..length).unwrap_or_default(), from));
    }
}

#[expect(clippy::disallowed_methods, reason = "it plays the user of the tunnel, with a socket like any program's")]
fn socket(port: u16, patience: Duration) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    socket.set_read_timeout(Some(patience))?;
    Ok(socket)
}
