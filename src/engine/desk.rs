//! What all peers of an engine share: identity, draws, numbers, and the queue of effects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::output::{Event, EventKind, Output, StateFile, StoreId};
use crate::crypto::aead::AeadBackend;
use crate::dataplane::snapshot::{Endpoint, Snapshot};
use crate::identity::Identity;
use crate::keys::request::{KeyRequest, RequestId};
use crate::types::id::{PeerId, SessionIndex};
use crate::types::random::Randomness;
use crate::types::secret::SecretBytes;

/// What a live index of this end stands for (PROTOCOL 2.4: unique among the live ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexUse {
    /// The sender index of a peer's own attempt.
    Attempt(PeerId),
    /// The index of a pending responder state of a peer.
    Pending(PeerId),
    /// The data receiver index of an epoch of a peer.
    Data(PeerId),
}

/// Shared by all peers; lent to each for the time of one call.
pub(super) struct Desk {
    pub(super) me: Identity,
    pub(super) rng: Box<dyn Randomness>,
    pub(super) aead: AeadBackend,
    /// A snapshot is due.
    pub(super) changed: bool,
    outputs: VecDeque<Output>,
    indices: BTreeMap<SessionIndex, IndexUse>,
    requests: u64,
    stores: u64,
    sessions: u32,
}

impl Desk {
    pub(super) fn new(me: Identity, rng: Box<dyn Randomness>, aead: AeadBackend) -> Self {
        Self {
            me,
            rng,
            aead,
            changed: true,
            outputs: VecDeque::new(),
            indices: BTreeMap::new(),
            requests: 0,
            stores: 0,
            sessions: 0,
        }
    }

    /// A random index that no live exchange or epoch of this end uses.
    pub(super) fn take_index(&mut self, name: &'static str, used_for: IndexUse) -> SessionIndex {
        loop {
            // Bounded in practice: the table holds a few dozen of 2^32 values.
            let candidate = SessionIndex::new(self.rng.public_u32(name));
            if let Some(index) = candidate.filter(|index| !self.indices.contains_key(index)) {
                self.indices.insert(index, used_for);
                return index;
            }
        }
    }

    pub(super) fn free_index(&mut self, index: SessionIndex) {
        self.indices.remove(&index);
    }

    pub(super) fn live_indices(&self) -> usize {
        self.indices.len()
    }

    pub(super) fn index_use(&self, index: u32) -> Option<IndexUse> {
        self.indices.get(&SessionIndex::new(index)?).copied()
    }

    /// A number for the next session made by this end, of either role: the later made is the newer (PROTOCOL 2.9).
    pub(super) fn next_session(&mut self) -> u32 {
        self.sessions = self.sessions.wrapping_add(1);
        self.sessions
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        self.requests = self.requests.wrapping_add(1);
        RequestId(self.requests)
    }

    /// A factor below 1, uniform: `value` in 0..=255 stands for 0..100 %.
    pub(super) fn jitter(&mut self) -> u8 {
        let mut byte = [0];
        self.rng.public("jitter", &mut byte);
        byte[0]
    }

    pub(super) fn transmit(&mut self, to: Endpoint, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Transmit { to, bytes });
    }

    pub(super) fn want_keys(&mut self, request: KeyRequest) {
        self.outputs.push_back(Output::WantKeys(request));
    }

    pub(super) fn store(&mut self, peer: PeerId, file: StateFile, bytes: SecretBytes) -> StoreId {
        self.stores = self.stores.wrapping_add(1);
        let id = StoreId(self.stores);
        self.outputs.push_back(Output::Store { id, peer, file, bytes });
        id
    }

    pub(super) fn tell(&mut self, peer: PeerId, what: EventKind) {
        self.outputs.push_back(Output::Event(Event { peer, what }));
    }

    /// A snapshot goes before all else: what a datagram of the same step brings back must find its epoch there.
    pub(super) fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.outputs.push_front(Output::Publish(snapshot));
    }

    pub(super) fn tell_inner_mtu(&mut self, bytes: u16) {
        self.outputs.push_back(Output::InnerMtu(bytes));
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
