//! The session initiator's side: FR1 is made once a try, and waits for its FR2 (PROTOCOL 2.8).

use super::epoch::{FastRefusal, FastTry, NewEpoch};
use super::message::{FR2_BEFORE_OK_BYTES, Fr1, Fr2, Head};
use super::stated::{Stated, off_or};
use crate::crypto::dh;
use crate::keys::offer::SlotOffer;
use crate::keys::policy::{LeftSeconds, QkdWaiver, WaiverKind};
use crate::schedule::confirm::TooFewKeys;
use crate::schedule::fast_stages::{AfterFr1, EpochRoot};
use crate::schedule::qkd::{self, MixableKey};
use crate::types::id::{KeyId, SessionIndex, SourceId, SourceMask};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::random::Randomness;
use crate::types::secret::Secret;
use crate::types::terms::Agreed;
use crate::wire::field::Malformed;
use crate::wire::slots::{Slot, sources_with_key};
use crate::wire::status::Status;

/// FR1 is made; everything that its FR2 is judged by. Dropped with the try, it takes its keys along: none is used twice.
pub struct AwaitFr2 {
    attempt: FastTry,
    stated: Stated,
    slots: [Slot; QKD_SOURCES_MAX],
    keys: Vec<MixableKey>,
    e: Secret<{ dh::DH_BYTES }>,
    stage: AfterFr1,
    plaintext: Vec<u8>,
}

/// What an FR2 of the right try says.
pub enum Fr2Outcome {
    /// `ok` opened: the epoch is made and the root it came from is to be dropped.
    Established(Box<NewEpoch>),
    /// The two KMEs gave different keys: these sources count as failed with reason 11, and the next try follows.
    Mismatch {
        /// The sources that differ; all mixed ones if only `ok` shows it.
        sources: SourceMask,
        /// Their key_IDs, for the alarm.
        key_ids: Vec<(SourceId, KeyId)>,
    },
    /// The responder may not make the short epoch.
    Refused {
        /// Which permission is lacking there.
        waiver: WaiverKind,
        /// Which keys it had.
        status: Status,
    },
}

/// Makes FR1 with what each source brought. Draws `fr_e_i`.
///
/// # Errors
/// The keys are fewer than the policy needs and `permit` does not cover that: nothing may be sent (PROTOCOL 2.8a).
pub fn create_fr1(
    root: &EpochRoot,
    agreed: &Agreed,
    attempt: FastTry,
    offers: [SlotOffer; QKD_SOURCES_MAX],
    permit: Option<&QkdWaiver>,
    rng: &mut dyn Randomness,
) -> Result<AwaitFr2, TooFewKeys> {
    let (slots, keys) = qkd::offer(agreed.asked, offers);
    let stated = Stated::for_keys(agreed, sources_with_key(&slots), permit).ok_or(TooFewKeys)?;
    let e = Secret::filled(|out| rng.secret("fr_e_i", out));
    let FastTry { epoch, number: try_number, data_index } = attempt;
    let head = Head { try_number, epoch, stated, data_index: Some(data_index), e: dh::public(&e) };
    let fr1 = Fr1 { head, slots };
    let mut plaintext = fr1.write();
    let auth = root.auth(&plaintext);
    plaintext.extend_from_slice(&auth);
    let stage = root.after_fr1(&plaintext);
    Ok(AwaitFr2 { attempt, stated, slots: fr1.slots, keys, e, stage, plaintext })
}

impl AwaitFr2 {
    /// FR1: every resend is this same plaintext under another counter.
    pub fn plaintext(&self) -> &[u8] {
        &self.plaintext
    }

    /// The epoch that is being made.
    pub fn epoch(&self) -> u32 {
        self.attempt.epoch
    }

    /// The sources whose slot names a key.
    pub fn named(&self) -> SourceMask {
        sources_with_key(&self.slots)
    }

    /// Which try for it.
    pub fn try_number(&self) -> u8 {
        self.attempt.number
    }

    /// Judges an FR2; `permit` is what the policy here says of a short epoch now. This state stays as it is.
    ///
    /// # Errors
    /// The message is dropped and a later one may still be good.
    pub fn accept_fr2(
        &self,
        plaintext: &[u8],
        agreed: &Agreed,
        permit: Option<QkdWaiver>,
    ) -> Result<Fr2Outcome, FastRefusal> {
        let fr2 = Fr2::parse(plaintext, &self.slots, agreed)?;
        if fr2.head.epoch != self.attempt.epoch {
            return Err(FastRefusal::OtherEpoch);
        }
        if fr2.head.try_number != self.attempt.number {
            return Err(FastRefusal::OtherTry);
        }
        let differing = qkd::disagreeing(self.stage.h(), &self.keys, &fr2.status);
        if !differing.is_empty() {
            return Ok(self.mismatch(differing));
        }
        if let Some(waiver) = fr2.refused()? {
            return Ok(Fr2Outcome::Refused { waiver, status: fr2.status });
        }
        let left = fr2.head.stated.left;
        if left > self.stated.left || left == LeftSeconds::NONE {
            return Err(FastRefusal::Left);
        }
        let remote_data_index = fr2.head.data_index.ok_or(Malformed::Index)?;
        self.establish(plaintext, &fr2, remote_data_index, agreed, permit)
    }

    fn establish(
        &self,
        plaintext: &[u8],
        fr2: &Fr2,
        remote_data_index: SessionIndex,
        agreed: &Agreed,
        permit: Option<QkdWaiver>,
    ) -> Result<Fr2Outcome, FastRefusal> {
        let shared = dh::shared(&self.e, &fr2.head.e).ok_or(FastRefusal::SmallOrder)?;
        let before_ok = plaintext.get(..FR2_BEFORE_OK_BYTES).ok_or(Malformed::Length)?;
        let mixed = self.keys.iter().filter(|key| fr2.status.mixed.has(key.source()));
        let permit = off_or(agreed, permit);
        let keyed = self.stage.after_fr2(before_ok, &shared).mix(mixed, agreed, permit);
        let keyed = keyed.map_err(|TooFewKeys| FastRefusal::NotPermitted)?;
        let Some(confirmed) = keyed.open_ok(&fr2.ok) else {
            // Under a session's keys and with good check bytes: only different QKD keys explain it, if there are any.
            let mixed = fr2.status.mixed;
            return if mixed.is_empty() { Err(FastRefusal::Unconfirmed) } else { Ok(self.mismatch(mixed)) };
        };
        let reasons = qkd::reasons(&self.slots, &fr2.status);
        let indices = (self.attempt.data_index, remote_data_index);
        let epoch = NewEpoch::new(self.attempt.epoch, confirmed.split(), reasons, fr2.head.stated.left, indices);
        Ok(Fr2Outcome::Established(Box::new(epoch)))
    }

    fn mismatch(&self, sources: SourceMask) -> Fr2Outcome {
        let named = self.keys.iter().filter(|key| sources.has(key.source()));
        let key_ids = named.map(|key| (key.source(), key.key_id().clone())).collect();
        Fr2Outcome::Mismatch { sources, key_ids }
    }
}
