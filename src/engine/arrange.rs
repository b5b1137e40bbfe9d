//! Peers come, go and change while the others carry traffic: all of one reload in one step, and one snapshot after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::interface::{Engine, new_peer, routes};
use super::output::Now;
use super::peer::Peer;
use super::setup::{PeerSetup, Restored};
use crate::types::id::{PeerId, SourceMask};

/// One peer as it is to be.
pub enum Arranged {
    /// With this setup; `renewed` are the sources that are to be asked as if they had never failed.
    Stays {
        /// Which.
        id: PeerId,
        /// How it is to be.
        setup: Box<PeerSetup>,
        /// Sources whose KME, certificate or key is another.
        renewed: SourceMask,
    },
    /// A new one, with what it kept from an earlier time.
    Added {
        /// How it is to be.
        setup: Box<PeerSetup>,
        /// What its files hold.
        restored: Box<Restored>,
    },
}

impl Engine {
    /// How a peer is set up.
    pub fn setup(&self, id: PeerId) -> Option<&PeerSetup> {
        self.peers.get(id).map(|peer| &peer.setup)
    }

    /// Numbers of all peers, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.peers.as_slice().iter().map(|peer| peer.id)
    }

    /// Whether so many peers could be added now.
    pub fn has_room(&self, now: Now, added: usize) -> bool {
        self.peers.free_numbers(now.at) >= added
    }

    /// Puts the peers in this order, new ones among them; those that are not named go, told by CLOSE, their
    /// clocks written. Gives the numbers in the same order; `None`, and nothing done, if there is no room.
    ///
    /// A peer that stays keeps its epochs and counters; what a change of its setup means for its session is
    /// said at `Peer::change`.
    pub fn arrange(&mut self, now: Now, wanted: Vec<Arranged>) -> Option<Vec<PeerId>> {
        let added = wanted.iter().filter(|peer| matches!(peer, Arranged::Added { .. })).count();
        if !self.has_room(now, added) {
            return None;
        }
        self.fail_closed(now);
        let before = self.peers.take_all().into_iter().map(|peer| (peer.id, peer));
        let mut before: BTreeMap<PeerId, Peer> = before.collect();
        let mut after = Vec::with_capacity(wanted.len());
        for peer in wanted {
            after.extend(match peer {
                Arranged::Stays { id, setup, renewed } => before.remove(&id).map(|mut peer| {
                    peer.change(now, *setup, renewed, &mut self.desk);
                    peer
                }),
                Arranged::Added { setup, restored } => {
                    let id = self.peers.take_number(now.at);
                    id.map(|id| new_peer(id, *setup, *restored, now, &mut self.desk))
                }
            });
        }
        for mut gone in before.into_values() {
            gone.leave(now, &mut self.desk);
        }
        let ids = after.iter().map(|peer| peer.id).collect();
        self.common.routes = Arc::new(routes(after.iter().map(|peer| (peer.id, &peer.setup))));
        self.peers.put_all(now.at, after);
        // Told anew: what the interface takes may be another.
        self.inner_mtu = None;
        self.desk.changed = true;
        self.finish(now);
        Some(ids)
    }
}
