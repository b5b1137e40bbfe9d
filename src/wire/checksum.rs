//! The Internet checksum (RFC 1071): of IPv4 headers, and of TCP and UDP with their pseudo-header (RFC 9293 3.1, RFC 768).

use super::field::put;

/// Where the checksum lies in an IPv4 header (RFC 791).
pub const IPV4_CHECKSUM_AT: usize = 10;

/// Adds bytes to a running sum. Of several parts in a row all but the last have an even length.
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let sum = words.iter().fold(sum, |sum, word| sum + u64::from(u32::from_be_bytes(*word)));
    match *rest {
        [a, b, c] => sum + u64::from(u32::from_be_bytes([a, b, c, 0])),
        [a, b] => sum + u64::from(u16::from_be_bytes([a, b])),
        [a] => sum + u64::from(u16::from_be_bytes([a, 0])),
        _ => sum,
    }
}

/// The sum as 16 bits with the carries added back, not inverted: what a partial checksum field holds.
pub fn fold(mut sum: u64) -> u16 {
    // Four rounds at most: of 64 bits the first leaves 49, the second 33, the third 17.
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The checksum itself: the sum, inverted.
pub fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// Sum of the pseudo-header. `addresses` are source and destination as they stand in the IP header, `length` is that of
/// the transport header with its payload, in bytes.
pub fn pseudo_header(addresses: &[u8], protocol: u8, length: usize) -> u64 {
    add(u64::from(protocol) + length as u64, addresses)
}

/// Computes the checksum of an IPv4 header of that many bytes in place.
pub fn write_ipv4(packet: &mut [u8], header_bytes: usize) {
    put(packet, IPV4_CHECKSUM_AT, [0, 0]);
    let header = packet.get(..header_bytes).unwrap_or_default();
    put(packet, IPV4_CHECKSUM_AT, finish(add(0, header)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(add(0, &bytes)), 0xddf2);
        assert_eq!(finish(add(0, &bytes)), !0xddf2);
    }

    #[test]
    fn a_known_ipv4_header_sums_to_nothing() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
            0x00, 0xc7,
        ];
        assert_eq!(finish(add(0, &header)), 0);
    }

    #[test]
    fn every_length_agrees_with_the_sum_of_words() {
        let bytes: Vec<u8> = (0..200_u32).map(|n| (n * 37 + 255) as u8).collect();
        for length in 0..bytes.len() {
            let mut words = 0_u64;
            for pair in bytes[..length].chunks(2) {
                words += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            }
            while words > 0xffff {
                words = (words & 0xffff) + (words >> 16);
            }
            assert_eq!(u64::from(fold(add(0, &bytes[..length]))), words, "length {length}");
        }
    }

    #[test]
    fn no_carry_is_lost_in_the_longest_packet() {
        assert_eq!(fold(add(0, &[0xff; 65_534])), 0xffff);
        assert_eq!(fold(u64::MAX), 0xffff);
        assert_eq!(fold(0xffff_0000_ffff_0001), 1);
    }

    #[test]
    fn udp_over_ipv4_with_its_pseudo_header() {
        // 10.0.0.1:1 -> 10.0.0.2:2, payload "ab".
        let addresses = [10, 0, 0, 1, 10, 0, 0, 2];
        let datagram = [0, 1, 0, 2, 0, 10, 0, 0, b'a', b'b'];
        let sum = add(pseudo_header(&addresses, 17, datagram.len()), &datagram);
        let by_hand: u32 = 0x0a00 + 1 + 0x0a00 + 2 + 17 + 10 + 1 + 2 + 10 + 0x6162;
        assert_eq!(u32::from(fold(sum)), by_hand);
    }
}
