//! Whether a delivered key may be mixed: its length, its bytes, and that they did not come under another name (PROTOCOL 2.5 reasons 5 and 6).

use std::collections::{BTreeMap, VecDeque};

use super::request::DeliveredKey;
use crate::crypto::kdf::{HASH_BYTES, hmac_tag};
use crate::types::id::{KeyId, SourceId};
use crate::types::limits::{KEY_EQUAL_BYTES_RUN, KEY_FINGERPRINTS_MAX, QKD_KEY_BYTES_MAX, QKD_KEY_BYTES_MIN};
use crate::types::policy::Reason;
use crate::types::secret::Secret;

/// Bytes of a fingerprint: long enough that two good keys never share one, too short to be the key.
const FINGERPRINT_BYTES: usize = 16;

/// The fit tests of one peer's delivered keys, with keyed fingerprints of the last [`KEY_FINGERPRINTS_MAX`] of them.
pub struct FitTests {
    /// Random for each process: without it the fingerprints say nothing about the keys.
    fingerprint_key: Secret<HASH_BYTES>,
    names: BTreeMap<[u8; FINGERPRINT_BYTES], (SourceId, KeyId)>,
    order: VecDeque<[u8; FINGERPRINT_BYTES]>,
}

impl FitTests {
    /// With a key drawn for this process.
    pub fn new(fingerprint_key: Secret<HASH_BYTES>) -> Self {
        Self { fingerprint_key, names: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Judges a key and remembers its fingerprint.
    ///
    /// # Errors
    /// [`Reason::WrongSize`] below 256 bits; [`Reason::Malformed`] if it is longer than any KME's, if its bytes are
    /// constant or repeating, or if the same bytes came under another key_ID or from another source.
    pub fn check(&mut self, source: SourceId, key: &DeliveredKey) -> Result<(), Reason> {
        let material = key.material.expose();
        if material.len() < QKD_KEY_BYTES_MIN {
            return Err(Reason::WrongSize);
        }
        if material.len() > QKD_KEY_BYTES_MAX || has_long_run(material) || is_periodic(material) {
            return Err(Reason::Malformed);
        }
        let fingerprint = hmac_tag(self.fingerprint_key.expose(), &[material]);
        match self.names.get(&fingerprint) {
            Some((known_source, known_id)) if *known_source == source && *known_id == key.key_id => Ok(()),
            Some(_) => Err(Reason::Malformed),
            None => {
                self.remember(fingerprint, source, &key.key_id);
                Ok(())
            }
        }
    }

    fn remember(&mut self, fingerprint: [u8; FINGERPRINT_BYTES], source: SourceId, key_id: &KeyId) {
        self.names.insert(fingerprint, (source, key_id.clone()));
        self.order.push_back(fingerprint);
        if self.order.len() > KEY_FINGERPRINTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }
}

/// SP 800-90B 4.4.1, the repetition count test: a dead generator repeats its last byte.
fn has_long_run(material: &[u8]) -> bool {
    material.windows(KEY_EQUAL_BYTES_RUN).any(|run| run.iter().all(|byte| run.first() == Some(byte)))
}

/// The whole key is one pattern of at most half its length, again and again.
fn is_periodic(material: &[u8]) -> bool {
    (1..=material.len() / 2).any(|period| material.iter().zip(material.iter().skip(period)).all(|(a, b)| a == b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::secret::SecretBytes;

    fn tests() -> FitTests {
        FitTests::new(Secret::take(&mut [5; HASH_BYTES]))
    }

    fn key(name: &str, material: &[u8]) -> DeliveredKey {
        DeliveredKey { key_id: KeyId::new(name.as_bytes()).unwrap(), material: SecretBytes::new(material.to_vec()) }
    }

    fn good(n: u64, length: usize) -> Vec<u8> {
        let blocks = (0u8..64).map(|i| crate::crypto::kdf::hash(&[&n.to_be_bytes(), &[i]]));
        blocks.flatten().take(length).collect()
    }

    fn verdict(material: &[u8]) -> Result<(), Reason> {
        tests().check(SourceId::new(0).unwrap(), &key("a", material))
    }

    #[test]
    fn lengths_from_256_bits_to_the_limit_are_fit() {
        assert_eq!(verdict(&good(1, 31)), Err(Reason::WrongSize));
        assert_eq!(verdict(&[]), Err(Reason::WrongSize));
        assert_eq!(verdict(&good(1, 32)), Ok(()));
        assert_eq!(verdict(&good(1, QKD_KEY_BYTES_MAX)), Ok(()));
        assert_eq!(verdict(&good(1, QKD_KEY_BYTES_MAX + 1)), Err(Reason::Malformed));
    }

    #[test]
    fn constant_and_repeating_bytes_are_unfit() {
        for material in [[0; 32], [0xff; 32], [0x41; 32]] {
            assert_eq!(verdict(&material), Err(Reason::Malformed));
        }
        assert_eq!(verdict(&b"test".repeat(8)), Err(Reason::Malformed));
        assert_eq!(verdict(&b"0123456789abcdef".repeat(2)), Err(Reason::Malformed));
        assert_eq!(verdict(&b"0123456789".repeat(4)[..33]), Err(Reason::Malformed), "the last pattern is cut");
        let mut stuck = good(2, 32);
        stuck[10..16].fill(7);
        assert_eq!(verdict(&stuck), Err(Reason::Malformed));
        let mut almost = good(2, 32);
        almost[9..16].copy_from_slice(&[1, 7, 7, 7, 7, 7, 1]);
        assert_eq!(verdict(&almost), Ok(()));
    }

    #[test]
    fn the_same_bytes_under_another_name_are_unfit() {
        let mut tests = tests();
        let (zero, one) = (SourceId::new(0).unwrap(), SourceId::new(1).unwrap());
        assert_eq!(tests.check(zero, &key("a", &good(1, 32))), Ok(()));
        assert_eq!(tests.check(zero, &key("a", &good(1, 32))), Ok(()), "the same key again is the seen table's matter");
        assert_eq!(tests.check(zero, &key("b", &good(1, 32))), Err(Reason::Malformed));
        assert_eq!(tests.check(one, &key("a", &good(1, 32))), Err(Reason::Malformed));
        assert_eq!(tests.check(one, &key("a", &good(2, 32))), Ok(()));
    }

    #[test]
    fn fingerprints_are_bounded_oldest_out() {
        let mut tests = tests();
        let source = SourceId::new(0).unwrap();
        for n in 0..=KEY_FINGERPRINTS_MAX as u64 {
            assert_eq!(tests.check(source, &key(&format!("k{n}"), &good(n, 32))), Ok(()));
        }
        assert_eq!((tests.names.len(), tests.order.len()), (KEY_FINGERPRINTS_MAX, KEY_FINGERPRINTS_MAX));
        assert_eq!(tests.check(source, &key("again", &good(1, 32))), Err(Reason::Malformed));
        assert_eq!(tests.check(source, &key("again", &good(0, 32))), Ok(()));
    }
}
