//! Answering the other end's handshake: I1 to the confirmed session, each step done once (PROTOCOL 2.4 to 2.7).

use super::desk::{Desk, IndexUse};
use super::gather::Gather;
use super::output::{Alarm, Now, StoreId};
use super::peer::{Exchanges, Peer};
use super::replies::is_short;
use crate::dataplane::snapshot::Endpoint;
use crate::handshake::responder::{AwaitI2, OpenedI1, OpenedI2};
use crate::handshake::terms::{NewSession, Stated};
use crate::keys::policy::Exchange;
use crate::types::id::SessionIndex;
use crate::types::limits::{
    ANSWERED_RECENTLY, PENDING_ANSWERS_MAX, PENDING_LIFE, PENDING_MIN_AGE, PENDING_UNCONFIRMED_LIFE, R2_PATIENCE,
    UNDECIDED_I2_MAX,
};
use crate::types::policy::{QkdPolicy, Reason};
use crate::types::time::Instant;
use crate::wire::handshake::HandshakeDatagram;

/// A responder state of one I1.
pub(super) struct Pending {
    stage: Stage,
    /// Where I1 came from, its sender index and message id: what a resent I1 is known by.
    origin: (Endpoint, u32, u32),
    index: SessionIndex,
    /// Where the session to be receives; the session's once there is one.
    data_index: Option<SessionIndex>,
    made_at: Instant,
    accepted_at: Option<Instant>,
    answered_at: Option<Instant>,
    /// R1 as sent, for resent fragments of I1.
    r1: Vec<Vec<u8>>,
    /// I2 as accepted, empty before: its copies get the cached R2.
    i2: Vec<u8>,
}

enum Stage {
    I2(Box<AwaitI2>),
    Keys {
        state: Box<OpenedI2>,
        gather: Box<Gather>,
        to: Endpoint,
    },
    Storing {
        store: StoreId,
        session: Box<NewSession>,
        r2: Vec<u8>,
        to: Endpoint,
    },
    /// R2 was sent; the session's number, if there is one.
    Answered {
        r2: Vec<u8>,
        session: Option<u32>,
    },
    /// Only while the state is taken out to be consumed.
    Spent,
}

impl Pending {
    fn ends_at(&self) -> Instant {
        match self.accepted_at {
            Some(accepted) => accepted + PENDING_UNCONFIRMED_LIFE,
            None => self.made_at + PENDING_LIFE,
        }
    }

    /// How long an accepted I2 keeps fast rekeys away: until it is answered, and for a while after R2 (PROTOCOL 2.8).
    pub(super) fn undecided_until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Keys { .. } | Stage::Storing { .. } => Some(self.ends_at()),
            Stage::Answered { session: Some(_), .. } => self.answered_at.map(|answered| answered + UNDECIDED_I2_MAX),
            Stage::I2(_) | Stage::Answered { session: None, .. } | Stage::Spent => None,
        }
    }

    pub(super) fn is_of_session(&self, number: u32) -> bool {
        matches!(self.stage, Stage::Answered { session: Some(session), .. } if session == number)
    }

    pub(super) fn free(&self, desk: &mut Desk) {
        desk.free_index(self.index);
        if let Some(index) = self.data_index {
            desk.free_index(index);
        }
    }

    fn is_fetching(&self) -> bool {
        matches!(self.stage, Stage::Keys { .. })
    }

    /// Whether a KME has been asked for its keys and has not answered.
    pub(super) fn is_asking(&self) -> bool {
        matches!(&self.stage, Stage::Keys { gather, .. } if gather.is_asking())
    }
}

/// All bytes of a datagram.
fn copy_of(datagram: &HandshakeDatagram<'_>) -> Vec<u8> {
    [datagram.mac2_input(), datagram.mac2()].concat()
}

impl Exchanges {
    /// The gather of an accepted I2, for a delivery.
    pub(super) fn answer_gather(&mut self) -> Option<&mut Gather> {
        self.answers.iter_mut().find_map(|pending| match &mut pending.stage {
            Stage::Keys { gather, .. } => Some(&mut **gather),
            Stage::I2(_) | Stage::Storing { .. } | Stage::Answered { .. } | Stage::Spent => None,
        })
    }
}

