//! Blackhole routes of a kill switch: what has lost its way into the tunnel ends in them, even where no firewall is left.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::stream::TryStreamExt;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::netlink::{prefix_of, system_error, table_of};
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
///
/// # Errors
/// The first that the kernel refuses; those before it stay.
pub(super) async fn set(interface: &str, wanted: &BTreeSet<(Prefix, u32)>) -> Result<(), BlackholeError> {
    with_netlink(async |handle| {
        let found = found(&handle, metric(interface)).await?;
        for (prefix, table) in wanted.iter().filter(|wanted| !found.contains(wanted)) {
            let message = message(*prefix, *table, metric(interface))?;
            let added = handle.route().add(message).execute().await;
            added.map_err(|error| BlackholeError::Route(*prefix, system_error(error)))?;
        }
        for (prefix, table) in found.iter().filter(|found| !wanted.contains(found)) {
            let message = message(*prefix, *table, metric(interface))?;
            let deleted = handle.route().del(message).execute().await;
            deleted.map_err(|error| BlackholeError::Route(*prefix, system_error(error)))?;
        }
        Ok(!found.is_empty())
    })
    .await
    .map(|_| ())
}

/// The `ip` commands that add them.
pub(super) fn describe(interface: &str, routes: &BTreeSet<(Prefix, u32)>) -> Vec<String> {
    let metric = metric(interface);
    let command =
        |(prefix, table): &(Prefix, u32)| format!("ip route add blackhole {prefix} table {table} metric {metric}");
    routes.iter().map(command).collect()
}

/// Takes all of an interface away; whether there was one.
///
/// # Errors
/// The first that the kernel refuses.
pub(super) async fn clear(interface: &str) -> Result<bool, BlackholeError> {
    let metric = metric(interface);
    with_netlink(async |handle| {
        let found = found(&handle, metric).await?;
        for (prefix, table) in &found {
            let deleted = handle.route().del(message(*prefix, *table, metric)?).execute().await;
            deleted.map_err(|error| BlackholeError::Route(*prefix, system_error(error)))?;
        }
        Ok(!found.is_empty())
    })
    .await
}

async fn with_netlink<T>(job: impl AsyncFnOnce(Handle) -> Result<T, BlackholeError>) -> Result<T, BlackholeError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(BlackholeError::Netlink)?;
    let connection = tokio::spawn(connection);
    let done = job(handle).await;
    connection.abort();
    done
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

async fn found(handle: &Handle, metric: u32) -> Result<BTreeSet<(Prefix, u32)>, BlackholeError> {
    let mut all = BTreeSet::new();
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
    for family in [v4, v6] {
        let mut routes = handle.route().get(family).execute();
        while let Some(route) = routes.try_next().await.map_err(|error| BlackholeError::Netlink(system_error(error)))? {
            let is_ours = route.header.kind == RouteType::BlackHole
                && route.attributes.contains(&RouteAttribute::Priority(metric));
            all.extend(prefix_of(&route).filter(|_| is_ours).map(|prefix| (prefix, table_of(&route))));
        }
    }
    Ok(all)
}
