//! Answers are checked byte by byte, and each case in which none may be sent.

use super::*;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1));

/// An IPv4 packet that may not be fragmented, 10.0.0.1 to 10.0.0.2, with this many bytes in all.
fn v4(protocol: u8, length: usize) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..length).map(|n| n as u8).collect();
    let [l0, l1] = (length as u16).to_be_bytes();
    packet[..20].copy_from_slice(&[0x45, 0, l0, l1, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

/// An IPv6 packet fd00::1 to fd00::2 whose first header is `next`.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, l0, l1, next, 64];
    for last in [1, 2] {
        packet.extend_from_slice(&Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).octets());
    }
    packet.extend_from_slice(payload);
    packet
}

fn answer(packet: &[u8], mtu: u16, from: IpAddr) -> Option<Vec<u8>> {
    let mut out = vec![0xee; 3];
    let written = too_big(packet, mtu, from, &mut out);
    assert_eq!(written, !out.is_empty(), "nothing is left in the buffer of what is not sent");
    written.then_some(out)
}

#[test]
fn an_ipv4_answer_to_the_byte() {
    let packet = v4(6, 1400);
    let answer = answer(&packet, 1300, V4).unwrap();
    assert_eq!(answer.len(), 576, "as much as every host takes");
    assert_eq!(answer[..10], [0x45, 0xc0, 0x02, 0x40, 0, 0, 0x40, 0, 64, 1]);
    assert_eq!(answer[12..20], [10, 99, 0, 1, 10, 0, 0, 1]);
    assert_eq!(checksum::finish(checksum::add(0, &answer[..20])), 0);
    assert_eq!(answer[20..22], [3, 4], "fragmentation needed");
    assert_eq!(answer[24..28], [0, 0, 0x05, 0x14], "1300");
    assert_eq!(answer[28..], packet[..548]);
    assert_eq!(checksum::finish(checksum::add(0, &answer[20..])), 0);
}

