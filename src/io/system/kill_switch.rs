//! The kill switch: a firewall table and blackhole routes, so that what is meant for the other site leaves by the tunnel or not at all.
//!
//! Neither hangs on the interface or on the daemon: both stay after a crash and a stop, until `plait down NAME --open`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use super::blackholes;
use super::netlink::MAIN_TABLE;
use crate::config::RouteTable;
use crate::types::prefix::Prefix;

/// Bytes of what nft says that are shown.
const SAID_BYTES_MAX: usize = 400;

/// What is kept in: the prefixes behind the peers of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillSwitch {
    interface: String,
    prefixes: BTreeSet<Prefix>,
    table: RouteTable,
}

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    /// Of which interface.
    pub device: String,
    /// The address.
    pub address: IpAddr,
}

/// All addresses of this machine.
///
/// # Errors
/// getifaddrs(3).
pub fn own_addresses() -> io::Result<Vec<OwnAddress>> {
    let all = nix::ifaddrs::getifaddrs()?;
    let address = |at: nix::sys::socket::SockaddrStorage| {
        let v4 = at.as_sockaddr_in().map(|at| IpAddr::V4(at.ip()));
        v4.or_else(|| at.as_sockaddr_in6().map(|at| IpAddr::V6(at.ip())))
    };
    let own = all.filter_map(|own| Some(OwnAddress { address: address(own.address?)?, device: own.interface_name }));
    Ok(own.collect())
}

/// Why it cannot be set or taken away.
#[derive(Debug, thiserror::Error)]
pub enum KillSwitchError {
    /// Everything is behind the peer: the KME and the peer's own datagrams would be cut off.
    #[error(
        "killswitch = true with {0} would cut off the KME and the peer's own address too: name the networks of the other site in allowed_ips"
    )]
    Everything(Prefix),
    /// A network of this site lies behind the peer.
    #[error(
        "killswitch = true with {0} would cut off this site's own network: {1} of {2} lies in it; name narrower networks in allowed_ips"
    )]
    OwnNetwork(Prefix, IpAddr, String),
    /// No nft.
    #[error("the kill switch needs the program nft (package nftables), and it cannot be run: {0}")]
    NoProgram(io::Error),
    /// nft refuses.
    #[error("nft refused the kill switch: {0}")]
    Refused(String),
    /// The kernel refuses a route.
    #[error(transparent)]
    Route(#[from] blackholes::BlackholeError),
}

impl KillSwitch {
    /// For the interface of that name; its own routes are in `table`, and so are the blackholes.
    ///
    /// # Errors
    /// [`KillSwitchError::Everything`].
    pub fn new(
        interface: &str,
        prefixes: impl IntoIterator<Item = Prefix>,
        table: RouteTable,
    ) -> Result<Self, KillSwitchError> {
        let prefixes: BTreeSet<Prefix> = prefixes.into_iter().collect();
        match prefixes.iter().find(|prefix| prefix.length() == 0) {
            Some(all) => Err(KillSwitchError::Everything(*all)),
            None => Ok(Self { interface: interface.to_owned(), prefixes, table }),
        }
    }

    /// What else it would cut off: an address of this machine, and with it the network beside it, may lie inside.
    pub fn cuts_off(&self, own: &[OwnAddress]) -> Option<KillSwitchError> {
        let beside = own.iter().filter(|own| own.device != self.interface && !own.address.is_loopback());
        let mut inside = beside.filter_map(|own| {
            let prefix = self.prefixes.iter().find(|prefix| prefix.holds(own.address))?;
            Some(KillSwitchError::OwnNetwork(*prefix, own.address, own.device.clone()))
        });
        inside.next()
    }

    /// Sets it, in place of an earlier one: the firewall's table in one transaction, then the routes.
    ///
    /// # Errors
    /// [`KillSwitchError`]; what was set stays.
    pub async fn set(&self) -> Result<(), KillSwitchError> {
        nft(&["-f", "-"], &self.script())?;
        blackholes::set(&self.interface, &self.routes()).await?;
        Ok(())
    }

    /// The commands that do the same, one a line.
    pub fn describe(&self) -> Vec<String> {
        let script = self.script();
        let nft = ["nft -f - <<END".to_owned()]
            .into_iter()
            .chain(script.lines().map(str::to_owned))
            .chain(["END".to_owned()]);
        let routes = self.routes();
        nft.chain(blackholes::describe(&self.interface, &routes)).collect()
    }

    fn routes(&self) -> BTreeSet<(Prefix, u32)> {
        let all = |table: u32| self.prefixes.iter().map(|prefix| (*prefix, table)).collect();
        match self.table {
            RouteTable::Off => BTreeSet::new(),
            RouteTable::Auto => all(MAIN_TABLE),
            RouteTable::Number(table) => all(table),
        }
    }

