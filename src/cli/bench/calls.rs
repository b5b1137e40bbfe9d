//! System calls that a packet costs: TUN and UDP, one packet a call and many, as the daemon makes them.

use std::io::{ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, poll};

use super::frames::{self, HEADER_BYTES};
use super::meter::{Bench, Lap};
use super::row::{Trouble, Unit};
use crate::cli::lab::namespace::Namespace;
use crate::cli::lab::pause::{Interrupted, now};
use crate::cli::lab::wires::{End, join, raise_loopback};
use crate::config::{Backend, InterfaceAddress};
use crate::dataplane::snapshot::Endpoint;
use crate::io::system::netlink::take_steps;
use crate::io::system::plan::Step;
use crate::io::tun::{self, OpenError, Tun, TunQueue};
use crate::io::udp::{DatagramSocket, UdpSocket};
use crate::types::offload::{Offload, OffloadSet};
use crate::wire::vnet::VNET_HEADER_BYTES;

const GROUP: &str = "system calls, packets of 1420 bytes";
/// Inner MTU.
const MTU: u16 = 1420;
/// Payload of a UDP datagram that fills it.
const PAYLOAD: u16 = MTU - HEADER_BYTES as u16;
/// Payload of a datagram that a veth pair of MTU 1500 carries whole.
const DATAGRAM: usize = 1440;
/// Packets of a train or super-packet: what fits 64 KiB.
const TRAIN: u16 = 45;
/// Single packets of a batch; fewer than any queue on the way holds.
const SINGLES: u64 = 64;
/// Trains of a batch.
const TRAINS: u64 = 4;
/// How long an answer of the kernel may take, in milliseconds.
const WAIT_MS: u16 = 50;
/// The largest frame: a header and 64 KiB.
const FRAME_BYTES: usize = VNET_HEADER_BYTES + 65_536;

const WAN_A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const WAN_B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Behind the interface without and the one with offloads, as the sockets inside see it.
const BEHIND: [SocketAddrV4; 2] =
    [SocketAddrV4::new(Ipv4Addr::new(10, 98, 0, 2), 9), SocketAddrV4::new(Ipv4Addr::new(10, 98, 1, 2), 9)];

type Call = fn(&Bench, &Ground) -> Result<Lap, Trouble>;

const CALLS: [(&str, Call); 8] = [
    ("TUN read, one packet", tun_read),
    ("TUN write, one packet, delivery included", tun_write),
    ("TUN read, super-packet", tun_read_super),
    ("TUN write, super-packet, delivery included", tun_write_super),
    ("UDP send, delivery included", udp_send),
    ("UDP receive", udp_receive),
    ("UDP send of a train (GSO), delivery included", udp_send_train),
    ("UDP receive of a train (GRO)", udp_receive_train),
];

/// Two namespaces and a pair of interfaces in the first, with sockets.
struct Ground {
    wan_a: UdpSocket,
    wan_b: UdpSocket,
    /// In the first namespace, on all its addresses.
    inner: UdpSocket,
    plain: Tun,
    offloaded: Tun,
    #[expect(dead_code, reason = "the namespaces last as long as what is in them")]
    namespaces: [Namespace; 2],
}

/// Every call.
pub(super) fn measure(bench: &mut Bench) -> Result<(), Interrupted> {
    let ground = Ground::create();
    for (name, call) in CALLS {
        bench.row(GROUP, name, |bench| {
            let ground = ground.as_ref().map_err(Trouble::clone)?;
            let lap = call(bench, ground)?;
            Ok(vec![(lap.per_call(), Unit::NanosecondsPerCall), (lap.per_packet(), Unit::NanosecondsPerPacket)])
        })?;
    }
    Ok(())
}

impl Ground {
    fn create() -> Result<Self, Trouble> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Trouble::Absent("it takes root".to_owned()));
        }
        let namespaces = [Namespace::create("bench-a")?, Namespace::create("bench-b")?];
        let [a, b] = &namespaces;
        raise_loopback(a)?;
        let end = |namespace, address| End { namespace, name: "wan", address };
        join(&end(a, WAN_A), &end(b, WAN_B))?;
        let bind = |address| move || UdpSocket::bind(SocketAddrV4::new(address, 0).into());
        Ok(Self {
            wan_a: a.run(bind(WAN_A))??,
            wan_b: b.run(bind(WAN_B))??,
            inner: a.run(bind(Ipv4Addr::UNSPECIFIED))??,
            plain: interface(a, "bench0", OffloadSet::NONE, BEHIND[0])?,
            offloaded: interface(a, "bench1", OffloadSet::ALL, BEHIND[1])?,
            namespaces,
        })
    }

    /// The queue with super-packets of UDP.
    fn super_queue(&self) -> Result<&Arc<dyn TunQueue>, Trouble> {
        if !self.offloaded.offloads.has(Offload::Uso) {
            return Err(Trouble::Absent("this kernel's TUN has no super-packets of UDP".to_owned()));
        }
        queue(&self.offloaded)
    }

    /// The other end of the wan.
    fn to_b(&self) -> Result<Endpoint, Trouble> {
        Ok(Endpoint { to: self.wan_b.local_address()?, from: None })
    }

    /// Where the inner socket is reached from behind an interface.
    fn inside(&self, behind: SocketAddrV4) -> Result<SocketAddrV4, Trouble> {
        let [first, second, third, _] = behind.ip().octets();
        Ok(SocketAddrV4::new(Ipv4Addr::new(first, second, third, 1), self.inner.local_address()?.port()))
    }
}