#[test]
fn an_ipv6_answer_to_the_byte() {
    let packet = v6(6, &[0xab; 1360]);
    let answer = answer(&packet, 1300, V6).unwrap();
    assert_eq!(answer.len(), 1280, "as much as every link takes");
    assert_eq!(answer[..8], [0x6c, 0, 0, 0, 0x04, 0xd8, 58, 64]);
    assert_eq!(answer[8..24], "fd99::1".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(answer[24..40], "fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(answer[40..42], [2, 0]);
    assert_eq!(answer[44..48], [0, 0, 0x05, 0x14]);
    assert_eq!(answer[48..], packet[..1232]);
    let sum = checksum::add(checksum::pseudo_header(&answer[8..40], 58, answer.len() - 40), &answer[40..]);
    assert_eq!(checksum::finish(sum), 0);
}

#[test]
fn a_short_packet_is_quoted_whole_and_padding_is_not() {
    for length in [28, 29, 547, 548, 549] {
        let mut packet = v4(17, length);
        packet.extend_from_slice(&[0; 7]);
        let answer = answer(&packet, 576, V4).unwrap();
        let quoted = length.min(548);
        assert_eq!((answer.len(), &answer[28..]), (28 + quoted, &packet[..quoted]));
        assert_eq!(checksum::finish(checksum::add(0, &answer[20..])), 0, "{length}");
    }
    for payload in [8, 9, 1191, 1192, 1193] {
        let mut packet = v6(17, &vec![5; payload]);
        packet.extend_from_slice(&[0; 7]);
        let answer = answer(&packet, 1280, V6).unwrap();
        let quoted = (40 + payload).min(1232);
        assert_eq!((answer.len(), &answer[48..]), (48 + quoted, &packet[..quoted]));
        assert_eq!(usize::from(u16_at(&answer, 4).unwrap()), 8 + quoted);
    }
}

#[test]
fn options_are_quoted_with_the_header() {
    let mut packet = v4(1, 700);
    packet[0] = 0x4f;
    packet[60] = 8;
    assert_eq!(answer(&packet, 600, V4).unwrap()[28..], packet[..548], "an echo request behind 40 bytes of options");
    packet[60] = 3;
    assert_eq!(answer(&packet, 600, V4), None, "an error behind them");
}

#[test]
fn a_packet_that_may_be_fragmented_gets_none() {
    let mut packet = v4(6, 1400);
    packet[6] = 0;
    assert_eq!(answer(&packet, 1300, V4), None);
}

#[test]
fn later_fragments_get_none_and_first_ones_do() {
    let mut packet = v4(17, 1400);
    packet[6] = 0x60;
    assert!(answer(&packet, 1300, V4).is_some(), "the first one, more follow");
    for (high, low) in [(0x40, 1), (0x60, 1), (0x5f, 0xff)] {
        packet[6..8].copy_from_slice(&[high, low]);
        assert_eq!(answer(&packet, 1300, V4), None);
    }
    let fragment = |offset_and_more: u16| {
        let [high, low] = offset_and_more.to_be_bytes();
        v6(44, &[17, 0, high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    assert!(answer(&fragment(1), 1300, V6).is_some());
    assert_eq!(answer(&fragment(8), 1300, V6), None);
    assert_eq!(answer(&fragment(9), 1300, V6), None);
}

#[test]
fn icmp_errors_get_none() {
    for kind in 0..=u8::MAX {
        let mut packet = v4(1, 1400);
        packet[20] = kind;
        let expected = [0, 8, 9, 10, 13, 14, 15, 16, 17, 18].contains(&kind);
        assert_eq!(answer(&packet, 1300, V4).is_some(), expected, "type {kind}");
        let is_query = kind >= 128 && kind != 137;
        assert_eq!(answer(&v6(58, &[kind, 0, 0, 0]), 1300, V6).is_some(), is_query, "ICMPv6 type {kind}");
    }
    assert_eq!(answer(&v4(1, 20), 1300, V4), None, "the type is not there");
    assert_eq!(answer(&v6(58, &[]), 1300, V6), None);
}

#[test]
fn an_error_behind_extension_headers_is_found() {
    for extension in [0, 43, 60, 135, 139, 140] {
        let long = [&[58, 1][..], &[0; 14], &[128]].concat();
        assert!(answer(&v6(extension, &long), 1300, V6).is_some(), "an echo request behind {extension}");
        let error = [&[58, 1][..], &[0; 14], &[1]].concat();
        assert_eq!(answer(&v6(extension, &error), 1300, V6), None, "an error behind {extension}");
        assert_eq!(answer(&v6(extension, &[58]), 1300, V6), None, "no length");
        assert_eq!(answer(&v6(extension, &[58, 0, 0, 0, 0, 0, 0, 0]), 1300, V6), None, "nothing behind it");
    }
    let behind = |kind: u8| v6(51, &[&[58, 4][..], &[0; 22], &[kind]].concat());
    assert!(answer(&behind(129), 1300, V6).is_some());
    assert_eq!(answer(&behind(2), 1300, V6), None, "behind an authentication header, which counts in fours");
    let chain = [&[60, 0, 0, 0, 0, 0, 0, 0][..], &[44, 0, 0, 0, 0, 0, 0, 0], &[58, 0, 0, 1, 0, 0, 0, 9], &[3]].concat();
    assert_eq!(answer(&v6(0, &chain), 1300, V6), None, "behind three, the last a first fragment");
    assert_eq!(answer(&v6(44, &[58, 0]), 1300, V6), None, "a fragment header cut short");
    assert!(answer(&v6(50, &[0; 8]), 1300, V6).is_some(), "what is encrypted is no error that could be seen");
}

#[test]
fn endless_extension_headers_end_with_the_packet() {
    assert_eq!(answer(&v6(0, &vec![0; 65_528]), 1300, V6), None);
}

#[test]
fn addresses_that_are_not_one_hosts_get_none() {
    for source in [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [239, 1, 1, 1], [240, 0, 0, 1], [255; 4]]
    {
        let mut packet = v4(6, 1400);
        packet[12..16].copy_from_slice(&source);
        assert_eq!(answer(&packet, 1300, V4), None, "from {source:?}");
    }
    for to in [[224, 0, 0, 1], [239, 255, 255, 255], [255; 4]] {
        let mut packet = v4(6, 1400);
        packet[16..20].copy_from_slice(&to);
        assert_eq!(answer(&packet, 1300, V4), None, "to {to:?}");
    }
    for address in ["::", "::1", "ff02::1", "ff0e::2"] {
        let octets = address.parse::<Ipv6Addr>().unwrap().octets();
        let mut packet = v6(6, &[0; 1400]);
        packet[8..24].copy_from_slice(&octets);
        assert_eq!(answer(&packet, 1300, V6), None, "from {address}");
    }
    for address in ["ff02::1", "ff0e::2"] {
        let mut packet = v6(6, &[0; 1400]);
        packet[24..40].copy_from_slice(&address.parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(answer(&packet, 1300, V6), None, "to {address}");
    }
}

#[test]
fn the_other_family_and_less_than_ipv6_needs_get_none() {
    assert_eq!(answer(&v4(6, 1400), 1300, V6), None);
    assert_eq!(answer(&v6(6, &[0; 1400]), 1300, V4), None);
    assert_eq!(answer(&v6(6, &[0; 1400]), 1279, V6), None);
    assert!(answer(&v4(6, 1400), 68, V4).is_some());
}

#[test]
fn what_is_no_ip_packet_gets_none() {
    for length in 0..20 {
        assert_eq!(answer(&v4(6, 1400)[..length], 1300, V4), None);
    }
    for length in 0..40 {
        assert_eq!(answer(&v6(6, &[])[..length], 1300, V6), None);
    }
    assert_eq!(answer(&[0x55; 60], 1300, V4), None);
}

#[test]
fn no_answer_is_answered() {
    let over_v4 = answer(&v4(6, 1400), 1300, V4).unwrap();
    assert_eq!(answer(&over_v4, 500, V4), None);
    let over_v6 = answer(&v6(6, &[0; 1400]), 1300, V6).unwrap();
    assert_eq!(answer(&over_v6, 1280, V6), None);
}
