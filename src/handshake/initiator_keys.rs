//! The initiator's waiting states once it knows the peer: for its own KMEs, and for R2 (PROTOCOL 2.5).

use super::refusal::Refusal;
use super::settled::Settled;
use super::terms::{Agreed, NewSession, PeerTerms, RatchetId, SlotOffer};
use crate::keys::policy::QkdWaiver;
use crate::schedule::confirm::{OK_BYTES, REFUSAL_OK, TooFewKeys};
use crate::schedule::qkd::{self, MixableKey};
use crate::schedule::stages::{AfterP3, BeforeP3};
use crate::types::id::{KeyId, SourceId, SourceMask};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::random::Randomness;
use crate::wire::bodies::{parse_r2, write_payload3};
use crate::wire::handshake::{HandshakeDatagram, MessageType};
use crate::wire::slots::Slot;
use crate::wire::status::{self, Status};

/// What became of the ratchet (PROTOCOL 2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatchetUse {
    /// This entry was mixed.
    Seeded(RatchetId),
    /// None was, and none is required.
    None,
    /// None was, though it is required: no I2 may be sent.
    RequiredLost,
}

/// R1 was opened: the peer is authentic, and our KMEs may be asked.
pub struct AwaitKeys {
    settled: Settled,
    stage: BeforeP3,
    ratchet: RatchetUse,
}

impl AwaitKeys {
    pub(super) fn new(settled: Settled, stage: BeforeP3, ratchet: RatchetUse) -> Self {
        Self { settled, stage, ratchet }
    }

    /// The terms of the session to be.
    pub fn agreed(&self) -> &Agreed {
        &self.settled.agreed
    }

    /// What the responder stated.
    pub fn peer_terms(&self) -> &PeerTerms {
        &self.settled.peer_terms
    }

    /// What became of the ratchet. On [`RatchetUse::RequiredLost`] the attempt ends here.
    pub fn ratchet(&self) -> RatchetUse {
        self.ratchet
    }

    /// The sources to be asked.
    pub fn asked(&self) -> SourceMask {
        self.settled.agreed.asked
    }

    /// Makes I2 of what the KMEs gave. `None` where the ratchet is required and lost: no I2 exists then.
    pub fn create_i2(self, offers: [SlotOffer; QKD_SOURCES_MAX], rng: &mut dyn Randomness) -> Option<AwaitR2> {
        if self.ratchet == RatchetUse::RequiredLost {
            return None;
        }
        let (slots, keys) = qkd::offer(self.settled.agreed.asked, offers);
        let (p3, stage) = self.stage.seal(&write_payload3(&slots));
        let message_id = rng.public_u32("message_id_I2");
        let datagram = self.settled.finish(MessageType::I2, message_id, &p3).concat();
        Some(AwaitR2 { settled: self.settled, stage, slots, keys, datagram })
    }
}

/// I2 was made; R2 is awaited.
pub struct AwaitR2 {
    settled: Settled,
    stage: AfterP3,
    slots: [Slot; QKD_SOURCES_MAX],
    keys: Vec<MixableKey>,
    datagram: Vec<u8>,
}

/// What an authentic R2 says. Each of them ends the attempt.
pub enum R2Outcome {
    /// The session is made.
    Established(Box<NewSession>),
    /// The two sites' KMEs gave different keys: alarm QKD_MISMATCH, these count as failed with reason 11.
    Mismatch {
        /// The sources whose check byte differs; if none does, all that the responder mixed.
        sources: SourceMask,
        /// Their keys.
        key_ids: Vec<(SourceId, KeyId)>,
    },
    /// No session, because too few keys are common and the policy of one end or its clock does not allow that.
    Refused {
        /// Why each source was not mixed.
        status: Status,
    },
}

impl AwaitR2 {
    /// I2, for sending and resending.
    pub fn datagram(&self) -> &[u8] {
        &self.datagram
    }

    /// The slots that were sent.
    pub fn slots(&self) -> &[Slot; QKD_SOURCES_MAX] {
        &self.slots
    }

    /// The terms of the session to be.
    pub fn agreed(&self) -> &Agreed {
        &self.settled.agreed
    }

    /// What the responder stated.
    pub fn peer_terms(&self) -> &PeerTerms {
        &self.settled.peer_terms
    }

    /// The ratchet entry that was mixed: it is confirmed when R2 opens, whatever R2 says (PROTOCOL 2.7).
    pub fn ratchet_used(&self) -> Option<RatchetId> {
        self.settled.ratchet_used
    }

    /// Opens R2. `waiver`: our own policy's permission for a short session at this moment, if there is one. Whatever
    /// is not authentic, or cannot come from an honest responder, is an error and leaves the state waiting.
    pub fn accept_r2(&self, r2: &HandshakeDatagram<'_>, waiver: Option<QkdWaiver>) -> Result<R2Outcome, Refusal> {
        self.settled.check(MessageType::R2, r2)?;
        let (p4, ok) = parse_r2::<OK_BYTES>(r2.body)?;
        let (payload, stage) = self.stage.open(p4).ok_or(Refusal::Unopened("p4"))?;
        let status = status::parse(&payload, &self.slots)?;
        let differing = qkd::disagreeing(self.stage.check_hash(), &self.keys, &status);
        if !differing.is_empty() {
            return Ok(self.mismatch(differing));
        }
        // A short bitmap with zeros for `ok` is a refusal: that `ok` tells nothing about keys.
        if self.settled.agreed.is_short(status.mixed) && *ok == REFUSAL_OK {
            return Ok(R2Outcome::Refused { status });
        }
        let mixed = self.keys.iter().filter(|key| status.mixed.has(key.source()));
        let keyed = match stage.mix(mixed, &self.settled.agreed, waiver) {
            Ok(keyed) => keyed,
            Err(TooFewKeys) => return Ok(R2Outcome::Refused { status }),
        };
        match keyed.open_ok(ok) {
            Some(confirmed) => {
                let reasons = qkd::reasons(&self.slots, &status);
                Ok(R2Outcome::Established(Box::new(self.settled.session(confirmed, reasons))))
            }
            // Without QKD keys there is nothing that could differ.
            None if status.mixed.is_empty() => Err(Refusal::Unopened("ok")),
            None => Ok(self.mismatch(status.mixed)),
        }
    }

    fn mismatch(&self, sources: SourceMask) -> R2Outcome {
        let named = self.keys.iter().filter(|key| sources.has(key.source()));
        let key_ids = named.map(|key| (key.source(), key.key_id().clone())).collect();
        R2Outcome::Mismatch { sources, key_ids }
    }
}
