//! Trains of records: how each fares and where it is counted; and what a packet needs before it can go into one.

use super::*;
use crate::dataplane::bundle::Form;
use crate::dataplane::bundling::Bundling;
use crate::dataplane::frame::{Frame, Shape, finish_checksum};
use crate::dataplane::join::{Deliver, Joiner};
use crate::dataplane::open::{Tally, open_train};
use crate::dataplane::pack::{Cursor, Packer, Step};
use crate::dataplane::seal::datagram_len;
use crate::identity::Fingerprint;
use crate::types::offload::Offload;
use crate::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use crate::wire::layers::Transport;
use crate::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};

struct Nowhere;

impl Deliver for Nowhere {
    fn deliver(&mut self, _: PeerId, _: VnetHeader, _: &[std::io::IoSlice<'_>]) {}
}

/// How the datagrams of a train fared, all of them as long as the first; and the events, which are taken if `taken`.
fn take(world: &Snapshot, datagrams: &[Vec<u8>], taken: bool) -> (Tally, Vec<PumpEvent>) {
    let (mut train, mut events) = (datagrams.concat(), Vec::new());
    let arrival = Arrival { stride: datagrams[0].len(), ..arrival(NOW, home(), None) };
    let tally = open_train(world, arrival, &mut train, &mut Joiner::new(OffloadSet::ALL), &mut Nowhere, &mut |event| {
        events.push(event);
        taken
    });
    (tally, events)
}

fn record(world: &Snapshot, lane: u8, kind: RecordKind, text: &[u8]) -> Vec<u8> {
    seal_record(&world.peers[0].sealing.as_ref().unwrap().epoch, lane, kind, text).unwrap()
}

#[test]
fn each_record_of_a_train_is_counted_as_it_fared() {
    let world = world(Standing::Current);
    let inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 61);
    let mut records: Vec<_> = (0..4).map(|_| record(&world, 2, RecordKind::Data, &inner)).collect();
    records[2][95] ^= 1;
    let drops = &world.peers[0].traffic.drops;
    let first = Tally { opened: 3, forged: 1, overlong: 0, lanes: 0b100 };
    assert_eq!(take(&world, &records, true).0, first);
    assert_eq!((drops.auth.total(), drops.replay.total()), (1, 0));
    assert_eq!(take(&world, &records, true).0, Tally { forged: 1, ..Tally::default() }, "copies are not even opened");
    assert_eq!((drops.auth.total(), drops.replay.total()), (2, 3));
    // Two runs in one train: the counts of both.
    let runs: Vec<_> = [1, 1, 4].map(|lane| record(&world, lane, RecordKind::Data, &inner)).into();
    assert_eq!(take(&world, &runs, true).0, Tally { opened: 3, lanes: 0b1_0010, ..Tally::default() });
    let forged: Vec<_> = [1, 4].map(|lane| record(&world, lane, RecordKind::Data, &inner)).into();
    let forged: Vec<_> = forged.into_iter().map(|datagram| [&datagram[..95], &[!datagram[95]]].concat()).collect();
    assert_eq!(take(&world, &forged, true).0, Tally { forged: 2, ..Tally::default() });
}

#[test]
fn records_of_other_kinds_are_of_the_same_run() {
    let world = world(Standing::Current);
    let kinds = [RecordKind::Data, RecordKind::Control, RecordKind::Data];
    let records = kinds.map(|kind| record(&world, 0, kind, &[0x45; 32]));
    assert_eq!(take(&world, &records, true).0, Tally { opened: 3, lanes: 1, ..Tally::default() });
}

#[test]
fn only_what_is_longer_than_any_record_counts_as_overlong() {
    let world = world(Standing::Current);
    for (bytes, overlong) in [(16 + 1420 + 16, 0), (16 + 1420 + 16 + 1, 1)] {
        let mut datagrams = vec![record(&world, 0, RecordKind::Data, &[]), record(&world, 0, RecordKind::Data, &[])];
        datagrams.iter_mut().for_each(|datagram| datagram.resize(bytes, 0));
        assert_eq!(take(&world, &datagrams, true).0, Tally { forged: 2, overlong: 2 * overlong, ..Tally::default() });
    }
}

#[test]
fn a_keepalive_is_told_of_and_carries_no_data() {
    let world = world(Standing::Current);
    let (_, events) = take(&world, &[keepalive(&world)], true);
    assert!(events.contains(&PumpEvent::Empty { tag: tag() }), "{events:?}");
    assert_eq!(world.peers[0].traffic.last_data_open.when(), None);
    let (_, events) = take(&world, &[keepalive(&world)], true);
    assert!(!events.contains(&PumpEvent::Empty { tag: tag() }), "not so soon again");
}

#[test]
fn a_control_message_that_finds_no_place_is_counted() {
    let world = world(Standing::Current);
    for (taken, queue) in [(true, 0), (false, 1)] {
        take(&world, &[record(&world, 0, RecordKind::Control, &[1; 16])], taken);
        assert_eq!(world.peers[0].traffic.drops.queue.total(), queue);
    }
}

#[test]
fn a_handshake_datagram_goes_to_the_engine_unless_it_is_none_or_finds_no_place() {
    let world = world(Standing::Current);
    let counts = |world: &Snapshot| (world.unclaimed.refused.malformed.total(), world.unclaimed.queue.total());
    let i0 = handshake(MessageType::I0, 48, None);
    assert_eq!((take(&world, &i0, true).1.len(), counts(&world)), (1, (0, 0)));
    assert_eq!((take(&world, &i0, false).1.len(), counts(&world)), (1, (0, 1)));
    let longer = vec![[&i0[0][..], &[0]].concat()];
    assert_eq!((take(&world, &longer, true).1.len(), counts(&world)), (0, (1, 1)));
}

#[test]
fn who_opens_a_handshake_knows_this_end() {
    let (ours, another) = ([7; 32], [8; 32]);
    let key = |fp: [u8; 32]| Mac1Key::new(&Fingerprint::from_bytes(fp));
    let world = Snapshot { door: Some(Arc::new(key(ours))), ..world(Standing::Current) };
    let passes = |kind, body, fp: Option<[u8; 32]>| {
        let datagrams = handshake(kind, body, fp.map(key).as_ref());
        datagrams.iter().map(|datagram| take(&world, std::slice::from_ref(datagram), true).1.len()).sum::<usize>()
    };
    let i1 = MessageType::I1.body_bytes(Suite::MlKem1024);
    assert_eq!((passes(MessageType::I0, 48, Some(ours)), passes(MessageType::I1, i1, Some(ours))), (1, 3));
    assert_eq!(world.unclaimed.refused.totals(), [("malformed", 0), ("mac1", 0)]);
    for wrong in [Some(another), None] {
        assert_eq!((passes(MessageType::I0, 48, wrong), passes(MessageType::I1, i1, wrong)), (0, 0));
    }
    assert_eq!(world.unclaimed.refused.totals(), [("malformed", 0), ("mac1", 8)]);
    assert_eq!(passes(MessageType::R0, 48, Some(another)), 1, "an answer has a mac1 for the other end");
}

#[test]
fn the_length_of_a_datagram_is_known_before_it_is_sealed() {
    let world = world(Standing::Current);
    for kind in [RecordKind::Data, RecordKind::Segment, RecordKind::Bundle] {
        for length in [0, 1, 16, 61, 1415, 1420] {
            assert_eq!(record(&world, 0, kind, &vec![0; length]).len(), datagram_len(kind, length, 1420), "{length}");
        }
    }
}

#[test]
fn packets_wait_with_others_of_their_peer_and_their_field_while_there_is_room() {
    let mut waiting = Bundling::default();
    assert!(waiting.has_room(PeerId(1), 0, 5000, 1420), "the first one always can");
    for packets in 1..=2 {
        waiting.add(PeerId(1), 7, Form::Packet, 100, |out| out.extend([0; 100]));
        assert_eq!((waiting.packets(), waiting.packet_bytes()), (packets, packets * 100));
    }
    assert!(waiting.has_room(PeerId(1), 7, 100, 1420));
    assert!(!waiting.has_room(PeerId(2), 7, 100, 1420) && !waiting.has_room(PeerId(1), 6, 100, 1420));
    assert!(!waiting.has_room(PeerId(1), 7, 1300, 1420));
    waiting.clear();
    assert_eq!((waiting.whose(), waiting.packets(), waiting.text().len()), (None, 0, 0));
}

#[test]
fn only_a_packet_whose_checksum_was_verified_may_have_it_computed_anew() {
    // UDP with and without a checksum, and TCP with a sum that happens to be zero.
    for (protocol, sum, may) in [(17, 1, true), (17, 0, false), (6, 0, true)] {
        let mut inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 60);
        (inner[6], inner[9], inner[32]) = (0, protocol, 0x50);
        inner[7] = 0;
        inner[24..26].copy_from_slice(&40_u16.to_be_bytes());
        let at = if protocol == 17 { 26 } else { 36 };
        inner[at..at + 2].copy_from_slice(&u16::to_be_bytes(sum));
        for is_verified in [true, false] {
            let header = VnetHeader { is_verified, ..VnetHeader::default() }.to_bytes();
            let bytes = [&header[..], &inner].concat();
            let shape = Frame::parse(&bytes, true).unwrap().shape;
            assert_eq!(matches!(shape, Shape::Verified(_)), may && is_verified, "{protocol} {sum}");
            assert_eq!(matches!(shape, Shape::Whole), !(may && is_verified), "{protocol} {sum}");
        }
    }
}

