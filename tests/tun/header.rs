//! Queues with a header in front of every frame: what the kernel grants, and what passes them.

use std::io::{IoSlice, Write};
use std::net::{TcpStream, UdpSocket};

use plait::config::{Backend, RouteTable};
use plait::io::system::plan::InterfacePlan;
use plait::io::tun::{self, Tun};
use plait::types::offload::{Offload, OffloadSet};

use crate::namespace::{backends, in_namespace, ip, plan, take};
use crate::packet::{PATIENCE, next_frame, read_udp, syn_ack, udp};

/// Bytes of the header (Virtio 1.2, 5.1.6).
const HEADER: usize = 10;

fn interface(wanted: OffloadSet) -> Tun {
    let tun = tun::open("plait0", Backend::TunRs, wanted, 1).unwrap();
    let plan = plan(&["10.99.0.1/24"], 1420, &[], RouteTable::Auto);
    take(&tun, &plan.steps_from(&InterfacePlan::default())).unwrap();
    tun
}

#[test]
fn a_header_stands_before_each_packet_if_it_was_wanted_and_only_then() {
    for (wanted, has_header) in [
        (OffloadSet::ALL, true),
        (OffloadSet::ALL.without(Offload::Uso), true),
        (OffloadSet::ALL.without(Offload::Tso), false),
        (OffloadSet::NONE, false),
    ] {
        in_namespace(|| {
            let tun = interface(wanted);
            let queue = &*tun.queues[0];
            assert_eq!((queue.has_vnet_header(), tun.offloads.has(Offload::Tso)), (has_header, has_header));
            assert!(!tun.offloads.has(Offload::Uso) || (has_header && wanted.has(Offload::Uso)));
            assert!(![Offload::Gso, Offload::Gro, Offload::Bundle].into_iter().any(|other| tun.offloads.has(other)));
            let header = &[0; HEADER][..if has_header { HEADER } else { 0 }];
            let socket = UdpSocket::bind("10.99.0.1:7").unwrap();
            socket.send_to(b"out", "10.99.0.2:9").unwrap();
            let (to, content) = next_frame(queue, |frame| read_udp(&frame[header.len()..]));
            assert_eq!((to.octets(), &content[..]), ([10, 99, 0, 2], &b"out"[..]));
            let packet = udp(([10, 99, 0, 2].into(), 9), ([10, 99, 0, 1].into(), 7), b"in");
            queue.write(&[IoSlice::new(header), IoSlice::new(&packet[..20]), IoSlice::new(&packet[20..])]).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut received = [0; 100];
            assert_eq!(socket.recv(&mut received).unwrap(), 2);
            assert_eq!(&received[..2], b"in");
        });
    }
}

#[test]
fn a_header_that_makes_no_sense_is_refused_and_the_next_frame_passes() {
    in_namespace(|| {
        let tun = interface(OffloadSet::ALL);
        let packet = udp(([10, 99, 0, 2].into(), 9), ([10, 99, 0, 1].into(), 7), b"in");
        // An unknown kind of super-packet.
        let header = [0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0];
        let refused = tun.queues[0].write(&[IoSlice::new(&header), IoSlice::new(&packet)]).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        assert!(!tun::is_gone(&refused));
        tun.queues[0].write(&[IoSlice::new(&[0; HEADER]), IoSlice::new(&packet)]).unwrap();
    });
}

#[test]
fn an_interface_that_another_program_left_is_given_back_as_it_is_asked_for() {
    in_namespace(|| {
        for (left, wanted) in [("vnet_hdr", OffloadSet::NONE), ("", OffloadSet::ALL)] {
            ip(&format!("tuntap add dev plait0 mode tun {left}"));
            let tun = interface(wanted);
            assert_eq!(tun.queues[0].has_vnet_header(), wanted.has(Offload::Tso));
            drop(tun);
            ip("link delete dev plait0");
        }
        ip("tuntap add dev plait0 mode tun multi_queue");
        for backend in backends() {
            let refused = tun::open("plait0", backend, OffloadSet::ALL, 1);
            assert!(matches!(refused, Err(tun::OpenError::InUse(_))), "one queue of an interface of several");
        }
    });
}

/// Bytes of the IP packet in the frame, if it is TCP with these flags.
fn tcp(frame: &[u8], header: usize, flags: u8) -> Option<&[u8]> {
    let packet = &frame[header..];
    let is_tcp = packet.len() >= 40 && packet[0] == 0x45 && packet[9] == 6;
    (is_tcp && packet[33] & 0x12 == flags).then_some(packet)
}

#[test]
fn tcp_comes_in_super_packets_with_the_offload_and_never_without() {
    for wanted in [OffloadSet::ALL, OffloadSet::NONE] {
        in_namespace(|| {
            let tun = interface(wanted);
            let queue = &*tun.queues[0];
            let header = if queue.has_vnet_header() { HEADER } else { 0 };
            let longest = std::thread::scope(|scope| {
                let connected = scope.spawn(|| TcpStream::connect_timeout(&([10, 99, 0, 2], 7).into(), PATIENCE));
                let answer = next_frame(queue, |frame| tcp(frame, header, 0x02).map(syn_ack));
                queue.write(&[IoSlice::new(&[0; HEADER][..header]), IoSlice::new(&answer)]).unwrap();
                let mut stream = connected.join().unwrap().unwrap();
                stream.write_all(&[7; 5000]).unwrap();
                let (mut longest, mut content) = (0, 0);
                while content < 5000 {
                    let length = next_frame(queue, |frame| tcp(frame, header, 0x10).map(<[u8]>::len));
                    content += length - 40;
                    longest = longest.max(length);
                }
                longest
            });
            assert_eq!(longest > 1420, wanted.has(Offload::Tso), "{longest}");
        });
    }
}
