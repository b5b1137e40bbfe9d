//! The UDP socket: both families, never fragmented, an answer leaves from the address that was asked, and datagrams of one
//! size pass in trains.

mod group;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{MsgFlags, SetSockOpt, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, MsgHdr, SockAddr, Socket, Type};

use super::cmsg::{Arrival, Control};
use crate::dataplane::snapshot::Endpoint;

/// Bytes of the send and receive buffers asked for: 40 ms at 1 Gbit/s, so that a burst meets a busy thread without loss.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

sockopt_impl!(
    /// How IPv4 datagrams are fragmented (ip(7)).
    Ipv4MtuDiscover,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    libc::c_int
);
sockopt_impl!(
    /// How IPv6 datagrams are fragmented (ipv6(7)).
    Ipv6MtuDiscover,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU_DISCOVER,
    libc::c_int
);

/// What the packet threads send and receive by. One thread receives and any number send, at the same time; none waits.
pub trait DatagramSocket: Send + Sync + AsFd {
    /// Sends datagrams of `stride` bytes each, the last may be shorter, from the address that the endpoint names; with
    /// `UDP_SEGMENT` in one call if there is more than one, at most 64 and 65 507 bytes then. `tos` is DS field and ECN
    /// of the outer header.
    ///
    /// # Errors
    /// `WouldBlock` if the send buffer is full; `EINVAL`, `EIO` or `EMSGSIZE` for a train that the kernel cannot cut or
    /// whose datagrams do not fit the link; else what the system answers. The train is lost then, no more.
    fn send_train(&self, train: &[u8], stride: usize, tos: u8, to: Endpoint) -> io::Result<()>;

    /// Receives one datagram, or a train of equal ones that the kernel put together (`UDP_GRO`): a buffer of less than
    /// 65 535 bytes may cut its end off.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system answers.
    fn recv_train(&self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Receives in trains from now on, or every datagram alone. A train that already waits when this is switched off
    /// comes as one datagram that nobody can open.
    ///
    /// # Errors
    /// `ENOPROTOOPT` if the kernel knows no `UDP_GRO`.
    fn set_gro(&self, on: bool) -> io::Result<()>;
}

/// What [`DatagramSocket::recv_train`] put into the buffer, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in all.
    pub bytes: usize,
    /// Bytes of each datagram, the last may be shorter; all of them if it came alone. Never 0.
    pub stride: usize,
    /// The sender; an IPv4-mapped address is given as IPv4.
    pub from: SocketAddr,
    /// Our address that it came to; an IPv4-mapped one is given as IPv4.
    pub local: Option<IpAddr>,
    /// DS field and ECN of the outer header.
    pub tos: u8,
}

/// A bound, unconnected, non-blocking socket. Shared by the packet threads and the control side.
pub struct UdpSocket {
    socket: Socket,
    /// An IPv6 socket that serves both families; else IPv4 alone.
    dual: bool,
}

