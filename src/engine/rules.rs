//! The rules that keys and requests of one peer pass through: seen table, fitness, budget, probe times (PROTOCOL 2.5, 2.8a).

use std::time::Duration;

use super::desk::Desk;
use super::output::StateFile;
use crate::keys::budget::RequestBudget;
use crate::keys::fitness::FitTests;
use crate::keys::probe::ProbeTimes;
use crate::keys::request::DeliveredKey;
use crate::keys::seen::SeenTable;
use crate::types::id::{KeyId, PeerId, SourceId};
use crate::types::policy::Reason;
use crate::types::time::Instant;

/// One peer's rules about keys.
pub(super) struct KeyRules {
    seen: SeenTable,
    pub(super) probes: ProbeTimes,
    fit: FitTests,
    budget: RequestBudget,
}

impl KeyRules {
    pub(super) fn new(seen: SeenTable, fit: FitTests, budget: RequestBudget) -> Self {
        Self { seen, probes: ProbeTimes::new(), fit, budget }
    }

    /// One token for one set of keys; what is left is written down, so that a restart gives none back.
    pub(super) fn take_token(&mut self, now: Instant, peer: PeerId, desk: &mut Desk) -> bool {
        let taken = self.budget.take(now);
        if taken {
            desk.store(peer, StateFile::Budget, self.budget.to_bytes());
        }
        taken
    }

    /// Fast rekeys come at this interval from now on.
    pub(super) fn pace(&mut self, t_fast: Duration) {
        self.budget.pace(t_fast);
    }

    /// When the next token comes.
    pub(super) fn next_token(&self, now: Instant) -> Instant {
        self.budget.next(now)
    }

    /// Enters a key_ID and writes that down, so that a restart forgets none; `false` if it was seen before.
    #[must_use = "a key_ID that was seen must not be used"]
    pub(super) fn see(&mut self, source: SourceId, key_id: &KeyId, peer: PeerId, desk: &mut Desk) -> bool {
        let is_new = self.seen.insert(source, key_id);
        if is_new {
            desk.store(peer, StateFile::Seen, self.seen.to_bytes());
        }
        is_new
    }

    /// Whether a key_ID was seen before.
    pub(super) fn has_seen(&self, source: SourceId, key_id: &KeyId) -> bool {
        self.seen.contains(source, key_id)
    }

    /// Whether a delivered key may be used: its size and its fitness.
    pub(super) fn admit(&mut self, source: SourceId, key: &DeliveredKey) -> Result<(), Reason> {
        self.fit.check(source, key)
    }

    /// Whether a source's own probe times allow a full handshake of ours now (PROTOCOL 2.8a).
    pub(super) fn may_probe(&self, now: Instant) -> bool {
        self.probes.all_due(now)
    }
}
