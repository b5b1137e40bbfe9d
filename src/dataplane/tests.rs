//! Packets between two snapshots: what passes, what is dropped, what is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::crypto::aead::AeadBackend;
use crate::dataplane::open::Arrival;
use crate::dataplane::pack::View;
use crate::dataplane::report::PumpEvent;
use crate::dataplane::routes::Routes;
use crate::dataplane::seal::seal_record;
use crate::dataplane::single::{open_one, seal_one};
use crate::dataplane::snapshot::{Endpoint, PeerView, Receiving, Sealing, Snapshot, Standing};
use crate::dataplane::train::Destination;
use crate::handshake::mac::Mac1Key;
use crate::session::epoch::{EpochTag, OpenEpoch, RecordTerms, SealEpoch};
use crate::types::id::{PeerId, SessionIndex};
use crate::types::offload::OffloadSet;
use crate::types::policy::{Cipher, Suite};
use crate::types::secret::Secret;
use crate::types::time::Instant;
use crate::wire::checksum;
use crate::wire::handshake::{Header, MessageType, cut};
use crate::wire::transport::RecordKind;

mod trains;

const INDEX: u32 = 0x0a0b_0c0d;
const NOW: Instant = Instant::from_nanos(1_000_000_000);
const UNTIL: Instant = Instant::from_nanos(60_000_000_000);
const LATER: Instant = Instant::from_nanos(1_300_000_000);

fn tag() -> EpochTag {
    EpochTag { peer: PeerId(0), session: 1, number: 3 }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn home() -> SocketAddr {
    address("198.51.100.7:51900")
}

/// Peer 0 owns 10.20.0.0/16 but for 10.20.30.0/24, which is peer 1's; both ends of peer 0's epoch are here.
fn world(standing: Standing) -> Snapshot {
    world_with(standing, 0)
}

/// The same with these features agreed.
fn world_with(standing: Standing, features: u8) -> Snapshot {
    let index = SessionIndex::new(INDEX).unwrap();
    let key = Secret::take(&mut [5; 32]);
    let terms = RecordTerms { cipher: Cipher::ChaCha20Poly1305, inner_mtu: 1420, features };
    let seal = SealEpoch::new(tag(), index, &key, AeadBackend::AwsLc, terms);
    let open = OpenEpoch::new(tag(), index, &key, AeadBackend::AwsLc, terms);
    let endpoint = Some(Endpoint { to: home(), from: None });
    let sealing = Some(Sealing { epoch: Arc::new(seal), until: UNTIL });
    let peer = PeerView { endpoint, sealing, blocked: false, inner_mtu: 1420, traffic: Arc::default() };
    let other = PeerView { endpoint: None, sealing: None, traffic: Arc::default(), ..peer.clone() };
    let routes = [("10.20.0.0/16", 0), ("10.20.30.0/24", 1)];
    Snapshot {
        peers: vec![peer, other],
        routes: Arc::new(Routes::new(routes.map(|(prefix, peer)| (prefix.parse().unwrap(), PeerId(peer))))),
        receive: vec![Receiving { index: INDEX, epoch: Arc::new(open), until: UNTIL, standing }],
        unclaimed: Arc::default(),
        door: None,
    }
}

/// The parts of a message of zeros; without a key their MACs are zero too.
fn handshake(kind: MessageType, body: usize, key: Option<&Mac1Key>) -> Vec<Vec<u8>> {
    let sender = u32::from(kind != MessageType::R0);
    let receiver = u32::from(!matches!(kind, MessageType::I0 | MessageType::I1));
    let header = Header { kind, sender, receiver, message_id: 1 };
    let body = vec![0; body];
    match key {
        Some(key) => key.finish(&header, &body, None),
        None => cut(&header, &body).into_iter().map(|part| [part, vec![0; 32]].concat()).collect(),
    }
}

fn packet(source: [u8; 4], destination: [u8; 4], length: u16) -> Vec<u8> {
    let mut packet = vec![0x55; usize::from(length)];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[12..16].copy_from_slice(&source);
    packet[16..20].copy_from_slice(&destination);
    packet
}

fn view(snapshot: &Snapshot, now: Instant) -> View<'_> {
    View { snapshot, now, offloads: OffloadSet::ALL }
}

fn arrival(now: Instant, from: SocketAddr, local: Option<IpAddr>) -> Arrival {
    Arrival { now, from, local, stride: 0, tos: 0 }
}

