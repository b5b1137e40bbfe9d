//! What strangers meet before a peer is known: cookie gate, reassembly, work limits (PROTOCOL 2.4).

use std::collections::BTreeMap;

use super::desk::Desk;
use super::output::Now;
use crate::handshake::cookie::CookieGate;
use crate::handshake::reassembly::I1Reassembly;
use crate::handshake::work::WorkLimit;

/// What strangers meet before a peer is known (PROTOCOL 2.4).
pub(super) struct Door {
    pub(super) gate: CookieGate,
    pub(super) reassembly: I1Reassembly,
    pub(super) work: WorkLimit,
    pub(super) refusals: BTreeMap<&'static str, u64>,
}

impl Door {
    pub(super) fn new(now: Now, desk: &mut Desk) -> Self {
        Self {
            gate: CookieGate::new(now.at, desk.rng.as_mut(), desk.me.fp()),
            reassembly: I1Reassembly::new(desk.me.suite()),
            work: WorkLimit::default(),
            refusals: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, refusal: &'static str) {
        *self.refusals.entry(refusal).or_default() += 1;
    }

    /// The cookie secret rotates.
    pub(super) fn tick(&mut self, now: Now, desk: &mut Desk) {
        if self.gate.next_rotation() <= now.at {
            self.gate.rotate(now.at, desk.rng.as_mut());
        }
    }
}
