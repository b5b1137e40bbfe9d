//! Control messages of a datagram (cmsg(3)): address, DS field and the stride of a train, built and read without allocation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sys::socket::ControlMessageOwned;

/// Bytes of the header of one message: a length of a machine word, level and type.
const HEADER_BYTES: usize = WORD_BYTES + 8;
/// Every message begins at a multiple of this.
const WORD_BYTES: usize = size_of::<usize>();
/// Bytes for the messages of one datagram: an address of either family (RFC 3542), DS field and stride take 88.
pub(super) const CONTROL_BYTES: usize = 128;

/// Room for control messages, aligned as the kernel writes and reads them.
#[derive(Clone)]
#[repr(align(8))]
pub(super) struct Control {
    bytes: [u8; CONTROL_BYTES],
    used: usize,
}

/// What the messages of a received datagram say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Our address that it came to; for a broadcast the one that would answer.
    pub(super) local: Option<IpAddr>,
    /// DS field and ECN of the outer header.
    pub(super) tos: u8,
    /// Bytes of each datagram, if the kernel put several together.
    pub(super) stride: Option<usize>,
}

impl Control {
    /// No message.
    pub(super) fn new() -> Self {
        Self { bytes: [0; CONTROL_BYTES], used: 0 }
    }

    /// The whole room, for the kernel to write to.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The messages so far, for the kernel to read.
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// Names the source address on a socket of IPv4 (`in_pktinfo`, ip(7)).
    pub(super) fn source_v4(&mut self, from: Ipv4Addr) {
        let mut info = [0; 12];
        let [_, _, _, _, source @ .., _, _, _, _] = &mut info;
        *source = from.octets();
        self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
    }

    /// Names the source address on a socket of both families (`in6_pktinfo`, RFC 3542, 6).
    pub(super) fn source_v6(&mut self, from: Ipv6Addr) {
        let mut info = [0; 20];
        let [source @ .., _, _, _, _] = &mut info;
        *source = from.octets();
        self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
    }

    /// Sets DS field and ECN of a datagram that leaves as IPv4, or as IPv6.
    pub(super) fn tos(&mut self, is_ipv4: bool, tos: u8) {
        let (level, kind) =
            if is_ipv4 { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
        self.push(level, kind, &libc::c_int::from(tos).to_ne_bytes());
    }

    /// Has the kernel cut what is sent into datagrams of that many bytes.
    pub(super) fn stride(&mut self, stride: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &stride.to_ne_bytes());
    }

    /// One message. There is room for one of each kind; the test of this file says so.
    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let length = HEADER_BYTES + data.len();
        let end = self.used + length.next_multiple_of(WORD_BYTES);
        let Some(room) = self.bytes.get_mut(self.used..end) else { return };
        let header = length.to_ne_bytes().into_iter().chain(level.to_ne_bytes()).chain(kind.to_ne_bytes());
        for (to, from) in room.iter_mut().zip(header.chain(data.iter().copied())) {
            *to = from;
        }
        self.used = end;
    }
}

impl Arrival {
    /// Takes from the messages what is known; others say nothing about addresses, DS field or trains.
    pub(super) fn read(messages: impl Iterator<Item = ControlMessageOwned>) -> Self {
        let mut arrival = Self::default();
        for message in messages {
            #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum with dozens of kinds nobody asked for")]
            match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    arrival.local = Some(IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    arrival.local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
                }
                ControlMessageOwned::Ipv4Tos(tos) => arrival.tos = tos,
                ControlMessageOwned::Ipv6TClass(class) => arrival.tos = u8::try_from(class).unwrap_or_default(),
                ControlMessageOwned::UdpGroSegments(stride) => {
                    arrival.stride = usize::try_from(stride).ok().filter(|stride| *stride > 0);
                }
                _ => {}
            }
        }
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message as cmsg(3) lays it out on a machine of 8-byte words.
    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (16 + data.len()).to_ne_bytes().to_vec();
        bytes.extend([level.to_ne_bytes(), kind.to_ne_bytes()].concat());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn every_message_is_laid_out_as_the_kernel_reads_it() {
        let write = |to: fn(&mut Control)| {
            let mut control = Control::new();
            to(&mut control);
            control.written().to_vec()
        };
        assert!(write(|_| ()).is_empty());
        let v4 = [0, 0, 0, 0, 192, 0, 2, 7, 0, 0, 0, 0];
        assert_eq!(write(|to| to.source_v4([192, 0, 2, 7].into())), message(0, 8, &v4));
        let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let v6 = [&address.octets()[..], &[0; 4]].concat();
        assert_eq!(write(|to| to.source_v6("2001:db8::7".parse().unwrap())), message(41, 50, &v6));
        assert_eq!(write(|to| to.tos(true, 0xb9)), message(0, 1, &0xb9_i32.to_ne_bytes()));
        assert_eq!(write(|to| to.tos(false, 0xb9)), message(41, 67, &0xb9_i32.to_ne_bytes()));
        assert_eq!(write(|to| to.stride(1440)), message(17, 103, &1440_u16.to_ne_bytes()));
    }

    #[test]
    fn the_longest_messages_fit_and_what_does_not_fit_is_left_out_whole() {
        let mut control = Control::new();
        control.source_v6(Ipv6Addr::LOCALHOST);
        control.tos(false, 1);
        control.stride(1);
        let length = control.written().len();
        assert_eq!(length, 3 * HEADER_BYTES + 24 + 2 * 8, "each rounded up to a word");
        control.source_v6(Ipv6Addr::LOCALHOST);
        let full = control.written().len();
        control.source_v6(Ipv6Addr::LOCALHOST);
        assert_eq!(control.written().len(), full);
    }

    #[test]
    fn what_the_kernel_says_is_read_and_the_rest_passed_over() {
        let v4 = libc::in_pktinfo {
            ipi_ifindex: 1,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes([192, 0, 2, 7]) },
            ipi_addr: libc::in_addr { s_addr: u32::MAX },
        };
        let v6 = |address: &str| libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: address.parse::<Ipv6Addr>().unwrap().octets() },
            ipi6_ifindex: 1,
        };
        let local = |message| Arrival::read([message].into_iter()).local.map(|address| address.to_string());
        assert_eq!(local(ControlMessageOwned::Ipv4PacketInfo(v4)).as_deref(), Some("192.0.2.7"));
        assert_eq!(local(ControlMessageOwned::Ipv6PacketInfo(v6("2001:db8::7"))).as_deref(), Some("2001:db8::7"));
        assert_eq!(local(ControlMessageOwned::Ipv6PacketInfo(v6("::ffff:192.0.2.7"))).as_deref(), Some("192.0.2.7"));
        let all = [
            ControlMessageOwned::RxqOvfl(7),
            ControlMessageOwned::Ipv4Tos(3),
            ControlMessageOwned::UdpGroSegments(1440),
        ];
        let expected = Arrival { local: None, tos: 3, stride: Some(1440) };
        assert_eq!(Arrival::read(all.into_iter()), expected);
        assert_eq!(Arrival::read([ControlMessageOwned::Ipv6TClass(0xff)].into_iter()).tos, 0xff);
    }

    #[test]
    fn impossible_values_are_no_values() {
        for stride in [0, -1, i32::MIN] {
            assert_eq!(Arrival::read([ControlMessageOwned::UdpGroSegments(stride)].into_iter()), Arrival::default());
        }
        for class in [-1, 256] {
            assert_eq!(Arrival::read([ControlMessageOwned::Ipv6TClass(class)].into_iter()), Arrival::default());
        }
    }
}