#[test]
fn a_checksum_is_finished_where_it_is_said_to_lie() {
    let mut packet = [9, 9, 0x12, 0x34, 0, 0, 0x56, 0x78];
    finish_checksum(&mut packet, PartialChecksum { start: 2, offset: 2 });
    assert_eq!(packet, [9, 9, 0x12, 0x34, 0x97, 0x53, 0x56, 0x78]);
    let mut zero = [0xff, 0xff, 0, 0];
    finish_checksum(&mut zero, PartialChecksum { start: 0, offset: 2 });
    assert_eq!(zero, [0xff, 0xff, 0xff, 0xff], "a zero would say that there is none");
    let mut short = [1, 2, 3];
    finish_checksum(&mut short, PartialChecksum { start: 0, offset: 2 });
    assert_eq!(short, [1, 2, 3]);
}

/// A UDP super-packet of two whole pieces and 50 bytes.
fn super_frame(size: u16) -> Vec<u8> {
    udp_frame(size, 2 * size + 50)
}

/// A UDP packet to be cut into pieces, as the kernel hands it over.
fn udp_frame(size: u16, payload: u16) -> Vec<u8> {
    let above = 8 + payload;
    let mut inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 20 + above);
    (inner[6], inner[7], inner[9]) = (0, 0, 17);
    inner[24..26].copy_from_slice(&above.to_be_bytes());
    let sum = checksum::fold(checksum::pseudo_header(&inner[12..20], 17, usize::from(above)));
    inner[26..28].copy_from_slice(&sum.to_be_bytes());
    let segments =
        Segmentation { is_v6: false, transport: Transport::Udp, bytes: size, header_bytes: 28, has_cwr: false };
    let partial = PartialChecksum { start: 20, offset: 6 };
    let header = VnetHeader { checksum: Some(partial), is_verified: false, segments: Some(segments) };
    [&header.to_bytes()[..], &inner].concat()
}

