//! How long a packet the way to a host takes: echo requests of several lengths (RFC 792, RFC 4443), none of them cut.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{SetSockOpt, SockaddrStorage, recvfrom, setsockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::clock::Clock;
use super::udp::{Ipv4MtuDiscover, Ipv6MtuDiscover};
use crate::types::time::Instant;
use crate::wire::checksum;

/// How long answers are waited for: a path round the earth takes less.
const WAIT: Duration = Duration::from_millis(800);
/// Requests that are sent: one a length.
const LENGTHS_MAX: usize = 16;
/// Bytes of an IPv4 header without options, and of an IPv6 header.
const HEADER_BYTES: (usize, usize) = (20, 40);
/// Bytes of an echo's own header.
const ECHO_BYTES: usize = 8;
/// Bytes of the longest packet asked about: jumbo frames.
const PACKET_BYTES_MAX: usize = 9216;

/// Sends one echo request of each total length, in bytes of the IP packet; gives the longest that was answered. `None`:
/// the host answers none, which many do on purpose.
///
/// # Errors
/// No socket for this (neither `net.ipv4.ping_group_range` nor CAP_NET_RAW allows it), or no way to the host.
pub fn longest(to: IpAddr, lengths: &[usize]) -> io::Result<Option<usize>> {
    let echo = Echo::open(to)?;
    let lengths: Vec<usize> = lengths.iter().copied().take(LENGTHS_MAX).collect();
    for (sequence, length) in (0..).zip(&lengths) {
        match echo.send(sequence, *length) {
            Ok(()) => {}
            // Longer than the link of this machine.
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {}
            Err(error) => return Err(error),
        }
    }
    let clock = Clock::start();
    let mut answered = vec![false; lengths.len()];
    while answered.contains(&false) {
        let left = WAIT.saturating_sub(clock.now().since(Instant::ZERO));
        if left.is_zero() {
            break;
        }
        if let Some(answer) = echo.receive(left)?.and_then(|sequence| answered.get_mut(usize::from(sequence))) {
            *answer = true;
        }
    }
    Ok(lengths.into_iter().zip(answered).filter(|(_, is_answered)| *is_answered).map(|(length, _)| length).max())
}

/// A socket for echo requests to one host.
struct Echo {
    socket: Socket,
    to: IpAddr,
    /// The kernel makes id and checksum of such a socket, and gives only its own answers.
    is_raw: bool,
    id: u16,
}

impl Echo {
    fn open(to: IpAddr) -> io::Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let (socket, is_raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(_) => (Socket::new(domain, Type::RAW, Some(protocol))?, true),
        };
        // Not cut, and whatever the kernel believes about the path.
        match to {
            IpAddr::V4(_) => set(&socket, Ipv4MtuDiscover, libc::IP_PMTUDISC_PROBE)?,
            IpAddr::V6(_) => set(&socket, Ipv6MtuDiscover, libc::IPV6_PMTUDISC_PROBE)?,
        }
        Ok(Self { socket, to, is_raw, id: std::process::id() as u16 })
    }

    fn send(&self, sequence: u16, length: usize) -> io::Result<()> {
        let (header, kind) = match self.to {
            IpAddr::V4(_) => (HEADER_BYTES.0, 8),
            IpAddr::V6(_) => (HEADER_BYTES.1, 128),
        };
        let mut message = vec![kind, 0, 0, 0];
        message.extend_from_slice(&self.id.to_be_bytes());
        message.extend_from_slice(&sequence.to_be_bytes());
        message.resize(length.clamp(header + ECHO_BYTES, PACKET_BYTES_MAX) - header, 0);
        if self.is_raw && self.to.is_ipv4() {
            let sum = checksum::finish(checksum::add(0, &message)).to_be_bytes();
            message.splice(2..4, sum);
        }
        self.socket.send_to(&message, &SockAddr::from(SocketAddr::new(self.to, 0))).map(|_| ())
    }

    /// The sequence number of an answer to us; `None` for anything else, also for nothing in time.
    fn receive(&self, wait: Duration) -> io::Result<Option<u16>> {
        self.socket.set_read_timeout(Some(wait))?;
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        // Nothing yet, or a router's word about one of the requests, which an answer that does not come says as well.
        let Ok((length, from)) = recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), &mut bytes) else {
            return Ok(None);
        };
        let from = from.and_then(|from| {
            let v4 = from.as_sockaddr_in().map(|from| IpAddr::V4(from.ip()));
            v4.or_else(|| from.as_sockaddr_in6().map(|from| IpAddr::V6(from.ip())))
        });
        let packet = bytes.get(..length).unwrap_or_default();
        Ok(if from == Some(self.to) { self.sequence_of(packet) } else { None })
    }

    fn sequence_of(&self, packet: &[u8]) -> Option<u16> {
        // A raw socket of IPv4 gives the IP header too.
        let skipped = if self.is_raw && self.to.is_ipv4() { usize::from(packet.first()? & 0x0f) * 4 } else { 0 };
        let message = packet.get(skipped..)?;
        let kind = if self.to.is_ipv4() { 0 } else { 129 };
        let id = u16::from_be_bytes([*message.get(4)?, *message.get(5)?]);
        let is_ours = message.first() == Some(&kind) && (!self.is_raw || id == self.id);
        is_ours.then_some(u16::from_be_bytes([*message.get(6)?, *message.get(7)?]))
    }
}

fn set<O: SetSockOpt<Val = libc::c_int>>(socket: &Socket, option: O, value: libc::c_int) -> io::Result<()> {
    setsockopt(socket, option, &value).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_answers_itself_whatever_the_length() {
        for to in ["127.0.0.1", "::1"] {
            // A machine may have no IPv6, or give nobody such a socket: then there is nothing to see.
            if let Ok(longest) = longest(to.parse().unwrap(), &[100, 1500, 3000]) {
                assert_eq!(longest, Some(3000), "{to}");
            }
        }
    }

    #[test]
    fn only_answers_to_us_count() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let echo = Echo { socket, to: "192.0.2.1".parse().unwrap(), is_raw: true, id: 7 };
        let packet = |kind: u8, id: u8| [&[0x45; 1][..], &[0; 19], &[kind, 0, 0, 0, 0, id, 0, 3]].concat();
        assert_eq!(echo.sequence_of(&packet(0, 7)), Some(3));
        assert_eq!(echo.sequence_of(&packet(8, 7)), None, "a request");
        assert_eq!(echo.sequence_of(&packet(0, 6)), None, "another program's");
        for length in 0..27 {
            assert_eq!(echo.sequence_of(&packet(0, 7)[..length]), None, "cut at {length}");
        }
    }
}