    /// What nft is told. The last hook on the way out sees forwarded packets and those of this machine, with the
    /// interface that they really leave by; on the way in, nobody outside may speak for an address of the other site.
    fn script(&self) -> String {
        let table = table_name(&self.interface);
        let mut text = format!("table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n");
        for (name, kind, is_v4) in [("far4", "ipv4_addr", true), ("far6", "ipv6_addr", false)] {
            let own = self.prefixes.iter().filter(|prefix| prefix.address().is_ipv4() == is_v4);
            let own: Vec<String> = own.map(ToString::to_string).collect();
            let elements =
                if own.is_empty() { String::new() } else { format!(" elements = {{ {} }};", own.join(", ")) };
            let _ = writeln!(text, "set {name} {{ type {kind}; flags interval; auto-merge;{elements} }}");
        }
        for (chain, hook, way, field) in [
            ("away", "postrouting priority 300", "oifname", "daddr"),
            ("back", "prerouting priority -300", "iifname", "saddr"),
        ] {
            let _ = writeln!(
                text,
                "chain {chain} {{ type filter hook {hook}; policy accept;\n{way} {{ \"lo\", \"{}\" }} accept\n\
                 ip {field} @far4 counter drop\nip6 {field} @far6 counter drop\n}}",
                self.interface
            );
        }
        text.push_str("}\n");
        text
    }
}

/// Whether one stands, set by whatever daemon. Without nft there is none.
pub fn stands(interface: &str) -> bool {
    nft(&["list", "table", "inet", &table_name(interface)], "").is_ok()
}

/// Takes it away, whatever it keeps in; whether there was one.
///
/// # Errors
/// [`KillSwitchError`].
pub async fn open(interface: &str) -> Result<bool, KillSwitchError> {
    let stood = stands(interface);
    if stood {
        nft(&["delete", "table", "inet", &table_name(interface)], "")?;
    }
    Ok(blackholes::set(interface, &BTreeSet::new()).await? || stood)
}

/// Names of interfaces may hold signs that nft's names may not.
fn table_name(interface: &str) -> String {
    let plain = |sign: char| {
        if sign.is_ascii_alphanumeric() || sign == '-' { sign.to_string() } else { format!("_{:02x}", u32::from(sign)) }
    };
    format!("plait-{}", interface.chars().map(plain).collect::<String>())
}

fn nft(arguments: &[&str], input: &str) -> Result<(), KillSwitchError> {
    #[expect(clippy::disallowed_methods, reason = "nftables' own tool is its stable interface; no shell is involved")]
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(KillSwitchError::NoProgram)?;
    if let Some(mut stdin) = child.stdin.take() {
        // An nft that ends before it has read everything says why itself.
        let _ = io::Write::write_all(&mut stdin, input.as_bytes());
    }
    let output = child.wait_with_output().map_err(KillSwitchError::NoProgram)?;
    if output.status.success() {
        return Ok(());
    }
    let said = output.stderr.get(..SAID_BYTES_MAX.min(output.stderr.len())).unwrap_or_default();
    Err(KillSwitchError::Refused(String::from_utf8_lossy(said).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(prefixes: &[&str]) -> Result<KillSwitch, KillSwitchError> {
        KillSwitch::new("hq.1", prefixes.iter().map(|prefix| prefix.parse().unwrap()), RouteTable::Auto)
    }

    #[test]
    fn the_script_names_every_prefix_in_the_set_of_its_family() {
        let script = switch(&["10.20.0.0/16", "fd20::/48", "10.30.0.0/16"]).unwrap().script();
        assert!(script.starts_with("table inet plait-hq_2e1\ndelete table inet plait-hq_2e1\n"), "{script}");
        for line in [
            "set far4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.20.0.0/16, 10.30.0.0/16 }; }",
            "set far6 { type ipv6_addr; flags interval; auto-merge; elements = { fd20::/48 }; }",
            "oifname { \"lo\", \"hq.1\" } accept",
            "iifname { \"lo\", \"hq.1\" } accept",
            "ip daddr @far4 counter drop",
            "ip6 saddr @far6 counter drop",
        ] {
            assert!(script.lines().any(|other| other == line), "{line} is not in:\n{script}");
        }
        let none = switch(&[]).unwrap().script();
        assert!(none.contains("set far4 { type ipv4_addr; flags interval; auto-merge; }"), "{none}");
    }

    #[test]
    fn everything_cannot_be_kept_in() {
        for all in ["0.0.0.0/0", "::/0"] {
            let error = switch(&["10.0.0.0/8", all]).unwrap_err().to_string();
            assert!(error.contains(all) && error.contains("KME"), "{error}");
        }
    }

    #[test]
    fn a_network_of_this_site_is_not_cut_off() {
        let own = |device: &str, address: &str| OwnAddress { device: device.into(), address: address.parse().unwrap() };
        let switch = switch(&["10.20.0.0/16", "fd20::/48"]).unwrap();
        let fine = [own("lo", "127.0.0.1"), own("hq.1", "10.20.0.1"), own("eth0", "10.21.0.1"), own("eth0", "fd21::1")];
        assert!(switch.cuts_off(&fine).is_none());
        let error = switch.cuts_off(&[own("eth1", "10.20.3.4")]).unwrap().to_string();
        assert!(error.contains("10.20.3.4 of eth1") && error.contains("10.20.0.0/16"), "{error}");
        assert!(own_addresses().unwrap().contains(&own("lo", "127.0.0.1")));
    }

    #[test]
    fn tables_of_two_interfaces_never_share_a_name() {
        let names = ["hq", "h.q", "h_q", "h-q", "h=q", "h+q"].map(table_name);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
