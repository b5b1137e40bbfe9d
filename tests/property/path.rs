//! Frames of one queue packed, sealed, lost in part, out of order, put into trains, opened and joined: what the kernel makes
//! of what is written is, packet for packet, what it was given.

use std::io::IoSlice;
use std::net::SocketAddr;

use plait::dataplane::join::{Deliver, Joiner};
use plait::dataplane::open::{Arrival, open_train};
use plait::dataplane::pack::{Packer, View};
use plait::dataplane::segment::Cut;
use plait::dataplane::single::open_one;
use plait::dataplane::snapshot::Snapshot;
use plait::session::epoch::RecordTerms;
use plait::types::id::PeerId;
use plait::types::offload::{Offload, OffloadSet};
use plait::types::policy::Cipher;
use plait::types::time::Instant;
use plait::wire::layers::Transport;
use plait::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::link::{ALL, both_ends, burst, nowhere};
use super::supers::{Super, supers};

const NOW: Instant = Instant::from_nanos(1);
const INDEX: u32 = 7;
const INNER_MTU: u16 = 2200;

/// How the kernel hands a packet over.
#[derive(Clone, Copy, Debug)]
enum Hand {
    /// To be cut.
    Super,
    /// Each piece alone, its checksum to be computed.
    Partial,
    /// Each piece alone and whole.
    Whole,
    /// Each piece alone and whole, its checksum verified.
    Verified,
}

fn hands() -> impl Strategy<Value = Hand> {
    prop_oneof![3 => Just(Hand::Super), 2 => Just(Hand::Partial), 1 => Just(Hand::Whole), 1 => Just(Hand::Verified)]
}

fn here() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 51900))
}

fn world(features: u8) -> Snapshot {
    let terms = RecordTerms { cipher: Cipher::Aes256Gcm, inner_mtu: INNER_MTU, features };
    both_ends(terms, INDEX, ALL, nowhere())
}

/// Frames as a TUN queue gives them.
fn frames(flow: &Super, hand: Hand) -> Vec<Vec<u8>> {
    let start = if flow.v6 { 40 } else { 20 };
    let checksum = Some(PartialChecksum { start, offset: flow.checksum_offset() as u16 });
    let frame = |header: VnetHeader, packet: &[u8]| [&header.to_bytes()[..], packet].concat();
    let plain = VnetHeader::default();
    match hand {
        Hand::Super => {
            let transport = if flow.tcp { Transport::Tcp } else { Transport::Udp };
            // The kernel's header length is a hint, and may be wrong.
            let segments =
                Segmentation { is_v6: flow.v6, transport, bytes: flow.size, header_bytes: 9, has_cwr: false };
            let header = VnetHeader { checksum, segments: Some(segments), ..plain };
            vec![frame(header, &flow.partial())]
        }
        Hand::Partial => {
            let pieces = flow.pieces().into_iter();
            pieces.map(|piece| frame(VnetHeader { checksum, ..plain }, &piece.partial())).collect()
        }
        Hand::Whole => flow.packets().iter().map(|packet| frame(plain, packet)).collect(),
        Hand::Verified => {
            let header = VnetHeader { is_verified: true, ..plain };
            flow.packets().iter().map(|packet| frame(header, packet)).collect()
        }
    }
}

/// Packs all frames as one burst; the datagrams in the order in which they are sent.
fn pack(world: &Snapshot, frames: &[Vec<u8>], offloads: OffloadSet) -> Vec<Vec<u8>> {
    let (mut packer, mut datagrams) = (Packer::new(1), Vec::new());
    let view = View { snapshot: world, now: NOW, offloads };
    burst(view, &mut packer, frames, |train| {
        let pieces: Vec<_> = train.bytes().chunks(train.stride().max(1)).map(<[u8]>::to_vec).collect();
        assert_eq!(pieces.len(), train.count());
        assert!(offloads.has(Offload::Gso) || pieces.len() <= 1);
        datagrams.extend(pieces);
    });
    datagrams
}

/// What the kernel makes of what is written.
#[derive(Default)]
struct Kernel(Vec<Vec<u8>>);

