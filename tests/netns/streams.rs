//! Traffic with content that is checked: TCP both ways at once, and bursts of UDP that must come back whole and in order.

use crate::topology::{Net, inner4, inner6};
use crate::traffic::{Echo, large_pings, pings};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that a stream carries in each direction.
const STREAM_BYTES: usize = 4 << 20;
/// Datagrams of a burst: several to a bundle or a train, and few enough that all flows of a test together fill no queue.
const BURST: usize = 8;
/// Bursts of one datagram before. With its first answers a flow finds its queues, if the ends have different numbers of them, and the
/// kernel notes a queue only after it has handed the answer up: who sends at once may overtake that note. So one is not enough.
const SETTLING: usize = 4;
/// Payloads: the least, small, all that fits into the inner MTU of 1420 over IPv4, and what the inner IP must fragment.
const PAYLOADS: [usize; 4] = [1, 64, 1392, 3000];
/// The inner addresses of a site.
const FAMILIES: [fn(u8) -> IpAddr; 2] = [inner4, inner6];

/// Everything that a link must carry, over IPv4 and IPv6 and in both directions, with nothing lost, changed or reordered.
pub(crate) fn everything_passes(net: &Net, what: &str) {
    let _echoes = ["a", "b"].map(|name| Echo::start(net, name));
    for inner in FAMILIES {
        for (from, to, number) in [("a", "b", 2), ("b", "a", 1)] {
            let to_ip = inner(number);
            let small = pings(net, from, to_ip, 100, Duration::from_millis(2));
            assert_eq!((small.lost(), small.duplicates), (0, 0), "{what}: pings from {from} to {to_ip}");
            let large = large_pings(net, from, to_ip, 30, 1372);
            assert_eq!((large.lost(), large.duplicates), (0, 0), "{what}: large pings from {from} to {to_ip}");
            for payload in PAYLOADS {
                bursts(net, from, to_ip, payload, 10, what);
            }
            streams(net, [from, to], to_ip, what);
        }
    }
}

/// Bursts of datagrams, each sent at once and echoed, all from one port: what comes back is the same, in the same order.
pub(crate) fn bursts(net: &Net, from: &str, to: IpAddr, payload: usize, count: usize, what: &str) {
    net.inside(from, || {
        let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(SocketAddr::new(to, crate::traffic::PORT)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = vec![0; 65_535];
        for burst in 0..count {
            let size = if burst < SETTLING { 1 } else { BURST };
            let sent: Vec<Vec<u8>> = (0..size).map(|number| content(payload, burst * BURST + number)).collect();
            for datagram in &sent {
                socket.send(datagram).unwrap();
            }
            for (number, datagram) in sent.iter().enumerate() {
                let length = socket.recv(&mut buffer).unwrap_or_else(|error| {
                    panic!("{what}: datagram {number} of burst {burst}, {payload} bytes to {to}: {error}")
                });
                let is_same = buffer[..length] == datagram[..];
                assert!(is_same, "{what}: datagram {number} of burst {burst}, {payload} bytes to {to}, was changed");
            }
        }
    });
}

/// One connection from the first to the second end; both send at once, and each checks what it gets.
pub(crate) fn streams(net: &Net, ends: [&str; 2], to: IpAddr, what: &str) {
    let listener = net.inside(ends[1], || TcpListener::bind((to, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        let called = scope.spawn(|| exchange(listener.accept().unwrap().0, 1, 2, what));
        let client = net.inside(ends[0], || TcpStream::connect_timeout(&(to, port).into(), PATIENCE));
        exchange(client.unwrap_or_else(|error| panic!("{what}: no connection to {to}: {error}")), 2, 1, what);
        called.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn exchange(stream: TcpStream, own: usize, theirs: usize, what: &str) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&content(STREAM_BYTES, own)).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        (&stream).read_to_end(&mut received).unwrap_or_else(|error| panic!("{what}: a stream ends with {error}"));
        assert!(received == content(STREAM_BYTES, theirs), "{what}: a stream was changed, {} bytes", received.len());
    });
}

/// Bytes without a short period, others for each seed.
fn content(length: usize, seed: usize) -> Vec<u8> {
    let mut state = seed as u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}
