//! QKD keys on their way in: what each end brings becomes slots, status and keys to mix (PROTOCOL 2.5, 2.8).

use super::labels;
use crate::crypto::kdf::{HASH_BYTES, hash, hmac_tag, length_prefix};
use crate::keys::offer::{SlotAnswer, SlotOffer};
use crate::keys::request::DeliveredKey;
use crate::types::id::{KeyId, SourceId, SourceMask};
use crate::types::limits::{QKD_KEY_BYTES_MAX, QKD_SOURCES_MAX};
use crate::types::policy::Reason;
use crate::types::secret::{Secret, SecretBytes};
use crate::wire::slots::Slot;
use crate::wire::status::Status;

/// Bytes that one QKD key contributes.
const MIXED_BYTES: usize = 32;

/// One QKD key as it enters the schedule: its raw material is gone.
pub struct MixableKey {
    source: SourceId,
    key_id: KeyId,
    key: Secret<MIXED_BYTES>,
}

impl MixableKey {
    /// Consumes a delivered key: 32 bytes as they are, longer ones as `SHA-384(lp("qkd-long") || lp(key))[0..32]`,
    /// shorter ones are refused.
    pub fn new(source: SourceId, delivered: DeliveredKey) -> Result<Self, Reason> {
        let key = mixed_form(&delivered.material)?;
        Ok(Self { source, key_id: delivered.key_id, key })
    }

    /// The source it came from.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Its name.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    pub(super) fn key(&self) -> &Secret<MIXED_BYTES> {
        &self.key
    }

    /// `HMAC(K_s, lp("chk") || h)[0]`.
    fn check_byte(&self, h: &[u8; HASH_BYTES]) -> u8 {
        let label = labels::CHK.as_bytes();
        let [check] = hmac_tag(self.key.expose(), &[&length_prefix(label), label, h]);
        check
    }
}

fn mixed_form(material: &SecretBytes) -> Result<Secret<MIXED_BYTES>, Reason> {
    let bytes = material.expose();
    match bytes.len() {
        0..MIXED_BYTES => Err(Reason::WrongSize),
        MIXED_BYTES => Secret::from_slice(bytes).ok_or(Reason::WrongSize),
        33..=QKD_KEY_BYTES_MAX => {
            let label = labels::QKD_LONG.as_bytes();
            let mut digest = hash(&[&length_prefix(label), label, &length_prefix(bytes), bytes]);
            let long: Secret<HASH_BYTES> = Secret::take(&mut digest);
            let short = long.expose().first_chunk().ok_or(Reason::Other)?;
            Ok(Secret::filled(|out| *out = *short))
        }
        _ => Err(Reason::Malformed),
    }
}

/// What the initiator's offers become: the six slots to send, and the keys to mix if the responder has them too.
pub fn offer(asked: SourceMask, offers: [SlotOffer; QKD_SOURCES_MAX]) -> ([Slot; QKD_SOURCES_MAX], Vec<MixableKey>) {
    let mut slots = [const { Slot::None }; QKD_SOURCES_MAX];
    let mut keys = Vec::new();
    for ((source, slot), offer) in SourceId::all().zip(&mut slots).zip(offers) {
        if !asked.has(source) {
            continue;
        }
        *slot = match offer {
            SlotOffer::NotAsked => Slot::Failed(Reason::NotAsked),
            SlotOffer::Failed(reason) => Slot::Failed(reason),
            SlotOffer::Key(delivered) => {
                let size_bits = bits(&delivered);
                match MixableKey::new(source, delivered) {
                    Ok(key) => {
                        let key_id = key.key_id.clone();
                        keys.push(key);
                        Slot::Key { key_id, size_bits }
                    }
                    Err(reason) => Slot::Failed(reason),
                }
            }
        };
    }
    (slots, keys)
}

/// What the responder's answers become: the keys to mix, and why the others that were offered are not.
pub fn answer(
    slots: &[Slot; QKD_SOURCES_MAX],
    answers: [SlotAnswer; QKD_SOURCES_MAX],
) -> (Vec<MixableKey>, [Option<Reason>; QKD_SOURCES_MAX]) {
    let mut keys = Vec::new();
    let mut reasons = [None; QKD_SOURCES_MAX];
    for (((source, slot), answer), reason) in SourceId::all().zip(slots).zip(answers).zip(&mut reasons) {
        let Slot::Key { key_id, size_bits } = slot else { continue };
        let outcome = match answer {
            SlotAnswer::NotNeeded => Err(Reason::NotAsked),
            SlotAnswer::Failed(why) => Err(why),
            SlotAnswer::Key(delivered) if bits(&delivered) != *size_bits => Err(Reason::WrongSize),
            SlotAnswer::Key(delivered) if delivered.key_id != *key_id => Err(Reason::Malformed),
            SlotAnswer::Key(delivered) => MixableKey::new(source, delivered),
        };
        match outcome {
            Ok(key) => keys.push(key),
            Err(why) => *reason = Some(why),
        }
    }
    (keys, reasons)
}

/// Bits of the material; above what a slot can say it is a size no slot has.
fn bits(delivered: &DeliveredKey) -> u16 {
    u16::try_from(delivered.material.len().saturating_mul(8)).unwrap_or(u16::MAX)
}

/// The status that says so; `h` as after p3 or after `MixHash("FR1")`.
pub fn status(h: &[u8; HASH_BYTES], keys: &[MixableKey], reasons: [Option<Reason>; QKD_SOURCES_MAX]) -> Status {
    let mut check = [0; QKD_SOURCES_MAX];
    for (source, out) in SourceId::all().zip(&mut check) {
        *out = keys.iter().find(|key| key.source == source).map_or(0, |key| key.check_byte(h));
    }
    let mixed = keys.iter().fold(SourceMask::EMPTY, |mask, key| mask.with(key.source));
    Status { mixed, reasons, check }
}

