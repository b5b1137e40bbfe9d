//! What another setup means for a peer that has a session (PROTOCOL 2.8a): most is used at once, what both ends agreed
//! upon by a new full handshake, while the old session goes on.

use super::desk::Desk;
use super::output::Now;
use super::peer::Peer;
use super::setup::{PeerSetup, PolicySetup};
use crate::dataplane::snapshot::Endpoint;
use crate::types::id::SourceMask;
use crate::types::limits::POLICY_TURN;
use crate::types::policy::{QkdPolicy, RatchetPolicy};

impl Peer {
    /// From now on this setup holds, under the same name.
    ///
    /// Another public key is another site: the session ends. Terms that are said in a handshake start one at once; if
    /// they are stricter the old session ends soon (PROTOCOL 2.8a). Everything else leaves the session alone.
    pub(super) fn change(&mut self, now: Now, mut setup: PeerSetup, renewed: SourceMask, desk: &mut Desk) {
        setup.policy = self.reconfigure_override(now, setup.policy, desk);
        let old = std::mem::replace(&mut self.setup, setup);
        desk.changed = true;
        self.forgive(old.source_mask(), renewed);
        if old.allowed_ips != self.setup.allowed_ips {
            // What waits may be another peer's now.
            self.link.staged.clear();
        }
        if old.public.fp() != self.setup.public.fp() {
            return self.become_another(now, desk);
        }
        self.follow_endpoint(now, old.endpoint, desk);
        self.keep_intervals(now, old.policy);
        let terms = |setup: &PeerSetup| setup.terms(setup.ratchet, 0);
        if terms(&old) != terms(&self.setup) || !old.psk.ct_eq(&self.setup.psk) {
            self.agree_anew(now, desk);
        }
        if is_stricter(&self.setup, &old) {
            self.condemn_sessions(now);
        }
    }

    /// Sources that are new in any way, or gone, have never failed.
    fn forgive(&mut self, before: SourceMask, renewed: SourceMask) {
        let now = self.setup.source_mask();
        for source in crate::types::id::SourceId::all() {
            if renewed.has(source) || before.has(source) != now.has(source) {
                self.keys.rules.probes.mixed(source);
            }
        }
    }

    /// The site behind this name has another identity.
    fn become_another(&mut self, now: Now, desk: &mut Desk) {
        self.leave(now, desk);
        self.setup.policy = self.configured_policy();
        self.keys.over = None;
        self.is_primary = desk.me.fp() > self.setup.public.fp();
        self.link.endpoint = None;
        self.tally.peer_policy = None;
        self.pace.missed_since = Some(now.at);
        self.pace.first_attempt = true;
        self.pace.interval = self.setup.policy.rekey;
        self.start_over(now);
    }

    /// A new address in the configuration is where the peer is; one that has become pinned is used from now on.
    fn follow_endpoint(&mut self, now: Now, before: Option<std::net::SocketAddr>, desk: &mut Desk) {
        let Some(to) = self.setup.endpoint else { return };
        let is_elsewhere = self.link.endpoint.is_some_and(|endpoint| endpoint.to != to);
        if before != Some(to) || (self.setup.pin_endpoint && is_elsewhere) {
            self.link.endpoint = self.link.endpoint.map(|_| Endpoint { to, from: None });
            self.abandon_attempt(desk);
            self.pace.not_before = now.at;
        }
    }

    /// An epoch ends by the interval that it was made with: a longer one begins with new keys.
    fn keep_intervals(&mut self, now: Now, before: PolicySetup) {
        let policy = self.setup.policy;
        if before.rekey != policy.rekey {
            self.pace.interval = policy.rekey;
            self.keys.rules.pace(policy.rekey);
            if before.rekey < policy.rekey && self.has_session() {
                self.rekey_now(now);
            }
        }
        for chain in &mut self.keys.chains {
            chain.dates.full_at = chain.dates.full_at.min(chain.dates.born + policy.full);
        }
    }

    /// A full handshake at once; those under way speak of what was.
    pub(super) fn agree_anew(&mut self, now: Now, desk: &mut Desk) {
        self.abandon_attempt(desk);
        self.end_unanswered(desk);
        self.pace.full_due = Some(now.at);
        self.start_over(now);
    }

    fn start_over(&mut self, now: Now) {
        self.pace.not_before = now.at;
        self.pace.failed_attempts = 0;
        self.pace.answered_at = None;
    }

    /// What was agreed under a weaker policy ends soon, whatever comes of the new handshake.
    pub(super) fn condemn_sessions(&mut self, now: Now) {
        let end = now.at + POLICY_TURN;
        for chain in &mut self.keys.chains {
            chain.dates.condemned = true;
            chain.dates.ends_at = Some(chain.dates.ends_at.map_or(end, |at| at.min(end)));
        }
    }

    /// The peer goes, or its session as a whole: the other end is told at once, and everything is given back.
    pub(super) fn leave(&mut self, now: Now, desk: &mut Desk) {
        let admits = self.pace.admits;
        self.admit(false, desk);
        self.pace.admits = admits;
        self.stop(now, desk);
        self.after_loss(now, desk);
        self.link.staged.clear();
        self.tell_state(now, desk);
    }
}

/// Whether something that was allowed is not any more.
fn is_stricter(new: &PeerSetup, old: &PeerSetup) -> bool {
    let requires = |ratchet: RatchetPolicy| ratchet == RatchetPolicy::Require;
    is_stricter_policy(&new.policy, &old.policy) || (requires(new.ratchet) && !requires(old.ratchet))
}

/// How strict a policy is, the strictest last.
pub(super) fn rank(policy: QkdPolicy) -> u8 {
    match policy {
        QkdPolicy::Off => 0,
        QkdPolicy::Preferred => 1,
        QkdPolicy::Required => 2,
    }
}

pub(super) fn is_stricter_policy(is: &PolicySetup, was: &PolicySetup) -> bool {
    let limit = |policy: &PolicySetup| match policy.qkd {
        QkdPolicy::Required => policy.hold_last,
        QkdPolicy::Preferred => policy.degrade_for,
        QkdPolicy::Off => None,
    };
    let is_shorter = match (limit(is), limit(was)) {
        (Some(is), Some(was)) => is < was,
        (Some(_), None) => true,
        (None, _) => false,
    };
    rank(is.qkd) > rank(was.qkd) || (is.qkd == was.qkd && (is.min_sources > was.min_sources || is_shorter))
}

#[cfg(test)]
mod tests;
