//! Queues and sockets that fail as kernels do, for tests: they stand before true ones and pass on what they do not spoil.
//!
//! Also compiled into the tests on a real kernel (`tests/tun`), which give it `crate::io` and `crate::dataplane`.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dataplane::snapshot::Endpoint;
use crate::io::tun::TunQueue;
use crate::io::udp::{DatagramSocket, Received};

/// Bytes of the header in front of a frame.
const HEADER_BYTES: usize = 10;

/// A write or send that is about to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// How many were made before it, failed ones too.
    pub(crate) number: u64,
    /// Bytes in all, the header of a frame included.
    pub(crate) bytes: usize,
    /// A super-packet, or a train of more than one datagram.
    pub(crate) is_joined: bool,
    /// Flags and kind of segmentation in the header of a frame (Virtio 1.2, 5.1.6); zeros if there is none.
    pub(crate) header: [u8; 2],
}

/// The error code that a call fails with; `None`: it is passed on.
pub(crate) type Rule = Box<dyn Fn(Call) -> Option<i32> + Send + Sync>;

/// The call of that number fails.
pub(crate) fn nth(number: u64, code: i32) -> Rule {
    Box::new(move |call| (call.number == number).then_some(code))
}

/// Every super-packet or train fails.
pub(crate) fn joined(code: i32) -> Rule {
    Box::new(move |call| call.is_joined.then_some(code))
}

/// Counts calls and breaks those that the rule names.
struct Breaker {
    rule: Rule,
    calls: AtomicU64,
    broken: AtomicU64,
}

impl Breaker {
    fn new(rule: Rule) -> Self {
        Self { rule, calls: AtomicU64::new(0), broken: AtomicU64::new(0) }
    }

    fn check(&self, bytes: usize, is_joined: bool, header: [u8; 2]) -> io::Result<()> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let Some(code) = (self.rule)(Call { number, bytes, is_joined, header }) else { return Ok(()) };
        self.broken.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::from_raw_os_error(code))
    }
}

/// A queue whose writes fail by a rule.
pub(crate) struct FaultyQueue {
    inner: Arc<dyn TunQueue>,
    writes: Breaker,
}

impl FaultyQueue {
    pub(crate) fn new(inner: Arc<dyn TunQueue>, rule: Rule) -> Self {
        Self { inner, writes: Breaker::new(rule) }
    }

    /// Writes that failed by the rule.
    pub(crate) fn broken(&self) -> u64 {
        self.writes.broken.load(Ordering::Relaxed)
    }
}

impl TunQueue for FaultyQueue {
    fn has_vnet_header(&self) -> bool {
        self.inner.has_vnet_header()
    }

    fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        self.inner.read(frame)
    }

    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
        let bytes = frame.iter().map(|part| part.len()).sum();
        let head = frame.first().and_then(|head| head.first_chunk()).copied();
        let header = head.filter(|_| self.has_vnet_header()).unwrap_or_default();
        self.writes.check(bytes, header[1] != 0, header)?;
        self.inner.write(frame)
    }
}

impl AsFd for FaultyQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// A socket whose sends fail by a rule.
pub(crate) struct FaultySocket {
    inner: Arc<dyn DatagramSocket>,
    sends: Breaker,
}

impl FaultySocket {
    pub(crate) fn new(inner: Arc<dyn DatagramSocket>, rule: Rule) -> Self {
        Self { inner, sends: Breaker::new(rule) }
    }

    /// Sends that failed by the rule.
    pub(crate) fn broken(&self) -> u64 {
        self.sends.broken.load(Ordering::Relaxed)
    }
}

impl DatagramSocket for FaultySocket {
    fn send_train(&self, train: &[u8], stride: usize, tos: u8, to: Endpoint) -> io::Result<()> {
        self.sends.check(train.len(), train.len() > stride, [0; 2])?;
        self.inner.send_train(train, stride, tos, to)
    }

    fn recv_train(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.inner.recv_train(buffer)
    }

    fn set_gro(&self, on: bool) -> io::Result<()> {
        self.inner.set_gro(on)
    }
}

impl AsFd for FaultySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// What becomes of a train that the kernel put together: its bytes, and what is said of it.
pub(crate) type Corruption = fn(&mut [u8], Received) -> Received;

/// Every datagram but the first has a byte changed.
pub(crate) fn changed_bytes(train: &mut [u8], received: Received) -> Received {
    for last in train.chunks_mut(received.stride).skip(1).filter_map(<[u8]>::last_mut) {
        *last ^= 1;
    }
    received
}

/// The train is said to be one datagram.
pub(crate) fn lost_stride(_: &mut [u8], received: Received) -> Received {
    Received { stride: received.bytes, ..received }
}

/// A socket that spoils every train it receives; datagrams that come alone pass, so that switching trains off heals it.
pub(crate) struct CorruptingSocket {
    inner: Arc<dyn DatagramSocket>,
    corruption: Corruption,
    spoilt: AtomicU64,
}

impl CorruptingSocket {
    pub(crate) fn new(inner: Arc<dyn DatagramSocket>, corruption: Corruption) -> Self {
        Self { inner, corruption, spoilt: AtomicU64::new(0) }
    }

    /// Trains that were spoilt.
    pub(crate) fn spoilt(&self) -> u64 {
        self.spoilt.load(Ordering::Relaxed)
    }
}

