//! "Too big" for the sender of a packet that does not fit: ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443 3.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::types::limits::IPV6_MTU_MIN;
use crate::wire::checksum;
use crate::wire::field::{put, u16_at};
use crate::wire::ip::{IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, InnerPacket};

/// Bytes before the quoted packet: type, code, checksum, and four of their own.
const ICMP_HEADER_BYTES: usize = 8;
/// Bytes of the longest answer over IPv4 (RFC 1812 4.3.2.3): what every host can take.
const IPV4_ANSWER_BYTES_MAX: usize = 576;
/// Bytes of the longest answer over IPv6 (RFC 4443 3.2): what every link can take.
const IPV6_ANSWER_BYTES_MAX: usize = IPV6_MTU_MIN as usize;
/// DSCP CS6 (RFC 1812 4.3.2.5): errors go before what caused them.
const TOS: u8 = 0xc0;
/// Routers that an answer may pass: the recommended default (RFC 1700).
const HOPS: u8 = 64;
/// Don't fragment (RFC 791).
const DONT_FRAGMENT: u16 = 0x4000;
/// The offset of a fragment (RFC 791).
const OFFSET_BITS: u16 = 0x1fff;
/// Protocol numbers of ICMP and ICMPv6 (IANA).
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Messages of ICMP that ask or answer: everything else may be an error (RFC 1122 3.2.2).
const ICMP_QUERIES: [u8; 10] = [0, 8, 9, 10, 13, 14, 15, 16, 17, 18];
/// First ICMPv6 message that is no error (RFC 4443 2.1).
const ICMPV6_QUERIES_FROM: u8 = 128;
/// The redirect, which counts as an error here (RFC 4443 2.4 e).
const ICMPV6_REDIRECT: u8 = 137;

/// Writes into `out` what tells the sender of `packet` that only `mtu` bytes pass, as `from` would. False, and nothing is
/// written, where such an answer must not be sent or would not help: to an error message, to a later fragment, to or from
/// addresses that are not one host's (RFC 1122 3.2.2, RFC 4443 2.4), to an IPv4 packet that may be fragmented, with less
/// than IPv6 needs, from an address of the other family. How often it is sent is the caller's to bound.
pub fn too_big(packet: &[u8], mtu: u16, from: IpAddr, out: &mut Vec<u8>) -> bool {
    out.clear();
    let Ok(packet) = InnerPacket::parse(packet) else { return false };
    match (packet.source(), packet.destination(), from) {
        (IpAddr::V4(source), IpAddr::V4(to), IpAddr::V4(from)) => {
            let allowed = is_one_host(source) && !to.is_multicast() && !to.is_broadcast() && v4_allows(packet.bytes());
            if allowed {
                write_v4(packet.bytes(), mtu, [from, source], out);
            }
            allowed
        }
        (IpAddr::V6(source), IpAddr::V6(to), IpAddr::V6(from)) => {
            let is_one_host = !source.is_unspecified() && !source.is_multicast() && !source.is_loopback();
            let allowed =
                is_one_host && !to.is_multicast() && mtu >= IPV6_MTU_MIN && v6_allows(packet.bytes()) == Some(true);
            if allowed {
                write_v6(packet.bytes(), mtu, [from, source], out);
            }
            allowed
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _, _) => false,
    }
}

/// RFC 1812 4.3.2.7: no answer to the zero net, loopback, multicast, class E and broadcast.
fn is_one_host(source: Ipv4Addr) -> bool {
    let first = source.octets()[0];
    first != 0 && first != 127 && first < 224
}

/// The packet may not be fragmented, is no later fragment, and no error.
fn v4_allows(packet: &[u8]) -> bool {
    let (Some(flags), Some([version_length, _, _, _, _, _, _, _, _, protocol])) =
        (u16_at(packet, 6), packet.first_chunk())
    else {
        return false;
    };
    let above = usize::from(version_length & 0x0f) * 4;
    let is_error = *protocol == ICMP && !packet.get(above).is_some_and(|kind| ICMP_QUERIES.contains(kind));
    flags & DONT_FRAGMENT != 0 && flags & OFFSET_BITS == 0 && !is_error
}

