//! What the kernel's offloads are worth here, tried at the start: trains through the loopback, super-packets into the
//! interface.
//!
//! Kernels that corrupt trains or refuse super-packets exist, and a slow tunnel is better than none. What cannot be tried
//! counts as usable: the packet threads find out in use.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::clock::Clock;
use super::refusal::is_refusal;
use super::tun::{Tun, TunQueue};
use super::udp::{DatagramSocket, UdpSocket};
use crate::dataplane::snapshot::Endpoint;
use crate::types::offload::{Offload, OffloadSet};
use crate::types::time::Instant;
use crate::wire::layers::Transport;
use crate::wire::vnet::{PartialChecksum, Segmentation, VNET_HEADER_BYTES, VnetHeader};

/// Longest wait for a train to come back; three in all, so that the start is never held up by more than 180 ms.
const TRAIN_WAIT: Duration = Duration::from_millis(60);
/// Bytes of each datagram of the train but the last: as long as those that a tunnel sends.
const STRIDE: usize = 1440;
/// Bytes of the whole train: two datagrams and a part of one.
const TRAIN_BYTES: usize = 2 * STRIDE + 700;
/// Payload bytes of each segment of a super-packet but the last.
const SEGMENT_BYTES: u16 = 1000;
/// Payload bytes of a super-packet.
const PAYLOAD_BYTES: u16 = 2 * SEGMENT_BYTES + 500;

/// Of the offloads that are wanted, those that the interface was granted and that pass their test. The interface is up.
pub fn run(wanted: OffloadSet, tun: &Tun) -> OffloadSet {
    let (trains, super_packets) = (trains(wanted), super_packets(tun));
    let failed = |offload| match offload {
        Offload::Tso | Offload::Uso => !super_packets.has(offload),
        Offload::Gso | Offload::Gro => !trains.has(offload),
        Offload::Bundle => false,
    };
    Offload::ALL.into_iter().filter(|offload| failed(*offload)).fold(wanted, OffloadSet::without)
}

/// [`Offload::Gso`] and [`Offload::Gro`], as far as they pass; nothing is tried if neither is wanted.
fn trains(wanted: OffloadSet) -> OffloadSet {
    let both = OffloadSet::NONE.with(Offload::Gso).with(Offload::Gro);
    if !wanted.has(Offload::Gso) && !wanted.has(Offload::Gro) {
        return both;
    }
    let Ok((sender, receiver)) = local().and_then(|sender| Ok((sender, local()?))) else { return both };
    let (Ok(from), Ok(to)) = (sender.local_address(), receiver.local_address()) else { return both };
    Loopback { sender: &sender, receiver: &receiver, from, to }.judge()
}

fn local() -> io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A way through this machine alone.
struct Loopback<'s> {
    sender: &'s dyn DatagramSocket,
    receiver: &'s dyn DatagramSocket,
    from: SocketAddr,
    to: SocketAddr,
}

