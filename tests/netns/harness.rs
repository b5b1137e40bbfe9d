//! The harness itself: a clear packet would be counted, a forged one arrives, a dropped one is lost.

use crate::capture::{Capture, Datagram};
use crate::forge::spoof;
use crate::relay::{Relay, pass};
use crate::topology::{Net, outer4, outer6, runnable, wan4};
use crate::traffic::{CANARY, Echo, pings};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const FAST: Duration = Duration::from_millis(2);

#[test]
fn what_is_in_clear_is_seen() {
    if !runnable("what_is_in_clear_is_seen") {
        return;
    }
    let net = Net::new(&["a", "b"]);
    let capture = Capture::start(&net, "wan");
    let _echo = Echo::start(&net, "b");
    assert_eq!(pings(&net, "a", outer4(2), 100, FAST).lost(), 0);
    assert_eq!(pings(&net, "a", outer6(2), 100, FAST).lost(), 0);
    let wire = capture.stop();
    // Each ping and each answer crosses two interfaces of the wan.
    assert_eq!((wire.holding(CANARY), wire.naming(&[outer4(2)])), (800, 400));
    // Neighbour discovery names the address too.
    assert!(wire.naming(&[outer6(2)]) >= 400);
    assert_eq!((wire.strangers(7007), wire.strangers(51900)), (0, 800));
}

#[test]
fn what_is_lost_is_counted() {
    if !runnable("what_is_lost_is_counted") {
        return;
    }
    let net = Net::new(&["a", "b"]);
    assert_eq!(pings(&net, "a", outer4(2), 10, FAST).lost(), 10);
}

#[test]
fn a_spoofed_datagram_and_a_relayed_one_arrive() {
    if !runnable("a_spoofed_datagram_and_a_relayed_one_arrive") {
        return;
    }
    let net = Net::new(&["a", "b"]);
    let (at_a, at_b) = (net.inside("a", || socket(1)), net.inside("b", || socket(2)));
    let from = SocketAddr::new(outer4(1), 51900);
    spoof(&net, &[Datagram { from, to: SocketAddr::new(outer4(2), 51900), bytes: b"spoofed".to_vec() }]);
    let mut buffer = [0; 100];
    assert_eq!(at_b.recv_from(&mut buffer).unwrap(), (7, from));
    let mut seen = 0;
    let relay = Relay::start(&net, move |_, _| {
        seen += 1;
        if seen == 1 { Vec::new() } else { pass() }
    });
    for text in ["dropped", "relayed"] {
        at_a.send_to(text.as_bytes(), (wan4(1), 51900)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(at_b.recv_from(&mut buffer).unwrap(), (7, SocketAddr::new(wan4(2), 51900)));
    assert_eq!(&buffer[..7], b"relayed");
    assert_eq!(relay.seen().len(), 2);
}

fn socket(site: u8) -> UdpSocket {
    let socket = UdpSocket::bind((outer4(site), 51900)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}
