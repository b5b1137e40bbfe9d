//! Which pieces become one super-packet, byte by byte of their headers, and what the kernel is told of it.

use super::*;

const PEER: PeerId = PeerId(3);
/// The first identification and the first sequence number: both wrap with the second piece.
const ID: u16 = 0xffff;
const SEQUENCE: u32 = 0xffff_fff0;
const FIN: u8 = 1;
const PSH: u8 = 8;
const SYN: u8 = 2;

/// What was delivered: the header, the packet, and of how many parts.
type Delivered = (VnetHeader, Vec<u8>, usize);

#[derive(Default)]
struct Sink(Vec<Delivered>);

impl Deliver for Sink {
    fn deliver(&mut self, peer: PeerId, header: VnetHeader, frame: &[IoSlice<'_>]) {
        assert_eq!((peer, &frame[0][..]), (PEER, &header.to_bytes()[..]));
        let packet: Vec<u8> = frame[1..].iter().flat_map(|part| part.to_vec()).collect();
        self.0.push((header, packet, frame.len() - 1));
    }
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    family: Family,
    transport: Transport,
    size: usize,
}

impl Kind {
    fn ip_bytes(self) -> usize {
        if self.family == Family::V4 { 20 } else { 40 }
    }

    /// TCP with twelve bytes of options.
    fn header_bytes(self) -> usize {
        self.ip_bytes() + if self.transport == Transport::Tcp { 32 } else { 8 }
    }

    fn checksum_at(self) -> usize {
        self.ip_bytes() + if self.transport == Transport::Tcp { 16 } else { 6 }
    }

    /// Piece `index` of a super-packet, with so much payload, as a segment record carries it.
    fn piece(self, index: usize, is_last: bool, payload: usize) -> Vec<u8> {
        let ip_bytes = self.ip_bytes();
        let mut text = vec![0; self.header_bytes()];
        let length = (text.len() + payload) as u16;
        let above = (length - ip_bytes as u16).to_be_bytes();
        match self.family {
            Family::V4 => {
                text[..10].copy_from_slice(&[0x45, 0x12, 0, 0, 0, 0, IPV4_DF, 0, 64, self.transport.number()]);
                put(&mut text, 2, length.to_be_bytes());
                put(&mut text, 4, ID.wrapping_add(index as u16).to_be_bytes());
                text[12..20].copy_from_slice(&[10, 20, 0, 1, 10, 30, 0, 2]);
            }
            Family::V6 => {
                text[..8].copy_from_slice(&[0x61, 0x23, 0x45, 0x67, 0, 0, self.transport.number(), 64]);
                put(&mut text, 4, above);
                text[8..40].copy_from_slice(&[0xfd; 32]);
            }
        }
        put(&mut text, ip_bytes, [0x12, 0x34, 0x56, 0x78]);
        match self.transport {
            Transport::Tcp => {
                put(&mut text, ip_bytes + 4, SEQUENCE.wrapping_add((index * self.size) as u32).to_be_bytes());
                put(&mut text, ip_bytes + 8, [1, 2, 3, 4, 0x80, 0x10, 5, 6]);
                text[ip_bytes + 20..].fill(1);
            }
            Transport::Udp => put(&mut text, ip_bytes + 4, above),
        }
        let descriptor = index as u16 | if is_last { 0x8000 } else { 0 };
        put(&mut text, self.checksum_at(), descriptor.to_be_bytes());
        text.extend((0..payload).map(|at| (index * 7 + at) as u8));
        text
    }

