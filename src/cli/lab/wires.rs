//! Links between namespaces, made by netlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use super::namespace::Namespace;

/// Each link has two addresses.
const PREFIX: u8 = 30;

/// One end of a link: where, under which name, with which address.
pub(in crate::cli) struct End<'a> {
    pub(in crate::cli) namespace: &'a Namespace,
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) address: Ipv4Addr,
}

/// Raises the loopback interface of a namespace.
pub(in crate::cli) fn raise_loopback(namespace: &Namespace) -> io::Result<()> {
    netlink(namespace, |handle| Box::pin(async move { raise(&handle, "lo").await }))
}

/// A veth pair between two namespaces: made in the first, its other half moved to the second under a passing name.
pub(in crate::cli) fn join(one: &End<'_>, other: &End<'_>) -> io::Result<()> {
    const PASSING: &str = "moving";
    let (name, to) = (one.name, other.namespace.descriptor());
    netlink(one.namespace, move |handle| {
        Box::pin(async move {
            handle.link().add(LinkVeth::new(name, PASSING).build()).execute().await.map_err(io::Error::other)?;
            let message = LinkUnspec::new_with_index(index(PASSING)?).setns_by_fd(to).build();
            handle.link().set(message).execute().await.map_err(io::Error::other)
        })
    })?;
    let name = other.name;
    netlink(other.namespace, move |handle| {
        Box::pin(async move {
            let message = LinkUnspec::new_with_index(index(PASSING)?).name(name.to_owned()).build();
            handle.link().set(message).execute().await.map_err(io::Error::other)
        })
    })?;
    for End { namespace, name, address } in [one, other] {
        let (name, address) = (*name, *address);
        netlink(namespace, move |handle| {
            Box::pin(async move {
                let add = handle.address().add(index(name)?, IpAddr::V4(address), PREFIX);
                add.execute().await.map_err(io::Error::other)?;
                raise(&handle, name).await
            })
        })?;
    }
    Ok(())
}

async fn raise(handle: &Handle, name: &str) -> io::Result<()> {
    let message = LinkUnspec::new_with_index(index(name)?).up().build();
    handle.link().set(message).execute().await.map_err(io::Error::other)
}

fn index(name: &str) -> io::Result<u32> {
    nix::net::if_::if_nametoindex(name).map_err(io::Error::from)
}

type Talk = std::pin::Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// Talks netlink inside a namespace: the socket belongs to the namespace of the thread that makes it.
fn netlink(namespace: &Namespace, talk: impl FnOnce(Handle) -> Talk + Send + 'static) -> io::Result<()> {
    namespace.run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            let connection = tokio::spawn(connection);
            let result = talk(handle).await;
            connection.abort();
            result
        })
    })?
}
