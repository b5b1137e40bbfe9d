//! Faults that a pair commits on order: what real KMEs have done wrong, to see what the tunnel makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::secret::SecretBytes;

/// Keys of one kind of fault that may wait: more than any test runs through.
pub const FAULTS_MAX: u64 = 1_000_000;

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// One bit differs between the two sites.
    WrongKey,
    /// The other KME never learns of the key.
    LostKey,
    /// The bytes of the key before, under another key_ID.
    RepeatedKey,
    /// Every byte is zero.
    ConstantKey,
}

/// The faults that wait for the next keys; each key takes one of each kind that waits.
#[derive(Default)]
pub struct Faults {
    waiting: BTreeMap<Fault, u64>,
    /// Of the key before.
    last: Option<SecretBytes>,
}

impl Faults {
    /// Lets the next `keys` keys have this fault, instead of what was ordered before of this kind.
    pub fn order(&mut self, fault: Fault, keys: u64) {
        self.waiting.insert(fault, keys.min(FAULTS_MAX));
    }

    /// Keys that still have a fault before them.
    pub fn waiting(&self) -> u64 {
        self.waiting.values().copied().max().unwrap_or(0)
    }

    /// Whether the next key has this fault; if so, it is used up by one.
    pub fn take(&mut self, fault: Fault) -> bool {
        let left = self.waiting.get_mut(&fault).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// Spoils the bytes that both sites will get.
    pub fn spoil_both(&mut self, material: &mut [u8]) {
        if self.take(Fault::ConstantKey) {
            material.fill(0);
        }
        if self.take(Fault::RepeatedKey)
            && let Some(last) = self.last.as_ref().filter(|last| last.len() == material.len())
        {
            material.copy_from_slice(last.expose());
        }
        self.last = Some(SecretBytes::new(material.to_vec()));
    }

    /// Spoils the bytes that only the slave will get.
    pub fn spoil_slave(&mut self, material: &mut [u8]) {
        if self.take(Fault::WrongKey)
            && let Some(last) = material.last_mut()
        {
            *last ^= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_takes_one_fault_of_a_kind_and_no_more_than_were_ordered() {
        let mut faults = Faults::default();
        assert!(!faults.take(Fault::LostKey));
        faults.order(Fault::LostKey, 2);
        faults.order(Fault::WrongKey, 1);
        assert_eq!(faults.waiting(), 2);
        assert!(faults.take(Fault::LostKey) && faults.take(Fault::LostKey) && !faults.take(Fault::LostKey));
        let mut key = [5; 2];
        faults.spoil_slave(&mut key);
        faults.spoil_slave(&mut key);
        assert_eq!((key, faults.waiting()), ([5, 4], 0));
        faults.order(Fault::WrongKey, u64::MAX);
        assert_eq!(faults.waiting(), FAULTS_MAX);
    }

    #[test]
    fn a_repeated_key_has_the_bytes_of_the_one_before() {
        let mut faults = Faults::default();
        let spoiled = |faults: &mut Faults, byte| {
            let mut key = [byte; 2];
            faults.spoil_both(&mut key);
            key
        };
        assert_eq!(spoiled(&mut faults, 1), [1; 2]);
        faults.order(Fault::RepeatedKey, 1);
        assert_eq!(spoiled(&mut faults, 2), [1; 2]);
        assert_eq!(spoiled(&mut faults, 3), [3; 2]);
        faults.order(Fault::ConstantKey, 1);
        assert_eq!(spoiled(&mut faults, 4), [0; 2]);
    }
}
