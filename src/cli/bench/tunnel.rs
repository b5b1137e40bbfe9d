//! Two daemons in two namespaces, without KME: TCP both ways and round trips, with each cipher.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::meter::Bench;
use super::row::{Figure, Trouble, Unit};
use super::{round_trip, stream};
use crate::cli::lab::children::{Daemon, finish};
use crate::cli::lab::folder::Folder;
use crate::cli::lab::identity;
use crate::cli::lab::namespace::Namespace;
use crate::cli::lab::pause::{Interrupted, now};
use crate::cli::lab::wires::{End, join, raise_loopback};

const GROUP: &str = "tunnel between two namespaces, MTU 1420";
const GIBIBYTE: f64 = (1_u64 << 30) as f64;
/// How long the daemons may take to a session.
const SESSION_WITHIN: Duration = Duration::from_secs(15);
/// The values of `cipher`.
const CIPHERS: [&str; 2] = ["chacha20-poly1305", "aes-256-gcm"];

/// One end: its interface, namespace and files have one name.
struct Side {
    name: &'static str,
    other: &'static str,
    outer: Ipv4Addr,
    inner: Ipv4Addr,
}

const A: Side =
    Side { name: "bench-a", other: "bench-b", outer: Ipv4Addr::new(192, 0, 2, 1), inner: Ipv4Addr::new(10, 99, 0, 1) };
const B: Side =
    Side { name: "bench-b", other: "bench-a", outer: Ipv4Addr::new(192, 0, 2, 2), inner: Ipv4Addr::new(10, 99, 0, 2) };

/// What runs; dropped in this order.
struct Pair {
    daemons: [Daemon; 2],
    a: Namespace,
    b: Namespace,
    folder: Folder,
}

/// Every row with every cipher.
pub(super) fn measure(bench: &mut Bench) -> Result<(), Interrupted> {
    for cipher in CIPHERS {
        let pair = match Pair::start(bench, cipher) {
            Err(Trouble::Interrupted) => return Err(Interrupted),
            other => other,
        };
        for (name, reverse) in [("TCP, one stream, a to b", false), ("TCP, one stream, b to a", true)] {
            bench.row(GROUP, format!("{name}, {cipher}"), |bench| {
                pair.as_ref().map_err(Trouble::clone)?.stream(bench, reverse)
            })?;
        }
        bench.row(GROUP, format!("round trip, {cipher}"), |bench| {
            let Pair { a, b, .. } = pair.as_ref().map_err(Trouble::clone)?;
            round_trip::measure(bench, a, b, B.inner)
        })?;
    }
    Ok(())
}

impl Pair {
    fn start(bench: &Bench, cipher: &str) -> Result<Self, Trouble> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Trouble::Absent("it takes root".to_owned()));
        }
        let folder = Folder::create("bench")?;
        for side in [&A, &B] {
            identity::write(&folder, side.name)?;
            folder.write(&format!("{}.toml", side.name), &file(side, cipher))?;
        }
        let (a, b) = (Namespace::create(A.name)?, Namespace::create(B.name)?);
        raise_loopback(&a)?;
        raise_loopback(&b)?;
        let end = |namespace, side: &Side| End { namespace, name: "wan", address: side.outer };
        join(&end(&a, &A), &end(&b, &B))?;
        let start = |side: &Side, place| {
            let file = folder.file(&format!("{}.toml", side.name));
            Daemon::start(side.name, &folder, place, &["up", &file.to_string_lossy()])
        };
        let mut pair = Self { daemons: [start(&A, &a)?, start(&B, &b)?], a, b, folder };
        pair.wait_for_session(bench)?;
        Ok(pair)
    }

    fn wait_for_session(&mut self, bench: &Bench) -> Result<(), Trouble> {
        let begun = now();
        while begun.elapsed() < SESSION_WITHIN {
            for daemon in &mut self.daemons {
                daemon.check().map_err(|error| Trouble::Failed(format!("{error}\n{}", daemon.log_end())))?;
            }
            // Exit code 0: a session, and its policy is met.
            let ready = |side: &Side| finish(&self.folder, &["status", side.name], None);
            if ready(&A)?.status.success() && ready(&B)?.status.success() {
                return Ok(());
            }
            bench.pause.tick()?;
        }
        let [a, _] = &self.daemons;
        Err(Trouble::Failed(format!("no session within {} s\n{}", SESSION_WITHIN.as_secs(), a.log_end())))
    }

    fn stream(&self, bench: &Bench, reverse: bool) -> Result<Vec<Figure>, Trouble> {
        if let Some(missing) = stream::missing() {
            return Err(missing);
        }
        let before = self.cpu_seconds()?;
        let carried = stream::run(bench, &self.folder, (&self.a, &self.b), B.inner, reverse)?;
        let cpu = self.cpu_seconds()? - before;
        Ok(vec![
            (carried.bits_per_second / 1e9, Unit::GigabitsPerSecond),
            (cpu * GIBIBYTE / carried.bytes, Unit::CpuSecondsPerGibibyte),
        ])
    }

    /// Processor time of both daemons so far.
    fn cpu_seconds(&self) -> Result<f64, Trouble> {
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        let mut sum = 0;
        for process in self.daemons.iter().flat_map(|daemon| family(daemon.id())) {
            let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
            sum += ticks_of(&text).ok_or_else(|| Trouble::Failed("/proc has no processor time".to_owned()))?;
        }
        Ok(sum as f64 / ticks as f64)
    }
}

/// A daemon's processes: the one that was started, and those that it started (proc(5)).
fn family(id: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).chain([id]).collect()
}

/// User and system time in the text of `/proc/PID/stat` (proc(5): fields 14 and 15; the name in parentheses may hold
/// anything).
fn ticks_of(text: &str) -> Option<u64> {
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let field = |number: usize| fields.get(number)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

fn file(side: &Side, cipher: &str) -> String {
    let Side { name, other, outer, inner } = side;
    let far = if *name == A.name { &B } else { &A };
    format!(
        r#"[interface]
private_key_file = "{name}.key"
listen = "{outer}:51900"
address = ["{inner}/30"]
mtu = 1420
[policy]
qkd = "off"
[[peer]]
name = "{other}"
public_key_file = "{other}.pub"
endpoint = "{}:51900"
allowed_ips = ["{}/32"]
cipher = "{cipher}"
"#,
        far.outer, far.inner
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_name() {
        let text = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20 0 4 0";
        assert_eq!(ticks_of(text), Some(42));
        assert_eq!(ticks_of("7 (a) S 1"), None);
    }
}
