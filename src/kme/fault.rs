//! The faults that wait at a pair, and what those of keys do to them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalogue::Fault;
use super::pair::Side;
use crate::types::id::KeyId;
use crate::types::secret::SecretBytes;

/// Keys, answers or connections of one kind of fault that may wait: more than any test runs through.
pub const FAULTS_MAX: u64 = 1_000_000;
/// How long the other KME takes to learn of a late key.
pub const LATE_KEY: Duration = Duration::from_secs(2);

/// How often a fault is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// The next so many; 0 takes an order back.
    Next(u64),
    /// Until it is taken back.
    Always,
}

/// A fault that waits, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which.
    pub fault: Fault,
    /// At which KME; none: at either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kme: Option<String>,
    /// How many are left; none: it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

/// The faults of a pair, each at one KME or at either.
#[derive(Default)]
pub struct Faults {
    waiting: BTreeMap<(Fault, Option<Side>), Times>,
    /// Of the key before.
    last: Option<(KeyId, SecretBytes)>,
    /// Of ids that count.
    counter: u64,
}

impl Faults {
    /// Lets this happen so often at one KME, or at either, instead of what was ordered before of this kind there.
    pub fn order(&mut self, fault: Fault, at: Option<Side>, times: Times) {
        match times {
            Times::Next(0) => drop(self.waiting.remove(&(fault, at))),
            Times::Next(left) => drop(self.waiting.insert((fault, at), Times::Next(left.min(FAULTS_MAX)))),
            Times::Always => drop(self.waiting.insert((fault, at), Times::Always)),
        }
    }

    /// Takes every order back.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The largest number of keys, answers or connections that still have a fault before them.
    pub fn waiting(&self) -> u64 {
        let left = |times: &Times| if let Times::Next(left) = times { Some(*left) } else { None };
        self.waiting.values().filter_map(left).max().unwrap_or(0)
    }

    /// What waits.
    pub fn list(&self) -> impl Iterator<Item = (Fault, Option<Side>, Times)> {
        self.waiting.iter().map(|((fault, at), times)| (*fault, *at, *times))
    }

    /// Whether a KME has this habit, or this fault before it.
    pub fn has(&self, fault: Fault, side: Side) -> bool {
        self.waiting.contains_key(&(fault, Some(side))) || self.waiting.contains_key(&(fault, None))
    }

    /// Whether this happens now; if so, it is used up by one.
    pub fn take(&mut self, fault: Fault, side: Side) -> bool {
        let at = if self.waiting.contains_key(&(fault, Some(side))) { Some(side) } else { None };
        match self.waiting.get_mut(&(fault, at)) {
            Some(Times::Next(left)) => {
                *left -= 1;
                if *left == 0 {
                    self.waiting.remove(&(fault, at));
                }
                true
            }
            Some(Times::Always) => true,
            None => false,
        }
    }

    /// The id that a new key gets in place of `fresh`.
    pub fn spoil_id(&mut self, side: Side, fresh: KeyId) -> KeyId {
        let repeated = self.last.as_ref().map(|(id, _)| id.clone());
        if let Some(id) = repeated.filter(|_| self.take(Fault::RepeatedId, side)) {
            return id;
        }
        let text = if self.has(Fault::IdNotUuid, side) {
            format!("key/{}+{}", fresh.prefix(), self.counted())
        } else if self.has(Fault::IdCounter, side) {
            format!("00000000-0000-0000-0000-{:012x}", self.counted())
        } else if self.has(Fault::IdOtherCase, side) {
            fresh.as_str().to_ascii_uppercase()
        } else {
            return fresh;
        };
        KeyId::new(text.as_bytes()).unwrap_or(fresh)
    }

    fn counted(&mut self) -> u64 {
        self.counter += 1;
        self.counter - 1
    }

    /// The id under which the slave's KME gives a key.
    pub fn slaves_id(&self, side: Side, id: &KeyId) -> KeyId {
        let lower = KeyId::new(id.as_str().to_ascii_lowercase().as_bytes());
        lower.filter(|_| self.has(Fault::IdOtherCase, side)).unwrap_or_else(|| id.clone())
    }

    /// Spoils the bytes that both sites will get.
    pub fn spoil_both(&mut self, side: Side, id: &KeyId, material: &mut Vec<u8>) {
        for (fault, byte) in [(Fault::ConstantKey, 0), (Fault::OnesKey, 0xff)] {
            if self.take(fault, side) {
                material.fill(byte);
            }
        }
        if self.take(Fault::TextKey, side) {
            material.iter_mut().zip(b"test".iter().cycle()).for_each(|(byte, letter)| *byte = *letter);
        }
        if self.take(Fault::RepeatedKey, side)
            && let Some((_, last)) = self.last.as_ref().filter(|(_, last)| last.len() == material.len())
        {
            material.copy_from_slice(last.expose());
        }
        let asked = material.len();
        for (fault, length) in
            [(Fault::ShortKey, asked.saturating_sub(1)), (Fault::HalfKey, asked / 2), (Fault::EmptyKey, 0)]
        {
            if self.take(fault, side) {
                material.truncate(length);
            }
        }
        if self.take(Fault::LongKey, side) {
            material.push(0x5a);
        }
        self.last = Some((id.clone(), SecretBytes::new(material.clone())));
    }