impl Loopback<'_> {
    fn judge(&self) -> OffloadSet {
        let gro = OffloadSet::NONE.with(Offload::Gro);
        let train: Vec<u8> = (0..TRAIN_BYTES).map(|at| (at / 5 % 251) as u8).collect();
        if !self.passes(train.get(..STRIDE).unwrap_or_default()) {
            // No loopback here, or a firewall before it: that says nothing about trains.
            return gro.with(Offload::Gso);
        }
        // A receiver that takes no train has the kernel cut it, as a network card without the offload does.
        let gso = self.receiver.set_gro(false).is_ok() && self.passes(&train);
        let knows_gro = self.receiver.set_gro(true).is_ok();
        match (gso, knows_gro) {
            (true, true) if self.passes(&train) => gro.with(Offload::Gso),
            (true, _) => OffloadSet::NONE.with(Offload::Gso),
            (false, true) => gro,
            (false, false) => OffloadSet::NONE,
        }
    }

    /// Whether the train arrives in time, its datagrams unchanged and in order.
    fn passes(&self, train: &[u8]) -> bool {
        let clock = Clock::start();
        let to = Endpoint { to: self.to, from: None };
        if self.sender.send_train(train, STRIDE, 0, to).is_err() {
            return false;
        }
        let mut expected = train.chunks(STRIDE).peekable();
        let mut buffer = vec![0; usize::from(u16::MAX)];
        while expected.peek().is_some() {
            match self.receiver.recv_train(&mut buffer) {
                Ok(received) if received.from == self.from => {
                    let bytes = buffer.get(..received.bytes).unwrap_or_default();
                    if bytes.chunks(received.stride).any(|datagram| expected.next() != Some(datagram)) {
                        return false;
                    }
                }
                // Any program of this machine can send here.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            if expected.peek().is_some() && !self.has_more(clock) {
                return false;
            }
        }
        true
    }

    /// Waits for more, as long as the wait that began with the clock lasts.
    fn has_more(&self, clock: Clock) -> bool {
        let left = TRAIN_WAIT.saturating_sub(clock.now().since(Instant::ZERO));
        let mut fds = [PollFd::new(self.receiver.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
        !left.is_zero() && ready != Ok(0)
    }
}

/// [`Offload::Tso`] and [`Offload::Uso`], as far as they were granted and super-packets can be written.
fn super_packets(tun: &Tun) -> OffloadSet {
    tun.queues.first().map_or(OffloadSet::NONE, |queue| writable(&**queue, tun.offloads))
}

fn writable(queue: &dyn TunQueue, granted: OffloadSet) -> OffloadSet {
    if !queue.has_vnet_header() {
        return OffloadSet::NONE;
    }
    if write(queue, Probe { is_v6: false, is_udp: true, is_super: false }).is_err() {
        // Not even a packet alone can be written: that says nothing about super-packets.
        return granted;
    }
    let refused = |offload| {
        let probes = [false, true].map(|is_v6| Probe { is_v6, is_udp: offload == Offload::Uso, is_super: true });
        probes.into_iter().any(|probe| write(queue, probe).is_err_and(|error| is_refusal(&error)))
    };
    let offloads = [Offload::Tso, Offload::Uso].into_iter();
    offloads.filter(|offload| granted.has(*offload) && refused(*offload)).fold(granted, OffloadSet::without)
}

fn write(queue: &dyn TunQueue, probe: Probe) -> io::Result<()> {
    queue.write(&[IoSlice::new(&probe.header()), IoSlice::new(&probe.packet())])
}

/// A packet that the kernel takes and then throws away before anybody sees it: it comes from the loopback address, and an
/// IPv4 header checksum is wrong.
#[derive(Clone, Copy)]
struct Probe {
    is_v6: bool,
    is_udp: bool,
    is_super: bool,
}

impl Probe {
    fn ip_bytes(self) -> u16 {
        if self.is_v6 { 40 } else { 20 }
    }

    fn transport_bytes(self) -> u16 {
        if self.is_udp { 8 } else { 20 }
    }

    fn header(self) -> [u8; VNET_HEADER_BYTES] {
        if !self.is_super {
            return VnetHeader::default().to_bytes();
        }
        let transport = if self.is_udp { Transport::Udp } else { Transport::Tcp };
        let segments = Segmentation {
            is_v6: self.is_v6,
            transport,
            bytes: SEGMENT_BYTES,
            header_bytes: self.ip_bytes() + self.transport_bytes(),
            has_cwr: false,
        };
        let checksum = PartialChecksum { start: self.ip_bytes(), offset: transport.checksum_at() as u16 };
        VnetHeader { checksum: Some(checksum), is_verified: false, segments: Some(segments) }.to_bytes()
    }

    fn packet(self) -> Vec<u8> {
        let payload = if self.is_super { PAYLOAD_BYTES } else { 1 };
        let length = self.transport_bytes() + payload;
        let protocol = if self.is_udp { 17 } else { 6 };
        let mut packet = if self.is_v6 {
            let [high, low] = length.to_be_bytes();
            let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
            [&[0x60, 0, 0, 0, high, low, protocol, 64], &loopback[..], &loopback[..]].concat()
        } else {
            let [high, low] = (self.ip_bytes() + length).to_be_bytes();
            vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]
        };
        let [high, low] = length.to_be_bytes();
        // Port 9, discard, at both ends; TCP with ACK and a window.
        packet.extend([0, 9, 0, 9]);
        if self.is_udp {
            packet.extend([high, low, 0, 0]);
        } else {
            packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
        }
        packet.resize((self.ip_bytes() + length).into(), 0);
        packet
    }
}

#[cfg(test)]
mod tests;