impl Peer {
    /// The cached R1 fragment for a resent fragment of an I1 that already has a state (PROTOCOL 2.4).
    pub(super) fn cached_r1(&self, from: Endpoint, datagram: &HandshakeDatagram<'_>) -> Option<Option<Vec<u8>>> {
        let origin = (from.to, datagram.sender, datagram.message_id);
        let known = |pending: &&Pending| (pending.origin.0.to, pending.origin.1, pending.origin.2) == origin;
        let pending = self.exchanges.answers.iter().find(known)?;
        Some(pending.r1.get(usize::from(datagram.part)).cloned())
    }

    /// An authentic I1 of this peer: answers with R1, or not, by the rules of simultaneous starts (PROTOCOL 2.6).
    pub(super) fn answer_i1(&mut self, now: Now, from: Endpoint, opened: OpenedI1, desk: &mut Desk) {
        self.note_authentic(now);
        if !self.pace.admits {
            return self.count("not admitted");
        }
        let answered =
            self.exchanges.attempt.as_ref().is_some_and(|own| own.answered_within(now.at, ANSWERED_RECENTLY));
        if answered && self.is_primary {
            return self.count("own attempt goes first");
        }
        if !self.make_room(now, from, desk) {
            return self.count("too many pending handshakes");
        }
        if let Some(own) = self.exchanges.attempt.as_mut().filter(|_| answered) {
            own.park(now.at);
        }
        let (policy, clock) = (opened.terms().qkd_policy, opened.terms().clock);
        self.note_peer_terms(now, policy, clock, desk);
        self.send_r1(now, from, opened, desk);
    }

    fn send_r1(&mut self, now: Now, from: Endpoint, opened: OpenedI1, desk: &mut Desk) {
        let origin = (from, opened.sender_index().value(), opened.message_id());
        let index = desk.take_index("responder_index", IndexUse::Pending(self.id));
        let data_index = desk.take_index("responder_data_index", IndexUse::Data(self.id));
        let terms = self.own_terms(now.at);
        let ratchet = self.keys.ratchet.select(&opened.terms().ratchet_ids).filter(|_| self.uses_ratchet());
        let stated = Stated { terms: &terms, data_index, unix: now.unix };
        let rng = desk.rng.as_mut();
        let state = match opened.create_r1(&desk.me, &self.peer_keys(), &stated, ratchet, index, rng) {
            Ok(state) => state,
            Err(refusal) => {
                desk.free_index(index);
                desk.free_index(data_index);
                return self.count(refusal.counter());
            }
        };
        let lost = !state.accepts_i2();
        let r1 = state.datagrams().to_vec();
        for bytes in &r1 {
            desk.transmit(from, bytes.clone());
        }
        let stage = Stage::I2(Box::new(state));
        self.exchanges.answers.push(Pending {
            stage,
            origin,
            index,
            data_index: Some(data_index),
            made_at: now.at,
            accepted_at: None,
            answered_at: None,
            r1,
            i2: Vec::new(),
        });
        self.pace.answered_at = Some(now.at);
        if lost {
            self.alarm(now, Alarm::RatchetLost, desk);
        }
    }

    /// Room for one more pending state; one place is kept for the address that is known (PROTOCOL 2.4).
    fn make_room(&mut self, now: Now, from: Endpoint, desk: &mut Desk) -> bool {
        let limit = PENDING_ANSWERS_MAX + usize::from(self.is_known_address(from.to.ip()));
        if self.exchanges.answers.len() < limit {
            return true;
        }
        let may_go =
            |pending: &Pending| pending.accepted_at.is_none() && now.at.since(pending.made_at) >= PENDING_MIN_AGE;
        let Some(at) = self.exchanges.answers.iter().position(may_go) else { return false };
        self.exchanges.answers.remove(at).free(desk);
        true
    }

