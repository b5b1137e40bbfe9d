//! The snapshot that the data path works from: made anew whenever something in it changed (ARCHITECTURE "Two speeds").

use std::sync::Arc;

use super::peer::Peer;
use super::peers::Peers;
use crate::dataplane::routes::Routes;
use crate::dataplane::snapshot::{PeerView, Receiving, Sealing, Snapshot};
use crate::dataplane::traffic::Unclaimed;
use crate::handshake::mac::Mac1Key;
use crate::types::limits::INNER_MTU_MAX;
use crate::types::time::Instant;

/// What is the same in every snapshot, but for another configuration.
pub(super) struct Common {
    pub(super) routes: Arc<Routes>,
    pub(super) unclaimed: Arc<Unclaimed>,
    pub(super) door: Arc<Mac1Key>,
}

/// All peers as the data path sees them.
pub(super) fn snapshot(all: &Peers, common: &Common, now: Instant) -> Snapshot {
    let peers = all.as_slice();
    // Found by number: one that nobody has any more leads nowhere.
    let mut views = vec![nobody(); all.numbers()];
    for peer in peers {
        if let Some(place) = views.get_mut(usize::from(peer.id.0)) {
            *place = view(peer, now);
        }
    }
    let mut receive: Vec<Receiving> = peers.iter().flat_map(receiving).collect();
    receive.sort_by_key(|receiving| receiving.index);
    let Common { routes, unclaimed, door } = common;
    let (routes, unclaimed, door) = (Arc::clone(routes), Arc::clone(unclaimed), Some(Arc::clone(door)));
    Snapshot { peers: views, routes, receive, unclaimed, door }
}

fn view(peer: &Peer, now: Instant) -> PeerView {
    let sealing = peer.keys.ring.sealing();
    PeerView {
        endpoint: peer.link.endpoint,
        sealing: sealing.map(|epoch| Sealing { epoch: Arc::clone(&epoch.seal), until: peer.until(epoch) }),
        blocked: peer.is_blocked(now),
        inner_mtu: inner_mtu(peer),
        traffic: Arc::clone(&peer.link.traffic),
    }
}

/// Bytes of the longest packet that the peer takes.
pub(super) fn inner_mtu(peer: &Peer) -> u16 {
    peer.chain().map_or(peer.setup.inner_mtu, |chain| chain.agreed.inner_mtu)
}

fn nobody() -> PeerView {
    PeerView { endpoint: None, sealing: None, blocked: true, inner_mtu: INNER_MTU_MAX, traffic: Arc::default() }
}

fn receiving(peer: &Peer) -> impl Iterator<Item = Receiving> {
    peer.keys.ring.iter().map(|epoch| Receiving {
        index: epoch.index.value(),
        epoch: Arc::clone(&epoch.open),
        until: peer.until(epoch),
        standing: epoch.standing,
    })
}
