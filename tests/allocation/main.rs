//! In steady state a packet costs no memory: nothing is allocated from the TUN queue to the socket and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod counting;
#[path = "../link/link.rs"]
#[expect(dead_code, reason = "the packet threads are tested with a real address")]
mod link;
mod pumps;
mod world;

use std::io::IoSlice;
use std::net::SocketAddr;

use counting::requests;
use plait::dataplane::join::{Deliver, Joiner};
use plait::dataplane::open::{Arrival, open_train};
use plait::dataplane::pack::{Packer, View};
use plait::dataplane::snapshot::Snapshot;
use plait::dataplane::train::Train;
use plait::types::id::PeerId;
use plait::types::offload::{Offload, OffloadSet};
use plait::types::policy::Cipher;
use plait::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use plait::types::time::Instant;
use plait::wire::layers::Transport;
use plait::wire::vnet::VnetHeader;
use world::{frame, whole, world};

use crate::link::burst;

/// Bursts before the count begins: every buffer has its size then.
const WARM_UP: usize = 20;
/// Bursts that are counted.
const COUNTED: usize = 60;
/// Frames of a burst.
const FRAMES: usize = 16;
/// Trains of the longest burst: every piece of every frame alone.
const TRAINS_MAX: usize = FRAMES * 50;
const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn peer_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 51900))
}

/// Counts the packets that come out, joined or not.
#[derive(Default)]
struct Counted {
    packets: usize,
}

impl Deliver for Counted {
    fn deliver(&mut self, _: PeerId, header: VnetHeader, frame: &[IoSlice<'_>]) {
        self.packets += if header.segments.is_some() { frame.len() - 1 } else { 1 };
    }
}

/// Trains on their way, in memory that is used again and again.
struct Wire {
    buffers: Vec<Vec<u8>>,
    /// Bytes and stride of each.
    trains: Vec<(usize, usize)>,
}

impl Wire {
    fn new() -> Self {
        // Made one by one, a buffer takes no memory before it is used.
        Self { buffers: (0..TRAINS_MAX).map(|_| vec![0; 65_535]).collect(), trains: Vec::with_capacity(TRAINS_MAX) }
    }

    fn take(&mut self, train: &Train) {
        if train.destination().is_some() {
            let bytes = train.bytes();
            self.buffers[self.trains.len()][..bytes.len()].copy_from_slice(bytes);
            self.trains.push((bytes.len(), train.stride()));
        }
    }
}

fn seal_burst(view: View<'_>, packer: &mut Packer, frames: &[Vec<u8>], wire: &mut Wire) {
    wire.trains.clear();
    burst(view, packer, frames, |train| wire.take(train));
}

fn open_burst(snapshot: &Snapshot, offloads: OffloadSet, wire: &mut Wire, sink: &mut Counted) {
    let mut joiner = Joiner::new(offloads);
    for ((bytes, stride), buffer) in wire.trains.iter().zip(&mut wire.buffers) {
        let arrival = Arrival { now: NOW, from: peer_address(), local: None, stride: *stride, tos: 0 };
        open_train(snapshot, arrival, &mut buffer[..*bytes], &mut joiner, sink, &mut |_| true);
    }
    joiner.flush(sink);
}

/// Sends bursts of this frame from end to end and returns how often memory was asked for: to seal, and to open.
fn measure(cipher: Cipher, features: u8, offloads: OffloadSet, frame: &[u8]) -> (u64, u64) {
    let snapshot = world(cipher, features, peer_address());
    let view = View { snapshot: &snapshot, now: NOW, offloads };
    let (mut packer, mut wire, mut sink) = (Packer::new(1), Wire::new(), Counted::default());
    let frames = vec![frame.to_vec(); FRAMES];
    let (mut sealing, mut opening) = (0, 0);
    for burst in 0..WARM_UP + COUNTED {
        let sealed = requests(|| seal_burst(view, &mut packer, &frames, &mut wire));
        let opened = requests(|| open_burst(&snapshot, offloads, &mut wire, &mut sink));
        if burst >= WARM_UP {
            sealing += sealed;
            opening += opened;
        }
    }
    let traffic = &snapshot.peers[0].traffic;
    let (sent, received) = (traffic.sent_packets.total(), traffic.received_packets.total());
    assert!(sent == received && sent >= ((WARM_UP + COUNTED) * FRAMES) as u64, "{received} of {sent} packets arrived");
    assert_eq!(sink.packets as u64, received, "all were delivered");
    (sealing, opening)
}

#[test]
fn the_allocator_counts() {
    assert_eq!(requests(|| drop(std::hint::black_box(Vec::<u8>::new()))), 0);
    assert_eq!(requests(|| drop(std::hint::black_box(vec![1_u8; 100]))), 1);
    assert_eq!(requests(|| drop(std::hint::black_box(vec![0_u8; 100]))), 1);
    let mut grown = vec![1_u8; 100];
    assert_eq!(requests(|| grown.reserve_exact(1000)), 1);
}

#[test]
fn no_packet_of_any_kind_costs_memory() {
    let kinds = [
        ("TCP super-packets", frame(false, Transport::Tcp, 60_000, 1380)),
        ("TCP super-packets over IPv6", frame(true, Transport::Tcp, 60_000, 1360)),
        ("UDP super-packets", frame(false, Transport::Udp, 50_000, 1392)),
        ("full UDP packets", frame(false, Transport::Udp, 1392, 1392)),
        ("small UDP packets", frame(false, Transport::Udp, 64, 1392)),
        ("small UDP packets over IPv6", frame(true, Transport::Udp, 64, 1372)),
        ("acknowledgements", frame(false, Transport::Tcp, 0, 1380)),
        ("plain packets", whole(1420)),
        ("small plain packets", whole(84)),
    ];
    let sets = [
        ("all", OffloadSet::ALL, FEATURE_SEGMENT | FEATURE_BUNDLE),
        ("no bundles", OffloadSet::ALL.without(Offload::Bundle), FEATURE_SEGMENT),
        ("no trains", OffloadSet::ALL.without(Offload::Gso), FEATURE_SEGMENT | FEATURE_BUNDLE),
        ("a peer without segments", OffloadSet::ALL, 0),
        ("nothing joined", OffloadSet::NONE, FEATURE_SEGMENT | FEATURE_BUNDLE),
    ];
    for cipher in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
        for (what, frame) in &kinds {
            for (with, offloads, features) in sets {
                let asked = measure(cipher, features, offloads, frame);
                assert_eq!(asked, (0, 0), "{what}, {with}, {cipher:?}: memory asked for to seal and to open");
            }
        }
    }
}