impl UdpSocket {
    /// Binds an IPv6 address for both families, an IPv4 one for its own. `[::]` on a system without IPv6 binds `0.0.0.0`.
    /// It receives in trains if the kernel can.
    ///
    /// # Errors
    /// What the system refuses: the address in use or not ours, a privileged port.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        match Self::bind_exactly(listen) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && listen.ip() == Ipv6Addr::UNSPECIFIED => {
                Self::bind_exactly(SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port())))
            }
            bound => bound,
        }
    }

    /// Binds `count` sockets to one port: datagrams of lane `l` come to socket `(l - 1) mod count`, all others and lane 0
    /// to the first (PROTOCOL 2.9).
    ///
    /// What socket `i` sends has a hop limit lower by `i` than the system's, so that the receiving kernel does not put
    /// datagrams of several lanes into one train: that would go to the socket of its first one, and overtake. Older
    /// kernels may do so all the same.
    ///
    /// # Errors
    /// As for `bind`; also if the kernel cannot tell lanes apart.
    pub fn bind_group(listen: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        // Bound alone, so that a port which another program shares with itself is refused; shared from then on.
        let first = Self::bind(listen)?;
        if count == 1 {
            return Ok(vec![first]);
        }
        let address = first.local_address()?;
        first.socket.set_reuse_port(true)?;
        let member = |index| {
            let member = Self::unbound(address)?;
            member.socket.set_reuse_port(true)?;
            member.lower_hop_limit(index)?;
            member.bound(address)
        };
        let others = (1..count).map(|index| member(index as u32)).collect::<io::Result<Vec<_>>>()?;
        group::distribute_by_lane(&first.socket, count)?;
        Ok(std::iter::once(first).chain(others).collect())
    }

    /// A socket that another process has bound as [`bind_group`](Self::bind_group) does.
    ///
    /// # Errors
    /// It is bound to no address.
    pub fn adopt(descriptor: std::os::fd::OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        let bound = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Self { socket, dual: bound.is_ipv6() })
    }

    /// For another process.
    pub fn into_descriptor(self) -> std::os::fd::OwnedFd {
        self.socket.into()
    }

    fn bind_exactly(listen: SocketAddr) -> io::Result<Self> {
        Self::unbound(listen)?.bound(listen)
    }

    /// A socket with all its options, for that address.
    fn unbound(listen: SocketAddr) -> io::Result<Self> {
        let dual = listen.is_ipv6();
        let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None)?;
        if dual {
            socket.set_only_v6(false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvTClass, &true)?;
            set(&socket, Ipv6MtuDiscover, libc::IPV6_PMTUDISC_PROBE)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        // A socket of both families takes the IPv4 options too, for the IPv4 that passes it.
        setsockopt(&socket, sockopt::IpRecvTos, &true)?;
        // DF is set, and the kernel's idea of the path's MTU is not asked: anybody can forge the ICMP that it comes from.
        set(&socket, Ipv4MtuDiscover, libc::IP_PMTUDISC_PROBE)?;
        grow_buffers(&socket);
        socket.set_nonblocking(true)?;
        let socket = Self { socket, dual };
        // A kernel before 5.0 knows no UDP_GRO: every datagram comes alone.
        let _ = socket.set_gro(true);
        Ok(socket)
    }

    /// Below the system's own, which is 64 and must stay above what any path needs.
    fn lower_hop_limit(&self, by: u32) -> io::Result<()> {
        self.socket.set_ttl_v4(self.socket.ttl_v4()?.saturating_sub(by).max(1))?;
        if self.dual {
            self.socket.set_unicast_hops_v6(self.socket.unicast_hops_v6()?.saturating_sub(by).max(1))?;
        }
        Ok(())
    }

    fn bound(self, listen: SocketAddr) -> io::Result<Self> {
        self.socket.bind(&listen.into())?;
        Ok(self)
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// What the system answers.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// Sends one datagram to the endpoint, from the address that it names. An address that is gone is left out and the
    /// system chooses.
    ///
    /// # Errors
    /// `WouldBlock` if the send buffer is full; else what the system answers. The datagram is lost then, no more.
    pub fn send(&self, datagram: &[u8], to: Endpoint) -> io::Result<()> {
        self.send_train(datagram, datagram.len(), 0, to)
    }

    fn send_with(&self, bytes: &[u8], to: &SockAddr, control: &Control) -> io::Result<()> {
        let slices = [IoSlice::new(bytes)];
        let message = MsgHdr::new().with_addr(to).with_buffers(&slices).with_control(control.written());
        self.socket.sendmsg(&message, 0).map(drop)
    }
}

