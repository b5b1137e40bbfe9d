//! The interface: both backends, and what netlink sets is what the system shows.

use std::io::IoSlice;
use std::net::{Ipv4Addr, UdpSocket};

use plait::config::{Backend, RouteTable};
use plait::io::system::netlink::StepError;
use plait::io::system::plan::{InterfacePlan, describe};
use plait::io::tun::{self, OpenError, is_gone};
use plait::types::offload::OffloadSet;

use crate::namespace::{backends, in_namespace, interface, ip, plan, settled, take};
use crate::packet::{PATIENCE, next_udp, udp};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

#[test]
fn packets_are_read_and_written_with_each_backend() {
    for backend in backends() {
        in_namespace(|| {
            let tun = interface("plait0", backend, &plan(&["10.99.0.1/24"], 1420, &[], RouteTable::Auto));
            let socket = UdpSocket::bind((OURS, 7)).unwrap();
            for length in [0, 1, 1392] {
                let content = vec![length as u8; length];
                socket.send_to(&content, (THEIRS, 9)).unwrap();
                assert_eq!(next_udp(&*tun.queues[0]), (THEIRS, content.clone()), "{backend:?}");
                tun.queues[0].write(&[IoSlice::new(&udp((THEIRS, 9), (OURS, 7), &content))]).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut received = [0; 2000];
                let (count, from) = socket.recv_from(&mut received).unwrap();
                assert_eq!((&received[..count], from), (&content[..], (THEIRS, 9).into()), "{backend:?}");
            }
        });
    }
}

#[test]
fn addresses_mtu_and_routes_are_seen_by_the_system_and_vanish_with_the_interface() {
    for backend in backends() {
        in_namespace(|| {
            let allowed = ["10.20.0.0/16", "10.99.0.0/24", "fd20::/48"];
            let plan = plan(&["10.99.0.1/24", "fd99::1/64"], 1400, &allowed, RouteTable::Auto);
            let tun = interface("plait0", backend, &plan);
            let link = ip("-o link show dev plait0");
            assert!(link.contains("mtu 1400") && link.contains(",UP") && link.contains("qlen 4000"), "{link}");
            let addresses = ip("-o address show dev plait0");
            assert!(addresses.contains("inet 10.99.0.1/24") && addresses.contains("inet6 fd99::1/64"), "{addresses}");
            let v4 = ip("route show dev plait0");
            assert!(v4.contains("10.20.0.0/16 proto static scope link"), "{v4}");
            assert_eq!(v4.matches("10.99.0.0/24").count(), 1, "the address gives that one: {v4}");
            let v6 = ip("-6 route show dev plait0");
            assert!(v6.contains("fd20::/48 proto static"), "{v6}");
            drop(tun);
            assert!(!ip("link show").contains("plait0"));
            assert!(!ip("route show").contains("10.20.0.0/16") && !ip("-6 route show").contains("fd20::"));
        });
    }
}

#[test]
fn the_table_decides_where_routes_go() {
    in_namespace(|| {
        let allowed = ["10.20.0.0/16", "0.0.0.0/0", "::/0"];
        let numbered = plan(&["10.99.0.1/24", "fd99::1/64"], 1420, &allowed, RouteTable::Number(51_900));
        let tun = interface("plait0", Backend::TunRs, &numbered);
        let table = ip("route show table 51900");
        assert!(table.contains("default dev plait0") && table.contains("10.20.0.0/16 dev plait0"), "{table}");
        assert!(ip("-6 route show table 51900").contains("default dev plait0"));
        assert!(!ip("route show").contains("default") && !ip("route show").contains("10.20"));
        let off = plan(&["10.99.0.1/24", "fd99::1/64"], 1420, &allowed, RouteTable::Off);
        take(&tun, &off.steps_from(&numbered)).unwrap();
        assert!(!ip("route show table all").contains("10.20.0.0/16"));
        assert!(!ip("route show table all").contains("default"));
    });
}

