//! `records.json`: plaintexts of segment and bundle records, and what must be refused of them (PROTOCOL 2.9).

use plait::dataplane::bundle::{self, Bundle, Form};
use plait::dataplane::open::Arrival;
use plait::dataplane::pack::{Packer, View};
use plait::dataplane::seal::seal_record;
use plait::dataplane::segment::{Cut, Segment};
use plait::dataplane::single::{open_one, seal_one};
use plait::dataplane::snapshot::Snapshot;
use plait::session::epoch::RecordTerms;
use plait::types::offload::OffloadSet;
use plait::types::policy::Cipher;
use plait::types::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};
use plait::types::time::Instant;
use plait::wire::layers::{Layers, Transport};
use plait::wire::transport::{DataHeader, RecordKind};
use plait::wire::vnet::{PartialChecksum, Segmentation, VnetHeader};
use serde_json::Value;

use super::folder::{self, cases};
use super::hex::bytes;
use super::link::{ALL, both_ends, burst, nowhere};

const INDEX: u32 = 7;
const NOW: Instant = Instant::from_nanos(1);
const INNER_MTU: u16 = 1420;
const BOTH: u8 = FEATURE_SEGMENT | FEATURE_BUNDLE;

fn vectors() -> Option<Value> {
    folder::load("records.json")
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn size(case: &Value) -> u16 {
    u16::try_from(case["size"].as_u64().unwrap()).unwrap()
}

/// Both ends of one epoch of a peer that owns every address.
fn world(features: u8) -> Snapshot {
    let terms = RecordTerms { cipher: Cipher::ChaCha20Poly1305, inner_mtu: INNER_MTU, features };
    both_ends(terms, INDEX, ALL, nowhere())
}

/// What comes of a record with this plaintext, and how many were malformed.
fn open(world: &Snapshot, kind: RecordKind, plaintext: &[u8]) -> (Vec<Vec<u8>>, u64) {
    let epoch = &world.peers[0].sealing.as_ref().unwrap().epoch;
    open_datagram(world, seal_record(epoch, 0, kind, plaintext).unwrap())
}

fn open_datagram(world: &Snapshot, mut datagram: Vec<u8>) -> (Vec<Vec<u8>>, u64) {
    let before = world.peers[0].traffic.drops.malformed.total();
    let arrival = Arrival { now: NOW, from: ([192, 0, 2, 1], 51900).into(), local: None, stride: 0, tos: 0 };
    let opened = open_one(world, arrival, &mut datagram, &mut |_| true);
    let malformed = world.peers[0].traffic.drops.malformed.total() - before;
    (opened.into_iter().map(|(_, packet)| packet).collect(), malformed)
}

/// Kinds and plaintexts of the records that a frame with the kernel's header in front becomes.
fn packed(world: &Snapshot, frame: &[u8]) -> Vec<(RecordKind, Vec<u8>)> {
    let view = View { snapshot: world, now: NOW, offloads: OffloadSet::ALL };
    let (mut packer, mut datagrams) = (Packer::new(1), Vec::new());
    burst(view, &mut packer, &[frame.to_vec()], |train| {
        let stride = train.stride().max(1);
        datagrams.extend(train.bytes().chunks(stride).map(<[u8]>::to_vec));
    });
    let epoch = &world.receive[0].epoch;
    let text = |datagram: &mut Vec<u8>| {
        let header = DataHeader::parse(datagram).unwrap();
        let (text, _) = epoch.open(header, datagram).ok().unwrap();
        (header.kind, text.to_vec())
    };
    datagrams.iter_mut().map(text).collect()
}

/// The super-packet behind the header that the kernel would put there.
fn frame(packet: &[u8], size: u16) -> Vec<u8> {
    let Layers { ip_bytes, header_bytes, transport, .. } = Layers::of(packet).unwrap();
    let segments = (packet.len() > header_bytes + usize::from(size)).then_some(Segmentation {
        is_v6: transport == Transport::Tcp && packet[0] >> 4 == 6,
        transport,
        bytes: size,
        header_bytes: header_bytes as u16,
        has_cwr: false,
    });
    let checksum = Some(PartialChecksum { start: ip_bytes as u16, offset: transport.checksum_at() as u16 });
    [&VnetHeader { checksum, is_verified: false, segments }.to_bytes()[..], packet].concat()
}

fn each(count: usize, write: impl Fn(usize, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let one = |index| {
        let mut out = Vec::new();
        write(index, &mut out);
        out
    };
    (0..count).map(one).collect()
}

#[test]
fn no_section_is_left_out() {
    let Some(vectors) = vectors() else { return };
    let mut sections: Vec<_> = vectors.as_object().unwrap().keys().map(String::as_str).collect();
    sections.sort_unstable();
    assert_eq!(sections, ["bundles", "cuts", "refused"]);
}

#[test]
fn super_packets_are_cut_byte_for_byte() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "cuts", 36) {
        let (what, packet) = (&case["what"], bytes(&case["super_packet"]));
        let (plaintexts, packets) = (list(&case["plaintexts"]), list(&case["packets"]));
        let cut = Cut::new(&packet, size(case)).unwrap_or_else(|| panic!("{what}"));
        assert_eq!(each(cut.count(), |index, out| cut.write(index, out)), plaintexts, "{what}");
        assert_eq!(each(cut.count(), |index, out| cut.write_complete(index, out)), packets, "{what}");
        let records = packed(&world(BOTH), &frame(&packet, size(case)));
        let expected: Vec<_> = plaintexts.into_iter().map(|text| (RecordKind::Segment, text)).collect();
        assert_eq!(records, expected, "{what}");
    }
}

