//! Hears what anybody does to an interface: set down or up, addresses and routes taken away (rtnetlink(7), multicast groups).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::RouteAttribute;

/// Links, addresses and routes of both families.
const GROUPS: libc::c_int = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;
/// Bytes of a message: the longest the kernel makes of its own accord (`NLMSG_GOODSIZE`, a page; 32 KiB for dumps).
const MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// Messages taken at once: a machine on which routes come and go all the time must not hold its listener up.
const MESSAGES_MAX: usize = 256;

/// Hears of one interface.
pub struct Watch {
    socket: OwnedFd,
    index: u32,
}

impl Watch {
    /// Of the interface with this number, in the namespace of the calling thread, from now on. Takes no right.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(index: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS.cast_unsigned()))?;
        Ok(Self { socket, index })
    }

    /// Takes what has come; whether any of it can mean that the interface lacks something. Never waits.
    pub fn has_news(&self) -> bool {
        let (mut buffer, mut news) = (vec![0; MESSAGE_BYTES_MAX], false);
        for _ in 0..MESSAGES_MAX {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(bytes) => news |= concerns(buffer.get(..bytes).unwrap_or_default(), self.index),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                // More came than there was room for: nobody knows what.
                Err(_) => news = true,
            }
        }
        news
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether these messages tell of a change of that interface, of an address or a route that it lost, or cannot be read.
fn concerns(mut bytes: &[u8], index: u32) -> bool {
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) else { return true };
        if let NetlinkPayload::InnerMessage(told) = &message.payload
            && is_loss(told, index)
        {
            return true;
        }
        // Each message begins at a multiple of 4 bytes (netlink(7), NLMSG_ALIGN).
        let length = (message.header.length as usize).next_multiple_of(4).max(4);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    false
}

/// Whether the interface has changed or gone, or lost an address or a route.
fn is_loss(told: &RouteNetlinkMessage, index: u32) -> bool {
    if let RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) = told {
        return link.header.index == index;
    }
    if let RouteNetlinkMessage::DelAddress(address) = told {
        return address.header.index == index;
    }
    if let RouteNetlinkMessage::DelRoute(route) = told {
        return route.attributes.contains(&RouteAttribute::Oif(index));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::address::AddressMessage;
    use rtnetlink::packet_route::link::LinkMessage;
    use rtnetlink::packet_route::route::RouteMessage;

    fn bytes(message: RouteNetlinkMessage) -> Vec<u8> {
        let mut message = NetlinkMessage::from(message);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn link(index: u32) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link
    }

    fn changed(index: u32) -> Vec<u8> {
        bytes(RouteNetlinkMessage::NewLink(link(index)))
    }

    fn address(index: u32) -> AddressMessage {
        let mut address = AddressMessage::default();
        address.header.index = index;
        address
    }

    fn route(index: u32) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.attributes.push(RouteAttribute::Oif(index));
        route
    }

    #[test]
    fn what_an_interface_lost_concerns_it_and_nobody_else() {
        let lost = [
            changed(7),
            bytes(RouteNetlinkMessage::DelLink(link(7))),
            bytes(RouteNetlinkMessage::DelAddress(address(7))),
            bytes(RouteNetlinkMessage::DelRoute(route(7))),
        ];
        for message in &lost {
            assert!(concerns(message, 7) && !concerns(message, 8));
            assert!(concerns(&[changed(9), message.clone()].concat(), 7), "also behind another");
        }
    }

    #[test]
    fn what_came_to_an_interface_is_no_loss() {
        let came = [RouteNetlinkMessage::NewAddress(address(7)), RouteNetlinkMessage::NewRoute(route(7))].map(bytes);
        assert!(!concerns(&came.concat(), 7));
    }

    #[test]
    fn what_cannot_be_read_may_be_anything() {
        let whole = changed(8);
        for length in 1..whole.len() {
            assert!(concerns(&whole[..length], 7), "{length}");
        }
        assert!(!concerns(&[], 7));
    }

    #[test]
    fn the_kernel_lets_everybody_listen() {
        let watch = Watch::of(1).unwrap();
        // Of other tests' interfaces there may be news; of the loopback there is none.
        assert!(!watch.has_news());
    }
}
