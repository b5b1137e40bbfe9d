//! What a packet costs in the pure functions of its path: `cargo bench --bench packets`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark measures nothing if its set-up fails"
)]

mod cpu_time;
#[path = "../link/link.rs"]
mod link;
mod trains;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use plait::crypto::aead::{AeadBackend, DataKey, KEY_BYTES};
use plait::dataplane::bundle::{Bundle, Form, append};
use plait::dataplane::routes::Routes;
use plait::dataplane::segment::{Cut, Segment};
use plait::session::replay::ReplayWindow;
use plait::types::id::PeerId;
use plait::types::policy::Cipher;
use plait::types::prefix::Prefix;
use plait::types::secret::Secret;
use plait::wire::checksum;

use crate::cpu_time::{CpuTime, bytes};

/// Bytes of a packet that fills the tunnel's default MTU.
const PACKET_BYTES: usize = 1420;
/// Payload of such a TCP packet over IPv4 without options.
const SEGMENT_BYTES: u16 = 1380;
/// Segments of the longest super-packet of that size.
const SEGMENTS: usize = 47;
/// Bytes of a small packet, as an acknowledgement or a voice sample has.
const SMALL_BYTES: usize = 92;

fn main() {
    let mut criterion = cpu_time::criterion(2);
    segments(&mut criterion);
    bundles(&mut criterion);
    checksums(&mut criterion);
    replays(&mut criterion);
    routes(&mut criterion);
    aeads(&mut criterion);
    trains::trains(&mut criterion);
    criterion.final_summary();
}

/// An IPv4 packet with TCP, and this many bytes of payload.
fn tcp_packet(payload: usize) -> Vec<u8> {
    let length = u16::try_from(40 + payload).unwrap();
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 80, 1, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0x50, 0x18, 1, 1, 0, 0, 0, 0]);
    packet.extend((0..payload).map(|n| n as u8));
    packet
}

fn segments(criterion: &mut Criterion<CpuTime>) {
    let packet = tcp_packet(SEGMENTS * usize::from(SEGMENT_BYTES));
    let mut group = criterion.benchmark_group("segment");
    group.throughput(bytes(packet.len()));
    let mut out = Vec::with_capacity(packet.len() + SEGMENTS * 40);
    group.bench_function("cut and write a super-packet", |bencher| {
        bencher.iter(|| {
            out.clear();
            let cut = Cut::new(black_box(&packet), SEGMENT_BYTES).unwrap();
            (0..cut.count()).for_each(|index| cut.write(index, &mut out));
            out.len()
        });
    });
    let cut = Cut::new(&packet, SEGMENT_BYTES).unwrap();
    assert_eq!(cut.count(), SEGMENTS);
    let mut record = Vec::new();
    cut.write(1, &mut record);
    group.throughput(bytes(record.len()));
    group.bench_function("parse a record", |bencher| bencher.iter(|| Segment::parse(black_box(&record)).unwrap()));
    let segment = Segment::parse(&record).unwrap();
    group.bench_function("complete a record", |bencher| bencher.iter(|| segment.complete(black_box(&mut record))));
    group.finish();
}

fn bundles(criterion: &mut Criterion<CpuTime>) {
    let packet = tcp_packet(SMALL_BYTES - 40);
    let mut bundle = Vec::with_capacity(PACKET_BYTES);
    let fill = |bundle: &mut Vec<u8>| {
        bundle.clear();
        while append(bundle, Form::Packet, black_box(&packet), PACKET_BYTES) {}
    };
    fill(&mut bundle);
    let entries = Bundle::parse(&bundle).unwrap().entries().count();
    let mut group = criterion.benchmark_group("bundle");
    group.throughput(Throughput::Elements(entries as u64));
    group.bench_function("append until full", |bencher| bencher.iter(|| fill(&mut bundle)));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Bundle::parse(black_box(&bundle)).unwrap().entries().count());
    });
    group.finish();
}

