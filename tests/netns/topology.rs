//! Namespaces and the links between them, removed when the test ends, also by a panic.

use crate::process::succeed;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells the namespaces of tests that run at the same time apart.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// Whether network tests can run here. Without root or TUN they say so, past the capture of test output;
/// `PLAIT_NETNS=require` makes that a failure.
pub(crate) fn runnable(test: &str) -> bool {
    let able = nix::unistd::geteuid().is_root() && std::path::Path::new("/dev/net/tun").exists();
    if !able {
        assert!(std::env::var("PLAIT_NETNS").as_deref() != Ok("require"), "{test}: needs root and /dev/net/tun");
        let line = format!("SKIPPED {test}: needs root and /dev/net/tun\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    able
}

/// The namespaces of one test: `wan`, `kme` and one a site.
pub(crate) struct Net {
    prefix: String,
    names: Vec<&'static str>,
}

/// Outer IPv4 address of site `n`, from 1.
pub(crate) fn outer4(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 1, n, 1).into()
}

/// Outer IPv6 address of site `n`.
pub(crate) fn outer6(n: u8) -> IpAddr {
    Ipv6Addr::new(0xfd01, n.into(), 0, 0, 0, 0, 0, 1).into()
}

/// The wan's IPv4 address on the link of site `n`.
pub(crate) fn wan4(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 1, n, 254).into()
}

/// Address of the KME beside site `n`.
pub(crate) fn kme4(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 3, n, 254).into()
}

/// Inner IPv4 address of site `n`.
pub(crate) fn inner4(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 99, 0, n).into()
}

/// Inner IPv6 address of site `n`.
pub(crate) fn inner6(n: u8) -> IpAddr {
    Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, n.into()).into()
}

impl Net {
    /// Makes `wan`, `kme` and the sites, links and addresses.
    pub(crate) fn new(sites: &[&'static str]) -> Self {
        let prefix = format!("plait-{}-{}-", std::process::id(), RUNNING.fetch_add(1, Ordering::Relaxed));
        let mut net = Self { prefix, names: Vec::new() };
        for name in ["wan", "kme"].iter().chain(sites) {
            succeed(Command::new("ip").args(["netns", "add", &net.name(name)]));
            net.names.push(name);
            net.ip(name, "link set lo up");
        }
        for (n, site) in (1..).zip(sites) {
            net.link(site, "wan");
            net.address("wan", site, &format!("10.1.{n}.254/24"), &format!("fd01:{n}::fe/64"));
            net.address(site, "wan", &format!("10.1.{n}.1/24"), &format!("fd01:{n}::1/64"));
            net.ip(site, &format!("route add 10.1.0.0/16 via 10.1.{n}.254"));
            net.ip(site, &format!("-6 route add fd01::/16 via fd01:{n}::fe"));
            net.link(site, "kme");
            net.address("kme", site, &format!("10.3.{n}.254/24"), &format!("fd03:{n}::fe/64"));
            net.address(site, "kme", &format!("10.3.{n}.1/24"), &format!("fd03:{n}::1/64"));
        }
        net.inside("wan", || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        net
    }

    /// Full name of a namespace.
    pub(crate) fn name(&self, short: &str) -> String {
        format!("{}{short}", self.prefix)
    }

    /// Runs `ip` in a namespace; arguments are split at spaces.
    pub(crate) fn ip(&self, namespace: &str, arguments: &str) -> String {
        succeed(Command::new("ip").args(["-n", &self.name(namespace)]).args(arguments.split(' ')))
    }

    /// Names of the interfaces in a namespace.
    pub(crate) fn interfaces(&self, namespace: &str) -> Vec<String> {
        let links = self.ip(namespace, "-o link");
        links
            .lines()
            .filter_map(|line| line.split(": ").nth(1))
            .map(|name| name.split('@').next().unwrap().to_owned())
            .collect()
    }

    /// Runs `job` on a thread of its own inside a namespace; sockets it makes and children it starts stay there.
    pub(crate) fn inside<T: Send>(&self, namespace: &str, job: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(|| enter(&self.name(namespace), job)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Like [`Net::inside`], but goes on beside the test.
    pub(crate) fn beside<T: Send + 'static>(
        &self,
        namespace: &str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let name = self.name(namespace);
        std::thread::spawn(move || enter(&name, job))
    }

    /// A veth pair; each end is named after the namespace at the other end.
    fn link(&self, one: &str, other: &str) {
        self.ip(one, &format!("link add {other} type veth peer name {one} netns {}", self.name(other)));
        self.ip(one, &format!("link set dev {other} up"));
        self.ip(other, &format!("link set dev {one} up"));
    }

    fn address(&self, namespace: &str, device: &str, v4: &str, v6: &str) {
        self.ip(namespace, &format!("addr add {v4} dev {device}"));
        self.ip(namespace, &format!("addr add {v6} dev {device} nodad"));
    }
}

fn enter<T>(name: &str, job: impl FnOnce() -> T) -> T {
    let file = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
    nix::sched::setns(&file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    job()
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            // A namespace that is gone already is what is wanted.
            let _ = Command::new("ip").args(["netns", "del", &self.name(name)]).output();
        }
    }
}
