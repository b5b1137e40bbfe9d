//! The snapshot that the data path works from: made anew whenever something in it changed (ARCHITECTURE "Two speeds").

use std::sync::Arc;

use super::peer::Peer;
use super::peers::Peers;
use crate::dataplane::routes::Routes;
use crate::dataplane::snapshot::{PeerView, Receiving, Sealing, Snapshot};
use crate::dataplane::traffic::Unclaimed;
use crate::types::limits::INNER_MTU_MAX;
use crate::types::time::Instant;

/// All peers as the data path sees them.
pub(super) fn snapshot(all: &Peers, routes: &Arc<Routes>, unclaimed: &Arc<Unclaimed>, now: Instant) -> Snapshot {
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
    Snapshot { peers: views, routes: Arc::clone(routes), receive, unclaimed: Arc::clone(unclaimed) }
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
