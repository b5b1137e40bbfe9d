//! What the other end's replies make of a peer's own attempt: R0, R1, the keys of I2, R2 (PROTOCOL 2.5, 2.6).

use super::attempt::{Attempt, Parking, Stage};
use super::desk::Desk;
use super::gather::Gather;
use super::output::{Alarm, EventKind, Now, StoreId};
use super::peer::Peer;
use super::ratchet::offers_of;
use crate::dataplane::snapshot::Endpoint;
use crate::handshake::initiator::{R2Outcome, RatchetUse};
use crate::handshake::terms::NewSession;
use crate::keys::policy::Exchange;
use crate::keys::probe::ProbeTimes;
use crate::types::id::{SourceId, SourceMask};
use crate::types::limits::GATHER_DEADLINE;
use crate::types::policy::{QkdPolicy, Reason};
use crate::types::terms::Agreed;
use crate::types::time::Instant;
use crate::wire::handshake::{HandshakeDatagram, MessageType};
use crate::wire::slots::sources_with_key;

impl Peer {
    /// An R0, R1 or R2 for this peer's attempt.
    pub(super) fn on_reply(&mut self, now: Now, from: Endpoint, datagram: &HandshakeDatagram<'_>, desk: &mut Desk) {
        match datagram.kind {
            MessageType::R0 => self.on_r0(now, from, datagram, desk),
            MessageType::R1 => self.on_r1(now, from, datagram, desk),
            MessageType::R2 => self.on_r2(now, from, datagram, desk),
            MessageType::I0 | MessageType::I1 | MessageType::I2 => self.count("wrong direction"),
        }
    }

