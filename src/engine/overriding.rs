//! A policy that is weaker for a time, because an operator wants it: bounded, told, and only as far as the other end allows.
//!
//! It changes what this end says in handshakes. Sessions that come of it and would not have been made by the configured
//! policy end with it, whatever the clock of the configured policy says meanwhile; that clock is neither stopped nor set back.

use std::time::Duration;

use super::chain::EpochFacts;
use super::change::{is_stricter_policy, rank};
use super::desk::Desk;
use super::interface::Engine;
use super::output::{EventKind, Now, OverrideChange};
use super::peer::Peer;
use super::setup::PolicySetup;
use crate::keys::policy::LeftSeconds;
use crate::session::epoch::EpochTag;
use crate::session::keyring::KeptEpoch;
use crate::types::id::PeerId;
use crate::types::policy::QkdPolicy;
use crate::types::time::{Instant, UnixTime};

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideOrder {
    /// The policy for the time: weaker than the configured one.
    pub qkd: QkdPolicy,
    /// For how long.
    pub lasts: Duration,
    /// Why, for those who read it later.
    pub reason: String,
}

/// An override in force.
pub(super) struct Override {
    pub(super) order: OverrideOrder,
    pub(super) until: Instant,
    pub(super) ends: UnixTime,
    /// The policy that is configured.
    pub(super) strict: PolicySetup,
}

impl Override {
    /// The configured policy, weakened.
    fn eased(&self) -> PolicySetup {
        let limit = self.strict.degrade_for.map_or(self.order.lasts, |limit| limit.min(self.order.lasts));
        let min_sources = if self.order.qkd == QkdPolicy::Off { 0 } else { self.strict.min_sources };
        PolicySetup { qkd: self.order.qkd, min_sources, degrade_for: Some(limit), ..self.strict }
    }
}

impl Engine {
    /// Weakens the policy for one peer, in place of an earlier override; `false` if it is as weak as that already.
    pub fn begin_override(&mut self, now: Now, peer: PeerId, order: OverrideOrder) -> bool {
        self.fail_closed(now);
        let desk = &mut self.desk;
        let began = self.peers.touch(peer).is_some_and(|peer| peer.begin_override(now, order, desk));
        self.finish(now);
        began
    }

    /// The configured policy holds again; `false` if it did.
    pub fn end_override(&mut self, now: Now, peer: PeerId) -> bool {
        self.fail_closed(now);
        let desk = &mut self.desk;
        let ended = self.peers.touch(peer).is_some_and(|peer| peer.end_override(now, true, desk));
        self.finish(now);
        ended
    }

    /// Peers whose configured policy is stricter than this.
    pub fn stricter_than(&self, qkd: QkdPolicy) -> Vec<PeerId> {
        let stricter = |peer: &&Peer| rank(qkd) < rank(peer.configured_policy().qkd);
        self.peers.as_slice().iter().filter(stricter).map(|peer| peer.id).collect()
    }
}

impl Peer {
    /// The policy as configured, whatever overrides it.
    pub(super) fn configured_policy(&self) -> PolicySetup {
        self.keys.over.as_ref().map_or(self.setup.policy, |over| over.strict)
    }

    fn begin_override(&mut self, now: Now, order: OverrideOrder, desk: &mut Desk) -> bool {
        let strict = self.configured_policy();
        if rank(order.qkd) >= rank(strict.qkd) {
            return false;
        }
        let (until, ends) = (now.at + order.lasts, UnixTime(now.unix.0.saturating_add(order.lasts.as_secs())));
        desk.tell(self.id, EventKind::Override(OverrideChange::Began { order: order.clone(), ends }));
        self.override_by(now, Override { order, until, ends, strict }, desk);
        true
    }

    fn override_by(&mut self, now: Now, over: Override, desk: &mut Desk) {
        let before = std::mem::replace(&mut self.setup.policy, over.eased());
        self.keys.over = Some(over);
        self.agree_anew(now, desk);
        if is_stricter_policy(&self.setup.policy, &before) {
            self.condemn_sessions(now);
        }
        desk.changed = true;
    }

    /// The configured policy has changed under an override: that goes on if it still weakens something. Gives the policy to use.
    pub(super) fn reconfigure_override(&mut self, now: Now, strict: PolicySetup, desk: &mut Desk) -> PolicySetup {
        let Some(over) = &mut self.keys.over else { return strict };
        over.strict = strict;
        let eased = over.eased();
        if rank(eased.qkd) < rank(strict.qkd) {
            return eased;
        }
        self.end_override(now, true, desk);
        strict
    }

    /// `early`: not because its time was up.
    fn end_override(&mut self, now: Now, early: bool, desk: &mut Desk) -> bool {
        if self.keys.over.is_none() {
            return false;
        }
        let ends: Vec<EpochTag> =
            self.keys.ring.iter().filter(|epoch| self.is_eased(epoch)).map(|epoch| epoch.tag).collect();
        let Some(over) = self.keys.over.take() else { return false };
        self.setup.policy = over.strict;
        desk.tell(self.id, EventKind::Override(OverrideChange::Ended { early }));
        self.end_epochs(now, &ends, desk);
        self.agree_anew(now, desk);
        self.condemn_sessions(now);
        desk.changed = true;
        true
    }

    /// When it is time.
    pub(super) fn expire_override(&mut self, now: Now, desk: &mut Desk) {
        if self.keys.over.as_ref().is_some_and(|over| over.until <= now.at) {
            self.end_override(now, false, desk);
        }
    }

    /// Whether a session of this policy is there only because of the override.
    pub(super) fn eases(&self, policy: QkdPolicy) -> bool {
        self.keys.over.as_ref().is_some_and(|over| rank(policy) < rank(over.strict.qkd))
    }

    /// Whether an epoch would not be there without the override: it has too few keys for the configured policy.
    pub(super) fn is_eased(&self, epoch: &KeptEpoch<EpochFacts>) -> bool {
        let Some(over) = &self.keys.over else { return false };
        let chain = self.keys.chains.iter().find(|chain| chain.session == epoch.tag.session);
        let policy = chain.map_or(QkdPolicy::Required, |chain| chain.agreed.policy);
        self.eases(policy) && epoch.facts.mixed.len() < usize::from(over.strict.min_sources)
    }

    /// What remains of the override, rounded up.
    pub(super) fn override_left(&self, now: Instant) -> LeftSeconds {
        let left = self.keys.over.as_ref().map_or(Duration::ZERO, |over| over.until.since(now));
        let seconds = left.as_nanos().div_ceil(1_000_000_000);
        LeftSeconds(u32::try_from(seconds).unwrap_or(u32::MAX).min(u32::MAX - 1))
    }
}