fn checksums(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("checksum");
    for length in [40, PACKET_BYTES, 65_535] {
        let data = vec![0xa5; length];
        group.throughput(bytes(length));
        group.bench_with_input(BenchmarkId::from_parameter(length), &data, |bencher, data| {
            bencher.iter(|| checksum::finish(checksum::add(0, black_box(data))));
        });
    }
    group.finish();
}

fn replays(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("replay");
    let mut window = ReplayWindow::new();
    let mut number = 0;
    group.bench_function("accept the next", |bencher| {
        bencher.iter(|| {
            number += 1;
            window.accept(black_box(number)).unwrap()
        });
    });
    group.bench_function("refuse a repeated one", |bencher| bencher.iter(|| window.accept(black_box(number))));
    // Odd numbers raise the top, the even one below each fills the gap.
    group.bench_function("accept one late", |bencher| {
        bencher.iter_batched(
            || {
                let mut window = ReplayWindow::new();
                assert!((0..64).all(|n| window.accept(2 * n + 1).is_some()));
                window
            },
            |mut window| {
                assert!((0..64).all(|n| window.accept(black_box(2 * n)).is_some()));
                window
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// `count` networks of 256 addresses from 10.0.0.0 on, neighbours with different owners.
fn prefixes(count: u32) -> impl Iterator<Item = (Prefix, PeerId)> {
    let first = Ipv4Addr::new(10, 0, 0, 0).to_bits();
    (0..count).map(move |n| {
        let network = IpAddr::V4(Ipv4Addr::from_bits(first + (n << 8)));
        (Prefix::new(network, 24).unwrap(), PeerId((n % 10_000) as u16))
    })
}

fn routes(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("routes");
    for count in [1_u32, 10, 10_000, 131_072] {
        let routes = Routes::new(prefixes(count));
        // Scattered over all networks, so that the caches get no help from order.
        let scattered =
            |n: u32| IpAddr::V4(Ipv4Addr::from_bits((10 << 24) + n.wrapping_mul(2_654_435_761) % (count << 8)));
        let addresses: Vec<IpAddr> = (0..4096).map(scattered).collect();
        let mut turn = addresses.iter().cycle();
        group.bench_function(BenchmarkId::new("owner", count), |bencher| {
            bencher.iter(|| routes.owner(*black_box(turn.next().unwrap())).unwrap());
        });
    }
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("build", 131_072), |bencher| bencher.iter(|| Routes::new(prefixes(131_072))));
    group.finish();
}

fn aeads(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("aead");
    group.throughput(bytes(PACKET_BYTES));
    for (name, cipher, backend) in [
        ("chacha20-poly1305 aws-lc", Cipher::ChaCha20Poly1305, AeadBackend::AwsLc),
        ("chacha20-poly1305 reference", Cipher::ChaCha20Poly1305, AeadBackend::Reference),
        ("aes-256-gcm aws-lc", Cipher::Aes256Gcm, AeadBackend::AwsLc),
    ] {
        let key = DataKey::new(cipher, backend, &Secret::take(&mut [7; KEY_BYTES]));
        let header = [16; 16];
        let mut text = vec![0x42; PACKET_BYTES];
        group.bench_function(BenchmarkId::new("seal", name), |bencher| {
            bencher.iter(|| key.seal([1; 12], &header, black_box(&mut text)));
        });
        let mut sealed = vec![0x42; PACKET_BYTES];
        let tag = key.seal([2; 12], &header, &mut sealed);
        sealed.extend_from_slice(&tag);
        // An open works in place, so each needs the sealed bytes anew: the copy is 20 ns of the figure.
        let mut buffer = sealed.clone();
        group.bench_function(BenchmarkId::new("open", name), |bencher| {
            bencher.iter(|| {
                buffer.copy_from_slice(&sealed);
                key.open([2; 12], &header, black_box(&mut buffer)).unwrap().len()
            });
        });
    }
    group.finish();
}