#[test]
fn pieces_become_the_packets_that_they_are() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "cuts", 36) {
        let (what, world) = (&case["what"], world(BOTH));
        let (plaintexts, packets) = (list(&case["plaintexts"]), list(&case["packets"]));
        assert_eq!(plaintexts.len(), packets.len(), "{what}");
        for (index, (mut text, packet)) in plaintexts.into_iter().zip(packets).enumerate() {
            assert_eq!(open(&world, RecordKind::Segment, &text), (vec![packet.clone()], 0), "{what}");
            let segment = Segment::parse(&text).unwrap();
            assert_eq!(usize::from(segment.index), index, "{what}");
            segment.complete(&mut text);
            assert_eq!(text, packet, "{what}");
        }
    }
}

#[test]
fn without_the_feature_the_same_packets_go_as_they_are() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "cuts", 36) {
        let (what, packets, world) = (&case["what"], list(&case["packets"]), world(0));
        let records = packed(&world, &frame(&bytes(&case["super_packet"]), size(case)));
        assert_eq!(records.len(), packets.len(), "{what}");
        for ((kind, text), packet) in records.into_iter().zip(&packets) {
            let (head, padding) = text.split_at(packet.len());
            assert_eq!((kind, head), (RecordKind::Data, &packet[..]), "{what}");
            assert!(padding.len() < 16 && padding.iter().all(|byte| *byte == 0), "{what}");
        }
        // One packet a call, complete when it comes: what passes with both features.
        let world = self::world(BOTH);
        let view = View { snapshot: &world, now: NOW, offloads: OffloadSet::ALL };
        for packet in packets {
            let (_, datagram) = seal_one(view, 1, &packet, &mut |_| true).unwrap_or_else(|| panic!("{what}"));
            assert_eq!(datagram[0], 16, "{what}");
            assert_eq!(open_datagram(&world, datagram), (vec![packet], 0), "{what}");
        }
    }
}

#[test]
fn bundles_are_made_and_taken_apart_byte_for_byte() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "bundles", 8) {
        let (what, plaintext) = (&case["what"], bytes(&case["plaintext"]));
        let entry =
            |entry: &Value| (if entry["form"] == 1 { Form::Segment } else { Form::Packet }, bytes(&entry["bytes"]));
        let entries: Vec<_> = case["entries"].as_array().unwrap().iter().map(entry).collect();
        let mut made = Vec::new();
        assert!(entries.iter().all(|(form, text)| bundle::append(&mut made, *form, text, usize::from(INNER_MTU))));
        assert_eq!(made, plaintext, "{what}");
        let parsed = Bundle::parse(&plaintext).unwrap_or_else(|error| panic!("{what}: {error}"));
        let taken: Vec<_> = parsed.entries().map(|(form, range)| (form, plaintext[range].to_vec())).collect();
        assert_eq!(taken, entries, "{what}");
        assert_eq!(open(&world(BOTH), RecordKind::Bundle, &plaintext), (list(&case["packets"]), 0), "{what}");
    }
}

#[test]
fn what_is_malformed_is_dropped_whole() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "refused", 89) {
        let (what, plaintext) = (&case["what"], bytes(&case["plaintext"]));
        let kind = RecordKind::from_byte(case["type"].as_u64().unwrap() as u8).unwrap();
        match kind {
            RecordKind::Segment => assert!(Segment::parse(&plaintext).is_err(), "{what}"),
            RecordKind::Bundle => assert!(Bundle::parse(&plaintext).is_err(), "{what}"),
            RecordKind::Data | RecordKind::Control => panic!("{what}: {kind:?}"),
        }
        assert_eq!(open(&world(BOTH), kind, &plaintext), (vec![], 1), "{what}");
    }
}

#[test]
fn what_was_not_agreed_or_is_longer_than_the_inner_mtu_is_dropped() {
    let Some(vectors) = vectors() else { return };
    let segment = bytes(&cases(&vectors, "cuts", 36)[0]["plaintexts"][0]);
    let pair = bytes(&cases(&vectors, "bundles", 8)[0]["plaintext"]);
    for (kind, text, feature) in
        [(RecordKind::Segment, &segment, FEATURE_SEGMENT), (RecordKind::Bundle, &pair, FEATURE_BUNDLE)]
    {
        assert_eq!(open(&world(BOTH & !feature), kind, text), (vec![], 1), "{kind:?}");
        assert_eq!(open(&world(feature), kind, text).1, 0, "{kind:?}");
    }
    let many = pair.repeat(usize::from(INNER_MTU) / pair.len() + 1);
    assert!(Bundle::parse(&many).is_ok(), "nothing but its length is wrong");
    assert_eq!(open(&world(BOTH), RecordKind::Bundle, &many), (vec![], 1));
}
