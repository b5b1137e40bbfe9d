//! Two KMEs and the quantum link between them, reduced to what the engines can see: keys by id, delays, faults.

use std::collections::BTreeMap;
use std::time::Duration;

use plait::keys::request::{DeliveredKey, SourceFailure};
use plait::types::id::{KeyId, SourceId};
use plait::types::policy::Reason;
use plait::types::secret::SecretBytes;

use crate::world::Seeded;
use plait::types::random::Entropy;

/// How one KME answers from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Good,
    Unreachable,
    /// No stock: enc_keys fails, dec_keys works.
    Dry,
    /// dec_keys knows no id.
    Forgetful,
    /// dec_keys gives another key.
    Wrong,
    /// enc_keys repeats the last key_ID.
    Repeating,
    /// Answers after the deadline of the engine's exchange.
    Late,
    /// Never answers within the test.
    Silent,
    /// Keys of 128 bits.
    Small,
    /// Keys of 64 bytes.
    Large,
    /// All bytes equal.
    Constant,
}

pub(crate) struct KmePair {
    pub(crate) moods: [Mood; 2],
    /// Per source, if set, instead of the mood of the end.
    pub(crate) source_moods: BTreeMap<(usize, u8), Mood>,
    pub(crate) delay: Duration,
    /// Keys in the one stock of the pair; `None`: as many as are asked for.
    pub(crate) stock: Option<u64>,
    keys: BTreeMap<(u8, String), Vec<u8>>,
    last: BTreeMap<u8, String>,
    counter: u64,
    /// Key_IDs handed out by enc_keys.
    pub(crate) issued: Vec<String>,
    /// Key_IDs handed out by dec_keys.
    pub(crate) fetched: Vec<String>,
}

impl KmePair {
    pub(crate) fn new() -> Self {
        Self {
            moods: [Mood::Good; 2],
            source_moods: BTreeMap::new(),
            delay: Duration::from_millis(20),
            stock: None,
            keys: BTreeMap::new(),
            last: BTreeMap::new(),
            counter: 0,
            issued: Vec::new(),
            fetched: Vec::new(),
        }
    }

    pub(crate) fn both(&mut self, mood: Mood) {
        self.moods = [mood; 2];
    }

    fn mood(&self, side: usize, source: SourceId) -> Mood {
        self.source_moods.get(&(side, source.number())).copied().unwrap_or(self.moods[side])
    }

    fn after(&self, mood: Mood) -> Duration {
        match mood {
            Mood::Late => Duration::from_secs(11),
            Mood::Silent => Duration::from_secs(1_000_000),
            _ => self.delay,
        }
    }

    pub(crate) fn enc(&mut self, side: usize, source: SourceId) -> (Duration, Result<DeliveredKey, SourceFailure>) {
        let mood = self.mood(side, source);
        let after = self.after(mood);
        match mood {
            Mood::Unreachable => return (after, failure(Reason::Unreachable)),
            Mood::Dry => return (after, failure(Reason::NoKeyNow)),
            _ => {}
        }
        if let Some(stock) = &mut self.stock {
            let Some(rest) = stock.checked_sub(1) else { return (after, failure(Reason::NoKeyNow)) };
            *stock = rest;
        }
        self.counter += 1;
        let fresh = format!("{:08x}-key", self.counter);
        let id = match self.last.get(&source.number()) {
            Some(last) if mood == Mood::Repeating => last.clone(),
            _ => fresh,
        };
        let mut key = vec![
            0;
            if mood == Mood::Large {
                64
            } else if mood == Mood::Small {
                16
            } else {
                32
            }
        ];
        Seeded(self.counter * 77 + u64::from(source.number())).fill(&mut key);
        if mood == Mood::Constant {
            key.fill(0x41);
        }
        self.keys.insert((source.number(), id.clone()), key.clone());
        self.last.insert(source.number(), id.clone());
        self.issued.push(id.clone());
        (after, delivered(&id, key))
    }

    pub(crate) fn dec(
        &mut self,
        side: usize,
        source: SourceId,
        key_id: &KeyId,
    ) -> (Duration, Result<DeliveredKey, SourceFailure>) {
        let mood = self.mood(side, source);
        let after = self.after(mood);
        match mood {
            Mood::Unreachable => return (after, failure(Reason::Unreachable)),
            Mood::Forgetful => return (after, failure(Reason::UnknownKeyId)),
            _ => {}
        }
        let Some(mut key) = self.keys.remove(&(source.number(), key_id.as_str().to_owned())) else {
            return (after, failure(Reason::UnknownKeyId));
        };
        if mood == Mood::Wrong {
            key[0] ^= 1;
        }
        self.fetched.push(key_id.as_str().to_owned());
        (after, delivered(key_id.as_str(), key))
    }
}

fn failure(reason: Reason) -> Result<DeliveredKey, SourceFailure> {
    Err(SourceFailure { reason, text: "told to fail".to_owned() })
}

fn delivered(id: &str, key: Vec<u8>) -> Result<DeliveredKey, SourceFailure> {
    Ok(DeliveredKey { key_id: KeyId::new(id.as_bytes()).unwrap(), material: SecretBytes::new(key) })
}
