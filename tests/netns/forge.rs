//! A third host on the path that sends what it likes: datagrams with any source address, mutations, replays.

use crate::capture::Datagram;
use crate::topology::Net;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A small generator with a seed, so that a failure can be replayed (xorshift, Marsaglia 2003).
pub(crate) struct Dice(u64);

impl Dice {
    /// The same seed gives the same throws.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Changes one thing: bits, length, type, fragment, index, counter; or makes a datagram of random bytes with a plausible head.
pub(crate) fn mutate(dice: &mut Dice, datagram: &[u8]) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    match dice.below(6) {
        0 => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        1 => bytes.truncate(dice.below(bytes.len())),
        2 => bytes.extend((0..=dice.below(64)).map(|_| 0)),
        3 => bytes[0] = dice.byte(),
        4 => {
            let at = dice.below(bytes.len().min(16));
            bytes[at] = dice.byte();
        }
        _ => {
            let types = [1, 2, 3, 4, 5, 6, 16, 17, 18, 19];
            bytes = (0..dice.below(1400)).map(|_| dice.byte()).collect();
            bytes.splice(0..bytes.len().min(2), [types[dice.below(types.len())], 1]);
        }
    }
    // A mutation that changed nothing would be a replay, which is another test.
    if bytes == datagram { vec![1, 1, 1, 0] } else { bytes }
}

/// Sends datagrams from the wan as if they came from where each says it came from; 200 at a time, as a queue holds them.
pub(crate) fn spoof(net: &Net, datagrams: &[Datagram]) {
    net.inside("wan", || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).unwrap();
        for chunk in datagrams.chunks(200) {
            for datagram in chunk {
                let packet = ipv4_udp(datagram.from, datagram.to, &datagram.bytes);
                socket.send_to(&packet, &SockAddr::from(SocketAddr::new(datagram.to.ip(), 0))).unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

/// IPv4 and UDP headers; the kernel fills the IP checksum, and UDP over IPv4 may go without one (RFC 768).
pub(crate) fn ipv4_udp(from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(from_ip), IpAddr::V4(to_ip)) = (from.ip(), to.ip()) else { panic!("IPv4 only") };
    let length = u16::try_from(bytes.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend((28 + length).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet.extend(from_ip.octets());
    packet.extend(to_ip.octets());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend((8 + length).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(bytes);
    packet
}
