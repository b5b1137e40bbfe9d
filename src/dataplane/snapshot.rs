//! What the packet threads work on: peers, routes and epochs, immutable, published by the engine as a whole.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::dataplane::routes::Routes;
use crate::dataplane::traffic::{Traffic, Unclaimed};
use crate::handshake::mac::Mac1Key;
use crate::session::epoch::{EpochTag, OpenEpoch, SealEpoch};
pub use crate::session::keyring::Standing;
use crate::types::id::{PeerId, SessionIndex};
use crate::types::time::Instant;

/// Where a peer's datagrams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The peer's address; an IPv4-mapped one is given as IPv4.
    pub to: SocketAddr,
    /// Our address that it talks to; `None`: the system chooses.
    pub from: Option<IpAddr>,
}

/// The epoch that packets to a peer are sealed under.
#[derive(Clone)]
pub struct Sealing {
    /// The keys and counters.
    pub epoch: Arc<SealEpoch>,
    /// Nothing is sealed from this instant on, even if the engine stands still.
    pub until: Instant,
}

/// An epoch that packets of a peer may come under.
#[derive(Clone)]
pub struct Receiving {
    /// This end's data receiver index, unique in the snapshot.
    pub index: u32,
    /// The keys and replay windows.
    pub epoch: Arc<OpenEpoch>,
    /// Nothing is opened from this instant on.
    pub until: Instant,
    /// Where it stands.
    pub standing: Standing,
}

/// One peer as the packet threads see it.
#[derive(Clone)]
pub struct PeerView {
    /// Where its datagrams go; `None`: not known yet.
    pub endpoint: Option<Endpoint>,
    /// What its packets are sealed under; `None`: no session.
    pub sealing: Option<Sealing>,
    /// No packet may be sent or staged (PROTOCOL 2.8a).
    pub blocked: bool,
    /// The inner MTU agreed for the newest session, in bytes.
    pub inner_mtu: u16,
    /// Counts and times; the same for every snapshot.
    pub traffic: Arc<Traffic>,
}

/// Everything the packet threads need to know.
#[derive(Default)]
pub struct Snapshot {
    /// In the order of [`PeerId`].
    pub peers: Vec<PeerView>,
    /// Allowed IPs.
    pub routes: Arc<Routes>,
    /// Sorted by `index`, at most six a peer.
    pub receive: Vec<Receiving>,
    /// Counts that belong to no peer; the same for every snapshot.
    pub unclaimed: Arc<Unclaimed>,
    /// What who opens a handshake with this end must know; `None`: the engine alone looks.
    pub door: Option<Arc<Mac1Key>>,
}

impl Snapshot {
    /// The peer of that number.
    pub fn peer(&self, id: PeerId) -> Option<&PeerView> {
        self.peers.get(usize::from(id.0))
    }

    /// The receive epoch with that index.
    pub fn receiving(&self, index: SessionIndex) -> Option<&Receiving> {
        let at = self.receive.binary_search_by_key(&index.value(), |receiving| receiving.index).ok()?;
        self.receive.get(at)
    }

    /// Whether the peer's endpoint differs from where a packet came from.
    pub(crate) fn has_moved(&self, tag: EpochTag, from: SocketAddr, local: Option<IpAddr>) -> bool {
        let Some(endpoint) = self.peer(tag.peer).and_then(|peer| peer.endpoint) else { return true };
        endpoint.to != from || (local.is_some() && endpoint.from != local)
    }
}
