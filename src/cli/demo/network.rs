//! The three namespaces of the demo, joined by veth pairs, made by netlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use super::namespace::Namespace;

/// Outer address of site A on the wan (RFC 5737: for documentation, so never a real host).
pub(super) const SITE_A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Outer address of site B on the wan.
pub(super) const SITE_B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// KME-A, as site A reaches it.
pub(super) const KME_A: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// KME-B, as site B reaches it.
pub(super) const KME_B: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Name of the interface between the sites, at both.
pub(super) const WAN: &str = "wan";

const SITE_A_TO_KME: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const SITE_B_TO_KME: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// Each link has two addresses.
const PREFIX: u8 = 30;

/// Site A, site B, and the KMEs.
pub(super) struct Network {
    pub(super) a: Namespace,
    pub(super) b: Namespace,
    pub(super) kmes: Namespace,
}

/// One end of a link: where, under which name, with which address.
struct End<'a> {
    namespace: &'a Namespace,
    name: &'static str,
    address: Ipv4Addr,
}

impl Network {
    /// Makes all of it.
    pub(super) fn create() -> io::Result<Self> {
        let network =
            Self { a: Namespace::create("site-a")?, b: Namespace::create("site-b")?, kmes: Namespace::create("kmes")? };
        for namespace in [&network.a, &network.b, &network.kmes] {
            netlink(namespace, |handle| Box::pin(async move { raise(&handle, "lo").await }))?;
        }
        let end = |namespace, name, address| End { namespace, name, address };
        join(&end(&network.a, WAN, SITE_A), &end(&network.b, WAN, SITE_B))?;
        join(&end(&network.a, "kme", SITE_A_TO_KME), &end(&network.kmes, "a", KME_A))?;
        join(&end(&network.b, "kme", SITE_B_TO_KME), &end(&network.kmes, "b", KME_B))?;
        Ok(network)
    }
}

/// A veth pair between two namespaces: made in the first, its other half moved to the second under a passing name.
fn join(one: &End<'_>, other: &End<'_>) -> io::Result<()> {
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