/// Addresses and routes of the interface, without what depends on a program having it open or on chance.
fn state() -> Vec<String> {
    let link = ip("-o link show dev plait0");
    let numbers = link.split_whitespace().skip_while(|word| *word != "mtu").take(2).collect::<Vec<_>>().join(" ");
    let queue = link.split_whitespace().skip_while(|word| *word != "qlen").take(2).collect::<Vec<_>>().join(" ");
    let lists = [ip("-o address show dev plait0"), ip("route show table all"), ip("-6 route show table all")];
    let lines = lists
        .iter()
        .flat_map(|list| list.lines())
        .filter(|line| line.contains("plait0") && !line.contains("fe80") && !line.contains("multicast"));
    let mut lines: Vec<String> =
        lines.map(|line| line.replace("linkdown", "").split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines.dedup();
    [vec![numbers, queue], lines].concat()
}

#[test]
fn the_commands_of_a_dry_run_make_the_same_interface() {
    let allowed = ["10.20.0.0/16", "0.0.0.0/0", "fd20::/48", "10.99.0.0/24"];
    for table in [RouteTable::Number(51_900), RouteTable::Auto, RouteTable::Off] {
        let allowed = if table == RouteTable::Auto { &["10.20.0.0/16", "fd20::/48"][..] } else { &allowed };
        let plan = plan(&["10.99.0.1/24", "fd99::1/64"], 1400, allowed, table);
        let (mut by_netlink, mut by_commands) = (Vec::new(), Vec::new());
        in_namespace(|| {
            let _tun = interface("plait0", Backend::TunRs, &plan);
            by_netlink = state();
        });
        in_namespace(|| {
            for command in describe("plait0", &plan) {
                ip(command.strip_prefix("ip ").unwrap());
            }
            settled();
            by_commands = state();
        });
        assert_eq!(by_netlink, by_commands, "{table:?}");
    }
}

#[test]
fn a_change_is_seen_and_what_stays_is_not_touched() {
    in_namespace(|| {
        let old = plan(&["10.99.0.1/24"], 1420, &["10.20.0.0/16", "10.30.0.0/16"], RouteTable::Auto);
        let new = plan(&["10.98.0.1/24"], 1300, &["10.20.0.0/16", "fd40::/16"], RouteTable::Auto);
        let tun = interface("plait0", Backend::TunRs, &old);
        take(&tun, &new.steps_from(&old)).unwrap();
        let (routes, addresses) = (ip("route show"), ip("-o address show dev plait0"));
        assert!(routes.contains("10.20.0.0/16") && !routes.contains("10.30.0.0/16"), "{routes}");
        assert!(addresses.contains("10.98.0.1/24") && !addresses.contains("10.99.0.1"), "{addresses}");
        assert!(ip("-6 route show").contains("fd40::/16") && ip("link show dev plait0").contains("mtu 1300"));
        let again = plan(&[], 1300, &["10.20.0.0/16"], RouteTable::Auto);
        take(&tun, &again.steps_from(&InterfacePlan::default())).expect("our own route in the way is no obstacle");
    });
}

#[test]
fn a_route_of_another_interface_is_not_taken_for_ours() {
    in_namespace(|| {
        let routed = plan(&[], 1420, &["10.20.0.0/16", "fd20::/48"], RouteTable::Auto);
        let _first = interface("plait0", Backend::TunRs, &routed);
        let second = tun::open("plait1", Backend::TunRs, OffloadSet::NONE, 1).unwrap();
        let steps = routed.steps_from(&InterfacePlan::default());
        let refused = take(&second, &steps).unwrap_err();
        assert!(matches!(refused, StepError::RouteTaken(prefix) if prefix.to_string() == "10.20.0.0/16"), "{refused}");
    });
}

#[test]
fn a_refused_step_names_itself() {
    in_namespace(|| {
        let mut tun = tun::open("plait0", Backend::TunRs, OffloadSet::NONE, 1).unwrap();
        tun.index += 1000;
        let steps = plan(&[], 1420, &[], RouteTable::Off).steps_from(&InterfacePlan::default());
        let refused = take(&tun, &steps).unwrap_err().to_string();
        assert!(refused.starts_with("ip link set dev plait0 mtu 1420 txqueuelen 4000: "), "{refused}");
    });
}

#[test]
fn a_name_in_use_and_an_impossible_name_are_refused() {
    for backend in backends() {
        in_namespace(|| {
            let _first = tun::open("plait0", backend, OffloadSet::NONE, 1).unwrap();
            assert!(
                matches!(tun::open("plait0", backend, OffloadSet::NONE, 1), Err(OpenError::InUse(name)) if name == "plait0")
            );
            assert!(matches!(tun::open("lo", backend, OffloadSet::NONE, 1), Err(OpenError::InUse(_))));
            assert!(tun::open("a-name-that-is-too-long", backend, OffloadSet::NONE, 1).is_err());
        });
    }
}

#[test]
fn a_backend_that_is_not_built_in_says_so() {
    if !cfg!(feature = "tun-tap") {
        in_namespace(|| {
            assert!(matches!(tun::open("plait0", Backend::TunTap, OffloadSet::NONE, 1), Err(OpenError::NotBuiltIn)))
        });
    }
}

#[test]
fn a_deleted_interface_is_told_apart_from_one_that_is_down() {
    for backend in backends() {
        in_namespace(|| {
            let tun = interface("plait0", backend, &plan(&["10.99.0.1/24"], 1420, &[], RouteTable::Auto));
            let packet = udp((THEIRS, 9), (OURS, 7), b"x");
            ip("link set dev plait0 down");
            let down = tun.queues[0].write(&[IoSlice::new(&packet)]).unwrap_err();
            assert!(!is_gone(&down), "{backend:?}: {down}");
            ip("link set dev plait0 up");
            tun.queues[0].write(&[IoSlice::new(&packet)]).unwrap();
            ip("link delete dev plait0");
            let gone = [
                tun.queues[0].write(&[IoSlice::new(&packet)]).unwrap_err(),
                tun.queues[0].read(&mut [0; 2000]).unwrap_err(),
            ];
            assert!(gone.iter().all(is_gone), "{backend:?}: {gone:?}");
        });
    }
}
