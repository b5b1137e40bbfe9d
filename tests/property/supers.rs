//! Super-packets of every kind, and an independent account of how the kernel cuts them.

use proptest::collection::vec;
use proptest::prelude::*;

/// A super-packet and how the kernel would cut it.
#[derive(Clone, Debug)]
pub(crate) struct Super {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    /// TOS or traffic class, identification or flow label, hop limit, TCP flags.
    numbers: (u8, u16, u8, u8),
    sequence: u32,
    /// TCP options, a multiple of 4 bytes.
    options: Vec<u8>,
    addresses: Vec<u8>,
    payload: Vec<u8>,
    pub(crate) size: u16,
}

pub(crate) fn supers() -> impl Strategy<Value = Super> {
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

    /// As one packet, everything computed.
    pub(crate) fn whole(&self) -> Vec<u8> {
        self.packet(0, true, &self.payload)
    }

    /// As the kernel cuts it.
    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        let pieces: Vec<&[u8]> = match self.payload.is_empty() {
            true => vec![&[]],
            false => self.payload.chunks(usize::from(self.size)).collect(),
        };
        let last = pieces.len() - 1;
        pieces.iter().enumerate().map(|(index, piece)| self.packet(index, index == last, piece)).collect()
    }

    /// Each piece as a super-packet of its own.
    pub(crate) fn pieces(&self) -> Vec<Self> {
        let packets = self.packets();
        let header_bytes = self.whole().len() - self.payload.len();
        let piece = |(index, packet): (usize, &Vec<u8>)| {
            let (tos, id, hops, _) = self.numbers;
            let flags = if self.tcp { packet[if self.v6 { 53 } else { 33 }] } else { 0 };
            Self {
                numbers: (tos, if self.v6 { id } else { id.wrapping_add(index as u16) }, hops, flags),
                sequence: self.sequence.wrapping_add(index as u32 * u32::from(self.size)),
                payload: packet[header_bytes..].to_vec(),
                ..self.clone()
            }
        };
        packets.iter().enumerate().map(piece).collect()
    }

    /// As one packet whose transport checksum holds the sum of its pseudo-header alone, as the kernel hands it over.
    pub(crate) fn partial(&self) -> Vec<u8> {
        let mut packet = self.whole();
        let ip_bytes = if self.v6 { 40 } else { 20 };
        let addresses = if self.v6 { 8..40 } else { 12..20 };
        let length = ((packet.len() - ip_bytes) as u32).to_be_bytes();
        let partial = !sum(&[&packet[addresses], &[0, if self.tcp { 6 } else { 17 }], &length]);
        let at = ip_bytes + self.checksum_offset();
        packet[at..at + 2].copy_from_slice(&partial.to_be_bytes());
        packet
    }

    /// Where the checksum lies in the transport header.
    pub(crate) fn checksum_offset(&self) -> usize {
        if self.tcp { 16 } else { 6 }
    }
}
