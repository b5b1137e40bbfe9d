//! Both ends as states, driven datagram by datagram: what an engine does, without its timers.

use std::net::SocketAddr;

use super::ends::Ends;
use plait::handshake::cookie::{Cookie, CookieFault, CookieGate};
use plait::handshake::initiator::{AwaitCookie, AwaitR1, AwaitR2, R2Outcome, RatchetUse};
use plait::handshake::reassembly::{I1Reassembly, WholeI1};
use plait::handshake::refusal::Refusal;
use plait::handshake::responder::{AwaitI2, R2Made, open_i1};
use plait::schedule::trace::{self, Step};
use plait::types::id::SourceId;
use plait::types::policy::QkdPolicy;
use plait::types::random::Randomness;
use plait::types::time::Instant;
use plait::wire::handshake::{HandshakeDatagram, MessageType};

/// What one datagram brought about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was dropped, and nothing changed.
    Drop(Refusal),
    /// A part was kept, or the datagram was taken without an answer.
    Silence,
    /// These datagrams go back.
    Send(Vec<Vec<u8>>),
    /// The initiator has its session.
    Established,
    /// There is none, as vectors word it.
    NoSession(String),
}

pub(crate) enum Initiator {
    AwaitCookie(AwaitCookie),
    AwaitR1(Box<AwaitR1>),
    AwaitR2(Box<AwaitR2>),
    Done(Box<R2Outcome>),
    RatchetLost,
}

pub(crate) enum Responder {
    Idle,
    AwaitI2(Box<AwaitI2>),
    Done(Box<(AwaitI2, R2Made)>),
}

pub(crate) struct Pair {
    pub(crate) ends: Ends,
    rng: Box<dyn Randomness>,
    pub(crate) initiator: Initiator,
    pub(crate) responder: Responder,
    pub(crate) initiator_trace: Vec<Step>,
    pub(crate) responder_trace: Vec<Step>,
    gate: CookieGate,
    reassembly: I1Reassembly,
    /// Whether the steps of the key schedule are recorded.
    pub(crate) is_traced: bool,
    /// Whether the initiator's policy may allow a short session.
    pub(crate) has_waiver: bool,
    /// Where the initiator's datagrams come from.
    pub(crate) from: SocketAddr,
}

impl Pair {
    /// Both ends with I0 made and one cookie secret drawn.
    pub(crate) fn new(ends: Ends, mut rng: Box<dyn Randomness>) -> Self {
        let state = AwaitCookie::start(&ends.responder_keys(), ends.initiator.index, rng.as_mut());
        let gate = CookieGate::new(Instant::ZERO, rng.as_mut(), ends.responder.me.fp());
        Self {
            reassembly: I1Reassembly::new(ends.responder.me.suite()),
            from: ends.from,
            ends,
            rng,
            initiator: Initiator::AwaitCookie(state),
            responder: Responder::Idle,
            is_traced: true,
            has_waiver: true,
            initiator_trace: Vec::new(),
            responder_trace: Vec::new(),
            gate,
        }
    }

    /// The gate draws its current secret.
    pub(crate) fn rotate(&mut self) {
        self.gate.rotate(self.gate.next_rotation(), self.rng.as_mut());
    }

    /// What the initiator sends first.
    pub(crate) fn i0(&self) -> Vec<u8> {
        let Initiator::AwaitCookie(state) = &self.initiator else { panic!("I0 was answered") };
        state.datagram().to_vec()
    }

