//! One interface with all its peers: what is fed in, what is drained, and one timer.

use std::sync::Arc;

use super::course::Course;
use super::desk::Desk;
use super::door::Door;
use super::output::{Command, Now, Output, StoreId};
use super::peer::{Exchanges, Link, Pace, Peer, PeerState, Tally};
use super::peers::Peers;
use super::publish::Common;
use super::rules::KeyRules;
use super::setup::{EngineSetup, PeerSetup, Restored};
use super::staging::Staging;
use super::status::PeerStatus;
use crate::dataplane::report::PumpEvent;
use crate::dataplane::routes::Routes;
use crate::dataplane::traffic::Traffic;
use crate::keys::budget::RequestBudget;
use crate::keys::clock::PolicyClock;
use crate::keys::fitness::FitTests;
use crate::keys::ratchet::RatchetStore;
use crate::keys::request::KeyDelivery;
use crate::keys::seen::SeenTable;
use crate::session::keyring::Keyring;
use crate::types::id::PeerId;
use crate::types::limits::{EPOCH_OVERLAP, PULSE_INTERVAL};
use crate::types::secret::Secret;
use crate::types::time::Instant;

/// One interface with all its peers.
pub struct Engine {
    pub(super) desk: Desk,
    pub(super) peers: Peers,
    pub(super) common: Common,
    /// Bytes of the longest packet that every peer takes, as last told.
    pub(super) inner_mtu: Option<u16>,
    pub(super) door: Door,
}

impl Engine {
    /// Starts: the first attempt of every peer with an endpoint is due at once.
    pub fn new(setup: EngineSetup, now: Now) -> Self {
        let EngineSetup { me, peers, restored, rng, aead } = setup;
        let mut desk = Desk::new(me, rng, aead);
        let door = Door::new(now, &mut desk);
        let common = Common {
            routes: Arc::new(routes((0..).map(PeerId).zip(&peers))),
            unclaimed: Arc::default(),
            door: door.gate.mac1(),
        };
        let inner_mtu = peers.iter().map(|peer| peer.inner_mtu).min();
        let mut restored = restored.into_iter();
        let peers = peers
            .into_iter()
            .zip((0..).map(PeerId))
            .map(|(peer, id)| new_peer(id, peer, restored.next().unwrap_or_default(), now, &mut desk))
            .collect();
        let peers = Peers::new(peers);
        let mut engine = Self { desk, peers, common, inner_mtu, door };
        engine.finish(now);
        engine
    }

    /// Something a pump saw.
    pub fn handle_pump(&mut self, now: Now, event: PumpEvent) {
        self.fail_closed(now);
        self.on_pump(now, event);
        self.finish(now);
    }

    /// A key source answered.
    pub fn handle_keys(&mut self, now: Now, delivery: KeyDelivery) {
        self.fail_closed(now);
        let desk = &mut self.desk;
        if let Some(peer) = self.peers.touch(delivery.peer) {
            peer.on_delivery(now, delivery, desk);
        }
        self.finish(now);
    }

    /// A write is done, or has failed.
    pub fn handle_stored(&mut self, now: Now, id: StoreId, ok: bool) {
        self.fail_closed(now);
        if let Some(peer) = self.peers.touch_where(|peer| peer.waits_for_store(id)) {
            peer.on_attempt_stored(now, id, ok, &mut self.desk);
            peer.on_answer_stored(now, id, ok, &mut self.desk);
            peer.on_ratchet_stored(id, ok);
        }
        self.finish(now);
    }

    /// An operator asks for something.
    pub fn handle_command(&mut self, now: Now, command: Command) {
        self.fail_closed(now);
        match command {
            Command::Rekey(Some(id)) => {
                if let Some(peer) = self.peers.touch(id) {
                    peer.rekey_now(now);
                }
            }
            Command::Rekey(None) => {
                for peer in self.peers.touch_all() {
                    peer.rekey_now(now);
                }
            }
            Command::Pace { peer, interval } => {
                if let Some(peer) = self.peers.touch(peer) {
                    peer.pace.interval = interval.min(peer.setup.policy.rekey);
                }
            }
            Command::Admit(admits) => {
                for peer in self.peers.touch_all() {
                    peer.admit(admits, &mut self.desk);
                }
            }
            Command::Stop => {
                for peer in self.peers.touch_all() {
                    peer.stop(now, &mut self.desk);
                }
            }
        }
        self.finish(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.fail_closed(now);
        for peer in self.peers.touch_due(now.at) {
            if peer.next_deadline(now.at).is_some_and(|due| due <= now.at) {
                peer.on_time(now, &mut self.desk);
            }
        }
        self.finish(now);
    }

    /// The next effect; `None` when all have been taken.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.desk.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [Some(self.door.gate.next_rotation()), self.peers.next_due()].into_iter().flatten().min()
    }

    /// All peers, in the order of the configuration.
    pub fn status(&self, now: Now) -> Vec<PeerStatus> {
        self.peers.as_slice().iter().map(|peer| peer.status(now)).collect()
    }