    /// An I2 for one of the pending states.
    pub(super) fn on_i2(&mut self, now: Now, from: Endpoint, datagram: &HandshakeDatagram<'_>, desk: &mut Desk) {
        let index = datagram.receiver;
        let Some(at) = self.exchanges.answers.iter().position(|pending| pending.index.value() == index) else { return };
        let Some(pending) = self.exchanges.answers.get(at) else { return };
        let state = match &pending.stage {
            Stage::I2(state) => state,
            // Only a true copy of the I2 that was accepted gets the cached answer.
            Stage::Answered { .. } if pending.i2 != copy_of(datagram) => return self.count("mac2"),
            Stage::Answered { r2, .. } => {
                let r2 = r2.clone();
                return desk.transmit(from, r2);
            }
            Stage::Keys { .. } | Stage::Storing { .. } | Stage::Spent => return,
        };
        if self.must_wait_for_own_r2(now.at) {
            return self.count("own attempt awaits R2");
        }
        let seeded = state.ratchet_used();
        let state = match state.accept_i2(datagram) {
            Ok(state) => state,
            Err(refusal) => return self.count(refusal.counter()),
        };
        let i2 = copy_of(datagram);
        if let Some(pending) = self.exchanges.answers.get_mut(at) {
            pending.i2 = i2;
        }
        if let Some(id) = seeded {
            self.ratchet_seeded(now, id, desk);
        }
        self.accept_i2(now, from, at, state, desk);
    }

    /// The primary, having sent I2, drops the peer's I2 until its own attempt ends, for a while (PROTOCOL 2.6 c).
    fn must_wait_for_own_r2(&self, now: Instant) -> bool {
        let undecided = self.exchanges.attempt.as_ref().and_then(super::attempt::Attempt::undecided_since);
        self.is_primary && undecided.is_some_and(|sent| now.since(sent) < R2_PATIENCE)
    }

    fn accept_i2(&mut self, now: Now, from: Endpoint, at: usize, state: OpenedI2, desk: &mut Desk) {
        self.note_authentic(now);
        // One at a time (PROTOCOL 2.6 a, b).
        self.abandon_attempt(desk);
        let mut accepted = self.exchanges.answers.swap_remove(at);
        for other in self.exchanges.answers.drain(..) {
            other.free(desk);
        }
        let agreed = state.agreed().clone();
        if state.is_short_already() {
            self.start_clock(now, &agreed, desk);
        }
        self.tell_named_failures(state.slots(), desk);
        let hopeless = state.is_short_already() && self.waiver(now.at, &agreed, Exchange::Handshake).is_none();
        let rules = &self.keys.rules;
        let gather = Gather::by_ids(self.id, state.slots(), |source, key_id| match hopeless {
            true => Some(Reason::NotAsked),
            false => rules.has_seen(source, key_id).then_some(Reason::SeenBefore),
        });
        accepted.accepted_at = Some(now.at);
        self.pace.answered_at = Some(now.at);
        accepted.stage = Stage::Keys { state: Box::new(state), gather: Box::new(gather), to: from };
        self.exchanges.answers.push(accepted);
        self.go_on_with_answers(now, desk);
    }

    /// Asks the KMEs for an accepted I2, one exchange of the peer at a time, and answers when all keys are here.
    pub(super) fn go_on_with_answers(&mut self, now: Now, desk: &mut Desk) {
        let busy = self.is_fetching_for_rekey();
        let Some(at) = self.exchanges.answers.iter().position(Pending::is_fetching) else { return };
        let Some(Pending { stage: Stage::Keys { gather, .. }, .. }) = self.exchanges.answers.get_mut(at) else {
            return;
        };
        if !busy {
            gather.ask(now.at, &mut self.keys.rules, desk);
        }
        if gather.is_whole() {
            self.make_r2(now, at, desk);
        }
    }

    fn make_r2(&mut self, now: Now, at: usize, desk: &mut Desk) {
        let Some(pending) = self.exchanges.answers.get_mut(at) else { return };
        let Stage::Keys { state, gather, to } = std::mem::replace(&mut pending.stage, Stage::Spent) else { return };
        let agreed = state.agreed().clone();
        let failures = gather.failures();
        if is_short(&agreed, gather.keys()) {
            self.start_clock(now, &agreed, desk);
        }
        let waiver = self.waiver(now.at, &agreed, Exchange::Handshake);
        let made = state.create_r2(gather.into_answers(), waiver, desk.rng.as_mut());
        self.tell_failures(&failures, desk);
        let Some(session) = made.outcome else {
            if agreed.policy == QkdPolicy::Required {
                self.alarm(now, Alarm::QkdRequiredMissing, desk);
            }
            self.start_clock(now, &agreed, desk);
            self.note_failed_exchange(true, desk);
            return self.finish_answer(at, Stage::Answered { r2: made.datagram, session: None }, to, desk);
        };
        // The keys may have come in another length than the other end's: short after all.
        self.start_clock_if_short(now, &agreed, session.mixed.len() as u8, desk);
        match self.keep_ratchet_of(now, &session, desk) {
            Some(store) => {
                if let Some(pending) = self.exchanges.answers.get_mut(at) {
                    pending.stage = Stage::Storing { store, session, r2: made.datagram, to };
                }
            }
            None => self.adopt_answered_session(now, at, session, made.datagram, to, desk),
        }
    }