    /// Gives the datagram to the end it is for; what is not even a datagram goes to both.
    pub(crate) fn deliver(&mut self, bytes: &[u8]) -> Event {
        let datagram = match HandshakeDatagram::parse(bytes) {
            Ok(datagram) => datagram,
            Err(malformed) => return Event::Drop(malformed.into()),
        };
        if self.is_traced {
            trace::start();
        }
        let outcome = match datagram.kind {
            MessageType::I0 | MessageType::I1 | MessageType::I2 => self.for_responder(&datagram),
            MessageType::R0 | MessageType::R1 | MessageType::R2 => self.for_initiator(&datagram),
        };
        let steps = trace::stop();
        if outcome.is_ok() {
            match datagram.kind {
                MessageType::I0 | MessageType::I1 | MessageType::I2 => self.responder_trace.extend(steps),
                MessageType::R0 | MessageType::R1 | MessageType::R2 => self.initiator_trace.extend(steps),
            }
        }
        outcome.unwrap_or_else(Event::Drop)
    }

    fn for_responder(&mut self, datagram: &HandshakeDatagram<'_>) -> Result<Event, Refusal> {
        match datagram.kind {
            MessageType::I0 => Ok(Event::Send(vec![self.gate.answer_i0(self.from, datagram)?])),
            MessageType::I1 => self.i1(datagram),
            MessageType::R0 | MessageType::R1 | MessageType::I2 | MessageType::R2 => self.i2(datagram),
        }
    }

    fn i1(&mut self, datagram: &HandshakeDatagram<'_>) -> Result<Event, Refusal> {
        let cookie = match self.gate.check_i1(self.from, datagram) {
            Ok(cookie) => cookie,
            Err(CookieFault::Refused(refusal)) => return Err(refusal),
            Err(CookieFault::AnswerR0(r0)) => return Ok(Event::Send(vec![r0])),
        };
        if let Responder::AwaitI2(state) = &self.responder
            && let Some(cached) = state.cached_r1(datagram)
        {
            return Ok(Event::Send(vec![cached.to_vec()]));
        }
        let whole = self.reassembly.insert(Instant::ZERO, self.from, true, datagram, cookie)?;
        whole.map_or(Ok(Event::Silence), |whole| self.whole_i1(&whole))
    }

    fn whole_i1(&mut self, whole: &WholeI1) -> Result<Event, Refusal> {
        let (ends, responder) = (&self.ends, &self.ends.responder);
        let static_eks = [ends.initiator.me.public().ek()];
        let opened = open_i1(&responder.me, &static_eks, &|fp| ends.find_initiator(fp), whole)?;
        let peer = ends.find_initiator(opened.fp()).unwrap();
        let ratchet = responder.ratchet.select(&opened.terms().ratchet_ids);
        let state =
            opened.create_r1(&responder.me, &peer, &responder.stated(), ratchet, responder.index, self.rng.as_mut())?;
        let datagrams = state.datagrams().to_vec();
        self.responder = Responder::AwaitI2(Box::new(state));
        Ok(Event::Send(datagrams))
    }

    fn i2(&mut self, datagram: &HandshakeDatagram<'_>) -> Result<Event, Refusal> {
        let state = match &self.responder {
            Responder::Idle => return Err(Refusal::Unexpected),
            Responder::Done(done) => {
                done.0.accept_i2(datagram)?;
                return Ok(Event::Send(vec![done.1.datagram.clone()]));
            }
            Responder::AwaitI2(state) => state,
        };
        let opened = state.accept_i2(datagram)?;
        let (answers, waiver) = (self.ends.answers(), self.ends.responder.waiver(opened.agreed()));
        let made = opened.create_r2(answers, waiver, self.rng.as_mut());
        let r2 = made.datagram.clone();
        let Responder::AwaitI2(state) = std::mem::replace(&mut self.responder, Responder::Idle) else {
            unreachable!("matched above")
        };
        self.responder = Responder::Done(Box::new((*state, made)));
        Ok(Event::Send(vec![r2]))
    }