impl DatagramSocket for UdpSocket {
    fn send_train(&self, train: &[u8], stride: usize, tos: u8, to: Endpoint) -> io::Result<()> {
        let Endpoint { to, from } = to;
        if !self.dual && to.is_ipv6() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut control = Control::new();
        if tos != 0 {
            control.tos(to.is_ipv4(), tos);
        }
        if train.len() > stride {
            let stride = u16::try_from(stride).ok().filter(|stride| *stride > 0);
            control.stride(stride.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?);
        }
        let address = SockAddr::from(if self.dual { SocketAddr::V6(mapped_socket(to)) } else { to });
        let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) else {
            return self.send_with(train, &address, &control);
        };
        let mut from_there = control.clone();
        match from {
            IpAddr::V4(from) if !self.dual => from_there.source_v4(from),
            IpAddr::V4(from) => from_there.source_v6(from.to_ipv6_mapped()),
            IpAddr::V6(from) => from_there.source_v6(from),
        }
        match self.send_with(train, &address, &from_there) {
            Err(error) if source_is_to_blame(&error) => self.send_with(train, &address, &control),
            sent => sent,
        }
    }

    fn recv_train(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = Control::new();
        let mut slices = [IoSliceMut::new(buffer)];
        let (flags, room) = (MsgFlags::empty(), Some(control.room()));
        let message = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, room, flags)?;
        let Arrival { local, tos, stride } = Arrival::read(message.cmsgs().ok().into_iter().flatten());
        let from = message.address.as_ref().and_then(socket_address);
        let from = from.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let bytes = message.bytes;
        let stride = stride.filter(|stride| *stride < bytes).unwrap_or_else(|| bytes.max(1));
        Ok(Received { bytes, stride, from, local, tos })
    }

    fn set_gro(&self, on: bool) -> io::Result<()> {
        Ok(setsockopt(&self.socket, sockopt::UdpGroSegment, &on)?)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set<O: SetSockOpt<Val = libc::c_int>>(socket: &Socket, option: O, value: libc::c_int) -> io::Result<()> {
    Ok(setsockopt(socket, option, &value)?)
}

/// Larger buffers help and are not needed: root may pass the system's limit, others get what it allows.
fn grow_buffers(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    }
    if setsockopt(socket, sockopt::SndBufForce, &SOCKET_BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    }
}

/// What the kernel answers when the source address is no longer one of ours, or cannot reach the peer.
fn source_is_to_blame(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::EINVAL, libc::EADDRNOTAVAIL, libc::ENETUNREACH, libc::EHOSTUNREACH]
        .into_iter()
        .any(|gone| code == Some(gone))
}

/// The sender's address without flow label; the scope of a link-local one is kept, the answer needs it.
fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some(match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::from((v4, v6.port())),
        None => SocketAddr::V6(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id())),
    })
}

