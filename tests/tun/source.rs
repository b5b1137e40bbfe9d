//! The UDP socket on a host with several addresses: which one an answer leaves from, and what happens when it goes.

use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};

use plait::dataplane::snapshot::Endpoint;
use plait::io::udp::{DatagramSocket, UdpSocket};

use crate::namespace::{in_namespace, ip, settled};
use crate::packet::PATIENCE;

/// Two hosts on one wire would need two namespaces; one host with many addresses sees the same choice of source.
fn addresses() {
    for address in ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.9/32"] {
        ip(&format!("address add {address} dev lo"));
    }
    for address in ["2001:db8::1/128", "2001:db8::2/128", "2001:db8::9/128"] {
        ip(&format!("-6 address add {address} dev lo nodad"));
    }
    settled();
}

fn receive(socket: &UdpSocket) -> (SocketAddr, Option<IpAddr>) {
    let mut fds = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(socket), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, 5000_u16).unwrap();
    let received = socket.recv_train(&mut [0; 100]).unwrap();
    (received.from, received.local)
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_address().unwrap().port()
}

fn client(address: &str) -> StdSocket {
    let client = StdSocket::bind((address, 0)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[test]
fn the_address_that_was_asked_answers() {
    in_namespace(|| {
        addresses();
        for (listen, from, asked) in [
            ("0.0.0.0:0", "192.0.2.9", "192.0.2.2"),
            ("[::]:0", "192.0.2.9", "192.0.2.2"),
            ("[::]:0", "2001:db8::9", "2001:db8::2"),
        ] {
            let (server, client) = (UdpSocket::bind(listen.parse().unwrap()).unwrap(), client(from));
            client.send_to(b"question", (asked, port(&server))).unwrap();
            let (to, local) = receive(&server);
            assert_eq!((to, local), (client.local_addr().unwrap(), Some(asked.parse().unwrap())), "{listen}");
            server.send(b"answer", Endpoint { to, from: local }).unwrap();
            let (_, source) = client.recv_from(&mut [0; 100]).unwrap();
            assert_eq!(source.ip(), asked.parse::<IpAddr>().unwrap(), "{listen}");
            server.send(b"answer", Endpoint { to, from: None }).unwrap();
            let (_, source) = client.recv_from(&mut [0; 100]).unwrap();
            assert_ne!(source.ip(), asked.parse::<IpAddr>().unwrap(), "the system alone would choose another");
        }
    });
}

#[test]
fn an_address_that_went_is_no_longer_used() {
    in_namespace(|| {
        addresses();
        let server = UdpSocket::bind("[::]:0".parse().unwrap()).unwrap();
        for (from, asked, length) in [("192.0.2.9", "192.0.2.2", 32), ("2001:db8::9", "2001:db8::2", 128)] {
            let client = client(from);
            ip(&format!("address delete {asked}/{length} dev lo"));
            let endpoint = Endpoint { to: client.local_addr().unwrap(), from: Some(asked.parse().unwrap()) };
            server.send(b"answer", endpoint).unwrap();
            let (_, source) = client.recv_from(&mut [0; 100]).unwrap();
            assert_ne!(source.ip(), endpoint.from.unwrap());
        }
    });
}

#[test]
fn a_datagram_that_does_not_fit_the_link_is_refused_not_fragmented() {
    in_namespace(|| {
        addresses();
        ip("link set dev lo mtu 1500");
        for (listen, to, overhead) in
            [("0.0.0.0:0", "192.0.2.1:9", 28), ("[::]:0", "192.0.2.1:9", 28), ("[::]:0", "[2001:db8::1]:9", 48)]
        {
            let socket = UdpSocket::bind(listen.parse().unwrap()).unwrap();
            let to = Endpoint { to: to.parse().unwrap(), from: None };
            socket.send(&vec![0; 1500 - overhead], to).unwrap();
            let refused = socket.send(&vec![0; 1501 - overhead], to).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE), "{listen}");
        }
    });
}

#[test]
fn without_ipv6_the_wildcard_serves_ipv4() {
    in_namespace(|| {
        addresses();
        std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        let server = UdpSocket::bind("[::]:0".parse().unwrap()).unwrap();
        let client = client("192.0.2.9");
        client.send_to(b"question", ("192.0.2.1", port(&server))).unwrap();
        assert_eq!(receive(&server).1, Some("192.0.2.1".parse().unwrap()));
    });
}
