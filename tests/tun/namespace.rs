//! A thread in a network namespace of its own, and what `ip` says there.

use std::process::Command;
use std::time::{Duration, Instant};

use plait::config::{Backend, InterfaceAddress, RouteTable};
use plait::io::system::netlink::{StepError, take_steps};
use plait::io::system::plan::{InterfacePlan, Step};
use plait::io::tun::{self, Tun};
use plait::types::offload::OffloadSet;

use crate::packet::PATIENCE;

/// Runs the test in a namespace of its own, or says why not.
pub(crate) fn in_namespace(test: impl FnOnce() + Send) {
    if let Some(why) = why_not() {
        println!("skipped: {why}");
        return;
    }
    let entered = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("why_not tried it");
        ip("link set dev lo up");
        test();
    };
    let ended = std::thread::scope(|scope| scope.spawn(entered).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn why_not() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root");
    }
    if !std::path::Path::new("/dev/net/tun").exists() {
        return Some("no /dev/net/tun");
    }
    if Command::new("ip").arg("-V").output().is_err() {
        return Some("no ip(8), from iproute2");
    }
    let try_unshare = || nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET);
    let may_unshare = std::thread::spawn(try_unshare).join().expect("it does not panic");
    may_unshare.is_err().then_some("root here may not make a network namespace")
}

/// Waits until every IPv6 address can be used: the kernel sees to that behind our back, even if it probes for none.
pub(crate) fn settled() {
    let end = Instant::now() + PATIENCE;
    while !is_settled() {
        assert!(Instant::now() < end, "an address cannot be used yet: {}", ip("-6 -o address show"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// No address is tentative, and each has its route: the kernel gives it that one last.
fn is_settled() -> bool {
    let (addresses, routes) = (ip("-6 -o address show"), ip("-6 route show table local"));
    // "1: lo    inet6 ::1/128 scope host ..."
    let mut own = addresses.lines().filter_map(|line| line.split_whitespace().nth(3)?.split('/').next());
    let all = own.all(|address| routes.contains(&format!("local {address} ")));
    all && ip("-6 -o address show tentative").is_empty()
}

/// The backends that are built in.
pub(crate) fn backends() -> Vec<Backend> {
    let tun_tap = cfg!(feature = "tun-tap").then_some(Backend::TunTap);
    [Backend::TunRs].into_iter().chain(tun_tap).collect()
}

/// Output of an `ip` command that must succeed.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("iproute2 is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A plan with these addresses and allowed IPs.
pub(crate) fn plan(addresses: &[&str], mtu: u16, allowed_ips: &[&str], table: RouteTable) -> InterfacePlan {
    let address = |text: &&str| {
        let (address, length) = text.split_once('/').unwrap();
        InterfaceAddress { address: address.parse().unwrap(), length: length.parse().unwrap() }
    };
    let addresses: Vec<InterfaceAddress> = addresses.iter().map(address).collect();
    InterfacePlan::new(&addresses, mtu, allowed_ips.iter().map(|prefix| prefix.parse().unwrap()), table).unwrap()
}

/// Takes the steps on the interface.
pub(crate) fn take(tun: &Tun, steps: &[Step]) -> Result<(), StepError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(take_steps(&tun.name, tun.index, steps))
}

/// An open interface on which the whole plan is set.
pub(crate) fn interface(name: &str, backend: Backend, plan: &InterfacePlan) -> Tun {
    let tun = tun::open(name, backend, OffloadSet::NONE, 1).unwrap();
    take(&tun, &plan.steps_from(&InterfacePlan::default())).unwrap();
    settled();
    tun
}