impl DatagramSocket for CorruptingSocket {
    fn send_train(&self, train: &[u8], stride: usize, tos: u8, to: Endpoint) -> io::Result<()> {
        self.inner.send_train(train, stride, tos, to)
    }

    fn recv_train(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let received = self.inner.recv_train(buffer)?;
        match buffer.get_mut(..received.bytes) {
            Some(train) if received.bytes > received.stride => {
                self.spoilt.fetch_add(1, Ordering::Relaxed);
                Ok((self.corruption)(train, received))
            }
            Some(_) | None => Ok(received),
        }
    }

    fn set_gro(&self, on: bool) -> io::Result<()> {
        self.inner.set_gro(on)
    }
}

impl AsFd for CorruptingSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// One end of a pair of local sockets in place of an interface: no privilege needed.
pub(crate) struct LocalQueue {
    socket: UnixDatagram,
    has_header: bool,
}

impl LocalQueue {
    /// The queue, and the host's end of it: what the host sends is read from the queue, and the other way round.
    ///
    /// # Errors
    /// No descriptor left.
    pub(crate) fn pair(has_header: bool) -> io::Result<(Self, UnixDatagram)> {
        let (host, socket) = UnixDatagram::pair()?;
        host.set_nonblocking(true)?;
        socket.set_nonblocking(true)?;
        Ok((Self { socket, has_header }, host))
    }
}

impl TunQueue for LocalQueue {
    fn has_vnet_header(&self) -> bool {
        self.has_header
    }

    fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(frame)
    }

    fn write(&self, frame: &[IoSlice<'_>]) -> io::Result<()> {
        let frame: Vec<u8> = frame.iter().flat_map(|part| part.iter().copied()).collect();
        if self.has_header && frame.len() < HEADER_BYTES {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.socket.send(&frame).map(drop)
    }
}

impl AsFd for LocalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::udp::UdpSocket;

    fn code(result: io::Result<()>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn a_queue_breaks_what_its_rule_names_and_passes_on_the_rest() {
        for (has_header, expected) in [(true, [None, Some(libc::EIO), None]), (false, [None; 3])] {
            let (local, host) = LocalQueue::pair(has_header).unwrap();
            let queue = FaultyQueue::new(Arc::new(local), joined(libc::EIO));
            let write = |kind| queue.write(&[IoSlice::new(&[0, kind]), IoSlice::new(&[7; 20])]);
            assert_eq!([write(0), write(1), write(0)].map(code), expected);
            assert_eq!(queue.broken(), u64::from(has_header));
            let mut frame = [0; 30];
            assert_eq!(host.recv(&mut frame).unwrap(), 22);
            host.send(b"in").unwrap();
            assert_eq!((queue.read(&mut frame).unwrap(), &frame[..2]), (2, &b"in"[..]));
        }
        let (local, _host) = LocalQueue::pair(true).unwrap();
        let by_header: Rule = Box::new(|call| (call.header == [1, 0]).then_some(libc::EINVAL));
        let queue = FaultyQueue::new(Arc::new(local), by_header);
        let write = |flags| queue.write(&[IoSlice::new(&[flags, 0, 0, 0, 0, 0, 0, 0, 0, 0]), IoSlice::new(&[7; 20])]);
        assert_eq!([write(0), write(1)].map(code), [None, Some(libc::EINVAL)]);
        let (local, _host) = LocalQueue::pair(true).unwrap();
        assert_eq!(code(local.write(&[IoSlice::new(&[0; 9])])), Some(libc::EINVAL));
    }

    #[test]
    fn a_socket_breaks_the_nth_send() {
        let inner: Arc<UdpSocket> = Arc::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let to = Endpoint { to: inner.local_address().unwrap(), from: None };
        let socket = FaultySocket::new(inner, nth(1, libc::ENOBUFS));
        let sent: Vec<_> = (0..3).map(|_| code(socket.send_train(&[1; 30], 10, 0, to))).collect();
        assert_eq!((sent, socket.broken()), (vec![None, Some(libc::ENOBUFS), None], 1));
        let received = socket.recv_train(&mut [0; 100]).unwrap();
        assert_eq!((received.bytes, received.stride), (30, 10));
        socket.set_gro(false).unwrap();
        let by_size = FaultySocket::new(Arc::new(socket), Box::new(|call| (call.bytes > 10).then_some(libc::EMSGSIZE)));
        assert_eq!([10, 11].map(|n| code(by_size.send_train(&[1; 20][..n], n, 0, to))), [None, Some(libc::EMSGSIZE)]);
    }

    #[test]
    fn only_trains_are_spoilt_and_not_with_gro_off() {
        for corruption in [changed_bytes as Corruption, lost_stride] {
            let inner: Arc<UdpSocket> = Arc::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
            let to = Endpoint { to: inner.local_address().unwrap(), from: None };
            let socket = CorruptingSocket::new(inner, corruption);
            let mut bytes = [0; 100];
            let mut exchange = |train: &[u8]| {
                socket.send_train(train, 10, 0, to).unwrap();
                let received = socket.recv_train(&mut bytes).unwrap();
                bytes[..received.bytes].chunks(received.stride).map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            assert_eq!(exchange(&[1; 10]), [[1; 10]]);
            assert_ne!(exchange(&[1; 30]), [[1; 10]; 3]);
            socket.set_gro(false).unwrap();
            assert_eq!(exchange(&[1; 30]), [[1; 10]]);
            assert_eq!(socket.spoilt(), 1);
        }
    }
}