fn seal(world: &Snapshot, now: Instant, packet: &[u8]) -> (Option<Destination>, Vec<u8>, Vec<PumpEvent>) {
    let mut events = Vec::new();
    let sealed = seal_one(view(world, now), 1, packet, &mut |event| {
        events.push(event);
        true
    });
    let (sent, out) = sealed.unzip();
    (sent, out.unwrap_or_default(), events)
}

fn open(world: &Snapshot, now: Instant, from: SocketAddr, datagram: &[u8]) -> (Option<Vec<u8>>, Vec<PumpEvent>) {
    let mut events = Vec::new();
    let mut datagram = datagram.to_vec();
    let mut opened = open_one(world, arrival(now, from, None), &mut datagram, &mut |event| {
        events.push(event);
        true
    });
    assert!(opened.len() <= 1 && opened.iter().all(|(peer, _)| *peer == PeerId(0)));
    (opened.pop().map(|(_, packet)| packet), events)
}

fn keepalive(world: &Snapshot) -> Vec<u8> {
    seal_record(&world.peers[0].sealing.as_ref().unwrap().epoch, 0, RecordKind::Data, &[]).unwrap()
}

#[test]
fn a_packet_passes_and_is_counted_at_both_ends() {
    let world = world(Standing::Current);
    let inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 61);
    let (sent, datagram, events) = seal(&world, NOW, &inner);
    assert_eq!(sent, Some(Destination { peer: PeerId(0), to: Endpoint { to: home(), from: None }, tos: 0x55 }));
    assert_eq!((datagram.len(), events), (16 + 64 + 16, vec![]));
    let (delivered, events) = open(&world, NOW, home(), &datagram);
    assert_eq!(delivered, Some(inner));
    assert_eq!(events, [PumpEvent::FirstOpened { tag: tag(), from: home(), local: None }]);
    assert_eq!(world.peers[0].sealing.as_ref().unwrap().epoch.sealed_bytes(), 64, "with padding");
    let traffic = &world.peers[0].traffic;
    assert_eq!((traffic.sent_bytes.total(), traffic.received_bytes.total()), (61, 61));
    let (again, events) = open(&world, NOW, home(), &datagram);
    assert_eq!((again, events), (None, vec![]), "a copy does nothing");
    assert_eq!(traffic.drops.replay.total(), 1);
}

#[test]
fn the_first_open_is_reported_until_it_is_taken() {
    let world = world(Standing::Unconfirmed);
    let mut refused = 0;
    for _ in 0..2 {
        open_one(&world, arrival(NOW, home(), None), &mut keepalive(&world), &mut |event| {
            refused += usize::from(matches!(event, PumpEvent::FirstOpened { .. }));
            false
        });
    }
    assert_eq!(refused, 2);
    let first = vec![PumpEvent::FirstOpened { tag: tag(), from: home(), local: None }];
    assert_eq!(open(&world, NOW, home(), &keepalive(&world)).1, first);
    assert_eq!(open(&world, NOW, home(), &keepalive(&world)).1, []);
}

#[test]
fn only_a_record_of_the_current_epoch_that_raises_the_top_moves_the_endpoint() {
    let away = address("[2001:db8::9]:4");
    for standing in [Standing::Unconfirmed, Standing::Current, Standing::Previous] {
        let world = world(standing);
        let (first, behind, top) = (keepalive(&world), keepalive(&world), keepalive(&world));
        open(&world, NOW, home(), &first);
        let (_, events) = open(&world, NOW, away, &top);
        let moved = vec![PumpEvent::Roamed { tag: tag(), from: away, local: None }];
        let expected = if standing == Standing::Current { moved } else { vec![] };
        assert_eq!(events, expected, "{standing:?}");
        for late in [&behind, &top] {
            assert_eq!(
                open(&world, LATER, away, late).1.iter().filter(|e| matches!(e, PumpEvent::Roamed { .. })).count(),
                0
            );
        }
    }
}

#[test]
fn a_forged_record_is_counted_and_changes_nothing_else() {
    let world = world(Standing::Current);
    let mut forged = keepalive(&world);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&world, NOW, address("192.0.2.1:1"), &forged), (None, vec![]));
    let traffic = &world.peers[0].traffic;
    assert_eq!(traffic.drops.auth.total(), 1);
    assert_eq!(traffic.last_open.when(), None);
    assert_eq!(world.receive[0].epoch.last_opened(), None);
    assert_eq!(world.receive[0].epoch.failed_opens(), 1);
}

