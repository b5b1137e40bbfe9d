//! Several sockets on one port, each with lanes of its own: a filter of classic BPF in the kernel looks at the lane.

use std::io;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::Socket;

/// Types of datagrams from here on have a lane (PROTOCOL 2.9); all others are for the first socket.
const FIRST_LANED_TYPE: u32 = 16;
/// Where the lane stands in such a datagram: the top byte of the counter (PROTOCOL 2.9).
const LANE_AT: u32 = 15;

/// Gives each datagram of lane `l` to socket `(l - 1) mod count` of the port's sockets in the order in which they were
/// bound; lane 0, what has no lane and what is too short to have one goes to socket 0.
///
/// # Errors
/// What the kernel answers, if it does not take the filter.
pub(super) fn distribute_by_lane(any: &Socket, count: usize) -> io::Result<()> {
    let count = u32::try_from(count).ok().filter(|count| *count > 0);
    let mut filter = filter(count.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?);
    let length = libc::c_ushort::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    Ok(setsockopt(any, sockopt::AttachReusePortCbpf, &program)?)
}

/// The filter sees the datagram without its UDP header. A load beyond the end ends it with 0.
fn filter(count: u32) -> [libc::sock_filter; 8] {
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const IF_GREATER_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const SUBTRACT: u32 = libc::BPF_ALU | libc::BPF_SUB | libc::BPF_K;
    const REMAINDER: u32 = libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K;
    const RETURN_IT: u32 = libc::BPF_RET | libc::BPF_A;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    // Jumps count from the next instruction.
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    [
        instruction(LOAD_BYTE, 0, 0, 0),
        instruction(IF_GREATER_EQUAL, 0, 5, FIRST_LANED_TYPE),
        instruction(LOAD_BYTE, 0, 0, LANE_AT),
        instruction(IF_EQUAL, 3, 0, 0),
        instruction(SUBTRACT, 0, 0, 1),
        instruction(REMAINDER, 0, 0, count),
        instruction(RETURN_IT, 0, 0, 0),
        instruction(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, poll};

    use crate::dataplane::snapshot::Endpoint;
    use crate::io::udp::{DatagramSocket, UdpSocket};

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn group(listen: &str, count: usize) -> Vec<UdpSocket> {
        let group = UdpSocket::bind_group(listen.parse().unwrap(), count).unwrap();
        assert_eq!(group.len(), count);
        let port = group[0].local_address().unwrap().port();
        assert!(group.iter().all(|socket| socket.local_address().unwrap().port() == port));
        group
    }

    /// The socket that gets it, and no other does.
    fn receiver(group: &[UdpSocket], to: IpAddr, datagram: &[u8]) -> usize {
        let to = SocketAddr::new(to, group[0].local_address().unwrap().port());
        let client = UdpSocket::bind(if to.is_ipv4() { (V4, 0) } else { (V6, 0) }.into()).unwrap();
        client.send(datagram, Endpoint { to, from: None }).unwrap();
        let mut fds: Vec<PollFd<'_>> =
            group.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        assert_eq!(poll(&mut fds, 2000_u16), Ok(1), "it came to one socket");
        let at = fds.iter().position(|fd| fd.any() == Some(true)).unwrap();
        let mut bytes = [0; 100];
        let received = group[at].recv_train(&mut bytes).unwrap();
        assert_eq!(&bytes[..received.bytes], datagram);
        at
    }

    fn data(kind: u8, lane: u8) -> [u8; 48] {
        let mut datagram = [0xa5; 48];
        (datagram[0], datagram[15]) = (kind, lane);
        datagram
    }

    const PATHS: [(&str, IpAddr); 4] = [("127.0.0.1:0", V4), ("0.0.0.0:0", V4), ("[::]:0", V4), ("[::]:0", V6)];

    #[test]
    fn each_lane_has_its_socket() {
        for ((listen, to), count) in PATHS.into_iter().flat_map(|path| [1, 2, 4, 7].map(|count| (path, count))) {
            let group = group(listen, count);
            for (lane, kind) in (0..=255).zip([16, 17, 18, 19].into_iter().cycle()) {
                let expected = (usize::from(lane).saturating_sub(1)) % count;
                assert_eq!(receiver(&group, to, &data(kind, lane)), expected, "{listen} {to} {count} {kind} {lane}");
            }
        }
    }

    #[test]
    fn handshakes_and_what_is_short_go_to_the_first_socket() {
        for ((listen, to), count) in PATHS.into_iter().flat_map(|path| [2, 4].map(|count| (path, count))) {
            let group = group(listen, count);
            for kind in 0..16 {
                assert_eq!(receiver(&group, to, &data(kind, 2)), 0, "{listen} {to} {count} {kind}");
            }
            for length in 0..16 {
                assert_eq!(receiver(&group, to, &data(16, 2)[..length]), 0, "{listen} {to} {count} {length} bytes");
            }
            assert_eq!(receiver(&group, to, &data(16, 2)[..16]), 1);
        }
    }

    #[test]
    fn a_train_goes_where_its_lane_goes() {
        let group = group("127.0.0.1:0", 4);
        let to = Endpoint { to: group[0].local_address().unwrap(), from: None };
        let client = UdpSocket::bind((V4, 0).into()).unwrap();
        for lane in 1..=7 {
            let train = [data(18, lane), data(18, lane), data(18, lane)].concat();
            client.send_train(&train, 48, 0, to).unwrap();
            let socket = &group[usize::from(lane - 1) % 4];
            assert_eq!(poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], 2000_u16), Ok(1));
            let mut bytes = [0; 200];
            let received = socket.recv_train(&mut bytes).unwrap();
            assert_eq!((&bytes[..received.bytes], received.stride), (&train[..], 48));
        }
    }

    #[test]
    fn a_port_of_a_group_is_taken_for_all_others() {
        let first = group("127.0.0.1:0", 2);
        let taken = first[0].local_address().unwrap();
        assert!(UdpSocket::bind(taken).is_err());
        assert!(UdpSocket::bind_group(taken, 2).is_err(), "a second program would steal datagrams");
        let single = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(UdpSocket::bind_group(single.local_address().unwrap(), 2).is_err());
    }

    #[test]
    fn no_two_sockets_send_with_the_same_hop_limit() {
        for listen in ["127.0.0.1:0", "[::]:0"] {
            let group = group(listen, 7);
            let highest = [group[0].socket.ttl_v4().unwrap(), group[0].socket.unicast_hops_v6().unwrap_or(0)];
            for (index, socket) in (0..).zip(&group) {
                assert_eq!(socket.socket.ttl_v4().unwrap(), highest[0] - index);
                if socket.dual {
                    assert_eq!(socket.socket.unicast_hops_v6().unwrap(), highest[1] - index);
                }
            }
        }
    }

    #[test]
    fn a_group_of_none_is_refused() {
        assert!(UdpSocket::bind_group("127.0.0.1:0".parse().unwrap(), 0).is_err());
    }
}