fn mapped_socket(address: SocketAddr) -> SocketAddrV6 {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
        SocketAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(address: &str) -> UdpSocket {
        UdpSocket::bind(address.parse().unwrap()).unwrap()
    }

    fn port(socket: &UdpSocket) -> u16 {
        socket.local_address().unwrap().port()
    }

    fn wait(socket: &UdpSocket) {
        let mut fds = [nix::poll::PollFd::new(socket.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 2000_u16), Ok(1), "nothing came within 2 s");
    }

    fn exchange(server: &str, client: &str, called: &str) {
        let (server, client) = (local(server), local(client));
        let called: IpAddr = called.parse().unwrap();
        let to = Endpoint { to: SocketAddr::from((called, port(&server))), from: None };
        client.send(b"question", to).unwrap();
        wait(&server);
        let mut bytes = [0; 100];
        let Received { bytes: length, stride, from, local: asked, .. } = server.recv_train(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from.port(), asked), (&b"question"[..], port(&client), Some(called)));
        assert_eq!(stride, length, "a datagram alone");
        assert_eq!(from.is_ipv4(), called.is_ipv4(), "no IPv4-mapped address: {from}");
        server.send(b"answer", Endpoint { to: from, from: asked }).unwrap();
        wait(&client);
        let Received { bytes: length, from, .. } = client.recv_train(&mut bytes).unwrap();
        assert_eq!(
            (&bytes[..length], from),
            (&b"answer"[..], to.to),
            "the answer comes from the address that was asked"
        );
        assert_eq!(client.recv_train(&mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        exchange("0.0.0.0:0", "127.0.0.1:0", "127.0.0.77");
        exchange("[::]:0", "127.0.0.1:0", "127.0.0.77");
        exchange("[::]:0", "[::1]:0", "::1");
        exchange("[::]:0", "[::]:0", "127.0.0.77");
    }

    #[test]
    fn a_source_that_is_not_ours_is_left_out() {
        for (server, client, called, gone) in [
            ("0.0.0.0:0", "0.0.0.0:0", "127.0.0.1", "192.0.2.99"),
            ("[::]:0", "[::]:0", "127.0.0.1", "192.0.2.99"),
            ("[::]:0", "[::]:0", "::1", "2001:db8::99"),
            ("[::]:0", "[::]:0", "::1", "192.0.2.99"),
        ] {
            let (server, client) = (local(server), local(client));
            let to = SocketAddr::new(called.parse().unwrap(), port(&server));
            client.send(b"x", Endpoint { to, from: Some(gone.parse().unwrap()) }).unwrap();
            wait(&server);
            assert_eq!(server.recv_train(&mut [0; 10]).unwrap().bytes, 1);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_and_no_more() {
        let v4 = local("127.0.0.1:0");
        let to = |text: &str| Endpoint { to: text.parse().unwrap(), from: None };
        assert!(v4.send(b"x", to("[::1]:9")).is_err());
        assert!(v4.send(&[0; 65_508], to("127.0.0.1:9")).is_err());
        assert!(v4.send(b"x", Endpoint { from: Some("::1".parse().unwrap()), ..to("[::1]:9") }).is_err());
    }

    /// All that comes within 2 s, until it is as many bytes as expected.
    fn receive(socket: &UdpSocket, expected: usize) -> (Vec<u8>, Vec<Received>) {
        let (mut all, mut received) = (Vec::new(), Vec::new());
        while all.len() < expected {
            wait(socket);
            let mut buffer = vec![0; 65_535];
            let one = socket.recv_train(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..one.bytes]);
            received.push(one);
        }
        (all, received)
    }

    const PATHS: [(&str, &str); 3] = [("127.0.0.1:0", "0.0.0.0:0"), ("127.0.0.1:0", "[::]:0"), ("[::1]:0", "[::]:0")];

    #[test]
    fn a_train_arrives_as_it_was_sent_with_the_field_of_its_outer_header() {
        for (server, client) in PATHS {
            let (server, client) = (local(server), local(client));
            let to = Endpoint { to: server.local_address().unwrap(), from: Some(server.local_address().unwrap().ip()) };
            let train: Vec<u8> = (0..64 * 1000 - 300_u32).map(|n| (n / 7 % 256) as u8).collect();
            client.send_train(&train, 1000, 0xb9, to).unwrap();
            let (all, received) = receive(&server, train.len());
            assert!(all == train, "the bytes were changed");
            assert!(
                received.iter().all(|one| one.stride == 1000 && one.tos == 0xb9 && one.from.port() == port(&client))
            );
            client.send_train(&[5; 1000], 1000, 2, to).unwrap();
            let (_, received) = receive(&server, 1000);
            assert_eq!((received.len(), received[0].stride, received[0].tos), (1, 1000, 2));
        }
    }

    #[test]
    fn with_gro_off_every_datagram_of_a_train_comes_alone() {
        for (server, client) in PATHS {
            let (server, client) = (local(server), local(client));
            let to = Endpoint { to: server.local_address().unwrap(), from: None };
            server.set_gro(false).unwrap();
            client.send_train(&[7; 2500], 1000, 0, to).unwrap();
            let lengths = |received: Vec<Received>| -> Vec<(usize, usize)> {
                received.iter().map(|one| (one.bytes, one.stride)).collect()
            };
            assert_eq!(lengths(receive(&server, 2500).1), [(1000, 1000), (1000, 1000), (500, 500)]);
            server.set_gro(true).unwrap();
            client.send_train(&[7; 2500], 1000, 0, to).unwrap();
            assert_eq!(lengths(receive(&server, 2500).1), [(2500, 1000)]);
        }
    }

    #[test]
    fn an_empty_datagram_has_a_stride_too() {
        let (server, client) = (local("127.0.0.1:0"), local("127.0.0.1:0"));
        let to = Endpoint { to: server.local_address().unwrap(), from: None };
        client.send(&[], to).unwrap();
        wait(&server);
        let received = server.recv_train(&mut [0; 10]).unwrap();
        assert_eq!((received.bytes, received.stride, received.tos), (0, 1, 0));
    }

    #[test]
    fn a_train_without_a_stride_or_with_too_many_datagrams_is_refused() {
        let (server, client) = (local("127.0.0.1:0"), local("127.0.0.1:0"));
        let to = Endpoint { to: server.local_address().unwrap(), from: None };
        assert_eq!(client.send_train(&[1], 0, 0, to).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(client.send_train(&[0; 65_537], 65_536, 0, to).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(client.send_train(&[1; 1000], 1, 0, to).is_err());
        assert!(client.send_train(&[1; 65_508], 1000, 0, to).is_err());
        assert_eq!(server.recv_train(&mut [0; 10]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_taken_port_is_refused() {
        let first = local("127.0.0.1:0");
        assert!(UdpSocket::bind(first.local_address().unwrap()).is_err());
    }
}
