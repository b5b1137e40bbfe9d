//! The session responder's side: FR1 is authenticated before anything else, then answered once a try (PROTOCOL 2.8).

use super::epoch::{FastRefusal, NewEpoch};
use super::message::{FR1_AUTHENTIC_BYTES, Fr1, Fr2, Head};
use super::stated::{Stated, off_or};
use crate::crypto::dh::{self, Scalar};
use crate::keys::offer::SlotAnswer;
use crate::keys::policy::{LeftSeconds, QkdWaiver, WaiverKind};
use crate::schedule::confirm::{BeforeQkd, Confirmed, REFUSAL_OK, demanded_waiver};
use crate::schedule::fast_stages::{AfterFr1, EpochRoot};
use crate::schedule::qkd::{self, MixableKey};
use crate::types::id::{SessionIndex, SourceMask};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::random::Randomness;
use crate::types::secret::Secret;
use crate::types::terms::Agreed;
use crate::wire::field::Malformed;
use crate::wire::slots::{Slot, sources_with_key};
use crate::wire::status::Status;

/// An authentic FR1: only now may the KMEs be asked for the keys it names.
pub struct OpenedFr1 {
    head: Head,
    slots: [Slot; QKD_SOURCES_MAX],
    remote_data_index: SessionIndex,
    agreed: Agreed,
    stage: AfterFr1,
}

/// The answer to one FR1.
pub struct Fr2Made {
    /// FR2: cached, and sealed again for every resend of its FR1.
    pub plaintext: Vec<u8>,
    /// Which keys were mixed, and why the others were not.
    pub status: Status,
    /// The epoch; `None` if this is a refusal.
    pub outcome: Option<Box<NewEpoch>>,
}

/// Reads FR1. Its `auth` is verified before anything else, so that whoever has only the traffic keys of an epoch makes
/// this end ask no KME, build no epoch and start no clock.
///
/// # Errors
/// The message is dropped.
pub fn open_fr1(root: &EpochRoot, agreed: &Agreed, plaintext: &[u8]) -> Result<OpenedFr1, FastRefusal> {
    let (authentic, auth) = plaintext.split_at_checked(FR1_AUTHENTIC_BYTES).ok_or(Malformed::Length)?;
    let auth = auth.try_into().map_err(|_| Malformed::Length)?;
    if !root.is_authentic(authentic, auth) {
        return Err(FastRefusal::Auth);
    }
    let (Fr1 { head, slots }, remote_data_index) = Fr1::parse(authentic, agreed)?;
    if dh::is_small_order(&head.e) {
        return Err(FastRefusal::SmallOrder);
    }
    Ok(OpenedFr1 { head, slots, remote_data_index, agreed: agreed.clone(), stage: root.after_fr1(plaintext) })
}

impl OpenedFr1 {
    /// The epoch it offers.
    pub fn epoch(&self) -> u32 {
        self.head.epoch
    }

    /// Which try for it.
    pub fn try_number(&self) -> u8 {
        self.head.try_number
    }

    /// HOLDOVER or DEGRADED if its keys are too few already; off with policy off.
    pub fn waiver(&self) -> Option<WaiverKind> {
        self.head.stated.waiver
    }

    /// What remains at the initiator; unlimited unless its keys are too few.
    pub fn left(&self) -> LeftSeconds {
        self.head.stated.left
    }

    /// The keys it names.
    pub fn slots(&self) -> &[Slot; QKD_SOURCES_MAX] {
        &self.slots
    }

    /// The sources whose slot names a key.
    pub fn named(&self) -> SourceMask {
        sources_with_key(&self.slots)
    }

    /// Makes FR2 with what the KMEs brought; `permit` is what the policy here says of a short epoch now, and without a
    /// permission that one needs FR2 is a refusal. Draws `fr_e_r` unless it is.
    pub fn create_fr2(
        self,
        data_index: SessionIndex,
        answers: [SlotAnswer; QKD_SOURCES_MAX],
        permit: Option<QkdWaiver>,
        rng: &mut dyn Randomness,
    ) -> Fr2Made {
        let (keys, reasons) = qkd::answer(&self.slots, answers);
        let status = qkd::status(self.stage.h(), &keys, reasons);
        let permit = off_or(&self.agreed, permit);
        let Some(stated) = self.stated(status.mixed, permit.as_ref()) else { return self.refuse(status) };
        let e = Scalar::load(&Secret::filled(|out| rng.secret("fr_e_r", out)));
        let head = Head { stated, data_index: Some(data_index), e: e.public(), ..self.head };
        let mut plaintext = Fr2::write(&head, &status);
        // A value of small order was refused with FR1, so there is a shared secret.
        let Some(before_qkd) = e.shared(&self.head.e).map(|fee| self.stage.after_fr2(&plaintext, &fee)) else {
            return self.refuse(status);
        };
        let Some((ok, confirmed)) = self.finish(before_qkd, &keys, permit) else { return self.refuse(status) };
        plaintext.extend_from_slice(&ok);
        let reasons = qkd::reasons(&self.slots, &status);
        let indices = (data_index, self.remote_data_index);
        let epoch = NewEpoch::new(self.head.epoch, confirmed.split(), reasons, stated.left, indices);
        Fr2Made { plaintext, status, outcome: Some(Box::new(epoch)) }
    }

    /// What FR2 says: of both ends' remaining time the smaller; `None` if nothing remains or nothing permits it.
    fn stated(&self, mixed: SourceMask, permit: Option<&QkdWaiver>) -> Option<Stated> {
        let own = Stated::for_keys(&self.agreed, mixed, permit)?;
        let left = own.left.min(self.head.stated.left);
        (left > LeftSeconds::NONE).then_some(Stated { left, ..own })
    }

    fn finish(&self, stage: BeforeQkd, keys: &[MixableKey], permit: Option<QkdWaiver>) -> Option<(Vec<u8>, Confirmed)> {
        stage.mix(keys, &self.agreed, permit).ok().map(|keyed| keyed.seal_ok())
    }

    fn refuse(&self, status: Status) -> Fr2Made {
        let stated = Stated { waiver: demanded_waiver(&self.agreed, status.mixed), left: LeftSeconds::NONE };
        let head = Head { stated, data_index: None, e: [0; dh::DH_BYTES], ..self.head };
        let mut plaintext = Fr2::write(&head, &status);
        plaintext.extend_from_slice(&REFUSAL_OK);
        Fr2Made { plaintext, status, outcome: None }
    }
}
