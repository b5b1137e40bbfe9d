//! The snapshot that the data path works from: made anew whenever something in it changed (ARCHITECTURE "Two speeds").

use std::sync::Arc;

use super::peer::Peer;
use crate::dataplane::routes::Routes;
use crate::dataplane::snapshot::{PeerView, Receiving, Sealing, Snapshot};
use crate::dataplane::traffic::Unclaimed;
use crate::types::time::Instant;

/// All peers as the data path sees them.
pub(super) fn snapshot(peers: &[Peer], routes: &Arc<Routes>, unclaimed: &Arc<Unclaimed>, now: Instant) -> Snapshot {
    let mut receive: Vec<Receiving> = peers.iter().flat_map(receiving).collect();
    receive.sort_by_key(|receiving| receiving.index);
    Snapshot {
        peers: peers.iter().map(|peer| view(peer, now)).collect(),
        routes: Arc::clone(routes),
        receive,
        unclaimed: Arc::clone(unclaimed),
    }
}

fn view(peer: &Peer, now: Instant) -> PeerView {
    let sealing = peer.keys.ring.sealing();
    PeerView {
        endpoint: peer.link.endpoint,
        sealing: sealing.map(|epoch| Sealing { epoch: Arc::clone(&epoch.seal), until: peer.until(epoch) }),
        blocked: peer.is_blocked(now),
        inner_mtu: peer.chain().map_or(peer.setup.inner_mtu, |chain| chain.agreed.inner_mtu),
        traffic: Arc::clone(&peer.link.traffic),
    }
}

fn receiving(peer: &Peer) -> impl Iterator<Item = Receiving> {
    peer.keys.ring.iter().map(|epoch| Receiving {
        index: epoch.index.value(),
        epoch: Arc::clone(&epoch.open),
        until: peer.until(epoch),
        standing: epoch.standing,
    })
}