    /// Three pieces, the last one shorter.
    fn pieces(self) -> Vec<Vec<u8>> {
        vec![self.piece(0, false, self.size), self.piece(1, false, self.size), self.piece(2, true, self.size - 1)]
    }
}

fn kinds() -> Vec<Kind> {
    let families = [Family::V4, Family::V6];
    let all =
        families.into_iter().flat_map(|family| [Transport::Tcp, Transport::Udp].map(|transport| (family, transport)));
    all.map(|(family, transport)| Kind { family, transport, size: 100 }).collect()
}

/// Takes the pieces as they come; `change` changes one after it was parsed, as no honest peer can.
fn join_changed(offloads: OffloadSet, texts: &mut [Vec<u8>], change: impl Fn(usize, &mut [u8])) -> Vec<Delivered> {
    let mut sink = Sink::default();
    let mut joiner = Joiner::new(offloads);
    for (index, text) in texts.iter_mut().enumerate() {
        let segment = Segment::parse(text).unwrap();
        change(index, text);
        if let Err(text) = joiner.join(PEER, text, segment, &mut sink) {
            joiner.begin(PEER, text, segment, &mut sink);
        }
    }
    joiner.flush(&mut sink);
    sink.0
}

fn join(offloads: OffloadSet, mut texts: Vec<Vec<u8>>) -> Vec<Delivered> {
    join_changed(offloads, &mut texts, |_, _| {})
}

/// Of how many parts each delivery was.
fn parts(delivered: &[Delivered]) -> Vec<usize> {
    delivered.iter().map(|(_, _, parts)| *parts).collect()
}

#[test]
fn the_pieces_of_a_super_packet_become_one_again() {
    for kind in kinds() {
        let texts = kind.pieces();
        let payload: Vec<u8> = texts.iter().flat_map(|text| text[kind.header_bytes()..].to_vec()).collect();
        let delivered = join(OffloadSet::ALL, texts);
        assert_eq!(parts(&delivered), [3], "{kind:?}");
        let (header, packet, _) = &delivered[0];
        let above = (packet.len() - kind.ip_bytes()) as u16;
        assert_eq!(packet[kind.header_bytes()..], payload, "{kind:?}");
        let is_tcp = kind.transport == Transport::Tcp;
        let segments = Segmentation {
            is_v6: is_tcp && kind.family == Family::V6,
            transport: kind.transport,
            bytes: 100,
            header_bytes: kind.header_bytes() as u16,
            has_cwr: false,
        };
        let checksum = PartialChecksum { start: kind.ip_bytes() as u16, offset: if is_tcp { 16 } else { 6 } };
        assert_eq!(*header, VnetHeader { checksum: Some(checksum), is_verified: false, segments: Some(segments) });
        let stated = if kind.family == Family::V4 { (2, packet.len() as u16) } else { (4, above) };
        assert_eq!(u16_at(packet, stated.0), Some(stated.1), "{kind:?}");
        if !is_tcp {
            assert_eq!(u16_at(packet, kind.ip_bytes() + 4), Some(above));
        }
        // The place of the checksum holds the sum of the pseudo-header, not inverted.
        let addresses = if kind.family == Family::V4 { 12..20 } else { 8..40 };
        let words = packet[addresses].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
        let sum = words + u32::from(kind.transport.number()) + u32::from(above);
        assert_eq!(u16_at(packet, kind.checksum_at()), Some(((sum & 0xffff) + (sum >> 16)) as u16), "{kind:?}");
        if kind.family == Family::V4 {
            let sum = packet[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "{kind:?}");
        }
    }
}

#[test]
fn a_piece_whose_headers_are_others_is_not_joined_whichever_byte_it_is() {
    for kind in kinds() {
        let ip_bytes = kind.ip_bytes();
        // Lengths, checksums, and TCP's FIN: the last piece may carry it.
        let free = match (kind.family, kind.transport) {
            (Family::V4, Transport::Tcp) => vec![2, 3, 10, 11, ip_bytes + 13, ip_bytes + 16, ip_bytes + 17],
            (Family::V6, Transport::Tcp) => vec![4, 5, ip_bytes + 13, ip_bytes + 16, ip_bytes + 17],
            (Family::V4, Transport::Udp) => vec![2, 3, 10, 11, ip_bytes + 4, ip_bytes + 5, ip_bytes + 6, ip_bytes + 7],
            (Family::V6, Transport::Udp) => vec![4, 5, ip_bytes + 4, ip_bytes + 5, ip_bytes + 6, ip_bytes + 7],
        };
        for at in 0..kind.header_bytes() {
            let mut texts = vec![kind.piece(0, false, 100), kind.piece(1, true, 100)];
            let delivered = join_changed(OffloadSet::ALL, &mut texts, |index, text| {
                if index == 1 {
                    text[at] ^= 1;
                }
            });
            let expected = if free.contains(&at) { vec![2] } else { vec![1, 1] };
            assert_eq!(parts(&delivered), expected, "{kind:?}: byte {at}");
        }
    }
}

#[test]
fn only_fin_and_psh_may_come_late_and_only_cwr_early() {
    for kind in kinds().into_iter().filter(|kind| kind.transport == Transport::Tcp) {
        let at = kind.ip_bytes() + TCP_FLAGS_AT;
        let with = |which: usize, flag: u8| {
            let mut texts = vec![kind.piece(0, false, 100), kind.piece(1, true, 100)];
            let delivered = join_changed(OffloadSet::ALL, &mut texts, |index, text| {
                if index == which {
                    text[at] ^= flag;
                }
            });
            (delivered.len() == 1, delivered[0].1[at], delivered[0].0.segments.is_some_and(|cut| cut.has_cwr))
        };
        for bit in 0..8 {
            let flag = 1 << bit;
            assert_eq!(with(1, flag).0, [FIN, PSH].contains(&flag), "late {flag:02x}");
            assert_eq!(with(0, flag).0, flag == TCP_CWR, "early {flag:02x}");
        }
        assert_eq!(with(1, FIN | PSH), (true, 0x10 | FIN | PSH, false), "the whole carries them");
        assert_eq!(with(0, TCP_CWR), (true, 0x10 | TCP_CWR, true));
        let mut both = vec![kind.piece(0, false, 100), kind.piece(1, true, 100)];
        both.iter_mut().for_each(|text| text[at] |= SYN);
        assert_eq!(parts(&join(OffloadSet::ALL, both)), [2], "a flag of both is no difference");
    }
}

#[test]
fn the_identification_counts_up_or_stays_where_nothing_may_be_fragmented() {
    let kind = Kind { family: Family::V4, transport: Transport::Tcp, size: 100 };
    let joined = |id: u16, flags: u8| {
        let mut texts = vec![kind.piece(0, false, 100), kind.piece(1, true, 100)];
        texts.iter_mut().for_each(|text| text[6] = flags);
        put(&mut texts[1], 4, id.to_be_bytes());
        join(OffloadSet::ALL, texts).len() == 1
    };
    let next = ID.wrapping_add(1);
    assert_eq!([ID, next, next + 1].map(|id| joined(id, IPV4_DF)), [true, true, false]);
    assert_eq!([ID, next, next + 1].map(|id| joined(id, 0)), [false, true, false]);
}

#[test]
fn pieces_out_of_order_too_long_or_empty_are_not_joined() {
    for kind in kinds() {
        let joined = |index: usize, is_last: bool, payload: usize| {
            let texts = vec![kind.piece(0, false, 100), kind.piece(index, is_last, payload)];
            join(OffloadSet::ALL, texts).len() == 1
        };
        assert!(joined(1, true, 1) && joined(1, true, 100) && joined(1, false, 100), "{kind:?}");
        assert!(!joined(2, true, 100) && !joined(0, false, 100), "{kind:?}: another place");
        assert!(!joined(1, true, 101) && !joined(1, false, 99) && !joined(1, false, 101), "{kind:?}: another length");
        // After the shorter one nothing follows.
        let texts = [kind.pieces(), vec![kind.piece(3, false, 100)]].concat();
        assert_eq!(parts(&join(OffloadSet::ALL, texts)), [3, 1], "{kind:?}");
        let last_first = vec![kind.piece(1, true, 100), kind.piece(2, true, 100)];
        assert_eq!(parts(&join(OffloadSet::ALL, last_first)), [1, 1], "{kind:?}");
    }
}

#[test]
fn single_udp_packets_of_a_flow_become_one_and_single_tcp_packets_do_not() {
    for kind in kinds() {
        let single = |number: usize, payload: usize| {
            let mut text = kind.piece(number, true, payload);
            put(&mut text, kind.checksum_at(), 0x8000_u16.to_be_bytes());
            text
        };
        let delivered = join(OffloadSet::ALL, vec![single(0, 100), single(1, 100), single(2, 50), single(3, 50)]);
        let expected = if kind.transport == Transport::Udp { vec![3, 1] } else { vec![1; 4] };
        assert_eq!(parts(&delivered), expected, "{kind:?}");
        assert_eq!(parts(&join(OffloadSet::ALL, vec![single(0, 0), single(1, 0)])), [1, 1], "{kind:?}: empty ones");
        // A piece of a super-packet is none of them.
        let mixed = vec![single(0, 100), kind.piece(1, false, 100), single(2, 100)];
        assert_eq!(parts(&join(OffloadSet::ALL, mixed)), [1, 1, 1], "{kind:?}");
    }
}

#[test]
fn a_super_packet_ends_at_its_bounds() {
    for kind in kinds() {
        let pieces = |size: usize, count: usize| {
            let kind = Kind { size, ..kind };
            parts(&join(OffloadSet::ALL, (0..count).map(|index| kind.piece(index, false, size)).collect()))
        };
        let most = if kind.transport == Transport::Tcp { 128 } else { 64 };
        assert_eq!(pieces(10, most), [most], "{kind:?}");
        assert_eq!(pieces(10, most + 1), [most, 1], "{kind:?}");
        // Two pieces that fill the longest packet, and two of which the second has one byte more.
        let (room, size) = (PACKET_BYTES_MAX - kind.header_bytes(), (PACKET_BYTES_MAX - kind.header_bytes()) / 2);
        let long = |last: usize| {
            let kind = Kind { size: room - size, ..kind };
            join(OffloadSet::ALL, vec![kind.piece(0, false, room - size), kind.piece(1, true, last)]).len()
        };
        assert_eq!(long(size), 1, "{kind:?}");
        if room % 2 == 1 {
            assert_eq!(long(size + 1), 2, "{kind:?}");
        }
    }
}

#[test]
fn without_the_offload_pieces_are_completed_one_by_one() {
    for kind in kinds() {
        let own = if kind.transport == Transport::Tcp { Offload::Tso } else { Offload::Uso };
        for missing in [own, Offload::Tso] {
            let delivered = join(OffloadSet::ALL.without(missing), kind.pieces());
            assert_eq!(parts(&delivered), [1, 1, 1], "{kind:?} without {missing:?}");
            assert!(delivered.iter().all(|(header, _, _)| header.segments.is_none()));
            let is_complete = missing == Offload::Tso;
            assert!(delivered.iter().all(|(header, _, _)| header.checksum.is_none() == is_complete), "{kind:?}");
        }
    }
}

#[test]
fn another_peers_piece_and_a_complete_packet_end_what_is_under_construction() {
    struct Peers(Vec<(PeerId, usize)>);
    impl Deliver for Peers {
        fn deliver(&mut self, peer: PeerId, _: VnetHeader, frame: &[IoSlice<'_>]) {
            self.0.push((peer, frame.len() - 1));
        }
    }
    let kind = Kind { family: Family::V4, transport: Transport::Tcp, size: 100 };
    let mut texts = [kind.piece(0, false, 100), kind.piece(1, false, 100), kind.piece(2, false, 100)];
    let mut sink = Peers(Vec::new());
    let mut joiner = Joiner::new(OffloadSet::ALL);
    for (text, peer) in texts.iter_mut().zip([PEER, PeerId(4), PeerId(4)]) {
        let segment = Segment::parse(text).unwrap();
        if let Err(text) = joiner.join(peer, text, segment, &mut sink) {
            joiner.begin(peer, text, segment, &mut sink);
        }
    }
    joiner.pass(PEER, &[0x45], &mut sink);
    assert_eq!(sink.0, [(PEER, 1), (PeerId(4), 2), (PEER, 1)]);
}

#[test]
fn a_whole_super_packet_and_a_tcp_packet_need_not_wait_and_a_udp_packet_does() {
    for kind in kinds() {
        let delivered_after = |mut texts: Vec<Vec<u8>>| {
            let (mut sink, mut joiner) = (Sink::default(), Joiner::new(OffloadSet::ALL));
            let mut counts = Vec::new();
            for text in &mut texts {
                let segment = Segment::parse(text).unwrap();
                if let Err(text) = joiner.join(PEER, text, segment, &mut sink) {
                    joiner.begin(PEER, text, segment, &mut sink);
                }
                counts.push(sink.0.len());
            }
            counts
        };
        assert_eq!(delivered_after(kind.pieces()), [0, 0, 1], "{kind:?}");
        let alone = usize::from(kind.transport == Transport::Tcp);
        assert_eq!(delivered_after(vec![kind.piece(0, true, 100)]), [alone], "{kind:?}");
        assert_eq!(delivered_after(vec![kind.piece(2, true, 100)]), [1], "{kind:?}: the rest of it was lost");
    }
}