    fn for_initiator(&mut self, datagram: &HandshakeDatagram<'_>) -> Result<Event, Refusal> {
        match &mut self.initiator {
            Initiator::AwaitCookie(state) => {
                let cookie = state.accept_r0(datagram)?;
                Ok(self.create_i1(&cookie))
            }
            Initiator::AwaitR1(state) if datagram.kind == MessageType::R0 => {
                state.accept_r0(datagram).map(|()| Event::Silence)
            }
            Initiator::AwaitR1(_) => self.r1(datagram),
            Initiator::AwaitR2(_) => self.r2(datagram),
            Initiator::Done(_) | Initiator::RatchetLost => Err(Refusal::Unexpected),
        }
    }

    /// Makes I1, the first one or a new one with a kept cookie, and begins the initiator's trace.
    pub(crate) fn create_i1(&mut self, cookie: &Cookie) -> Event {
        let (peer, initiator) = (self.ends.responder_keys(), &self.ends.initiator);
        let offers = initiator.ratchet.offers();
        self.initiator_trace.clear();
        let state = AwaitR1::create(
            &initiator.me,
            &peer,
            initiator.index,
            cookie,
            &initiator.stated(),
            &offers,
            self.rng.as_mut(),
        );
        let state = state.unwrap();
        let datagrams = state.datagrams().to_vec();
        self.initiator = Initiator::AwaitR1(Box::new(state));
        Event::Send(datagrams)
    }

    /// At the resend time: a new I1 with the cookie that was kept.
    pub(crate) fn resend_i1(&mut self) -> Event {
        let Initiator::AwaitR1(state) = &self.initiator else { panic!("not waiting for R1") };
        let cookie = state.kept_cookie().unwrap();
        trace::start();
        let event = self.create_i1(&cookie);
        self.initiator_trace = trace::stop();
        event
    }

    fn r1(&mut self, datagram: &HandshakeDatagram<'_>) -> Result<Event, Refusal> {
        let initiator = &self.ends.initiator;
        let Initiator::AwaitR1(state) = &mut self.initiator else { panic!("not waiting for R1") };
        let keys = state.accept_r1(&initiator.me, &initiator.ratchet.offers(), datagram)?;
        let Some(keys) = keys else { return Ok(Event::Silence) };
        if keys.ratchet() == RatchetUse::RequiredLost {
            self.initiator = Initiator::RatchetLost;
            assert!(keys.create_i2(self.ends.offers(), self.rng.as_mut()).is_none());
            return Ok(Event::NoSession("RATCHET_LOST".to_owned()));
        }
        let state = keys.create_i2(self.ends.offers(), self.rng.as_mut()).unwrap();
        let i2 = state.datagram().to_vec();
        self.initiator = Initiator::AwaitR2(Box::new(state));
        Ok(Event::Send(vec![i2]))
    }

    fn r2(&mut self, datagram: &HandshakeDatagram<'_>) -> Result<Event, Refusal> {
        let Initiator::AwaitR2(state) = &self.initiator else { panic!("not waiting for R2") };
        let policy = state.agreed().policy;
        let waiver = self.ends.initiator.waiver(state.agreed()).filter(|_| self.has_waiver);
        let outcome = state.accept_r2(datagram, waiver)?;
        let event = match &outcome {
            R2Outcome::Established(_) => Event::Established,
            R2Outcome::Mismatch { sources, key_ids } => {
                assert_eq!(source_numbers(sources.iter()), source_numbers(key_ids.iter().map(|(source, _)| *source)));
                Event::NoSession(format!("QKD_MISMATCH {:?}", source_numbers(sources.iter())))
            }
            R2Outcome::Refused { .. } if policy == QkdPolicy::Required => {
                Event::NoSession("QKD_REQUIRED_MISSING".to_owned())
            }
            R2Outcome::Refused { .. } => Event::NoSession("BLOCKED".to_owned()),
        };
        self.initiator = Initiator::Done(Box::new(outcome));
        Ok(event)
    }
}

/// Numbers of sources.
pub(crate) fn source_numbers(sources: impl Iterator<Item = SourceId>) -> Vec<u8> {
    sources.map(SourceId::number).collect()
}
