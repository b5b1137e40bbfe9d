//! A super-packet cut into segment records and completed is, packet for packet, what the kernel would have sent.

use plait::dataplane::segment::{Cut, Segment};
use proptest::collection::vec;
use proptest::prelude::*;

/// A super-packet and how the kernel would cut it.
#[derive(Clone, Debug)]
struct Super {
    v6: bool,
    tcp: bool,
    /// TOS or traffic class, identification or flow label, hop limit, TCP flags.
    numbers: (u8, u16, u8, u8),
    sequence: u32,
    /// TCP options, a multiple of 4 bytes.
    options: Vec<u8>,
    addresses: Vec<u8>,
    payload: Vec<u8>,
    size: u16,
}

fn supers() -> impl Strategy<Value = Super> {
    let shape = (any::<bool>(), any::<bool>(), any::<(u8, u16, u8, u8)>(), any::<u32>());
    let bytes = (0..=10_usize, vec(any::<u8>(), 32), vec(any::<u8>(), 0..6000), 1..2000_u16);
    (shape, bytes).prop_map(|((v6, tcp, numbers, sequence), (words, addresses, payload, size))| {
        let options = (0..words * 4).map(|n| n as u8).collect();
        Super { v6, tcp, numbers, sequence, options, addresses, payload, size }
    })
}

/// The Internet checksum as RFC 1071 says it, a word at a time.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut bytes = parts.concat();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    let mut sum = 0_u32;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(word[1]);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

impl Super {
    /// A packet with this payload and everything computed; `index` and `is_last` as segmentation offload counts.
    fn packet(&self, index: usize, is_last: bool, payload: &[u8]) -> Vec<u8> {
        let (tos, id, hops, flags) = self.numbers;
        let mut flags = flags;
        if !is_last {
            flags &= 0b1111_0110;
        }
        if index > 0 {
            flags &= 0b0111_1111;
        }
        let sequence = self.sequence.wrapping_add(index as u32 * u32::from(self.size));
        let mut above = vec![0x12, 0x34, 0, 80];
        if self.tcp {
            above.extend(sequence.to_be_bytes());
            above.extend([1, 2, 3, 4, (5 + self.options.len() as u8 / 4) << 4, flags, 5, 6, 0, 0, 7, 8]);
            above.extend(&self.options);
        } else {
            above.extend((8 + payload.len() as u16).to_be_bytes());
            above.extend([0, 0]);
        }
        above.extend(payload);
        let protocol = if self.tcp { 6 } else { 17 };
        let mut ip = if self.v6 {
            let [high, low] = id.to_be_bytes();
            let mut ip = vec![0x60 | tos >> 4, tos << 4, high, low];
            ip.extend((above.len() as u16).to_be_bytes());
            ip.extend([protocol, hops]);
            ip
        } else {
            let mut ip = vec![0x45, tos];
            ip.extend((20 + above.len() as u16).to_be_bytes());
            ip.extend(id.wrapping_add(index as u16).to_be_bytes());
            ip.extend([0x40, 0, hops, protocol, 0, 0]);
            ip
        };
        let addresses = if self.v6 { &self.addresses[..] } else { &self.addresses[..8] };
        ip.extend(addresses);
        if !self.v6 {
            let checksum = sum(&[&ip]);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        let length = (above.len() as u32).to_be_bytes();
        let mut checksum = sum(&[addresses, &[0, protocol], &length, &above]);
        if !self.tcp && checksum == 0 {
            checksum = 0xffff;
        }
        let at = if self.tcp { 16 } else { 6 };
        above[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        [ip, above].concat()
    }

    fn whole(&self) -> Vec<u8> {
        self.packet(0, true, &self.payload)
    }

    fn packets(&self) -> Vec<Vec<u8>> {
        let pieces: Vec<&[u8]> = match self.payload.is_empty() {
            true => vec![&[]],
            false => self.payload.chunks(usize::from(self.size)).collect(),
        };
        let last = pieces.len() - 1;
        pieces.iter().enumerate().map(|(index, piece)| self.packet(index, index == last, piece)).collect()
    }
}

fn records(packet: &[u8], size: u16) -> Vec<Vec<u8>> {
    let cut = Cut::new(packet, size).unwrap();
    (0..cut.count())
        .map(|index| {
            let mut record = Vec::new();
            cut.write(index, &mut record);
            record
        })
        .collect()
}

proptest! {
    #[test]
    fn each_record_completes_to_the_packet_that_the_kernel_would_send(input in supers()) {
        let packet = input.whole();
        let (records, packets) = (records(&packet, input.size), input.packets());
        prop_assert_eq!(records.len(), packets.len());
        for (index, (mut record, expected)) in records.into_iter().zip(packets).enumerate() {
            prop_assert_eq!(record.len(), expected.len(), "nothing is added to a packet");
            let segment = Segment::parse(&record).unwrap();
            prop_assert_eq!(usize::from(segment.index), index);
            segment.complete(&mut record);
            prop_assert_eq!(record, expected);
        }
    }

    #[test]
    fn all_records_but_the_last_have_one_length(input in supers()) {
        let packet = input.whole();
        let cut = Cut::new(&packet, input.size).unwrap();
        let records = records(&packet, input.size);
        let (last, others) = records.split_last().unwrap();
        prop_assert!(others.iter().all(|record| record.len() == cut.record_bytes()));
        prop_assert!(last.len() <= cut.record_bytes());
        prop_assert!(Segment::parse(last).unwrap().is_last);
        prop_assert!(others.iter().all(|record| !Segment::parse(record).unwrap().is_last));
    }

    #[test]
    fn no_bytes_do_harm(mut bytes in vec(any::<u8>(), 0..200), first in 0x40..0x70_u8, size in any::<u16>()) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if let Ok(segment) = Segment::parse(&bytes) {
            segment.complete(&mut bytes);
        }
        if let Some(cut) = Cut::new(&bytes, size) {
            for index in 0..cut.count() {
                let mut record = Vec::new();
                cut.write(index, &mut record);
                prop_assert!(!record.is_empty() && record.len() <= bytes.len());
            }
        }
    }
}
