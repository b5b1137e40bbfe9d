//! The three namespaces of the demo, joined by veth pairs.

use std::io;
use std::net::Ipv4Addr;

use crate::cli::lab::namespace::Namespace;
use crate::cli::lab::wires::{End, join, raise_loopback};

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

/// Site A, site B, and the KMEs.
pub(super) struct Network {
    pub(super) a: Namespace,
    pub(super) b: Namespace,
    pub(super) kmes: Namespace,
}

impl Network {
    /// Makes all of it.
    pub(super) fn create() -> io::Result<Self> {
        let network =
            Self { a: Namespace::create("site-a")?, b: Namespace::create("site-b")?, kmes: Namespace::create("kmes")? };
        for namespace in [&network.a, &network.b, &network.kmes] {
            raise_loopback(namespace)?;
        }
        let end = |namespace, name, address| End { namespace, name, address };
        join(&end(&network.a, WAN, SITE_A), &end(&network.b, WAN, SITE_B))?;
        join(&end(&network.a, "kme", SITE_A_TO_KME), &end(&network.kmes, "a", KME_A))?;
        join(&end(&network.b, "kme", SITE_B_TO_KME), &end(&network.kmes, "b", KME_B))?;
        Ok(network)
    }
}
