//! Takes the steps of a plan through netlink (rtnetlink(7)), in the namespace of the calling thread.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::stream::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::LinkFlags;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteScope};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

use crate::io::system::plan::{Step, TX_QUEUE_PACKETS};
use crate::types::prefix::Prefix;

/// Number of the main table (`RT_TABLE_MAIN`, rtnetlink(7)).
pub(super) const MAIN_TABLE: u32 = 254;

/// A step that the system refused.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The same route leads elsewhere: traffic would leave outside the tunnel.
    #[error("a route to {0} exists through another interface: delete it, or set table to a number or \"off\"")]
    RouteTaken(Prefix),
    /// Anything else; the step as an `ip` command, and what the system says.
    #[error("{0}: {1}")]
    Refused(String, io::Error),
}

/// Takes the steps, in order, on the interface of that name and index. Needs a tokio runtime and CAP_NET_ADMIN.
///
/// # Errors
/// The first step that is refused; those before it stay.
pub async fn take_steps(name: &str, index: u32, steps: &[Step]) -> Result<(), StepError> {
    let refused = |error| StepError::Refused("netlink".to_owned(), error);
    with_netlink(async |handle| take_all(&handle, name, index, steps).await).await.map_err(refused)?
}

/// How an interface was found by [`restore`].
#[derive(Debug)]
pub enum Found {
    /// There is none of that number in this namespace: deleted, or moved to another.
    Gone,
    /// Down, and left alone: who set it down meant it.
    Down,
    /// Up; so many steps were taken again, and perhaps the first of those that were refused.
    Up(usize, Option<StepError>),
}

