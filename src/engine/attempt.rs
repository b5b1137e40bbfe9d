//! A peer's own attempt at a full handshake: I0 to R2 with resends, parking and the end it comes to (PROTOCOL 2.5, 2.6).

use std::time::Duration;

use super::desk::{Desk, IndexUse};
use super::gather::Gather;
use super::output::{Now, StoreId};
use super::peer::{Exchanges, Peer};
use crate::dataplane::snapshot::Endpoint;
use crate::handshake::cookie::Cookie;
use crate::handshake::initiator::{AwaitCookie, AwaitKeys, AwaitR1, AwaitR2};
use crate::handshake::terms::{NewSession, Stated};
use crate::keys::probe::ProbeTimes;
use crate::types::id::SessionIndex;
use crate::types::limits::{
    ATTEMPT_LIFE, ATTEMPT_UNANSWERED_LIFE, COOKIE_RENEWALS_MAX, PARKING_MAX, RESEND_I0_LATE, RESEND_JITTER,
};
use crate::types::time::Instant;

/// One attempt.
pub(super) struct Attempt {
    pub(super) stage: Stage,
    pub(super) sender_index: SessionIndex,
    /// Of the I1 under way; the session's once there is one.
    pub(super) data_index: Option<SessionIndex>,
    pub(super) to: Endpoint,
    pub(super) times: Times,
    pub(super) resends: u32,
    renewals: u32,
    pub(super) parking: Parking,
}

/// How far it has come.
pub(super) enum Stage {
    Cookie(AwaitCookie),
    R1(Box<AwaitR1>),
    Keys {
        state: Box<AwaitKeys>,
        gather: Option<Box<Gather>>,
        deadline: Instant,
    },
    R2(Box<AwaitR2>),
    Storing {
        store: StoreId,
        session: Box<NewSession>,
    },
    /// Only while the state is taken out to be consumed.
    Spent,
}

/// When it did what.
pub(super) struct Times {
    pub(super) began: Instant,
    /// The last R0, or R1 whole: an attempt ends some time after it.
    pub(super) progress: Option<Instant>,
    /// The last R0, R1 or R2.
    pub(super) answered: Option<Instant>,
    pub(super) i2_sent: Option<Instant>,
    pub(super) next_send: Option<Instant>,
}

/// Making room for the other end's handshake: once an attempt (PROTOCOL 2.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parking {
    Not,
    Until(Instant),
    Over,
}

impl Attempt {
    /// Whether an R0, R1 or R2 came within the last `span`.
    pub(super) fn answered_within(&self, now: Instant, span: Duration) -> bool {
        self.times.answered.is_some_and(|answered| now.since(answered) < span)
    }

    /// How long an I2 keeps fast rekeys away: as long as its R2 is awaited (PROTOCOL 2.8).
    pub(super) fn undecided_until(&self) -> Option<Instant> {
        self.undecided_since().map(|_| self.ends_at())
    }

    /// When I2 left, while its R2 is awaited.
    pub(super) fn undecided_since(&self) -> Option<Instant> {
        match self.stage {
            Stage::R2(_) | Stage::Storing { .. } => self.times.i2_sent,
            Stage::Cookie(_) | Stage::R1(_) | Stage::Keys { .. } | Stage::Spent => None,
        }
    }

    /// Waits for the other end's handshake before its own I2; once an attempt.
    pub(super) fn park(&mut self, now: Instant) {
        if self.parking == Parking::Not {
            self.parking = Parking::Until(now + PARKING_MAX);
        }
    }

    pub(super) fn is_parked(&self, now: Instant) -> bool {
        matches!(self.parking, Parking::Until(until) if now < until)
    }

    pub(super) fn is_parking(&self) -> bool {
        matches!(self.parking, Parking::Until(_))
    }

    /// Gives back the numbers that an attempt without a session held.
    pub(super) fn free(self, desk: &mut Desk) {
        desk.free_index(self.sender_index);
        if let Some(index) = self.data_index {
            desk.free_index(index);
        }
    }