impl Deliver for Kernel {
    fn deliver(&mut self, _: PeerId, header: VnetHeader, frame: &[IoSlice<'_>]) {
        let bytes: Vec<u8> = frame.iter().flat_map(|part| part.iter().copied()).collect();
        assert_eq!(VnetHeader::split(&bytes).unwrap().0, header);
        let packet = &bytes[10..];
        let Some(checksum) = header.checksum else { return self.0.push(packet.to_vec()) };
        let size = header.segments.map_or(u16::MAX, |segments| segments.bytes);
        let cut = Cut::new(packet, size).unwrap();
        assert!(header.segments.is_some() == (cut.count() > 1), "the kernel is asked to cut what is to be cut");
        if let Some(segments) = header.segments {
            assert_eq!(usize::from(segments.header_bytes) + usize::from(size), cut.record_bytes());
            assert!(segments.transport == Transport::Tcp || cut.count() <= 64);
            let has_cwr = segments.transport == Transport::Tcp && packet[usize::from(checksum.start) + 13] & 0x80 != 0;
            assert_eq!(segments.has_cwr, has_cwr);
        }
        for index in 0..cut.count() {
            let mut piece = Vec::new();
            cut.write_complete(index, &mut piece);
            self.0.push(piece);
        }
    }
}

/// Trains as `UDP_GRO` makes them: equal ones and a shorter one, up to so many.
fn trains(datagrams: &[Vec<u8>], most: usize) -> Vec<Vec<Vec<u8>>> {
    let mut trains: Vec<Vec<Vec<u8>>> = Vec::new();
    for datagram in datagrams {
        match trains.last_mut() {
            Some(train)
                if train.len() < most
                    && train[train.len() - 1].len() == train[0].len()
                    && datagram.len() <= train[0].len() =>
            {
                train.push(datagram.clone());
            }
            _ => trains.push(vec![datagram.clone()]),
        }
    }
    trains
}

/// Of UDP packets that must not be fragmented the identification means nothing (RFC 6864): the kernel counts it anew.
fn comparable(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[0] == 0x45 && packet[9] == 17 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

fn open_all(world: &Snapshot, datagrams: &[Vec<u8>], most: usize, offloads: OffloadSet) -> Vec<Vec<u8>> {
    let mut kernel = Kernel::default();
    let groups = trains(datagrams, most);
    let mut buffers: Vec<_> = groups.iter().map(|train| train.concat()).collect();
    let mut joiner = Joiner::new(offloads);
    for (buffer, train) in buffers.iter_mut().zip(&groups) {
        let arrival = Arrival { now: NOW, from: here(), local: None, stride: train[0].len(), tos: 0 };
        open_train(world, arrival, buffer, &mut joiner, &mut kernel, &mut |_| true);
    }
    joiner.flush(&mut kernel);
    kernel.0.into_iter().map(comparable).collect()
}

/// What each datagram holds, one by one and completed in software.
fn open_singly(world: &Snapshot, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let arrival = Arrival { now: NOW, from: here(), local: None, stride: 0, tos: 0 };
    let packets = datagrams.iter().flat_map(|datagram| open_one(world, arrival, &mut datagram.clone(), &mut |_| true));
    packets.map(|(_, packet)| comparable(packet)).collect()
}

fn offload_sets() -> impl Strategy<Value = OffloadSet> {
    vec(prop::bool::weighted(0.8), 5).prop_map(|on| {
        let chosen = Offload::ALL.into_iter().zip(on).filter(|(_, on)| *on);
        chosen.fold(OffloadSet::NONE, |set, (offload, _)| set.with(offload))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn nothing_lost_comes_out_as_it_went_in(
        flows in vec((supers(), hands()), 1..6), features in 0_u8..4, most in 1_usize..70,
        sender in offload_sets(), receiver in offload_sets(),
    ) {
        let frames: Vec<_> = flows.iter().flat_map(|(flow, hand)| frames(flow, *hand)).collect();
        let sent: Vec<_> = flows.iter().flat_map(|(flow, _)| flow.packets()).map(comparable).collect();
        let datagrams = pack(&world(features), &frames, sender);
        prop_assert!(datagrams.iter().all(|datagram| datagram.len() <= usize::from(INNER_MTU) + 32));
        prop_assert!(open_all(&world(features), &datagrams, most, receiver) == sent);
        prop_assert!(open_singly(&world(features), &datagrams) == sent);
    }

    #[test]
    fn what_is_lost_or_late_changes_nothing_else(
        flows in vec((supers(), hands()), 1..6), features in 0_u8..4, most in 1_usize..70, receiver in offload_sets(),
        fates in vec((prop::bool::weighted(0.8), prop::option::weighted(0.1, any::<Index>()), prop::bool::weighted(0.1)), 40),
    ) {
        let frames: Vec<_> = flows.iter().flat_map(|(flow, hand)| frames(flow, *hand)).collect();
        let datagrams = pack(&world(features), &frames, OffloadSet::ALL);
        let mut arriving = Vec::new();
        let mut unique = 0;
        for (datagram, (arrives, swap, twice)) in datagrams.into_iter().zip(fates.into_iter().cycle()) {
            if arrives {
                unique += 1;
                arriving.push(datagram.clone());
                if let Some(other) = swap {
                    let (last, other) = (arriving.len() - 1, other.index(arriving.len()));
                    arriving.swap(last, other);
                }
                if twice {
                    arriving.push(datagram);
                }
            }
        }
        let world_joined = world(features);
        let joined = open_all(&world_joined, &arriving, most, receiver);
        prop_assert!(joined == open_singly(&world(features), &arriving));
        let drops = &world_joined.peers[0].traffic.drops;
        prop_assert_eq!(drops.replay.total(), (arriving.len() - unique) as u64);
        prop_assert_eq!((drops.auth.total(), drops.malformed.total(), drops.source.total()), (0, 0, 0));
    }
}
