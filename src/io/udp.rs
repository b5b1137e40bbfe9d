//! The UDP socket: both families, never fragmented, and an answer leaves from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SetSockOpt, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Socket, Type};

use crate::dataplane::snapshot::Endpoint;

/// Bytes of the send and receive buffers asked for: 40 ms at 1 Gbit/s, so that a burst meets a busy thread without loss.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes for the control messages of one datagram: one address of either family (RFC 3542), with room to spare.
const CONTROL_BYTES: usize = 128;

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

/// A bound, unconnected, non-blocking socket. Shared by the packet threads and the control side.
pub struct UdpSocket {
    socket: Socket,
    /// An IPv6 socket that serves both families; else IPv4 alone.
    dual: bool,
}

/// Room for control messages, aligned as the kernel writes them (cmsg(3)).
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

impl UdpSocket {
    /// Binds an IPv6 address for both families, an IPv4 one for its own. `[::]` on a system without IPv6 binds `0.0.0.0`.
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

    fn bind_exactly(listen: SocketAddr) -> io::Result<Self> {
        let dual = listen.is_ipv6();
        let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None)?;
        if dual {
            socket.set_only_v6(false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            set(&socket, Ipv6MtuDiscover, libc::IPV6_PMTUDISC_PROBE)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        // DF is set, and the kernel's idea of the path's MTU is not asked: anybody can forge the ICMP that it comes from.
        set(&socket, Ipv4MtuDiscover, libc::IP_PMTUDISC_PROBE)?;
        grow_buffers(&socket);
        socket.set_nonblocking(true)?;
        socket.bind(&listen.into())?;
        Ok(Self { socket, dual })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// What the system answers.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// One datagram: its length, where it came from, and our address that it came to. IPv4-mapped addresses come as IPv4.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; else what the system answers.
    pub fn recv(&self, datagram: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
        let mut control = Control([0; CONTROL_BYTES]);
        let mut slices = [IoSliceMut::new(datagram)];
        let flags = MsgFlags::empty();
        let message = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, Some(&mut control.0), flags)?;
        let local = message.cmsgs().ok().into_iter().flatten().find_map(local_address);
        let from = message.address.as_ref().and_then(socket_address);
        let from = from.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok((message.bytes, from, local))
    }

    /// Sends one datagram to the endpoint, from the address that it names. An address that is gone is left out and the
    /// system chooses.
    ///
    /// # Errors
    /// `WouldBlock` if the send buffer is full; else what the system answers. The datagram is lost then, no more.
    pub fn send(&self, datagram: &[u8], to: Endpoint) -> io::Result<()> {
        let Some(from) = to.from.filter(|from| from.is_ipv4() == to.to.is_ipv4()) else {
            return Ok(self.send_with(datagram, to.to, &[])?);
        };
        let sent = if self.dual {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: mapped(from).octets() }, ipi6_ifindex: 0 };
            self.send_with(datagram, to.to, &[ControlMessage::Ipv6PacketInfo(&info)])
        } else {
            let IpAddr::V4(from) = from else { return Err(io::ErrorKind::Unsupported.into()) };
            let source = libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
            self.send_with(datagram, to.to, &[ControlMessage::Ipv4PacketInfo(&info)])
        };
        match sent {
            Err(error) if source_is_to_blame(error) => Ok(self.send_with(datagram, to.to, &[])?),
            sent => Ok(sent?),
        }
    }

    fn send_with(&self, datagram: &[u8], to: SocketAddr, control: &[ControlMessage<'_>]) -> nix::Result<()> {
        let to = if self.dual { SocketAddr::V6(mapped_socket(to)) } else { to };
        let to = SockaddrStorage::from(to);
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(datagram)], control, MsgFlags::empty(), Some(&to)).map(drop)
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
fn source_is_to_blame(error: Errno) -> bool {
    [Errno::EINVAL, Errno::EADDRNOTAVAIL, Errno::ENETUNREACH, Errno::EHOSTUNREACH].contains(&error)
}

/// Our address that a datagram came to. For a broadcast it is the one that would answer.
fn local_address(message: ControlMessageOwned) -> Option<IpAddr> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "foreign enum: every other message says nothing about addresses"
    )]
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical())
        }
        _ => None,
    }
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

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
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
        let (length, from, asked) = server.recv(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from.port(), asked), (&b"question"[..], port(&client), Some(called)));
        assert_eq!(from.is_ipv4(), called.is_ipv4(), "no IPv4-mapped address: {from}");
        server.send(b"answer", Endpoint { to: from, from: asked }).unwrap();
        wait(&client);
        let (length, from, _) = client.recv(&mut bytes).unwrap();
        assert_eq!(
            (&bytes[..length], from),
            (&b"answer"[..], to.to),
            "the answer comes from the address that was asked"
        );
        assert_eq!(client.recv(&mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
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
            assert_eq!(server.recv(&mut [0; 10]).unwrap().0, 1);
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

    #[test]
    fn a_taken_port_is_refused() {
        let first = local("127.0.0.1:0");
        assert!(UdpSocket::bind(first.local_address().unwrap()).is_err());
    }
}