    /// Whether something of this peer goes on when this write is done.
    pub(super) fn waits_for_store(&self, stored: StoreId) -> bool {
        let of_answer = |pending: &Pending| matches!(&pending.stage, Stage::Storing { store, .. } if *store == stored);
        let of_ratchet = |(write, _): &(StoreId, _)| *write == stored;
        self.attempt_waits_for(stored)
            || self.exchanges.answers.iter().any(of_answer)
            || self.keys.ratchet_writes.iter().any(of_ratchet)
    }

    /// A write is done: if an R2 waited for it, it goes out, unless the ratchet forbids.
    pub(super) fn on_answer_stored(&mut self, now: Now, stored: StoreId, ok: bool, desk: &mut Desk) {
        let waits = |pending: &Pending| matches!(&pending.stage, Stage::Storing { store, .. } if *store == stored);
        let Some(at) = self.exchanges.answers.iter().position(waits) else { return };
        let Some(pending) = self.exchanges.answers.get_mut(at) else { return };
        let Stage::Storing { session, r2, to, .. } = std::mem::replace(&mut pending.stage, Stage::Spent) else {
            return;
        };
        let may_go_on = ok || self.may_go_on_unwritten(now, &session, desk);
        if !may_go_on || self.is_too_late(now, &session) {
            self.exchanges.answers.remove(at).free(desk);
            return;
        }
        self.adopt_answered_session(now, at, session, r2, to, desk);
    }

    fn adopt_answered_session(
        &mut self,
        now: Now,
        at: usize,
        session: Box<NewSession>,
        r2: Vec<u8>,
        to: Endpoint,
        desk: &mut Desk,
    ) {
        // Roaming on an I2 that makes a session (PROTOCOL 2.9).
        self.move_endpoint(to, desk);
        self.tally.last_full = Some(now.unix);
        let number = self.install_session(now, session, desk);
        if let Some(pending) = self.exchanges.answers.get_mut(at) {
            pending.data_index = None;
            pending.answered_at = Some(now.at);
        }
        self.finish_answer(at, Stage::Answered { r2, session: Some(number) }, to, desk);
    }

    fn finish_answer(&mut self, at: usize, stage: Stage, to: Endpoint, desk: &mut Desk) {
        let Some(pending) = self.exchanges.answers.get_mut(at) else { return };
        if let Stage::Answered { r2, .. } = &stage {
            desk.transmit(to, r2.clone());
        }
        pending.stage = stage;
    }

    pub(super) fn next_answer_deadline(&self, now: Instant) -> Option<Instant> {
        let token = self
            .exchanges
            .answers
            .iter()
            .any(|pending| matches!(&pending.stage, Stage::Keys { gather, .. } if gather.waits_for_budget()));
        let token = (token && !self.is_fetching_for_rekey()).then(|| self.keys.rules.next_token(now));
        self.exchanges.answers.iter().map(Pending::ends_at).chain(token).min()
    }

    /// An own attempt completed: the other end's that have no R2 yet are over (PROTOCOL 2.6 d). Without this an old I2
    /// could seed a session from a ratchet entry that the new session has left behind.
    pub(super) fn end_unanswered(&mut self, desk: &mut Desk) {
        let is_answered = |pending: &Pending| matches!(pending.stage, Stage::Answered { .. });
        for ended in self.exchanges.answers.extract_if(.., |pending| !is_answered(pending)) {
            ended.free(desk);
        }
    }

    pub(super) fn on_answer_time(&mut self, now: Now, desk: &mut Desk) {
        for ended in self.exchanges.answers.extract_if(.., |pending| pending.ends_at() <= now.at) {
            ended.free(desk);
        }
        self.go_on_with_answers(now, desk);
    }
}
