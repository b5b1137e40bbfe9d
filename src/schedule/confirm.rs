//! The last stages of handshake and fast rekey: QKD keys or a waiver, `ok`, the epoch's keys (PROTOCOL 2.5, 2.8).
//!
//! [`BeforeQkd`] → [`Keyed`] → [`Confirmed`] → [`EpochSecrets`]. The first arrow needs enough mixed keys or a waiver
//! that only `keys::policy` issues; the second needs `ok`. There is no other way to an epoch's keys.

use super::labels;
use super::qkd::MixableKey;
use super::transcript::{MixedSecret, Transcript};
use crate::crypto::kdf::{HASH_BYTES, length_prefix};
use crate::keys::policy::{QkdWaiver, WaiverKind};
use crate::types::id::{KeyId, SourceId, SourceMask};
use crate::types::limits::TAG_BYTES;
use crate::types::policy::QkdPolicy;
use crate::types::secret::Secret;
use crate::types::terms::Agreed;

/// Bytes of `ok`: the tag of an empty text.
pub const OK_BYTES: usize = TAG_BYTES;
/// What stands in place of `ok` in a refusal.
pub const REFUSAL_OK: [u8; OK_BYTES] = [0; OK_BYTES];

/// Fewer keys than the policy needs, and no waiver that allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewKeys;

/// Everything is in but the QKD keys.
pub struct BeforeQkd(Transcript);

impl BeforeQkd {
    /// After p4 (full handshake) or after `fee` (fast rekey).
    pub fn new(transcript: Transcript) -> Self {
        Self(transcript)
    }

    /// Mixes the keys in ascending order of their sources, or the statement that there is none.
    pub fn mix<'k>(
        self,
        keys: impl IntoIterator<Item = &'k MixableKey>,
        agreed: &Agreed,
        waiver: Option<QkdWaiver>,
    ) -> Result<Keyed, TooFewKeys> {
        let mut keys: Vec<&MixableKey> = keys.into_iter().collect();
        keys.sort_by_key(|key| key.source());
        let mask = keys.iter().fold(SourceMask::EMPTY, |mask, key| mask.with(key.source()));
        let waiver = permission(agreed, mask, waiver)?;
        let mut transcript = self.0;
        for key in &keys {
            let id = key.key_id().as_str().as_bytes();
            transcript.mix_hash(labels::QKD, &[&[key.source().number()], &length_prefix(id), id]);
            transcript.mix_key(labels::QKD, key.key());
        }
        if keys.is_empty() {
            transcript.mix_key(labels::NO_QKD, &MixedSecret::zero());
        }
        transcript.mix_key(labels::FINAL, &MixedSecret::zero());
        let mixed = keys.iter().map(|key| (key.source(), key.key_id().clone())).collect();
        Ok(Keyed { transcript, mixed, waiver })
    }
}

/// Which waiver an epoch with these sources needs; none if they suffice (PROTOCOL 2.8 `waiver`).
pub fn demanded_waiver(agreed: &Agreed, mixed: SourceMask) -> Option<WaiverKind> {
    match agreed.policy {
        QkdPolicy::Off => Some(WaiverKind::Off),
        QkdPolicy::Preferred | QkdPolicy::Required if !agreed.is_short(mixed) => None,
        QkdPolicy::Preferred => Some(WaiverKind::Degraded),
        QkdPolicy::Required => Some(WaiverKind::Holdover),
    }
}

/// Which waiver the epoch is built with; none if the keys suffice.
fn permission(agreed: &Agreed, mixed: SourceMask, waiver: Option<QkdWaiver>) -> Result<Option<WaiverKind>, TooFewKeys> {
    match (demanded_waiver(agreed, mixed), waiver) {
        (None, _) => Ok(None),
        (Some(demanded), Some(waiver)) if waiver.kind() == demanded => Ok(Some(demanded)),
        (Some(_), Some(_) | None) => Err(TooFewKeys),
    }
}

/// All secrets are in; `ok` is made or checked next.
pub struct Keyed {
    transcript: Transcript,
    mixed: Vec<(SourceId, KeyId)>,
    waiver: Option<WaiverKind>,
}

impl Keyed {
    /// At the responder: makes `ok`.
    pub fn seal_ok(mut self) -> (Vec<u8>, Confirmed) {
        let ok = self.transcript.seal(labels::OK, &[]);
        (ok, Confirmed(self))
    }

    /// At the initiator: checks `ok`; `None` if it does not open, that is, if the responder mixed other keys.
    pub fn open_ok(mut self, ok: &[u8; OK_BYTES]) -> Option<Confirmed> {
        self.transcript.open(labels::OK, ok)?;
        Some(Confirmed(self))
    }
}

/// `ok` was made, or opened: the epoch's keys may be taken.
pub struct Confirmed(Keyed);

impl Confirmed {
    /// The next ratchet secret; only a full handshake has one.
    pub fn ratchet_secret(&self) -> Secret<32> {
        self.0.transcript.export(labels::RS)
    }