    /// One peer, if there is one of that number: what an event is about costs no look at all of them.
    pub fn peer_status(&self, now: Now, id: PeerId) -> Option<PeerStatus> {
        self.peers.get(id).map(|peer| peer.status(now))
    }

    /// What each peer went through, in the order of the configuration.
    pub fn courses(&self) -> impl Iterator<Item = &Course> {
        self.peers.as_slice().iter().map(|peer| &peer.tally.course)
    }

    /// Datagrams refused before a peer was known, by reason: most of them by the packet threads.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mut refusals = self.door.refusals.clone();
        for (name, count) in self.common.unclaimed.refused.totals().into_iter().filter(|(_, count)| *count > 0) {
            *refusals.entry(name).or_default() += count;
        }
        refusals.into_iter()
    }

    /// Packets and datagrams that belong to no peer, by reason.
    pub fn unclaimed(&self) -> [(&'static str, u64); 5] {
        self.common.unclaimed.totals()
    }

    /// Indices of this end that are in use by exchanges and epochs: bounded for each peer (PROTOCOL 2.4).
    pub fn live_indices(&self) -> usize {
        self.desk.live_indices()
    }

    /// Roots that fast rekeys can go on from: one of each session in use, one more while an epoch waits for its first
    /// packet, none while BLOCKED without such an epoch (PROTOCOL 2.8, 2.8a).
    pub fn live_roots(&self) -> usize {
        self.peers
            .as_slice()
            .iter()
            .flat_map(|peer| &peer.keys.chains)
            .map(|chain| 1 + usize::from(chain.next.is_some()))
            .sum()
    }

    /// Before anything else is looked at: what has ended, ends. A timer that comes late, after a suspend or behind a
    /// queue of packets, must not let anything through.
    pub(super) fn fail_closed(&mut self, now: Now) {
        self.door.tick(now, &mut self.desk);
        for peer in self.peers.touch_due(now.at) {
            peer.fail_closed(now, &mut self.desk);
        }
    }

    /// Stops what may not go on, tells of changed states and publishes what changed.
    pub(super) fn finish(&mut self, now: Now) {
        let desk = &mut self.desk;
        self.peers.settle(now.at, |peer| {
            peer.block_if_run_out(now, desk);
            peer.tell_state(now, desk);
        });
        if std::mem::take(&mut self.desk.changed) {
            let snapshot = super::publish::snapshot(&self.peers, &self.common, now.at);
            let inner_mtu = self.peers.as_slice().iter().map(super::publish::inner_mtu).min();
            self.desk.publish(Arc::new(snapshot));
            if let Some(bytes) = inner_mtu.filter(|_| self.inner_mtu != inner_mtu) {
                self.inner_mtu = inner_mtu;
                self.desk.tell_inner_mtu(bytes);
            }
        }
    }
}

/// Which peer owns which inner addresses.
pub(super) fn routes<'p>(peers: impl Iterator<Item = (PeerId, &'p PeerSetup)>) -> Routes {
    Routes::new(peers.flat_map(|(id, peer)| peer.allowed_ips.iter().map(move |prefix| (*prefix, id))))
}

pub(super) fn new_peer(id: PeerId, setup: PeerSetup, restored: Restored, now: Now, desk: &mut Desk) -> Peer {
    let file = |bytes: &Option<crate::types::secret::SecretBytes>| bytes.as_ref().map(|bytes| bytes.expose().to_vec());
    let fit = FitTests::new(Secret::filled(|key| desk.rng.secret("fit", key)));
    let budget = RequestBudget::from_file(file(&restored.budget).as_deref(), setup.policy.rekey, now.at);
    let (seen, _) = SeenTable::from_file(file(&restored.seen).as_deref());
    let (clock, _) = PolicyClock::from_file(now.at, file(&restored.clock).as_deref());
    let ratchet = RatchetStore::from_file(restored.ratchet.as_ref().map(|bytes| bytes.expose()));
    let keys = PeerState {
        rules: KeyRules::new(seen, fit, budget),
        ratchet,
        ratchet_writes: Vec::new(),
        clock,
        over: None,
        ring: Keyring::new(EPOCH_OVERLAP),
        chains: Vec::new(),
    };
    let link = Link {
        endpoint: None,
        traffic: Arc::new(Traffic::default()),
        staged: Staging::default(),
        leaving: std::collections::VecDeque::new(),
        confirming: None,
        last_sent: None,
        last_authentic: None,
    };
    let pace = Pace {
        missed_since: Some(now.at),
        owes_since: None,
        first_attempt: true,
        failed_attempts: 0,
        not_before: now.at,
        answered_at: None,
        trying_since: None,
        full_due: None,
        rekey_due: None,
        rekey_not_before: now.at,
        please_rekey: None,
        next_pulse: now.at + PULSE_INTERVAL,
        use_configured: true,
        admits: true,
        interval: setup.policy.rekey,
    };
    let is_primary = desk.me.fp() > setup.public.fp();
    let exchanges = Exchanges::default();
    Peer { id, setup, is_primary, keys, exchanges, link, pace, tally: Tally::default() }
}