/// An interface that is up, the first address of the network behind it its own.
fn interface(place: &Namespace, name: &'static str, wanted: OffloadSet, behind: SocketAddrV4) -> Result<Tun, Trouble> {
    let [first, second, third, _] = behind.ip().octets();
    let address = InterfaceAddress { address: Ipv4Addr::new(first, second, third, 1).into(), length: 24 };
    let tun = place.run(move || tun::open(name, Backend::TunRs, wanted, 1))?;
    let tun = tun.map_err(|error| match error {
        OpenError::NoDevice => Trouble::Absent(error.to_string()),
        OpenError::NotPermitted(_) | OpenError::InUse(_) | OpenError::NotBuiltIn | OpenError::Other(..) => {
            Trouble::Failed(error.to_string())
        }
    })?;
    let index = tun.index;
    let steps = [Step::SetMtu(MTU), Step::AddAddress(address), Step::Up];
    let up = place.run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(take_steps(name, index, &steps)).map_err(std::io::Error::other)
    })?;
    up?;
    Ok(tun)
}

fn queue(tun: &Tun) -> Result<&Arc<dyn TunQueue>, Trouble> {
    tun.queues.first().ok_or_else(|| Trouble::Failed("an interface without a queue".to_owned()))
}

fn tun_read(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let (queue, to) = (queue(&ground.plain)?, Endpoint { to: BEHIND[0].into(), from: None });
    let (payload, mut frame) = ([0x42; PAYLOAD as usize], vec![0; FRAME_BYTES]);
    bench.laps(|| {
        (0..SINGLES).try_for_each(|_| ground.inner.send(&payload, to))?;
        read_frames(queue, &mut frame, |_| 1)
    })
}

fn tun_read_super(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let (queue, to) = (ground.super_queue()?, Endpoint { to: BEHIND[1].into(), from: None });
    let (train, mut frame) = (vec![0x42; usize::from(PAYLOAD * TRAIN)], vec![0; FRAME_BYTES]);
    let packets =
        |bytes: usize| bytes.saturating_sub(VNET_HEADER_BYTES + HEADER_BYTES).div_ceil(usize::from(PAYLOAD)) as u64;
    bench.laps(|| {
        (0..TRAINS).try_for_each(|_| ground.inner.send_train(&train, PAYLOAD.into(), 0, to))?;
        read_frames(queue, &mut frame, packets)
    })
}

/// Reads what waits, and times it.
fn read_frames(queue: &Arc<dyn TunQueue>, frame: &mut [u8], packets: impl Fn(usize) -> u64) -> Result<Lap, Trouble> {
    let mut lap = Lap::default();
    let begun = now();
    loop {
        match queue.read(frame) {
            Ok(bytes) => {
                lap.calls += 1;
                lap.packets += packets(bytes);
                lap.spent = begun.elapsed();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lap),
            Err(error) => return Err(error.into()),
        }
    }
}

fn tun_write(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let packet = frames::packet(BEHIND[0], ground.inside(BEHIND[0])?, PAYLOAD);
    write_frames(bench, ground, queue(&ground.plain)?, &[IoSlice::new(&packet)], SINGLES)
}

fn tun_write_super(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let (header, packet) = frames::super_packet(BEHIND[1], ground.inside(BEHIND[1])?, PAYLOAD, TRAIN);
    write_frames(bench, ground, ground.super_queue()?, &[IoSlice::new(&header), IoSlice::new(&packet)], TRAINS)
}

/// Writes one frame again and again, and counts what the socket inside is given.
fn write_frames(
    bench: &Bench,
    ground: &Ground,
    queue: &Arc<dyn TunQueue>,
    frame: &[IoSlice<'_>],
    count: u64,
) -> Result<Lap, Trouble> {
    let mut buffer = vec![0; FRAME_BYTES];
    bench.laps(|| {
        let begun = now();
        (0..count).try_for_each(|_| queue.write(frame))?;
        let spent = begun.elapsed();
        let Lap { packets, .. } = receive(&ground.inner, &mut buffer)?;
        Ok(Lap { calls: count, packets, spent })
    })
}

fn udp_send(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let train = [0x42; DATAGRAM];
    across(bench, ground, &train, SINGLES, |sent, _| sent)
}

fn udp_receive(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let train = [0x42; DATAGRAM];
    across(bench, ground, &train, SINGLES, |_, received| received)
}

fn udp_send_train(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let train = vec![0x42; DATAGRAM * usize::from(TRAIN)];
    across(bench, ground, &train, TRAINS, |sent, _| sent)
}

fn udp_receive_train(bench: &Bench, ground: &Ground) -> Result<Lap, Trouble> {
    let train = vec![0x42; DATAGRAM * usize::from(TRAIN)];
    across(bench, ground, &train, TRAINS, |_, received| received)
}

/// Sends from one namespace to the other, and receives; `which` of both laps is measured.
fn across(
    bench: &Bench,
    ground: &Ground,
    train: &[u8],
    count: u64,
    which: impl Fn(Lap, Lap) -> Lap,
) -> Result<Lap, Trouble> {
    let (to, mut buffer) = (ground.to_b()?, vec![0; FRAME_BYTES]);
    bench.laps(|| {
        let begun = now();
        (0..count).try_for_each(|_| ground.wan_a.send_train(train, DATAGRAM, 0, to))?;
        let spent = begun.elapsed();
        let received = receive(&ground.wan_b, &mut buffer)?;
        Ok(which(Lap { calls: count, packets: received.packets, spent }, received))
    })
}

/// Receives what waits, and times it.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Lap, Trouble> {
    let mut lap = Lap::default();
    let ready = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], WAIT_MS);
    ready.map_err(std::io::Error::from)?;
    let begun = now();
    loop {
        match socket.recv_train(buffer) {
            Ok(received) => {
                lap.calls += 1;
                lap.packets += received.bytes.div_ceil(received.stride) as u64;
                lap.spent = begun.elapsed();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lap),
            Err(error) => return Err(error.into()),
        }
    }
}
