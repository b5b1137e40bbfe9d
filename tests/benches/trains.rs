//! A super-packet from the TUN queue to trains of sealed datagrams, and such trains back to a super-packet.

use std::hint::black_box;
use std::io::IoSlice;

use criterion::{BatchSize, BenchmarkId, Criterion};
use plait::dataplane::join::{Deliver, Joiner};
use plait::dataplane::open::{Arrival, open_train};
use plait::dataplane::pack::{Packer, View};
use plait::dataplane::snapshot::Snapshot;
use plait::session::epoch::RecordTerms;
use plait::types::id::PeerId;
use plait::types::offload::OffloadSet;
use plait::types::policy::Cipher;
use plait::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use plait::types::time::Instant;
use plait::wire::vnet::VnetHeader;

use crate::cpu_time::{CpuTime, bytes};
use crate::link::{ALL, both_ends, burst, nowhere};
use crate::{SEGMENT_BYTES, SEGMENTS, tcp_packet};

const NOW: Instant = Instant::from_nanos(1_000_000_000);
const INNER_MTU: u16 = 1420;

/// Bytes and stride of a train.
type Sealed = (Vec<u8>, usize);

/// Takes what would be written into the TUN queue.
#[derive(Default)]
struct Taken(usize);

impl Deliver for Taken {
    fn deliver(&mut self, _: PeerId, _: VnetHeader, frame: &[IoSlice<'_>]) {
        self.0 += frame.len();
    }
}

/// The kernel's header in front: TCP over IPv4 to be cut, headers of 40 bytes, the checksum to be completed.
fn frame() -> Vec<u8> {
    let [size, header] = [SEGMENT_BYTES, 40].map(u16::to_le_bytes);
    let head = [[1, 1], header, size, [20, 0], [16, 0]].concat();
    [&head[..], &tcp_packet(SEGMENTS * usize::from(SEGMENT_BYTES))].concat()
}

fn seal(snapshot: &Snapshot, packer: &mut Packer, frames: &[Vec<u8>]) -> Vec<Sealed> {
    let mut trains = Vec::new();
    let view = View { snapshot, now: NOW, offloads: OffloadSet::ALL };
    burst(view, packer, frames, |train| {
        if train.count() > 0 {
            trains.push((train.bytes().to_vec(), train.stride()));
        }
    });
    trains
}

fn open(snapshot: &Snapshot, trains: &mut [Sealed]) -> usize {
    let (mut joiner, mut sink) = (Joiner::new(OffloadSet::ALL), Taken::default());
    for (train, stride) in trains {
        let arrival = Arrival { now: NOW, from: nowhere().to, local: None, stride: *stride, tos: 0 };
        open_train(snapshot, arrival, train, &mut joiner, &mut sink, &mut |_| true);
    }
    joiner.flush(&mut sink);
    sink.0
}

/// Both directions, with each cipher.
pub(crate) fn trains(criterion: &mut Criterion<CpuTime>) {
    let frames = [frame()];
    let mut group = criterion.benchmark_group("super-packet");
    group.throughput(bytes(frames[0].len()));
    for (name, cipher) in [("chacha20-poly1305", Cipher::ChaCha20Poly1305), ("aes-256-gcm", Cipher::Aes256Gcm)] {
        let terms = RecordTerms { cipher, inner_mtu: INNER_MTU, features: FEATURE_SEGMENT | FEATURE_BUNDLE };
        let snapshot = both_ends(terms, 7, ALL, nowhere());
        let view = View { snapshot: &snapshot, now: NOW, offloads: OffloadSet::ALL };
        let mut packer = Packer::new(1);
        // One for the header, one for each piece: all of it comes out again, joined.
        assert_eq!(open(&snapshot, &mut seal(&snapshot, &mut packer, &frames)), 1 + 1 + SEGMENTS);
        group.bench_function(BenchmarkId::new("seal", name), |bencher| {
            bencher.iter(|| {
                burst(view, &mut packer, &frames, |train| {
                    black_box(train.count());
                })
            });
        });
        group.bench_function(BenchmarkId::new("open", name), |bencher| {
            let sealed = || seal(&snapshot, &mut Packer::new(2), &frames);
            bencher.iter_batched(sealed, |mut trains| open(&snapshot, &mut trains), BatchSize::SmallInput);
        });
    }
    group.finish();
}