    fn on_r0(&mut self, now: Now, from: Endpoint, datagram: &HandshakeDatagram<'_>, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        let cookie = match &mut attempt.stage {
            Stage::Cookie(state) => state.accept_r0(datagram).map(Some),
            Stage::R1(state) => state.accept_r0(datagram).map(|()| None),
            Stage::Keys { .. } | Stage::R2(_) | Stage::Storing { .. } | Stage::Spent => return,
        };
        let cookie = match cookie {
            Ok(cookie) => cookie,
            Err(refusal) => return self.count(refusal.counter()),
        };
        attempt.times.answered = Some(now.at);
        let Some(cookie) = cookie else { return };
        attempt.times.progress = Some(now.at);
        attempt.to = from;
        attempt.resends = 0;
        let sender_index = attempt.sender_index;
        let made = self.make_i1(now, sender_index, &cookie, desk);
        if let (Some(attempt), Some(state)) = (self.exchanges.attempt.as_mut(), made) {
            attempt.stage = Stage::R1(Box::new(state));
        }
        self.send_attempt(now, desk, false);
    }

    fn on_r1(&mut self, now: Now, from: Endpoint, datagram: &HandshakeDatagram<'_>, desk: &mut Desk) {
        let offers = offers_of(&self.keys.ratchet, self.setup.ratchet);
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        let Stage::R1(state) = &mut attempt.stage else { return };
        let opened = state.accept_r1(&desk.me, &offers, datagram);
        let state = match opened {
            Ok(Some(state)) => state,
            Ok(None) => return,
            Err(refusal) => return self.count(refusal.counter()),
        };
        attempt.times.answered = Some(now.at);
        attempt.times.progress = Some(now.at);
        attempt.times.next_send = None;
        attempt.to = from;
        let deadline = now.at + GATHER_DEADLINE;
        let lost = state.ratchet() == RatchetUse::RequiredLost;
        attempt.stage = Stage::Keys { state: Box::new(state), gather: None, deadline };
        self.note_authentic(now);
        self.note_agreement(now, desk);
        if lost {
            self.alarm(now, Alarm::RatchetLost, desk);
            return self.fail_attempt(now, desk);
        }
        self.go_on_with_keys(now, desk);
    }

    /// What R1 said that matters whether or not a session comes of it.
    fn note_agreement(&mut self, now: Now, desk: &mut Desk) {
        let Some(Attempt { stage: Stage::Keys { state, .. }, .. }) = &self.exchanges.attempt else { return };
        let (policy, clock) = (state.peer_terms().qkd_policy, state.peer_terms().clock);
        self.note_peer_terms(now, policy, clock, desk);
    }

    /// Asks the KMEs unless parked, and sends I2 when all have answered or time is up.
    pub(super) fn go_on_with_keys(&mut self, now: Now, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        let parked = attempt.is_parked(now.at);
        let was_parked = attempt.parking != Parking::Not;
        let Stage::Keys { state, gather, deadline } = &mut attempt.stage else { return };
        if parked {
            return;
        }
        if was_parked && attempt.parking != Parking::Over {
            attempt.parking = Parking::Over;
            *deadline = now.at + GATHER_DEADLINE;
        }
        let probes = &self.keys.rules.probes;
        let gather = gather.get_or_insert_with(|| {
            Box::new(Gather::new_keys(self.id, state.asked(), |source| excused(probes, now.at, source)))
        });
        gather.ask(now.at, &mut self.keys.rules, desk);
        if gather.is_whole() || *deadline <= now.at {
            self.send_i2(now, desk);
        }
    }

    fn send_i2(&mut self, now: Now, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        let (state, mut gather) = match std::mem::replace(&mut attempt.stage, Stage::Spent) {
            Stage::Keys { state, gather: Some(gather), .. } => (state, gather),
            other @ (Stage::Cookie(_)
            | Stage::R1(_)
            | Stage::Keys { .. }
            | Stage::R2(_)
            | Stage::Storing { .. }
            | Stage::Spent) => {
                attempt.stage = other;
                return;
            }
        };
        gather.close();
        let agreed = state.agreed().clone();
        let short = is_short(&agreed, gather.keys());
        let failures = gather.failures();
        let Some(state) = state.create_i2(gather.into_offers(), desk.rng.as_mut()) else {
            return self.fail_attempt(now, desk);
        };
        attempt.stage = Stage::R2(Box::new(state));
        attempt.times.i2_sent = Some(now.at);
        attempt.resends = 0;
        self.note_failures(now, &failures, desk);
        if short {
            self.start_clock(now, &agreed, desk);
        }
        self.send_attempt(now, desk, false);
    }

    fn on_r2(&mut self, now: Now, from: Endpoint, datagram: &HandshakeDatagram<'_>, desk: &mut Desk) {
        let Some(Attempt { stage: Stage::R2(state), .. }) = &self.exchanges.attempt else { return };
        let agreed = state.agreed().clone();
        let (seed, named) = (state.ratchet_used(), sources_with_key(state.slots()));
        let waiver = self.waiver(now.at, &agreed, Exchange::Handshake);
        let outcome = match state.accept_r2(datagram, waiver) {
            Ok(outcome) => outcome,
            Err(refusal) => return self.count(refusal.counter()),
        };
        self.note_authentic(now);
        if let Some(attempt) = self.exchanges.attempt.as_mut() {
            attempt.times.answered = Some(now.at);
            attempt.to = from;
        }
        if let Some(id) = seed {
            // Whatever R2 says, R has confirmed this entry when it took I2 (PROTOCOL 2.7).
            self.ratchet_seeded(now, id, desk);
        }
        match outcome {
            R2Outcome::Established(session) => self.on_established(now, session, named, desk),
            R2Outcome::Mismatch { sources, key_ids } => {
                self.note_mismatch(now, sources, &key_ids, desk);
                let good = named.iter().filter(|source| !sources.has(*source)).count();
                self.start_clock_if_short(now, &agreed, good as u8, desk);
                self.fail_attempt(now, desk);
            }
            R2Outcome::Refused { status } => {
                self.note_reasons(now, &status.reasons, named, desk);
                self.start_clock(now, &agreed, desk);
                if agreed.policy == QkdPolicy::Required {
                    self.alarm(now, Alarm::QkdRequiredMissing, desk);
                }
                self.fail_attempt(now, desk);
            }
        }
    }

    /// R2 opened: the ratchet entry is stored first, the session is used after.
    fn on_established(&mut self, now: Now, session: Box<NewSession>, named: SourceMask, desk: &mut Desk) {
        self.end_unanswered(desk);
        self.note_reasons(now, &session.reasons, named, desk);
        for (source, _) in &session.mixed {
            self.keys.rules.probes.mixed(*source);
        }
        if session.waiver.is_some() {
            self.start_clock_if_short(now, &session.agreed, session.mixed.len() as u8, desk);
        }
        let store = self.keep_ratchet_of(now, &session, desk);
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        attempt.times.next_send = None;
        match store {
            Some(store) => attempt.stage = Stage::Storing { store, session },
            None => self.adopt_own_session(now, session, desk),
        }
    }

    /// Whether the attempt goes on when this write is done.
    pub(super) fn attempt_waits_for(&self, stored: StoreId) -> bool {
        let attempt = self.exchanges.attempt.as_ref();
        attempt.is_some_and(|attempt| matches!(&attempt.stage, Stage::Storing { store, .. } if *store == stored))
    }

    /// A write is done: if the attempt waited for it, its session is used, unless the ratchet forbids.
    pub(super) fn on_attempt_stored(&mut self, now: Now, stored: StoreId, ok: bool, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        if !matches!(&attempt.stage, Stage::Storing { store, .. } if *store == stored) {
            return;
        }
        let Stage::Storing { session, .. } = std::mem::replace(&mut attempt.stage, Stage::Spent) else { return };
        let may_go_on = ok || self.may_go_on_unwritten(now, &session, desk);
        if !may_go_on || self.is_too_late(now, &session) {
            return self.fail_attempt(now, desk);
        }
        self.adopt_own_session(now, session, desk);
    }

    fn adopt_own_session(&mut self, now: Now, session: Box<NewSession>, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.take() else { return };
        desk.free_index(attempt.sender_index);
        self.tally.course.note_full(now.at.since(attempt.times.began));
        self.pace.failed_attempts = 0;
        self.pace.not_before = now.at;
        self.move_endpoint(attempt.to, desk);
        self.tally.last_full = Some(now.unix);
        self.install_session(now, session, desk);
    }

    /// Whether the clock ran out while a short session was being stored: none is used then (PROTOCOL 2.8a).
    pub(super) fn is_too_late(&self, now: Now, session: &NewSession) -> bool {
        session.agreed.is_short(session.mixed.iter().fold(SourceMask::EMPTY, |mask, (source, _)| mask.with(*source)))
            && self.has_run_out_for(now.at, session.agreed.policy)
    }

    /// Tells of the failures of sources and counts them for the probe times.
    pub(super) fn note_failures(&mut self, now: Now, failures: &[(SourceId, Reason)], desk: &mut Desk) {
        for (source, reason) in failures {
            self.keys.rules.probes.failed(now.at, *source, *reason, desk.jitter());
        }
    }

    /// The other end's reasons of an R2 or FR2 for the sources whose key was `named`; those of the others are this
    /// end's own, and have been counted.
    pub(super) fn note_reasons(&mut self, now: Now, reasons: &[Option<Reason>], named: SourceMask, desk: &mut Desk) {
        let theirs = SourceId::all().zip(reasons).filter(|(source, _)| named.has(*source));
        let failures: Vec<_> = theirs.filter_map(|(source, reason)| reason.map(|reason| (source, reason))).collect();
        self.note_failures(now, &failures, desk);
        for (source, reason) in failures {
            desk.tell(self.id, EventKind::SourceFailed { source, reason, text: String::new() });
        }
    }
}

/// Why a source is not asked now, if so (PROTOCOL 2.8a "Probe times").
pub(super) fn excused(probes: &ProbeTimes, now: Instant, source: SourceId) -> Option<Reason> {
    probes.excused(now, source)
}

/// Whether so many keys make an exchange short (PROTOCOL 2.5 Finish).
pub(super) fn is_short(agreed: &Agreed, keys: u8) -> bool {
    agreed.policy != QkdPolicy::Off && keys < agreed.need
}
