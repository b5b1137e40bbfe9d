//! Blackhole routes of a kill switch: what has lost its way into the tunnel ends in them, even where no firewall is left.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::netlink::{routes_where, system_error, with_netlink};
use crate::types::prefix::Prefix;

/// Worse than every metric in use, so that the tunnel's own routes win. The lower 24 bits are the interface's, so that its
/// routes are found again without its configuration.
const METRIC_BASE: u32 = 0x4000_0000;

/// What the kernel does not do.
#[derive(Debug, thiserror::Error)]
pub enum BlackholeError {
    /// It refuses a route.
    #[error("blackhole route {0}: {1}")]
    Route(Prefix, io::Error),
    /// netlink does not answer.
    #[error("netlink: {0}")]
    Netlink(io::Error),
}

/// Makes these, in their tables, the blackholes of an interface: adds what is missing, then takes away what is too many.
/// Gives whether there was one before.
///
/// # Errors
/// The first that the kernel refuses; those before it stay.
pub(super) async fn set(interface: &str, wanted: &BTreeSet<(Prefix, u32)>) -> Result<bool, BlackholeError> {
    let metric = metric(interface);
    with_netlink(async |handle| change(&handle, metric, wanted).await).await.map_err(BlackholeError::Netlink)?
}

async fn change(handle: &Handle, metric: u32, wanted: &BTreeSet<(Prefix, u32)>) -> Result<bool, BlackholeError> {
    let is_ours = |route: &RouteMessage| {
        route.header.kind == RouteType::BlackHole && route.attributes.contains(&RouteAttribute::Priority(metric))
    };
    let found = routes_where(handle, is_ours).await.map_err(BlackholeError::Netlink)?;
    let refused = |prefix| move |error| BlackholeError::Route(prefix, system_error(error));
    for (prefix, table) in wanted.difference(&found) {
        let added = handle.route().add(message(*prefix, *table, metric)?).execute().await;
        added.map_err(refused(*prefix))?;
    }
    for (prefix, table) in found.difference(wanted) {
        let deleted = handle.route().del(message(*prefix, *table, metric)?).execute().await;
        deleted.map_err(refused(*prefix))?;
    }
    Ok(!found.is_empty())
}

/// The `ip` commands that add them.
pub(super) fn describe(interface: &str, routes: &BTreeSet<(Prefix, u32)>) -> Vec<String> {
    let metric = metric(interface);
    let command =
        |(prefix, table): &(Prefix, u32)| format!("ip route add blackhole {prefix} table {table} metric {metric}");
    routes.iter().map(command).collect()
}

/// FNV-1a of the interface's name in the lower 24 bits.
fn metric(interface: &str) -> u32 {
    let hash = interface.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    METRIC_BASE | (hash & 0x00ff_ffff)
}

fn message(prefix: Prefix, table: u32, metric: u32) -> Result<RouteMessage, BlackholeError> {
    let builder = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(prefix.address(), prefix.length())
        .map_err(|error| BlackholeError::Route(prefix, io::Error::other(error)))?;
    Ok(builder.kind(RouteType::BlackHole).priority(metric).table_id(table).build())
}