/// Packs a frame once: what is to be done next, how many records there are, and the events, which are taken if `taken`.
fn pack(view: View<'_>, frame: &[u8], taken: bool) -> (Step, usize, Vec<PumpEvent>) {
    let (mut packer, mut events) = (Packer::new(1), Vec::new());
    let step = packer.pack(view, &mut Cursor::new(Frame::parse(frame, true).unwrap()), &mut |event| {
        events.push(event);
        taken
    });
    (step, packer.train().count(), events)
}

#[test]
fn a_super_packet_goes_in_one_train_or_record_by_record() {
    let world = world(Standing::Current);
    assert_eq!(pack(view(&world, NOW), &super_frame(100), true), (Step::Done, 3, vec![]));
    let traffic = &world.peers[0].traffic;
    assert_eq!((traffic.sent_packets.total(), traffic.sent_bytes.total()), (3, 128 + 128 + 78));
    let sealed = || world.peers[0].sealing.as_ref().unwrap().epoch.sealed_bytes();
    assert_eq!(sealed(), 128 + 128 + 80, "with padding: it counts for the volume of the epoch");
    let single = View { offloads: OffloadSet::ALL.without(Offload::Gso), ..view(&world, NOW) };
    let (frame, mut packer) = (super_frame(100), Packer::new(1));
    let mut cursor = Cursor::new(Frame::parse(&frame, true).unwrap());
    for step in [Step::Send, Step::Send, Step::Done] {
        assert_eq!(packer.pack(single, &mut cursor, &mut |_| true), step);
        assert_eq!(packer.train().count(), 1);
        packer.train().clear();
    }
    assert_eq!((traffic.sent_packets.total(), traffic.sent_bytes.total()), (6, 2 * (128 + 128 + 78)));
    assert_eq!(sealed(), 2 * (128 + 128 + 80));
}

