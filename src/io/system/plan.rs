//! What is to be set on the interface, as steps: the same list is executed and shown by `--dry-run`.

use std::fmt;

use crate::config::{InterfaceAddress, RouteTable};
use crate::types::limits::{INNER_MTU_MIN, IPV6_MTU_MIN};
use crate::types::prefix::Prefix;

/// Packets that wait in the interface; the kernel drops what comes on top. A sender of small packets fills its 500 in less
/// than the time slice of a process, and so does this many in 8 ms at 500 000 packets a second; the senders of long ones
/// stop at their own windows before.
pub(super) const TX_QUEUE_PACKETS: u32 = 4000;

/// An interface as it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfacePlan {
    addresses: Vec<InterfaceAddress>,
    mtu: u16,
    routes: Vec<Prefix>,
    /// `None`: the main table.
    table: Option<u32>,
}

/// Why no plan can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The tunnel's own datagrams would go into the tunnel.
    #[error(
        "a route to {0} in the main table would catch the tunnel's own datagrams: \
         set table to a number and add a rule for it, or table = \"off\""
    )]
    DefaultRoute(Prefix),
}

/// One thing to do to the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take a route away.
    RemoveRoute(Prefix, Option<u32>),
    /// Take an address away.
    RemoveAddress(InterfaceAddress),
    /// Add an address.
    AddAddress(InterfaceAddress),
    /// Set the MTU, in bytes, and the length of the queue before the interface.
    SetMtu(u16),
    /// Set the interface up.
    Up,
    /// Add a route through the interface; `None`: in the main table.
    AddRoute(Prefix, Option<u32>),
}

impl InterfacePlan {
    /// `allowed_ips` of all peers become routes, but for those that an address of the interface gives already.
    ///
    /// # Errors
    /// [`PlanError::DefaultRoute`] with `table = "auto"`.
    pub fn new(
        addresses: &[InterfaceAddress],
        mtu: u16,
        allowed_ips: impl IntoIterator<Item = Prefix>,
        table: RouteTable,
    ) -> Result<Self, PlanError> {
        let mut routes: Vec<Prefix> = match table {
            RouteTable::Off => Vec::new(),
            RouteTable::Auto | RouteTable::Number(_) => allowed_ips.into_iter().collect(),
        };
        routes.sort_unstable();
        routes.dedup();
        let table = match table {
            RouteTable::Number(number) => Some(number),
            RouteTable::Auto | RouteTable::Off => {
                routes.retain(|route| !addresses.iter().any(|address| network(*address) == Some(*route)));
                None
            }
        };
        match routes.iter().find(|route| table.is_none() && route.length() == 0) {
            Some(route) => Err(PlanError::DefaultRoute(*route)),
            None => Ok(Self { addresses: addresses.to_vec(), mtu, routes, table }),
        }
    }

    /// The MTU to set while the longest packet that every peer takes has this many bytes: never more than planned, and
    /// never so little that the kernel would take IPv6 off an interface that has it (RFC 8200 5).
    pub fn mtu_for(&self, bytes: u16) -> u16 {
        let addresses = self.addresses.iter().map(|own| own.address);
        let has_ipv6 =
            addresses.chain(self.routes.iter().map(|route| route.address())).any(|address| address.is_ipv6());
        bytes.max(if has_ipv6 { IPV6_MTU_MIN } else { INNER_MTU_MIN }).min(self.mtu)
    }

    /// What leads from another plan to this one. From the default one: everything.
    ///
    /// New addresses come before old ones go, and then every route is asked for again: the kernel drops the IPv4 routes
    /// of an interface with its last IPv4 address.
    pub fn steps_from(&self, old: &Self) -> Vec<Step> {
        let same_table = self.table == old.table;
        let gone = old.routes.iter().filter(|route| !(same_table && self.routes.contains(route)));
        let mut steps: Vec<Step> = gone.map(|route| Step::RemoveRoute(*route, old.table)).collect();
        if self.mtu != old.mtu {
            steps.push(Step::SetMtu(self.mtu));
        }
        let added = self.addresses.iter().filter(|address| !old.addresses.contains(address));
        steps.extend(added.copied().map(Step::AddAddress));
        let removed = old.addresses.iter().filter(|address| !self.addresses.contains(address));
        let before = steps.len();
        steps.extend(removed.copied().map(Step::RemoveAddress));
        let all_routes = steps.len() > before || !same_table;
        steps.push(Step::Up);
        let wanted = self.routes.iter().filter(|route| all_routes || !old.routes.contains(route));
        steps.extend(wanted.map(|route| Step::AddRoute(*route, self.table)));
        steps
    }
}

/// The `ip` commands that do the same, one a line, the interface's creation first.
pub fn describe(name: &str, plan: &InterfacePlan) -> Vec<String> {
    let steps = plan.steps_from(&InterfacePlan::default());
    let create = format!("ip tuntap add dev {name} mode tun");
    std::iter::once(create).chain(steps.into_iter().map(|step| step.as_command(name))).collect()
}