#[test]
fn an_older_epoch_is_reported_once_in_250_ms() {
    let world = world(Standing::Previous);
    open(&world, NOW, home(), &keepalive(&world));
    let reported = |now| open(&world, now, home(), &keepalive(&world)).1 == [PumpEvent::OldEpoch { tag: tag() }];
    assert!(!reported(NOW));
    assert!(reported(LATER));
    assert!(!reported(LATER));
}

#[test]
fn nothing_is_sealed_or_opened_from_the_deadline_on() {
    let world = world(Standing::Current);
    let inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 40);
    let just_before = Instant::from_nanos(UNTIL.as_nanos() - 1);
    let (sent, datagram, _) = seal(&world, just_before, &inner);
    assert!(sent.is_some());
    let (sent, out, events) = seal(&world, UNTIL, &inner);
    assert_eq!((sent, out), (None, vec![]));
    assert_eq!(events, [PumpEvent::NoEpoch { peer: PeerId(0), packet: inner }]);
    assert_eq!(open(&world, UNTIL, home(), &datagram), (None, vec![]));
    assert_eq!(world.peers[0].traffic.drops.no_epoch.total(), 1);
    assert!(open(&world, just_before, home(), &datagram).0.is_some());
}

#[test]
fn without_a_session_packets_are_staged_and_while_blocked_they_are_dropped() {
    let mut world = world(Standing::Current);
    let inner = packet([10, 20, 0, 1], [10, 20, 30, 2], 40);
    assert_eq!(seal(&world, NOW, &inner).2, [PumpEvent::NoEpoch { peer: PeerId(1), packet: inner.clone() }]);
    assert!(seal_one(view(&world, NOW), 1, &inner, &mut |_| false).is_none());
    assert_eq!(world.peers[1].traffic.drops.queue.total(), 1);
    for peer in &mut world.peers {
        peer.blocked = true;
    }
    for (id, destination) in [(0, [10, 20, 0, 2]), (1, [10, 20, 30, 2])] {
        let (sent, out, events) = seal(&world, NOW, &packet([10, 20, 0, 1], destination, 40));
        assert_eq!((sent, out.len(), events.len()), (None, 0, 0));
        assert_eq!(world.peers[id].traffic.drops.no_epoch.total(), 1);
    }
}

#[test]
fn an_exhausted_lane_stages_instead_of_sealing() {
    let world = world(Standing::Current);
    world.peers[0].sealing.as_ref().unwrap().epoch.take_counters(1, 1 << 25).unwrap();
    let inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 40);
    assert_eq!(seal(&world, NOW, &inner).2, [PumpEvent::NoEpoch { peer: PeerId(0), packet: inner }]);
}

#[test]
fn what_goes_to_nobody_is_counted() {
    let mut world = world(Standing::Current);
    assert_eq!(seal(&world, NOW, &[0x45; 10]).0, None);
    assert_eq!(seal(&world, NOW, &packet([10, 20, 0, 1], [10, 21, 0, 1], 40)).0, None);
    assert_eq!(seal(&world, NOW, &packet([10, 20, 0, 1], [10, 20, 0, 2], 1421)).0, None);
    world.peers[0].endpoint = None;
    assert_eq!(seal(&world, NOW, &packet([10, 20, 0, 1], [10, 20, 0, 2], 40)).0, None);
    assert_eq!((world.unclaimed.not_ip.total(), world.unclaimed.no_route.total()), (1, 1));
    let drops = &world.peers[0].traffic.drops;
    assert_eq!((drops.too_big.total(), drops.no_endpoint.total()), (1, 1));
}

#[test]
fn an_inner_source_of_another_peer_or_of_nobody_is_dropped() {
    let world = world(Standing::Current);
    for (count, source) in [[10, 20, 30, 1], [10, 21, 0, 1], [127, 0, 0, 1]].into_iter().enumerate() {
        let (_, datagram, _) = seal(&world, NOW, &packet(source, [10, 20, 0, 2], 40));
        assert_eq!(open(&world, NOW, home(), &datagram).0, None);
        assert_eq!(world.peers[0].traffic.drops.source.total(), count as u64 + 1);
    }
    assert_eq!(world.peers[0].traffic.received_packets.total(), 0);
}