    /// A session that is being stored has no end of its own: it is used when it is written.
    fn ends_at(&self) -> Instant {
        match self.times.progress {
            _ if matches!(self.stage, Stage::Storing { .. }) => Instant::FAR_FUTURE,
            Some(progress) => progress + ATTEMPT_LIFE,
            None => self.times.began + ATTEMPT_UNANSWERED_LIFE,
        }
    }

    /// The datagrams of the current message.
    fn message(&self) -> Vec<Vec<u8>> {
        match &self.stage {
            Stage::Cookie(state) => vec![state.datagram().to_vec()],
            Stage::R1(state) => state.datagrams().to_vec(),
            Stage::R2(state) => vec![state.datagram().to_vec()],
            Stage::Keys { .. } | Stage::Storing { .. } | Stage::Spent => Vec::new(),
        }
    }

    /// The pause before resend number `resends` (PROTOCOL 2.6), without jitter.
    fn pause(&self, now: Instant) -> Duration {
        let late_i0 = matches!(self.stage, Stage::Cookie(_)) && now.since(self.times.began) >= Duration::from_secs(15);
        match self.resends {
            _ if late_i0 => RESEND_I0_LATE,
            0 => Duration::from_millis(300),
            1 => Duration::from_millis(500),
            2 => Duration::from_millis(700),
            _ => Duration::from_secs(1),
        }
    }
}

impl Exchanges {
    /// The gather of an attempt in progress, for a delivery.
    pub(super) fn attempt_gather(&mut self) -> Option<&mut Gather> {
        match self.attempt.as_mut().map(|attempt| &mut attempt.stage) {
            Some(Stage::Keys { gather, .. }) => gather.as_deref_mut(),
            Some(Stage::Cookie(_) | Stage::R1(_) | Stage::R2(_) | Stage::Storing { .. } | Stage::Spent) | None => None,
        }
    }
}

impl Peer {
    /// Starts an attempt at the next of the known endpoints.
    fn start_attempt(&mut self, now: Now, desk: &mut Desk) {
        let places = [self.link.endpoint, self.configured()];
        self.pace.use_configured = !self.pace.use_configured;
        let first = usize::from(self.pace.use_configured);
        let mut places = places.into_iter().cycle().skip(first).take(2).flatten();
        let Some(to) = places.next() else { return };
        self.pace.first_attempt = false;
        self.pace.trying_since.get_or_insert(now.at);
        self.pace.full_due = None;
        let sender_index = desk.take_index("initiator_index", IndexUse::Attempt(self.id));
        let state = AwaitCookie::start(&self.peer_keys(), sender_index, desk.rng.as_mut());
        let times = Times { began: now.at, progress: None, answered: None, i2_sent: None, next_send: Some(now.at) };
        let stage = Stage::Cookie(state);
        let attempt = Attempt {
            stage,
            sender_index,
            data_index: None,
            to,
            times,
            resends: 0,
            renewals: 0,
            parking: Parking::Not,
        };
        self.exchanges.attempt = Some(attempt);
        self.send_attempt(now, desk, false);
    }

    /// Sends the current message; a resend may first renew an I1 whose cookie has expired.
    pub(super) fn send_attempt(&mut self, now: Now, desk: &mut Desk, is_resend: bool) {
        if is_resend {
            self.renew_i1(now, desk);
        }
        let jitter = RESEND_JITTER.mul_f64(f64::from(desk.jitter()) / 256.0);
        let configured = self.configured();
        let endpoint = self.link.endpoint;
        let Some(attempt) = self.exchanges.attempt.as_mut() else { return };
        let message = attempt.message();
        if message.is_empty() {
            attempt.times.next_send = None;
            return;
        }
        if is_resend && matches!(attempt.stage, Stage::Cookie(_)) {
            // Last authenticated and configured endpoint take turns (PROTOCOL 2.6).
            let other = [endpoint, configured].into_iter().flatten().find(|place| *place != attempt.to);
            attempt.to = other.unwrap_or(attempt.to);
        }
        attempt.times.next_send = Some(now.at + attempt.pause(now.at) + jitter);
        attempt.resends = attempt.resends.saturating_add(1);
        for bytes in message {
            desk.transmit(attempt.to, bytes);
        }
    }

