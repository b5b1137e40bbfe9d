//! The DS field of an IP packet, and how it crosses the tunnel: DSCP and ECN outwards, ECN inwards (RFC 6040, normal mode).
//!
//! `tos` is the whole octet: six bits of DSCP (RFC 2474), two of ECN (RFC 3168).

use crate::wire::checksum::{self, IPV4_CHECKSUM_AT};
use crate::wire::field::{put, u16_at};

/// Bits of ECN in the octet.
const ECN_BITS: u8 = 0b11;

/// The two bits (RFC 3168, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ecn {
    /// Loss is the only sign of congestion that the ends understand.
    NotEct = 0b00,
    /// They understand marks; the L4S identifier (RFC 9331).
    Ect1 = 0b01,
    /// They understand marks.
    Ect0 = 0b10,
    /// Congestion was met.
    Ce = 0b11,
}

impl Ecn {
    fn of(tos: u8) -> Self {
        match tos & ECN_BITS {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }
}

/// The octet of an outer header for this inner one: the same (RFC 6040 4.1, normal mode; RFC 2983 3, uniform).
pub fn outer_of(inner_tos: u8) -> u8 {
    inner_tos
}

/// The octet of the inner header after the outer one is taken off: its own DSCP, and the congestion that either met.
/// `None`: the packet must be dropped, because loss is the only way to tell its ends (RFC 6040 4.2, figure 4).
pub fn inner_after(inner_tos: u8, outer_tos: u8) -> Option<u8> {
    use Ecn::{Ce, Ect0, Ect1, NotEct};
    let inner = Ecn::of(inner_tos);
    let ecn = match (inner, Ecn::of(outer_tos)) {
        (NotEct, Ce) => return None,
        (NotEct | Ect0 | Ect1 | Ce, NotEct | Ect0) | (NotEct | Ect1 | Ce, Ect1) | (Ce, Ce) => inner,
        (Ect0, Ect1) => Ect1,
        (Ect0 | Ect1, Ce) => Ce,
    };
    Some(inner_tos & !ECN_BITS | ecn as u8)
}

/// The octet of an IP packet; 0 for anything else.
pub fn read_tos(packet: &[u8]) -> u8 {
    match *packet {
        [first, second, ..] if first >> 4 == 4 => second,
        [first, second, ..] if first >> 4 == 6 => first << 4 | second >> 4,
        _ => 0,
    }
}

/// Sets the octet of a whole IP packet; the checksum of an IPv4 header follows (RFC 1624).
pub fn set_tos(packet: &mut [u8], tos: u8) {
    let Some(before) = u16_at(packet, 0) else { return };
    set_tos_alone(packet, tos);
    let (Some(after), Some(sum)) = (u16_at(packet, 0), u16_at(packet, IPV4_CHECKSUM_AT)) else { return };
    if before >> 12 == 4 && before != after {
        let sum = checksum::finish(u64::from(!sum) + u64::from(!before) + u64::from(after));
        put(packet, IPV4_CHECKSUM_AT, sum.to_be_bytes());
    }
}

/// Sets the octet where no header checksum stands, as in segment records (PROTOCOL 2.9).
pub fn set_tos_alone(packet: &mut [u8], tos: u8) {
    match packet {
        [first, second, ..] if *first >> 4 == 4 => *second = tos,
        [first, second, ..] if *first >> 4 == 6 => {
            *first = *first & 0xf0 | tos >> 4;
            *second = tos << 4 | *second & 0x0f;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_ECT: u8 = 0b00;
    const ECT_1: u8 = 0b01;
    const ECT_0: u8 = 0b10;
    const CE: u8 = 0b11;

    /// RFC 6040, figure 4: a row for each inner codepoint, a column for each outer one.
    const COLUMNS: [u8; 4] = [NOT_ECT, ECT_0, ECT_1, CE];
    const ROWS: [(u8, [Option<u8>; 4]); 4] = [
        (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
        (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
        (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
        (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
    ];

    #[test]
    fn the_table_of_rfc_6040() {
        for (inner, row) in ROWS {
            for (outer, expected) in COLUMNS.into_iter().zip(row) {
                // Every pair of DSCPs: the inner one stays, the outer one is of no account.
                for dscps in 0..=u16::from(u8::MAX) * 16 {
                    let (inner_dscp, outer_dscp) = ((dscps >> 6) as u8 & 0x3f, dscps as u8 & 0x3f);
                    let after = inner_after(inner_dscp << 2 | inner, outer_dscp << 2 | outer);
                    assert_eq!(after, expected.map(|ecn| inner_dscp << 2 | ecn), "{inner:02b} in {outer:02b}");
                }
            }
        }
    }

    #[test]
    fn an_undisturbed_packet_comes_out_as_it_went_in() {
        for tos in 0..=u8::MAX {
            assert_eq!(inner_after(tos, outer_of(tos)), Some(tos));
        }
    }

    fn v4() -> [u8; 20] {
        [0x45, 0, 0, 20, 1, 2, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    }

    fn with_sum(mut header: [u8; 20]) -> [u8; 20] {
        checksum::write_ipv4(&mut header, 20);
        header
    }

    #[test]
    fn an_ipv4_checksum_follows_every_change() {
        for from in 0..=u8::MAX {
            for to in 0..=u8::MAX {
                let mut header = v4();
                header[1] = from;
                let mut header = with_sum(header);
                set_tos(&mut header, to);
                let mut expected = v4();
                expected[1] = to;
                assert_eq!(header, with_sum(expected), "{from:02x} to {to:02x}");
                assert_eq!(read_tos(&header), to);
            }
        }
    }

    /// RFC 1624, 4: a checksum that becomes 0x0000 and not 0xffff.
    #[test]
    fn a_checksum_of_zero_is_right() {
        let mut seen_zero = false;
        for id in 0..=u16::MAX {
            let mut header = v4();
            put(&mut header, 4, id.to_be_bytes());
            let mut changed = with_sum(header);
            set_tos(&mut changed, 1);
            header[1] = 1;
            assert_eq!(changed, with_sum(header));
            seen_zero |= changed[10..12] == [0, 0];
        }
        assert!(seen_zero);
    }

    #[test]
    fn a_wrong_checksum_stays_wrong() {
        let mut header = with_sum(v4());
        header[11] ^= 1;
        set_tos(&mut header, 3);
        assert_ne!(checksum::finish(checksum::add(0, &header)), 0);
    }

    #[test]
    fn without_a_checksum_none_appears() {
        let mut header = v4();
        set_tos_alone(&mut header, 0xff);
        assert_eq!((header[1], &header[10..12]), (0xff, &[0, 0][..]));
    }

    #[test]
    fn the_traffic_class_leaves_version_and_flow_label() {
        for tos in 0..=u8::MAX {
            let mut header = [0; 40];
            header[..4].copy_from_slice(&[0x6a, 0x5c, 0xde, 0xf0]);
            header[10..12].copy_from_slice(&[0x12, 0x34]);
            let mut alone = header;
            set_tos(&mut header, tos);
            set_tos_alone(&mut alone, tos);
            assert_eq!(read_tos(&header), tos);
            assert_eq!(header[..4], [0x60 | tos >> 4, tos << 4 | 0x0c, 0xde, 0xf0]);
            assert_eq!(header[10..12], [0x12, 0x34], "there is no checksum in it");
            assert_eq!(alone, header);
        }
    }

    #[test]
    fn what_is_no_ip_packet_is_left_alone() {
        for bytes in [&[][..], &[0x45], &[0x60], &[0x55, 1, 2], &[0x00, 0xff]] {
            let mut changed = bytes.to_vec();
            set_tos(&mut changed, 0xff);
            assert_eq!((changed.as_slice(), read_tos(bytes)), (bytes, 0));
        }
        let mut short = [0x45, 0, 0, 20];
        set_tos(&mut short, 3);
        assert_eq!(short, [0x45, 3, 0, 20], "a header cut short has no checksum to follow");
    }

    #[test]
    fn the_outer_octet_is_the_inner_one() {
        assert!((0..=u8::MAX).all(|tos| outer_of(tos) == tos));
    }
}
