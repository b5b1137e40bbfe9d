//! UDP packets in IPv4, made and read by hand.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use plait::io::tun::TunQueue;

/// Longest time for anything to come; nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A whole packet; a UDP checksum of zero means none (RFC 768).
pub(crate) fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), content: &[u8]) -> Vec<u8> {
    let total = u16::try_from(28 + content.len()).unwrap();
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&from.0.octets());
    packet.extend_from_slice(&to.0.octets());
    let words = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend_from_slice(&from.1.to_be_bytes());
    packet.extend_from_slice(&to.1.to_be_bytes());
    packet.extend_from_slice(&(total - 20).to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(content);
    packet
}

/// Destination and content, if it is UDP in IPv4.
pub(crate) fn read_udp(packet: &[u8]) -> Option<(Ipv4Addr, Vec<u8>)> {
    let is_udp = packet.len() >= 28 && packet[0] == 0x45 && packet[9] == 17;
    is_udp.then(|| (Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]), packet[28..].to_vec()))
}

/// The next UDP packet in IPv4 that comes out of the interface: the kernel sends others of its own.
pub(crate) fn next_udp(queue: &dyn TunQueue) -> (Ipv4Addr, Vec<u8>) {
    let end = Instant::now() + PATIENCE;
    let mut packet = [0; 65_535];
    while Instant::now() < end {
        match queue.read(&mut packet) {
            Ok(length) => {
                if let Some(found) = read_udp(&packet[..length]) {
                    return found;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut fds = [nix::poll::PollFd::new(queue.as_fd(), nix::poll::PollFlags::POLLIN)];
                nix::poll::poll(&mut fds, 100_u16).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no UDP packet within {PATIENCE:?}");
}
