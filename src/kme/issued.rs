//! Keys handed to a master SAE that wait for their slave: each leaves once, to the SAE it was made for.

use std::collections::{BTreeMap, VecDeque};

use crate::etsi014::v1::container::ContainerKey;
use crate::types::id::{KeyId, SaeId};
use crate::types::time::Instant;

/// Keys that wait at most, oldest out: a master that never tells its slave must not fill the memory.
pub const ISSUED_KEYS_MAX: usize = 10_000;

/// A key on its way from master to slave.
pub struct IssuedKey {
    /// Name and material.
    pub key: ContainerKey,
    /// Who got it by `enc_keys`.
    pub master: SaeId,
    /// Who may get it by `dec_keys`.
    pub slave: SaeId,
    /// When the slave's KME knows it.
    pub known_from: Instant,
}

/// Why `dec_keys` gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDelivered {
    /// An id that names no key, names one no longer or not yet, or one of another master.
    NotFound,
    /// A key made for another slave.
    NotNamed,
}

/// The table of waiting keys. Ids are found in any case: clients normalise UUIDs in either way.
#[derive(Default)]
pub struct IssuedKeys {
    waiting: BTreeMap<String, IssuedKey>,
    /// In the order of issue; may name keys that were fetched.
    order: VecDeque<String>,
}

impl IssuedKeys {
    /// Adds a key; gives back the oldest one's id if it had to go.
    pub fn add(&mut self, issued: IssuedKey) -> Option<KeyId> {
        let name = normal(issued.key.key_id.as_str());
        self.order.push_back(name.clone());
        self.waiting.insert(name, issued);
        let lost = if self.waiting.len() > ISSUED_KEYS_MAX { self.drop_oldest() } else { None };
        if self.order.len() > 2 * ISSUED_KEYS_MAX {
            self.order.retain(|name| self.waiting.contains_key(name));
        }
        lost
    }

    /// Hands out all the keys named, or none of them (V1.1.1, 6.4).
    ///
    /// # Errors
    /// [`NotDelivered`]; nothing is taken then.
    pub fn take(
        &mut self,
        now: Instant,
        master: &SaeId,
        slave: &SaeId,
        ids: &[String],
    ) -> Result<Vec<ContainerKey>, NotDelivered> {
        let names: Vec<String> = ids.iter().map(|id| normal(id)).collect();
        for name in &names {
            let issued = self.waiting.get(name).filter(|issued| issued.known_from <= now);
            let issued = issued.ok_or(NotDelivered::NotFound)?;
            if issued.slave != *slave {
                return Err(NotDelivered::NotNamed);
            }
            if issued.master != *master {
                return Err(NotDelivered::NotFound);
            }
        }
        Ok(names.iter().filter_map(|name| self.waiting.remove(name)).map(|issued| issued.key).collect())
    }

    /// Makes keys unknown.
    pub fn lose(&mut self, is_lost: impl Fn(&IssuedKey) -> bool) {
        self.waiting.retain(|_, issued| !is_lost(issued));
    }

    /// Whether all these ids wait, letter by letter.
    pub fn has_exactly(&self, ids: &[String]) -> bool {
        let is_exact =
            |id: &String| self.waiting.get(&normal(id)).is_some_and(|issued| issued.key.key_id.as_str() == id);
        ids.iter().all(is_exact)
    }

    /// How many keys wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn drop_oldest(&mut self) -> Option<KeyId> {
        while let Some(name) = self.order.pop_front() {
            if let Some(issued) = self.waiting.remove(&name) {
                return Some(issued.key.key_id);
            }
        }
        None
    }
}

fn normal(id: &str) -> String {
    id.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::secret::SecretBytes;

    fn issued(id: &str, known_from: Instant) -> IssuedKey {
        IssuedKey {
            key: ContainerKey { key_id: KeyId::new(id.as_bytes()).unwrap(), material: SecretBytes::new(vec![1; 32]) },
            master: sae("M"),
            slave: sae("S"),
            known_from,
        }
    }

    fn sae(id: &str) -> SaeId {
        SaeId::new(id).unwrap()
    }

    fn take(keys: &mut IssuedKeys, ids: &[&str]) -> Result<usize, NotDelivered> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        keys.take(Instant::ZERO, &sae("M"), &sae("S"), &ids).map(|keys| keys.len())
    }

    #[test]
    fn a_key_leaves_once_and_all_or_none_leave() {
        let mut keys = IssuedKeys::default();
        keys.add(issued("aB-1", Instant::ZERO));
        keys.add(issued("aB-2", Instant::ZERO));
        assert_eq!(take(&mut keys, &["aB-1", "nope"]), Err(NotDelivered::NotFound));
        assert_eq!(take(&mut keys, &["AB-1", "ab-2"]), Ok(2));
        assert_eq!(take(&mut keys, &["aB-1"]), Err(NotDelivered::NotFound));
    }

    #[test]
    fn only_the_named_pair_gets_it_and_not_before_its_time() {
        let mut keys = IssuedKeys::default();
        keys.add(issued("a", Instant::ZERO));
        keys.add(issued("late", Instant::from_nanos(1)));
        let ids = ["a".to_owned()];
        let other = keys.take(Instant::ZERO, &sae("M"), &sae("X"), &ids).map(|_| ());
        assert_eq!(other, Err(NotDelivered::NotNamed));
        let other = keys.take(Instant::ZERO, &sae("X"), &sae("S"), &ids).map(|_| ());
        assert_eq!(other, Err(NotDelivered::NotFound));
        assert_eq!(take(&mut keys, &["late"]), Err(NotDelivered::NotFound));
        assert_eq!(take(&mut keys, &["a"]), Ok(1));
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_goes() {
        let mut keys = IssuedKeys::default();
        for n in 0..ISSUED_KEYS_MAX {
            assert!(keys.add(issued(&format!("k{n}"), Instant::ZERO)).is_none());
        }
        assert_eq!(take(&mut keys, &["k0"]), Ok(1));
        assert!(keys.add(issued("x", Instant::ZERO)).is_none());
        assert_eq!(keys.add(issued("y", Instant::ZERO)).unwrap().as_str(), "k1");
        assert_eq!(keys.len(), ISSUED_KEYS_MAX);
        for n in 0..3 * ISSUED_KEYS_MAX {
            let id = format!("z{n}");
            keys.add(issued(&id, Instant::ZERO));
            assert_eq!(take(&mut keys, &[&id]), Ok(1));
        }
        assert!(keys.order.len() <= 2 * ISSUED_KEYS_MAX + 1);
    }
}