impl Step {
    /// The `ip` command that does the same.
    pub fn as_command(self, name: &str) -> String {
        match self {
            Self::RemoveRoute(prefix, table) => format!("ip route delete {prefix} dev {name}{}", Table(table)),
            Self::RemoveAddress(InterfaceAddress { address, length }) => {
                format!("ip address delete {address}/{length} dev {name}")
            }
            Self::AddAddress(InterfaceAddress { address, length }) => {
                format!("ip address add {address}/{length} dev {name}")
            }
            Self::SetMtu(mtu) => format!("ip link set dev {name} mtu {mtu} txqueuelen {TX_QUEUE_PACKETS}"),
            Self::Up => format!("ip link set dev {name} up"),
            Self::AddRoute(prefix, table) => format!("ip route add {prefix} dev {name} proto static{}", Table(table)),
        }
    }
}

/// The table as the end of a command.
struct Table(Option<u32>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |number| write!(f, " table {number}"))
    }
}

fn network(address: InterfaceAddress) -> Option<Prefix> {
    Prefix::new(address.address, address.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, length: u8) -> InterfaceAddress {
        InterfaceAddress { address: text.parse().unwrap(), length }
    }

    fn plan(addresses: &[InterfaceAddress], routes: &[&str], table: RouteTable) -> Result<InterfacePlan, PlanError> {
        InterfacePlan::new(addresses, 1420, routes.iter().map(|route| route.parse().unwrap()), table)
    }

    #[test]
    fn a_plan_reads_as_ip_commands() {
        let addresses = [address("10.99.0.1", 24), address("fd99::1", 64)];
        let routes = ["fd20::/48", "10.20.0.0/16", "10.99.0.0/24", "10.20.0.0/16"];
        let auto = plan(&addresses, &routes, RouteTable::Auto).unwrap();
        let expected = [
            "ip tuntap add dev hq mode tun",
            "ip link set dev hq mtu 1420 txqueuelen 4000",
            "ip address add 10.99.0.1/24 dev hq",
            "ip address add fd99::1/64 dev hq",
            "ip link set dev hq up",
            "ip route add 10.20.0.0/16 dev hq proto static",
            "ip route add fd20::/48 dev hq proto static",
        ];
        assert_eq!(describe("hq", &auto), expected);
        let off = plan(&addresses, &routes, RouteTable::Off).unwrap();
        assert_eq!(describe("hq", &off), expected[..5]);
        let number = describe("hq", &plan(&addresses, &routes, RouteTable::Number(51900)).unwrap());
        assert_eq!(
            number[5..7],
            [
                "ip route add 10.20.0.0/16 dev hq proto static table 51900",
                "ip route add 10.99.0.0/24 dev hq proto static table 51900"
            ]
        );
    }

    #[test]
    fn a_default_route_needs_a_table_of_its_own() {
        for everything in ["0.0.0.0/0", "::/0"] {
            let refused = plan(&[], &["10.0.0.0/8", everything], RouteTable::Auto);
            assert_eq!(refused, Err(PlanError::DefaultRoute(everything.parse().unwrap())));
            assert!(plan(&[], &[everything], RouteTable::Off).is_ok());
            assert!(plan(&[], &[everything], RouteTable::Number(7)).is_ok());
        }
    }

    #[test]
    fn the_mtu_follows_the_peers_within_bounds() {
        let v4 = plan(&[address("10.99.0.1", 24)], &["10.20.0.0/16"], RouteTable::Auto).unwrap();
        assert_eq!([0, 575, 576, 1300, 1420, 9000].map(|bytes| v4.mtu_for(bytes)), [576, 576, 576, 1300, 1420, 1420]);
        for (own, route) in [("fd99::1", "10.20.0.0/16"), ("10.99.0.1", "fd20::/48")] {
            let v6 = plan(&[address(own, 24)], &[route], RouteTable::Auto).unwrap();
            assert_eq!([0, 1279, 1280, 1300, 9000].map(|bytes| v6.mtu_for(bytes)), [1280, 1280, 1280, 1300, 1420]);
        }
    }

    #[test]
    fn a_change_takes_away_what_went_and_adds_what_came() {
        let old = plan(&[address("10.99.0.1", 24)], &["10.20.0.0/16", "10.30.0.0/16"], RouteTable::Auto).unwrap();
        let new = plan(&[address("10.99.0.2", 24)], &["10.20.0.0/16", "10.40.0.0/16"], RouteTable::Auto).unwrap();
        let commands: Vec<String> = new.steps_from(&old).into_iter().map(|step| step.as_command("hq")).collect();
        let expected = [
            "ip route delete 10.30.0.0/16 dev hq",
            "ip address add 10.99.0.2/24 dev hq",
            "ip address delete 10.99.0.1/24 dev hq",
            "ip link set dev hq up",
            "ip route add 10.20.0.0/16 dev hq proto static",
            "ip route add 10.40.0.0/16 dev hq proto static",
        ];
        assert_eq!(commands, expected);
        let moved = plan(&[address("10.99.0.2", 24)], &["10.20.0.0/16"], RouteTable::Number(9)).unwrap();
        let steps = moved.steps_from(&new);
        let route: Prefix = "10.20.0.0/16".parse().unwrap();
        assert!(steps.contains(&Step::RemoveRoute(route, None)) && steps.contains(&Step::AddRoute(route, Some(9))));
        assert_eq!(new.steps_from(&new), [Step::Up]);
        let more =
            plan(&[address("10.99.0.2", 24)], &["10.20.0.0/16", "10.40.0.0/16", "10.50.0.0/16"], RouteTable::Auto);
        let one = Step::AddRoute("10.50.0.0/16".parse().unwrap(), None);
        assert_eq!(more.unwrap().steps_from(&new), [Step::Up, one], "what stays is not touched");
    }
}