/// At the initiator: the mixed sources whose check byte shows another key than ours; `h` as for [`status`].
pub fn disagreeing(h: &[u8; HASH_BYTES], keys: &[MixableKey], status: &Status) -> SourceMask {
    let theirs = SourceId::all().zip(status.check).filter(|(source, _)| status.mixed.has(*source));
    let differ = theirs.filter(|(source, check)| {
        keys.iter().find(|key| key.source == *source).is_none_or(|key| key.check_byte(h) != *check)
    });
    differ.fold(SourceMask::EMPTY, |mask, (source, _)| mask.with(source))
}

/// At the initiator, by source: why an asked source is not mixed, by our own slot or by the responder's status.
pub fn reasons(slots: &[Slot; QKD_SOURCES_MAX], status: &Status) -> [Option<Reason>; QKD_SOURCES_MAX] {
    let mut all = status.reasons;
    for (reason, slot) in all.iter_mut().zip(slots) {
        if let Slot::Failed(ours) = slot {
            *reason = Some(*ours);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(id: &str, bytes: Vec<u8>) -> DeliveredKey {
        DeliveredKey { key_id: KeyId::new(id.as_bytes()).unwrap(), material: SecretBytes::new(bytes) }
    }

    fn source(number: u8) -> SourceId {
        SourceId::new(number).unwrap()
    }

    fn refusal(length: usize) -> Option<Reason> {
        MixableKey::new(source(0), delivered("k", vec![1; length])).err()
    }

    fn answers(first: SlotAnswer) -> [SlotAnswer; 6] {
        let none = || SlotAnswer::NotNeeded;
        [first, none(), none(), none(), none(), none()]
    }

    fn one_slot() -> [Slot; 6] {
        let mut slots = [const { Slot::None }; 6];
        slots[0] = Slot::Key { key_id: KeyId::new(b"k").unwrap(), size_bits: 256 };
        slots
    }

    #[test]
    fn keys_of_32_bytes_and_more_are_taken() {
        assert_eq!(refusal(0), Some(Reason::WrongSize));
        assert_eq!(refusal(31), Some(Reason::WrongSize));
        assert_eq!(refusal(32), None);
        assert_eq!(refusal(QKD_KEY_BYTES_MAX), None);
        assert_eq!(refusal(QKD_KEY_BYTES_MAX + 1), Some(Reason::Malformed));
        let as_is = MixableKey::new(source(0), delivered("k", (0..32).collect())).unwrap();
        assert_eq!(as_is.key.expose().to_vec(), (0..32).collect::<Vec<u8>>());
        let long = MixableKey::new(source(0), delivered("k", (0..33).collect())).unwrap();
        assert_ne!(long.key.expose()[..], as_is.key.expose()[..]);
    }

    #[test]
    fn an_offer_outside_the_asked_set_is_not_sent() {
        let asked = SourceMask::EMPTY.with(source(1)).with(source(2)).with(source(3));
        let key = |id| SlotOffer::Key(delivered(id, vec![5; 64]));
        let short = SlotOffer::Key(delivered("short", vec![5; 16]));
        let failed = SlotOffer::Failed(Reason::NoKeyNow);
        let (slots, keys) = offer(asked, [key("a"), key("b"), short, SlotOffer::NotAsked, failed, key("f")]);
        let b = Slot::Key { key_id: KeyId::new(b"b").unwrap(), size_bits: 512 };
        let failed = Slot::Failed;
        assert_eq!(slots, [Slot::None, b, failed(Reason::WrongSize), failed(Reason::NotAsked), Slot::None, Slot::None]);
        assert_eq!(keys.iter().map(|key| key.source.number()).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_answer_must_fit_its_slot() {
        let outcome = |first| {
            let (keys, reasons) = answer(&one_slot(), answers(first));
            (keys.len(), reasons[0])
        };
        assert_eq!(outcome(SlotAnswer::Key(delivered("k", vec![1; 32]))), (1, None));
        assert_eq!(outcome(SlotAnswer::Key(delivered("k", vec![1; 64]))), (0, Some(Reason::WrongSize)));
        assert_eq!(outcome(SlotAnswer::Key(delivered("other", vec![1; 32]))), (0, Some(Reason::Malformed)));
        assert_eq!(outcome(SlotAnswer::NotNeeded), (0, Some(Reason::NotAsked)));
        assert_eq!(outcome(SlotAnswer::Failed(Reason::Deadline)), (0, Some(Reason::Deadline)));
        let unasked = answer(&[const { Slot::None }; 6], answers(SlotAnswer::Key(delivered("k", vec![1; 32]))));
        assert_eq!((unasked.0.len(), unasked.1), (0, [None; 6]));
    }

    #[test]
    fn a_check_byte_tells_which_source_differs() {
        let h = [7; HASH_BYTES];
        let keys = |second: u8| {
            let of = |number, byte| MixableKey::new(source(number), delivered("k", vec![byte; 32])).unwrap();
            vec![of(0, 1), of(4, second)]
        };
        let theirs = status(&h, &keys(2), [None; 6]);
        assert_eq!(theirs.mixed.bits(), 0b01_0001);
        assert!(disagreeing(&h, &keys(2), &theirs).is_empty());
        assert_eq!(disagreeing(&h, &keys(3), &theirs).bits(), 0b01_0000);
        assert_eq!(disagreeing(&[8; HASH_BYTES], &keys(2), &theirs).bits(), 0b01_0001);
    }
}
