//! UDP packets in IPv4, made and read by hand.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use plait::io::tun::TunQueue;
use plait::wire::checksum::{add, finish, pseudo_header};

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
    next_frame(queue, read_udp)
}

/// What `read` takes from the first frame that it takes something from.
pub(crate) fn next_frame<T>(queue: &dyn TunQueue, read: impl Fn(&[u8]) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    let mut frame = vec![0; 65_545];
    while Instant::now() < end {
        match queue.read(&mut frame) {
            Ok(length) => {
                if let Some(found) = read(&frame[..length]) {
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
    panic!("no such frame within {PATIENCE:?}");
}

/// Answers the SYN in the packet as a host would that has a large window and no options.
pub(crate) fn syn_ack(syn: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    packet.extend([&syn[16..20], &syn[12..16]].concat());
    let header = finish(add(0, &packet));
    packet[10..12].copy_from_slice(&header.to_be_bytes());
    let next = u32::from_be_bytes(syn[24..28].try_into().unwrap()).wrapping_add(1);
    packet.extend([&syn[22..24], &syn[20..22], &[0, 0, 0, 1], &next.to_be_bytes()].concat());
    packet.extend([0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0]);
    let checksum = finish(add(pseudo_header(&packet[12..20], 6, 20), &packet[20..]));
    packet[36..38].copy_from_slice(&checksum.to_be_bytes());
    packet
}
