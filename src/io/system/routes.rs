//! The routes that this machine has, read from /proc: what the tunnel's own would meet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::types::prefix::Prefix;

/// Routes that are looked at: a full table of the internet has more, but then nobody needs this advice.
const ROUTES_MAX: usize = 65_536;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Prefix,
    /// Through which interface.
    pub device: String,
}

/// All routes of the main table but those through the loopback.
///
/// # Errors
/// /proc cannot be read. A kernel without IPv6 has no routes of it, which is no error.
pub fn routes() -> io::Result<Vec<Route>> {
    let mut found = read_v4(&std::fs::read_to_string(Path::new("/proc/net/route"))?);
    match std::fs::read_to_string(Path::new("/proc/net/ipv6_route")) {
        Ok(text) => found.extend(read_v6(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// proc(5): interface, destination and mask as the words of a little-endian machine have them.
fn read_v4(text: &str) -> Vec<Route> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let word = |at: usize| words.get(at).and_then(|word| u32::from_str_radix(word, 16).ok());
        let to = Ipv4Addr::from(word(1)?.to_be());
        let length = word(7)?.count_ones() as u8;
        let device = (*words.first()?).to_owned();
        Some(Route { to: Prefix::new(IpAddr::V4(to), length)?, device })
    };
    // A blackhole goes through no interface, and is shown as "*".
    let counts = |route: &Route| route.device != "lo" && route.device != "*";
    text.lines().skip(1).take(ROUTES_MAX).filter_map(line).filter(counts).collect()
}

/// Destination and its length first, the interface last, all in hexadecimal.
fn read_v6(text: &str) -> Vec<Route> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let to = u128::from_str_radix(words.first()?, 16).ok()?;
        let length = u8::from_str_radix(words.get(1)?, 16).ok()?;
        let device = (*words.last()?).to_owned();
        Some(Route { to: Prefix::new(IpAddr::V6(Ipv6Addr::from(to)), length)?, device })
    };
    // Own addresses, multicast and the refusal of everything are no routes that a tunnel could meet.
    let counts = |route: &Route| route.device != "lo" && !route.to.address().is_multicast();
    text.lines().take(ROUTES_MAX).filter_map(line).filter(counts).collect()
}

/// Of the other interfaces' routes the one that takes what is meant for `prefix`: as long as it, or longer. A shorter one
/// only has what the tunnel does not.
pub fn rival<'r>(routes: &'r [Route], prefix: Prefix, device: &str) -> Option<&'r Route> {
    routes
        .iter()
        .find(|route| route.device != device && route.to.length() >= prefix.length() && route.to.overlaps(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth1\t0001140A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        *\t0000140A\t00000000\t0201\t0\t0\t1073741825\t0000FFFF\t0\t0\t0\n\
        lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\nbroken line\n";
    const V6: &str = "fd200000000000000000000000000000 30 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1\n\
        ff000000000000000000000000000000 08 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1\n\
        00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo\nzz\n";

    #[test]
    fn both_tables_are_read_and_what_is_no_route_is_left_out() {
        let shown = |routes: Vec<Route>| {
            routes.into_iter().map(|route| format!("{} {}", route.to, route.device)).collect::<Vec<_>>()
        };
        if cfg!(target_endian = "little") {
            assert_eq!(shown(read_v4(V4)), ["0.0.0.0/0 eth0", "10.20.1.0/24 eth1"]);
        }
        assert_eq!(shown(read_v6(V6)), ["fd20::/48 eth1"]);
        assert!(routes().is_ok());
    }

    #[test]
    fn only_a_route_that_wins_is_a_rival() {
        let routes = read_v6(V6);
        let rival = |prefix: &str, device: &str| rival(&routes, prefix.parse().unwrap(), device).is_some();
        assert!(rival("fd20::/48", "hq") && rival("fd00::/8", "hq"));
        assert!(!rival("fd20::/64", "hq"), "longer: ours wins");
        assert!(!rival("fd21::/48", "hq") && !rival("fd20::/48", "eth1"));
    }
}
