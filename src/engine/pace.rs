//! When exchanges start, when a peer counts as gone, and the second's look at what the pumps counted (PROTOCOL 2.6, 2.9).

use super::desk::Desk;
use super::output::Now;
use super::peer::Peer;
use crate::types::limits::{
    ANSWER_QUIET, DEAD_PEER_AFTER, FAILED_OPENS_MAX, KEEPALIVE_AFTER, PULSE_INTERVAL, SECONDARY_PAUSE,
};
use crate::types::policy::QkdPolicy;
use crate::types::terms::Role;
use crate::types::time::Instant;

impl Peer {
    /// When the next attempt of ours is due; `None` if none is, or nobody knows where the peer is.
    pub(super) fn attempt_due(&self, _now: Instant) -> Option<Instant> {
        self.link.endpoint.or_else(|| self.configured())?;
        if !self.pace.admits {
            return None;
        }
        let wanted = [self.regular_full(), self.pace.full_due].into_iter().flatten().min()?;
        let quiet = self.pace.answered_at.map_or(Instant::ZERO, |answered| answered + ANSWER_QUIET);
        Some(wanted.max(self.pace.not_before).max(quiet))
    }

    fn regular_full(&self) -> Option<Instant> {
        let probe = self.keys.rules.probes.next();
        let clock = self.keys.clock.is_running();
        if !self.has_session() {
            let turn =
                if self.is_primary || self.pace.first_attempt { std::time::Duration::ZERO } else { SECONDARY_PAUSE };
            let start = self.pace.missed_since? + turn;
            // Short without a session: at the probe times only (PROTOCOL 2.6).
            return Some(probe.filter(|_| clock).map_or(start, |probe| probe.max(start)));
        }
        // The newest, confirmed or not: a session just made is not made again.
        let chain = self.keys.chains.last()?;
        match chain.agreed.policy {
            // In HOLDOVER a full handshake is a probe: when a failed source's time has come (PROTOCOL 2.8a).
            QkdPolicy::Required if clock => probe.map(|probe| probe.max(chain.dates.full_at)),
            QkdPolicy::Required | QkdPolicy::Preferred | QkdPolicy::Off => Some(chain.dates.full_at),
        }
    }

    /// Whether nothing authentic came for long while this end seals packets, or since its attempts began.
    pub(super) fn is_down(&self, now: Instant) -> bool {
        // An answer of a handshake is authentic too.
        let unanswered = self
            .link
            .traffic
            .outstanding_since
            .when()
            .map(|since| since.max(self.link.last_authentic.unwrap_or(since)));
        [unanswered, self.pace.trying_since].into_iter().flatten().any(|since| now.since(since) >= DEAD_PEER_AFTER)
    }

    /// Something authentic came.
    pub(super) fn note_authentic(&mut self, now: Now) {
        self.link.last_authentic = Some(now.at);
        self.pace.trying_since = None;
    }

    /// Looks at what the pumps counted: a gone peer, keepalives, limits.
    pub(super) fn on_pulse(&mut self, now: Now, desk: &mut Desk) {
        if self.pace.next_pulse > now.at {
            return;
        }
        self.pace.next_pulse = now.at + PULSE_INTERVAL;
        let opened = self.link.traffic.last_open.when();
        if opened > self.pace.trying_since {
            self.pace.trying_since = None;
        }
        self.drop_abused_epochs(now, desk);
        if !self.has_session() {
            return;
        }
        self.ask_for_full_if_gone(now);
        self.keep_alive(now, desk);
        self.ask_for_rekey(now);
    }

    /// An epoch under which too many packets failed to open is given up (PROTOCOL 2.9 "Integrity").
    fn drop_abused_epochs(&mut self, now: Now, desk: &mut Desk) {
        let gone = self.keys.ring.take_if(|epoch| epoch.open.failed_opens() >= FAILED_OPENS_MAX);
        if !gone.is_empty() {
            self.forget_epochs(gone, desk);
            self.settle_chains();
            self.after_loss(now, desk);
        }
    }

    /// A peer that does not answer data, or never confirms, is sought by a full handshake (PROTOCOL 2.9 "dead-peer").
    fn ask_for_full_if_gone(&mut self, now: Now) {
        let unanswered = self.link.traffic.outstanding_since.when();
        let unconfirmed = self.link.confirming.as_ref().map(|confirming| confirming.began);
        let gone = [unanswered, unconfirmed].into_iter().flatten().any(|since| now.at.since(since) >= DEAD_PEER_AFTER);
        if gone && self.exchanges.attempt.is_none() {
            self.pace.full_due.get_or_insert(now.at);
        }
    }

    fn keep_alive(&mut self, now: Now, desk: &mut Desk) {
        let sent = self.link.traffic.last_seal.when().max(self.link.last_sent).unwrap_or(Instant::ZERO);
        // From the first packet that has had no answer, not the last: a stream in one direction has no last.
        let received = self.link.traffic.last_data_open.when().filter(|received| *received > sent);
        self.pace.owes_since =
            received.map(|received| self.pace.owes_since.filter(|since| *since > sent).unwrap_or(received));
        let owes = self.pace.owes_since.is_some_and(|since| now.at.since(since) >= KEEPALIVE_AFTER);
        let wanted = self.setup.keepalive.is_some_and(|every| now.at.since(sent) >= every);
        if owes || wanted {
            self.send_empty(now, desk);
        }
    }

    /// The responder's configured interval or volume limit: it asks the initiator (PROTOCOL 2.8 "PLEASE_REKEY"). Not what
    /// `rekey = "auto"` makes of it: keys that the initiator drew look like income here, and only the initiator's stock pays.
    fn ask_for_rekey(&mut self, now: Now) {
        let Some(chain) = self.chain().filter(|chain| chain.role == Role::Responder) else { return };
        let due = self.keys.ring.sealing().is_some_and(|epoch| {
            epoch.tag.session == chain.session
                && (epoch.seal.needs_rekey() || now.at.since(epoch.born) >= self.setup.policy.rekey)
        });
        if due {
            self.pace.please_rekey.get_or_insert(now.at);
        }
    }
}