/// The packet is no later fragment and no error; `None` if its extension headers cannot be read (RFC 8200 4).
fn v6_allows(packet: &[u8]) -> Option<bool> {
    let (mut next, mut at) = (*packet.get(6)?, IPV6_HEADER_BYTES);
    loop {
        // Every header is at least 8 bytes, so that the packet ends before the loop does not.
        let bytes = match next {
            // Hop-by-hop, routing, destination options, mobility, HIP, Shim6: length in units of 8 without the first.
            0 | 43 | 60 | 135 | 139 | 140 => 8 + usize::from(*packet.get(at + 1)?) * 8,
            // Authentication: in units of 4 without the first two.
            51 => 8 + usize::from(*packet.get(at + 1)?) * 4,
            44 => {
                if u16_at(packet, at + 2)? & 0xfff8 != 0 {
                    return Some(false);
                }
                8
            }
            ICMPV6 => {
                let kind = *packet.get(at)?;
                return Some(kind >= ICMPV6_QUERIES_FROM && kind != ICMPV6_REDIRECT);
            }
            _ => return Some(true),
        };
        next = *packet.get(at)?;
        at += bytes;
    }
}

/// Destination unreachable, fragmentation needed: type 3, code 4, with the MTU of the next hop (RFC 1191 4).
fn write_v4(packet: &[u8], mtu: u16, [from, to]: [Ipv4Addr; 2], out: &mut Vec<u8>) {
    let quoted = quoted(packet, IPV4_ANSWER_BYTES_MAX - IPV4_HEADER_BYTES);
    let total = (IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted.len()) as u16;
    let [l0, l1] = total.to_be_bytes();
    let [df, _] = DONT_FRAGMENT.to_be_bytes();
    out.extend_from_slice(&[0x45, TOS, l0, l1, 0, 0, df, 0, HOPS, ICMP, 0, 0]);
    out.extend_from_slice(&from.octets());
    out.extend_from_slice(&to.octets());
    checksum::write_ipv4(out, IPV4_HEADER_BYTES);
    let [m0, m1] = mtu.to_be_bytes();
    out.extend_from_slice(&[3, 4, 0, 0, 0, 0, m0, m1]);
    out.extend_from_slice(quoted);
    let sum = checksum::finish(checksum::add(0, out.get(IPV4_HEADER_BYTES..).unwrap_or_default()));
    put(out, IPV4_HEADER_BYTES + 2, sum.to_be_bytes());
}

/// Packet too big: type 2, code 0, with the MTU of the next hop (RFC 4443 3.2).
fn write_v6(packet: &[u8], mtu: u16, [from, to]: [Ipv6Addr; 2], out: &mut Vec<u8>) {
    let quoted = quoted(packet, IPV6_ANSWER_BYTES_MAX - IPV6_HEADER_BYTES);
    let length = ICMP_HEADER_BYTES + quoted.len();
    let [l0, l1] = (length as u16).to_be_bytes();
    out.extend_from_slice(&[0x60 | TOS >> 4, TOS << 4, 0, 0, l0, l1, ICMPV6, HOPS]);
    out.extend_from_slice(&from.octets());
    out.extend_from_slice(&to.octets());
    let pseudo = checksum::pseudo_header(out.get(8..).unwrap_or_default(), ICMPV6, length);
    let [m0, m1] = mtu.to_be_bytes();
    out.extend_from_slice(&[2, 0, 0, 0, 0, 0, m0, m1]);
    out.extend_from_slice(quoted);
    let sum = checksum::finish(checksum::add(pseudo, out.get(IPV6_HEADER_BYTES..).unwrap_or_default()));
    put(out, IPV6_HEADER_BYTES + 2, sum.to_be_bytes());
}

/// As much of the packet as fits behind the headers of an answer whose IP payload has this many bytes at most.
fn quoted(packet: &[u8], payload_bytes_max: usize) -> &[u8] {
    packet.get(..payload_bytes_max - ICMP_HEADER_BYTES).unwrap_or(packet)
}

#[cfg(test)]
mod tests;
