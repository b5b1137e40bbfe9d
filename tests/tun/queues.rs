//! Several queues of one interface: each carries, and a flow stays in the queue that its answers go by.

use std::io::IoSlice;
use std::net::{Ipv4Addr, UdpSocket};

use plait::config::{Backend, RouteTable};
use plait::io::system::plan::InterfacePlan;
use plait::io::tun::{self, Tun};
use plait::types::offload::{Offload, OffloadSet};

use crate::namespace::{in_namespace, plan, take};
use crate::packet::{PATIENCE, next_frame, read_udp, udp};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

fn interface(wanted: OffloadSet, queues: usize) -> Tun {
    let tun = tun::open("plait0", Backend::TunRs, wanted, queues).unwrap();
    let plan = plan(&["10.99.0.1/24"], 1420, &[], RouteTable::Auto);
    take(&tun, &plan.steps_from(&InterfacePlan::default())).unwrap();
    tun
}

#[test]
fn every_queue_carries_and_a_flow_comes_back_by_its_own() {
    for (wanted, count) in [(OffloadSet::ALL, 2), (OffloadSet::ALL, 4), (OffloadSet::NONE, 3)] {
        in_namespace(|| {
            let tun = interface(wanted, count);
            assert_eq!(tun.queues.len(), count);
            let header = &[0; 10][..if wanted.has(Offload::Tso) { 10 } else { 0 }];
            assert!(tun.queues.iter().all(|queue| queue.has_vnet_header() != header.is_empty()));
            let socket = UdpSocket::bind((OURS, 7)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            for (port, at) in (1000..).zip((0..count).cycle().take(8 * count)) {
                let packet = udp((THEIRS, port), (OURS, 7), &port.to_be_bytes());
                tun.queues[at].write(&[IoSlice::new(header), IoSlice::new(&packet)]).unwrap();
                let mut content = [0; 100];
                let (length, from) = socket.recv_from(&mut content).unwrap();
                assert_eq!((&content[..length], from), (&port.to_be_bytes()[..], (THEIRS, port).into()));
                socket.send_to(b"answer", from).unwrap();
                let (_, answer) = next_frame(&*tun.queues[at], |frame| read_udp(frame.get(header.len()..)?));
                assert_eq!(answer, b"answer", "queue {at} of {count}");
            }
        });
    }
}

#[test]
fn a_queue_more_than_the_interface_was_opened_with_is_refused() {
    in_namespace(|| {
        let _single = interface(OffloadSet::ALL, 1);
        assert!(matches!(tun::open("plait0", Backend::TunRs, OffloadSet::ALL, 2), Err(tun::OpenError::InUse(_))));
    });
}