    /// Spoils the bytes that only the slave will get.
    pub fn spoil_slave(&mut self, side: Side, material: &mut [u8]) {
        if self.take(Fault::WrongKey, side)
            && let Some(last) = material.last_mut()
        {
            *last ^= 1;
        }
        if self.take(Fault::OtherKey, side) {
            material.iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> KeyId {
        KeyId::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_key_takes_one_fault_of_a_kind_and_no_more_than_were_ordered() {
        let mut faults = Faults::default();
        assert!(!faults.take(Fault::LostKey, Side::A));
        faults.order(Fault::LostKey, None, Times::Next(2));
        faults.order(Fault::WrongKey, None, Times::Next(1));
        assert_eq!(faults.waiting(), 2);
        assert!(faults.take(Fault::LostKey, Side::A) && faults.take(Fault::LostKey, Side::B));
        assert!(!faults.take(Fault::LostKey, Side::A));
        let mut key = [5; 2];
        faults.spoil_slave(Side::A, &mut key);
        faults.spoil_slave(Side::A, &mut key);
        assert_eq!((key, faults.waiting()), ([5, 4], 0));
        faults.order(Fault::WrongKey, None, Times::Next(u64::MAX));
        assert_eq!(faults.waiting(), FAULTS_MAX);
        faults.order(Fault::WrongKey, None, Times::Next(0));
        assert_eq!(faults.list().count(), 0);
    }

    #[test]
    fn a_fault_at_one_kme_leaves_the_other_alone() {
        let mut faults = Faults::default();
        faults.order(Fault::LostKey, Some(Side::B), Times::Next(1));
        faults.order(Fault::GivesAgain, Some(Side::A), Times::Always);
        assert!(!faults.take(Fault::LostKey, Side::A) && faults.take(Fault::LostKey, Side::B));
        assert!(faults.has(Fault::GivesAgain, Side::A) && !faults.has(Fault::GivesAgain, Side::B));
        assert!(faults.take(Fault::GivesAgain, Side::A) && faults.has(Fault::GivesAgain, Side::A), "a habit lasts");
        faults.clear();
        assert!(!faults.has(Fault::GivesAgain, Side::A));
    }

    #[test]
    fn keys_are_spoiled_as_their_faults_say() {
        let spoiled = |faults: &mut Faults, byte| {
            let mut key = vec![byte; 4];
            faults.spoil_both(Side::A, &id(&format!("k{byte}")), &mut key);
            key
        };
        let mut faults = Faults::default();
        assert_eq!(spoiled(&mut faults, 1), [1; 4]);
        for (fault, expected) in [
            (Fault::RepeatedKey, vec![1; 4]),
            (Fault::ConstantKey, vec![0; 4]),
            (Fault::OnesKey, vec![0xff; 4]),
            (Fault::TextKey, b"test".to_vec()),
            (Fault::ShortKey, vec![7; 3]),
            (Fault::HalfKey, vec![7; 2]),
            (Fault::EmptyKey, vec![]),
            (Fault::LongKey, vec![7, 7, 7, 7, 0x5a]),
        ] {
            faults.order(fault, None, Times::Next(1));
            assert_eq!(spoiled(&mut faults, 7), expected, "{fault}");
            assert_eq!(spoiled(&mut faults, 1), [1; 4], "{fault} happens once");
        }
        let mut key = [1, 2];
        faults.order(Fault::OtherKey, None, Times::Next(1));
        faults.spoil_slave(Side::A, &mut key);
        assert_eq!(key, [0xfe, 0xfd]);
    }

    #[test]
    fn ids_are_spoiled_as_their_faults_say() {
        let mut faults = Faults::default();
        faults.spoil_both(Side::A, &id("before"), &mut vec![1]);
        faults.order(Fault::RepeatedId, None, Times::Next(1));
        assert_eq!(faults.spoil_id(Side::A, id("ab-0")), id("before"));
        assert_eq!(faults.spoil_id(Side::A, id("ab-0")), id("ab-0"));
        faults.order(Fault::IdOtherCase, None, Times::Always);
        assert_eq!(faults.spoil_id(Side::A, id("ab-0")), id("AB-0"));
        assert_eq!(faults.slaves_id(Side::A, &id("AB-0")), id("ab-0"));
        faults.order(Fault::IdCounter, None, Times::Always);
        assert_eq!(faults.spoil_id(Side::A, id("ab-0")), id("00000000-0000-0000-0000-000000000000"));
        faults.order(Fault::IdNotUuid, None, Times::Always);
        assert_eq!(faults.spoil_id(Side::A, id("ab-0")), id("key/ab-0+1"));
    }
}