/// Takes those of these steps whose address or route is not there any more. Needs a tokio runtime and CAP_NET_ADMIN.
///
/// # Errors
/// The system does not say how things stand.
pub async fn restore(name: &str, index: u32, steps: &[Step]) -> io::Result<Found> {
    with_netlink(async |handle| {
        match is_up(&handle, index).await {
            Ok(true) => {}
            Ok(false) => return Ok(Found::Down),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(Found::Gone),
            Err(error) => return Err(error),
        }
        let (addresses, routes) = (addresses_of(&handle, index).await?, routes_of(&handle, index).await?);
        let is_missing = |step: &Step| match *step {
            Step::AddAddress(at) => !addresses.contains(&(at.address, at.length)),
            Step::AddRoute(prefix, table) => !routes.contains(&(prefix, table.unwrap_or(MAIN_TABLE))),
            Step::RemoveRoute(..) | Step::RemoveAddress(_) | Step::SetMtu(_) | Step::Up => false,
        };
        let (mut taken, mut refused) = (0, None);
        for step in steps.iter().filter(|step| is_missing(step)) {
            // One that is refused does not keep the others away.
            match take_all(&handle, name, index, std::slice::from_ref(step)).await {
                Ok(()) => taken += 1,
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Ok(Found::Up(taken, refused))
    })
    .await?
}

/// Does something over a connection of its own.
///
/// # Errors
/// There is no connection.
pub(super) async fn with_netlink<T>(job: impl AsyncFnOnce(Handle) -> T) -> io::Result<T> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let done = job(handle).await;
    connection.abort();
    Ok(done)
}

async fn take_all(handle: &Handle, name: &str, index: u32, steps: &[Step]) -> Result<(), StepError> {
    // Read once, at the first route that exists already.
    let mut ours = None;
    for step in steps {
        let Err(error) = take(handle, index, *step).await else { continue };
        let refused = |error| StepError::Refused(step.as_command(name), error);
        if let Step::AddRoute(prefix, table) = *step
            && error.raw_os_error() == Some(libc::EEXIST)
        {
            if ours.is_none() {
                ours = Some(routes_of(handle, index).await.map_err(refused)?);
            }
            if ours.as_ref().is_some_and(|ours| ours.contains(&(prefix, table.unwrap_or(MAIN_TABLE)))) {
                continue;
            }
            return Err(StepError::RouteTaken(prefix));
        }
        return Err(refused(error));
    }
    Ok(())
}

async fn take(handle: &Handle, index: u32, step: Step) -> io::Result<()> {
    let taken = match step {
        Step::SetMtu(mtu) => {
            let link = LinkUnspec::new_with_index(index).mtu(mtu.into()).txqueuelen(TX_QUEUE_PACKETS);
            handle.link().set(link.build()).execute().await
        }
        Step::Up => handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await,
        Step::AddAddress(at) => {
            let mut add = handle.address().add(index, at.address, at.length);
            // A tunnel has no broadcast address, and `ip address add` sets none.
            add.message_mut().attributes.retain(|attribute| !matches!(attribute, AddressAttribute::Broadcast(_)));
            add.execute().await
        }
        Step::RemoveAddress(at) => {
            let mut add = handle.address().add(index, at.address, at.length);
            handle.address().del(std::mem::take(add.message_mut())).execute().await
        }
        Step::AddRoute(prefix, table) => handle.route().add(route(index, prefix, table)?).execute().await,
        Step::RemoveRoute(prefix, table) => handle.route().del(route(index, prefix, table)?).execute().await,
    };
    taken.map_err(system_error)
}

/// A route through the interface; an IPv4 one has nothing behind the link, so its scope is the link's (ip-route(8)).
fn route(index: u32, prefix: Prefix, table: Option<u32>) -> io::Result<RouteMessage> {
    let builder = RouteMessageBuilder::<IpAddr>::new()
        .output_interface(index)
        .destination_prefix(prefix.address(), prefix.length())
        .map_err(io::Error::other)?;
    let builder = if prefix.address().is_ipv4() { builder.scope(RouteScope::Link) } else { builder };
    Ok(table.map_or_else(|| builder.clone(), |number| builder.clone().table_id(number)).build())
}

/// Whether it is up.
async fn is_up(handle: &Handle, index: u32) -> io::Result<bool> {
    let link = handle.link().get().match_index(index).execute().try_next().await.map_err(system_error)?;
    link.map(|link| link.header.flags.contains(LinkFlags::Up)).ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
}

/// All addresses of the interface, with the lengths of their prefixes.
async fn addresses_of(handle: &Handle, index: u32) -> io::Result<BTreeSet<(IpAddr, u8)>> {
    let mut addresses = BTreeSet::new();
    let mut found = handle.address().get().set_link_index_filter(index).execute();
    while let Some(message) = found.try_next().await.map_err(system_error)? {
        // IPv4 tells the own address as the local one; IPv6 knows no other.
        let named = |attribute: &AddressAttribute| {
            if let AddressAttribute::Local(address) | AddressAttribute::Address(address) = attribute {
                Some(*address)
            } else {
                None
            }
        };
        let length = message.header.prefix_len;
        addresses.extend(message.attributes.iter().filter_map(named).map(|address| (address, length)));
    }
    Ok(addresses)
}

/// All routes through the interface, with their tables.
async fn routes_of(handle: &Handle, index: u32) -> io::Result<BTreeSet<(Prefix, u32)>> {
    routes_where(handle, |route| route.attributes.contains(&RouteAttribute::Oif(index))).await
}

/// The routes of both families that `is_ours` takes, with their tables.
///
/// # Errors
/// netlink.
pub(super) async fn routes_where(
    handle: &Handle,
    is_ours: impl Fn(&RouteMessage) -> bool,
) -> io::Result<BTreeSet<(Prefix, u32)>> {
    let mut ours = BTreeSet::new();
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
    for family in [v4, v6] {
        let mut found = handle.route().get(family).execute();
        while let Some(route) = found.try_next().await.map_err(system_error)? {
            if is_ours(&route) {
                ours.extend(prefix_of(&route).map(|prefix| (prefix, table_of(&route))));
            }
        }
    }
    Ok(ours)
}

fn prefix_of(route: &RouteMessage) -> Option<Prefix> {
    let named = route.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Destination(RouteAddress::Inet(v4)) = attribute {
            return Some(IpAddr::V4(*v4));
        }
        if let RouteAttribute::Destination(RouteAddress::Inet6(v6)) = attribute { Some(IpAddr::V6(*v6)) } else { None }
    });
    // A default route names no destination.
    let is_v4 = route.header.address_family == AddressFamily::Inet;
    let unnamed = if is_v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    Prefix::new(named.unwrap_or(unnamed), route.header.destination_prefix_length)
}

fn table_of(route: &RouteMessage) -> u32 {
    let named = route
        .attributes
        .iter()
        .find_map(|attribute| if let RouteAttribute::Table(number) = attribute { Some(*number) } else { None });
    named.unwrap_or_else(|| route.header.table.into())
}

pub(super) fn system_error(error: rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(message) = &error { message.to_io() } else { io::Error::other(error) }
}