    /// A new I1 under the cookie of a later R0, if one was kept (PROTOCOL 2.4 "echo").
    fn renew_i1(&mut self, now: Now, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.as_ref() else { return };
        let Stage::R1(state) = &attempt.stage else { return };
        let Some(cookie) = state.kept_cookie() else { return };
        if attempt.renewals >= COOKIE_RENEWALS_MAX {
            return;
        }
        let sender_index = attempt.sender_index;
        let made = self.make_i1(now, sender_index, &cookie, desk);
        if let (Some(attempt), Some(state)) = (self.exchanges.attempt.as_mut(), made) {
            attempt.renewals += 1;
            attempt.stage = Stage::R1(Box::new(state));
        }
    }

    pub(super) fn make_i1(
        &mut self,
        now: Now,
        sender_index: SessionIndex,
        cookie: &Cookie,
        desk: &mut Desk,
    ) -> Option<AwaitR1> {
        let terms = self.own_terms(now.at);
        let data_index = desk.take_index("initiator_data_index", IndexUse::Data(self.id));
        if let Some(attempt) = self.exchanges.attempt.as_mut()
            && let Some(earlier) = attempt.data_index.replace(data_index)
        {
            desk.free_index(earlier);
        }
        let stated = Stated { terms: &terms, data_index, unix: now.unix };
        let offers = self.ratchet_offers();
        let rng = desk.rng.as_mut();
        match AwaitR1::create(&desk.me, &self.peer_keys(), sender_index, cookie, &stated, &offers, rng) {
            Ok(state) => Some(state),
            Err(refusal) => {
                self.count(refusal.counter());
                None
            }
        }
    }

    /// Ends the attempt; one that drew an R1 delays the next (PROTOCOL 2.6).
    pub(super) fn fail_attempt(&mut self, now: Now, desk: &mut Desk) {
        let Some(attempt) = self.exchanges.attempt.take() else { return };
        let had_r1 = !matches!(attempt.stage, Stage::Cookie(_) | Stage::R1(_));
        attempt.free(desk);
        if had_r1 {
            self.note_failed_exchange(true, desk);
            self.pace.failed_attempts = self.pace.failed_attempts.saturating_add(1);
            let pause = ProbeTimes::pause(self.pace.failed_attempts, desk.jitter());
            self.pace.not_before = now.at + pause;
        }
    }

    /// Drops the attempt in favour of the other end's handshake: no failure (PROTOCOL 2.6 b, c).
    pub(super) fn abandon_attempt(&mut self, desk: &mut Desk) {
        if let Some(attempt) = self.exchanges.attempt.take() {
            attempt.free(desk);
        }
    }

    pub(super) fn next_attempt_deadline(&self, now: Instant) -> Option<Instant> {
        let Some(attempt) = &self.exchanges.attempt else { return self.attempt_due(now) };
        let keys = match (&attempt.stage, attempt.parking) {
            (Stage::Keys { .. }, Parking::Until(until)) => Some(until),
            (Stage::Keys { gather, deadline, .. }, Parking::Not | Parking::Over) => {
                let token = gather.as_ref().filter(|gather| gather.waits_for_budget());
                Some(token.map_or(*deadline, |_| self.keys.rules.next_token(now).min(*deadline)))
            }
            (Stage::Cookie(_) | Stage::R1(_) | Stage::R2(_) | Stage::Storing { .. } | Stage::Spent, _) => None,
        };
        [attempt.times.next_send, keys, Some(attempt.ends_at())].into_iter().flatten().min()
    }

    pub(super) fn on_attempt_time(&mut self, now: Now, desk: &mut Desk) {
        let Some(attempt) = &self.exchanges.attempt else {
            if self.attempt_due(now.at).is_some_and(|due| due <= now.at) {
                self.start_attempt(now, desk);
            }
            return;
        };
        if attempt.ends_at() <= now.at {
            return self.fail_attempt(now, desk);
        }
        if attempt.times.next_send.is_some_and(|next| next <= now.at) {
            self.send_attempt(now, desk, true);
        }
        self.go_on_with_keys(now, desk);
    }
}
