//! Streams and paced datagrams whose every byte and number is checked at the other end.

use crate::topology::Net;
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PORT: u16 = 7008;
/// A stream that makes no progress for so long has failed.
const STALLED: Duration = Duration::from_secs(20);
/// Words of a chunk of a stream.
const CHUNK_WORDS: usize = 8192;
/// Datagrams under way: fewer than a TUN queue and a socket buffer hold, so that what is lost is lost by the tunnel.
const UNDER_WAY_MAX: u64 = 600;
/// A datagram that has not arrived after this is lost.
const LATE: Duration = Duration::from_secs(2);
/// What waits at the receiver on a busy machine, in bytes.
const BUFFER_BYTES: usize = 64 << 20;

/// Sends numbers over TCP for `time` and compares them at the other end; gives the bytes that came.
pub(crate) fn stream(net: &Net, from: &str, at: &str, to: IpAddr, time: Duration) -> u64 {
    let listener = net.inside(at, || TcpListener::bind((to, PORT)).unwrap());
    std::thread::scope(|scope| {
        let received = scope.spawn(move || receive_numbers(&listener.accept().unwrap().0));
        let socket = net.inside(from, || TcpStream::connect_timeout(&SocketAddr::new(to, PORT), STALLED).unwrap());
        let sent = send_numbers(&socket, time);
        drop(socket);
        let received = received.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(received, sent, "bytes from {from} to {to}");
        received
    })
}

fn send_numbers(mut socket: &TcpStream, time: Duration) -> u64 {
    socket.set_write_timeout(Some(STALLED)).unwrap();
    let (begun, mut next) = (Instant::now(), 0_u64);
    while begun.elapsed() < time {
        let numbers = next..next + CHUNK_WORDS as u64;
        let chunk: Vec<u8> = numbers.flat_map(u64::to_be_bytes).collect();
        socket.write_all(&chunk).unwrap_or_else(|error| panic!("after {next} numbers: {error}"));
        next += CHUNK_WORDS as u64;
    }
    next * 8
}

fn receive_numbers(mut socket: &TcpStream) -> u64 {
    socket.set_read_timeout(Some(STALLED)).unwrap();
    let (mut buffer, mut next) = (vec![0; CHUNK_WORDS * 8], 0_u64);
    let mut held = 0;
    loop {
        let length = socket.read(&mut buffer[held..]).unwrap_or_else(|error| panic!("after {next} numbers: {error}"));
        if length == 0 {
            assert_eq!(held, 0, "the stream ends within a number");
            return next * 8;
        }
        held += length;
        let (numbers, rest) = buffer[..held].as_chunks::<8>();
        for number in numbers {
            assert_eq!(u64::from_be_bytes(*number), next, "a number of the stream");
            next += 1;
        }
        held = rest.len();
        let whole = numbers.len() * 8;
        buffer.copy_within(whole..whole + held, 0);
    }
}

/// What became of numbered datagrams.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) overtaken: u64,
    pub(crate) changed: u64,
}

/// Datagrams of many lengths, `a_second` of them a second, `count` in all. The sender holds back while too many are under
/// way, so a busy machine makes it slower and loses nothing.
pub(crate) fn paced(net: &Net, from: &str, at: &str, to: IpAddr, a_second: u32, count: u64) -> Fate {
    let receiver = net.inside(at, || UdpSocket::bind((to, PORT)).unwrap());
    setsockopt(&receiver, sockopt::RcvBufForce, &BUFFER_BYTES).unwrap();
    let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
    let sender = net.inside(from, || UdpSocket::bind((any, 0)).unwrap());
    sender.connect((to, PORT)).unwrap();
    let arrived = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let fate = scope.spawn(|| receive_datagrams(&receiver, count, &arrived));
        send_datagrams(&sender, a_second, count, &arrived);
        fate.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The number, then bytes that follow from it; the length too.
fn content(number: u64, into: &mut [u8; 1392]) -> usize {
    // Eight of one length in a row, so that trains, bundles and joined packets all occur.
    let length = [64, 64, 200, 1392, 65, 700][usize::try_from(number / 8 % 6).unwrap()];
    into[..8].copy_from_slice(&number.to_be_bytes());
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    into[8..length].iter_mut().zip(seed.iter().cycle()).for_each(|(byte, seed)| *byte = *seed);
    length
}

fn send_datagrams(socket: &UdpSocket, a_second: u32, count: u64, arrived: &AtomicU64) {
    let (mut bytes, interval) = ([0; 1392], Duration::from_secs(1) / a_second);
    let mut due = Instant::now();
    for number in 0..count {
        let length = content(number, &mut bytes);
        socket.send(&bytes[..length]).unwrap();
        due += interval;
        let held_since = Instant::now();
        while number - arrived.load(Ordering::Relaxed).min(number) > UNDER_WAY_MAX {
            if held_since.elapsed() > LATE {
                // The receiver has given up by now: what is not sent counts as lost.
                return;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let now = Instant::now();
        if due > now + Duration::from_millis(1) {
            std::thread::sleep(due - now);
        }
        // What was held back is not made up for in a burst.
        due = due.max(now - Duration::from_millis(2));
    }
}

fn receive_datagrams(socket: &UdpSocket, count: u64, arrived: &AtomicU64) -> Fate {
    socket.set_read_timeout(Some(LATE)).unwrap();
    let (mut fate, mut seen) = (Fate::default(), vec![false; usize::try_from(count).unwrap()]);
    let (mut got, mut expected, mut total, mut next) = ([0; 2048], [0; 1392], 0, 0);
    while total < count {
        let Ok(length) = socket.recv(&mut got) else { break };
        let number = got.first_chunk().map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
        let Some(seen) = usize::try_from(number).ok().and_then(|at| seen.get_mut(at)) else {
            fate.changed += 1;
            continue;
        };
        let length_expected = content(number, &mut expected);
        fate.changed += u64::from(got[..length] != expected[..length_expected]);
        fate.doubled += u64::from(*seen);
        fate.overtaken += u64::from(number < next);
        total += u64::from(!*seen);
        *seen = true;
        next = next.max(number + 1);
        arrived.fetch_max(number, Ordering::Relaxed);
    }
    fate.lost = count - total;
    fate
}