#[test]
fn without_an_epoch_a_super_packet_waits_as_the_packets_that_it_stands_for() {
    let world = world(Standing::Current);
    let (step, records, events) = pack(view(&world, UNTIL), &super_frame(100), true);
    assert_eq!((step, records, events.len()), (Step::Done, 0, 3));
    for (event, bytes) in events.into_iter().zip([128, 128, 78]) {
        let PumpEvent::NoEpoch { peer: PeerId(0), packet } = event else { panic!("{event:?}") };
        let sum = checksum::pseudo_header(&packet[12..20], 17, bytes - 20);
        assert_eq!((packet.len(), checksum::fold(checksum::add(sum, &packet[20..]))), (bytes, 0xffff));
    }
    let queue = &world.peers[0].traffic.drops.queue;
    assert_eq!(queue.total(), 0);
    pack(view(&world, UNTIL), &super_frame(100), false);
    assert_eq!(queue.total(), 3);
}

#[test]
fn pieces_beyond_the_mtu_are_counted_one_by_one() {
    let world = world(Standing::Current);
    assert_eq!(pack(view(&world, NOW), &super_frame(1400), true), (Step::TooBig(1420), 0, vec![]));
    assert_eq!(world.peers[0].traffic.drops.too_big.total(), 3);
}

#[test]
fn of_a_super_packet_refused_in_its_middle_the_pieces_left_are_counted() {
    let mut world = world(Standing::Current);
    let (frame, mut packer) = (super_frame(100), Packer::new(1));
    let mut cursor = Cursor::new(Frame::parse(&frame, true).unwrap());
    let offloads = OffloadSet::ALL.without(Offload::Gso);
    let single = View { offloads, ..view(&world, NOW) };
    assert_eq!(packer.pack(single, &mut cursor, &mut |_| true), Step::Send);
    packer.train().clear();
    world.peers[0].blocked = true;
    let single = View { offloads, ..view(&world, NOW) };
    assert_eq!(packer.pack(single, &mut cursor, &mut |_| true), Step::Done);
    assert_eq!(world.peers[0].traffic.drops.no_epoch.total(), 2, "one of three has left");
}

#[test]
fn one_piece_alone_waits_for_others_and_is_staged_whole_when_its_epoch_ends() {
    for features in [0, FEATURE_SEGMENT | FEATURE_BUNDLE] {
        let world = world_with(Standing::Current, features);
        let (frame, mut packer, mut events) = (udp_frame(100, 50), Packer::new(1), Vec::new());
        let mut cursor = Cursor::new(Frame::parse(&frame, true).unwrap());
        assert_eq!(packer.pack(view(&world, NOW), &mut cursor, &mut |_| true), Step::Done);
        assert_eq!(packer.train().count(), 0, "{features}: it waits");
        let close = packer.close(view(&world, UNTIL), &mut |event| {
            events.push(event);
            true
        });
        let [PumpEvent::NoEpoch { peer: PeerId(0), packet }] = &events[..] else { panic!("{events:?}") };
        let sum = checksum::pseudo_header(&packet[12..20], 17, 58);
        let whole = (packet.len(), checksum::fold(checksum::add(sum, &packet[20..])));
        assert_eq!((close, whole), (Step::Done, (78, 0xffff)), "{features}");
    }
}