#[test]
fn an_authentic_record_that_is_no_packet_is_dropped() {
    let world = world(Standing::Current);
    let epoch = &world.peers[0].sealing.as_ref().unwrap().epoch;
    let inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 40);
    let too_long = packet([10, 20, 0, 1], [10, 20, 0, 2], 1421);
    let cases = [
        (RecordKind::Data, &[0x10; 32][..]),
        (RecordKind::Data, &[0x45; 10]),
        (RecordKind::Data, &too_long),
        (RecordKind::Segment, &inner),
        (RecordKind::Bundle, &inner),
    ];
    for (count, (kind, plaintext)) in cases.into_iter().enumerate() {
        let datagram = seal_record(epoch, 0, kind, plaintext).unwrap();
        assert_eq!(open(&world, NOW, home(), &datagram).0, None, "{kind:?}");
        assert_eq!(world.peers[0].traffic.drops.malformed.total(), count as u64 + 1, "{kind:?}");
    }
}

#[test]
fn control_and_handshake_datagrams_go_to_the_engine() {
    let world = world(Standing::Current);
    open(&world, NOW, home(), &keepalive(&world));
    let epoch = &world.peers[0].sealing.as_ref().unwrap().epoch;
    let control = seal_record(epoch, 0, RecordKind::Control, &[3]).unwrap();
    assert_eq!(control.len(), 33, "a control message is not padded");
    let (_, events) = open(&world, NOW, home(), &control);
    assert_eq!(events, [PumpEvent::Control { tag: tag(), from: home(), local: None, bytes: vec![3] }]);
    for kind in (1..=6).filter_map(MessageType::from_byte) {
        for bytes in handshake(kind, kind.body_bytes(Suite::MlKem1024), None) {
            let (_, events) = open(&world, NOW, home(), &bytes);
            assert_eq!(events, [PumpEvent::Handshake { from: home(), local: None, bytes }], "{kind:?}");
        }
    }
    for kind in 0..=7 {
        assert_eq!(open(&world, NOW, home(), &[kind; 96]), (None, vec![]), "type {kind}");
    }
    assert_eq!((world.unclaimed.malformed.total(), world.unclaimed.refused.malformed.total()), (2, 6));
}

#[test]
fn an_unknown_index_is_counted() {
    let world = world(Standing::Current);
    let mut stray = keepalive(&world);
    stray[7] ^= 1;
    assert_eq!(open(&world, NOW, home(), &stray), (None, vec![]));
    assert_eq!(world.unclaimed.unknown_index.total(), 1);
}

#[test]
fn a_change_of_our_own_address_is_a_move_too() {
    let mut world = world(Standing::Current);
    let local: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
    world.peers[0].endpoint = Some(Endpoint { to: home(), from: local });
    let moves = |local| {
        let mut moves = 0;
        open_one(&world, arrival(NOW, home(), local), &mut keepalive(&world), &mut |event| {
            moves += usize::from(matches!(event, PumpEvent::Roamed { .. }));
            true
        });
        moves
    };
    assert_eq!(moves(local), 0);
    assert_eq!(moves(None), 0, "not knowing is no move");
    assert_eq!(moves(Some("192.0.2.2".parse().unwrap())), 1);
}

#[test]
fn congestion_met_on_the_way_is_told_inside_or_the_packet_is_dropped() {
    let world = world(Standing::Current);
    for (inner_tos, outer_tos, expected) in
        [(0xb8, 0, Some(0xb8)), (0xb8, 3, None), (0xba, 3, Some(0xbb)), (0xba, 0xff, Some(0xbb)), (0xba, 1, Some(0xb9))]
    {
        let mut inner = packet([10, 20, 0, 1], [10, 20, 0, 2], 40);
        inner[1] = inner_tos;
        checksum::write_ipv4(&mut inner, 20);
        let (sent, mut datagram, _) = seal(&world, NOW, &inner);
        assert_eq!(sent.unwrap().tos, inner_tos, "the outer header says what the inner one says");
        let arrival = Arrival { tos: outer_tos, ..arrival(NOW, home(), None) };
        let opened = open_one(&world, arrival, &mut datagram, &mut |_| true).pop().map(|(_, packet)| packet);
        assert_eq!(opened.as_ref().map(|packet| packet[1]), expected, "{inner_tos:#x} in {outer_tos:#x}");
        if let Some(mut opened) = opened {
            let sum = opened[10..12].to_vec();
            checksum::write_ipv4(&mut opened, 20);
            assert_eq!(opened[10..12], sum, "the header checksum follows");
        }
    }
    assert_eq!(world.peers[0].traffic.drops.congestion.total(), 1);
}
