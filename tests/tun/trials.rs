//! The trials of the offloads at the start, on this kernel, and what they leave behind: nothing.

use std::net::UdpSocket;

use plait::config::{Backend, RouteTable};
use plait::io::self_test;
use plait::io::system::plan::InterfacePlan;
use plait::io::tun::{self, Tun};
use plait::types::offload::{Offload, OffloadSet};

use crate::doubles::{FaultyQueue, joined};
use crate::namespace::{in_namespace, ip, plan, take};

fn interface() -> Tun {
    let tun = tun::open("plait0", Backend::TunRs, OffloadSet::ALL, 1).unwrap();
    let plan = plan(&["10.99.0.1/24", "fd99::1/64"], 1420, &[], RouteTable::Auto);
    take(&tun, &plan.steps_from(&InterfacePlan::default())).unwrap();
    tun
}

/// What the interface and the loopback are to be used for, as far as this kernel grants it.
fn all(tun: &Tun) -> OffloadSet {
    [Offload::Gso, Offload::Gro, Offload::Bundle].into_iter().fold(tun.offloads, OffloadSet::with)
}

#[test]
fn all_that_is_granted_passes_and_nobody_sees_the_trial() {
    in_namespace(|| {
        let tun = interface();
        let discard = UdpSocket::bind("0.0.0.0:9").unwrap();
        let discard6 = UdpSocket::bind("[::1]:9").unwrap();
        assert_eq!(self_test::run(OffloadSet::ALL, &tun), all(&tun));
        for socket in [discard, discard6] {
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.recv(&mut [0; 10]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
    });
}

#[test]
fn an_interface_or_a_loopback_that_is_down_costs_no_offload() {
    in_namespace(|| {
        let tun = interface();
        ip("link set dev lo down");
        assert_eq!(self_test::run(OffloadSet::ALL, &tun), all(&tun));
        ip("link set dev plait0 down");
        assert_eq!(self_test::run(OffloadSet::ALL, &tun), all(&tun));
    });
}

#[test]
fn super_packets_that_the_kernel_refuses_are_found_out() {
    in_namespace(|| {
        let mut tun = interface();
        let expected = all(&tun).without(Offload::Tso).without(Offload::Uso);
        let faulty = FaultyQueue::new(tun.queues.remove(0), joined(libc::EINVAL));
        tun.queues.push(std::sync::Arc::new(faulty));
        assert_eq!(self_test::run(OffloadSet::ALL, &tun), expected);
    });
}