    /// Takes the keys; the transcript is gone.
    pub fn split(self) -> EpochSecrets {
        let Keyed { transcript, mixed, waiver } = self.0;
        EpochSecrets {
            hs: *transcript.h(),
            t_i2r: transcript.export(labels::I2R),
            t_r2i: transcript.export(labels::R2I),
            root: transcript.export(labels::ROOT),
            mixed,
            waiver,
        }
    }
}

/// The keys of one epoch.
pub struct EpochSecrets {
    /// Session id, or the transcript hash after a fast rekey; log only its first 8 bytes.
    pub hs: [u8; HASH_BYTES],
    /// Traffic key from initiator to responder.
    pub t_i2r: Secret<32>,
    /// Traffic key from responder to initiator.
    pub t_r2i: Secret<32>,
    /// What the next fast rekey starts from.
    pub root: Secret<HASH_BYTES>,
    /// The QKD keys in it, ascending by source.
    pub mixed: Vec<(SourceId, KeyId)>,
    /// Why it was allowed to have fewer than the policy needs.
    pub waiver: Option<WaiverKind>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::policy::{Exchange, LeftSeconds, waive};
    use crate::keys::request::DeliveredKey;
    use crate::types::policy::{Cipher, Suite};
    use crate::types::secret::SecretBytes;

    fn agreed(policy: QkdPolicy, need: u8) -> Agreed {
        let asked = SourceMask::from_bits(if policy == QkdPolicy::Off { 0 } else { 0b11 }).unwrap();
        let (cipher, unlimited) = (Cipher::ChaCha20Poly1305, u32::MAX);
        Agreed {
            policy,
            need,
            asked,
            cipher,
            features: 0,
            inner_mtu: 1420,
            hold_last: unlimited,
            degrade_for: unlimited,
            clock: 0,
        }
    }

    fn key(source: u8, byte: u8) -> MixableKey {
        let material = SecretBytes::new(vec![byte; 32]);
        let delivered = DeliveredKey { key_id: KeyId::new(b"id").unwrap(), material };
        MixableKey::new(SourceId::new(source).unwrap(), delivered).unwrap()
    }

    fn mix(keys: &[MixableKey], agreed: &Agreed, waiver: Option<QkdWaiver>) -> Result<Keyed, TooFewKeys> {
        let mut transcript = Transcript::init(Suite::MlKem1024);
        transcript.mix_key("start", &MixedSecret::zero());
        BeforeQkd::new(transcript).mix(keys, agreed, waiver)
    }

    fn waiver(policy: QkdPolicy, exchange: Exchange) -> Option<QkdWaiver> {
        waive(policy, exchange, LeftSeconds(5))
    }

    #[test]
    fn a_short_epoch_needs_the_waiver_of_its_policy() {
        use QkdPolicy::{Off, Preferred, Required};
        let one = [key(0, 1)];
        for (policy, need, keys, issued, is_made) in [
            (Required, 1, 1, None, true),
            (Required, 2, 1, None, false),
            (Required, 2, 1, waiver(Required, Exchange::FastRekey), true),
            (Required, 2, 1, waiver(Preferred, Exchange::Handshake), false),
            (Required, 1, 0, waiver(Off, Exchange::Handshake), false),
            (Preferred, 1, 0, None, false),
            (Preferred, 1, 0, waiver(Preferred, Exchange::Handshake), true),
            (Preferred, 1, 0, waiver(Off, Exchange::Handshake), false),
            (Off, 0, 0, None, false),
            (Off, 0, 0, waiver(Off, Exchange::Handshake), true),
            (Off, 0, 0, waiver(Preferred, Exchange::Handshake), false),
        ] {
            let outcome = mix(&one[..keys], &agreed(policy, need), issued);
            assert_eq!(outcome.is_ok(), is_made, "{policy:?} need {need} mixed {keys}");
        }
    }

    #[test]
    fn a_waiver_that_was_not_needed_is_not_recorded() {
        let terms = agreed(QkdPolicy::Preferred, 1);
        let issued = || waiver(QkdPolicy::Preferred, Exchange::Handshake);
        let kind = |keys: &[MixableKey]| mix(keys, &terms, issued()).unwrap().seal_ok().1.split().waiver;
        assert_eq!(kind(&[key(0, 1)]), None);
        assert_eq!(kind(&[]), Some(WaiverKind::Degraded));
    }

    #[test]
    fn ok_opens_only_under_the_same_keys() {
        let terms = agreed(QkdPolicy::Required, 1);
        let keyed = |byte| mix(&[key(1, 4), key(0, byte)], &terms, None).unwrap();
        let (ok, theirs) = keyed(1).seal_ok();
        let ok = <[u8; OK_BYTES]>::try_from(ok).unwrap();
        assert!(keyed(2).open_ok(&ok).is_none());
        let ours = keyed(1).open_ok(&ok).unwrap();
        assert!(ours.ratchet_secret().ct_eq(&theirs.ratchet_secret()));
        let (ours, theirs) = (ours.split(), theirs.split());
        assert!(ours.root.ct_eq(&theirs.root) && ours.t_i2r.ct_eq(&theirs.t_i2r));
        assert!(!ours.t_i2r.ct_eq(&ours.t_r2i));
        assert_eq!(ours.mixed.iter().map(|(source, _)| source.number()).collect::<Vec<_>>(), [0, 1]);
    }
}
