//! The pair: two KMEs with their SAEs, one quantum link, and the stock that both sides draw from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalogue::Fault;
use super::fault::{Faults, LATE_KEY, Times, Waiting};
use super::issued::{IssuedKey, IssuedKeys, NotDelivered};
use super::link::{LinkModel, QuantumLink};
use super::stock::Stock;
use crate::etsi014::v1::container::ContainerKey;
use crate::types::id::{KeyId, SaeId};
use crate::types::random::Entropy;
use crate::types::secret::SecretBytes;
use crate::types::time::Instant;

/// Bits of a key if a request names none.
pub const KEY_SIZE_DEFAULT: u64 = 256;

/// Which of the two KMEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first `[[kme]]` of the file.
    A,
    /// The second.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A KME: its name and whom it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kme {
    /// KME id.
    pub id: String,
    /// SAEs of its site; the certificate's CN names them.
    pub saes: Vec<SaeId>,
}

/// What a pair is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct PairSetup {
    /// Side A and side B.
    pub kmes: [Kme; 2],
    /// Rate of the link.
    pub model: LinkModel,
    /// Bits of a block.
    pub block_bits: u64,
    /// Keys of 256 bits in stock at the start.
    pub stock_start: u64,
    /// Keys of 256 bits in stock at most.
    pub stock_max: u64,
    /// One stock for each direction, each with half of the key.
    pub split: bool,
    /// Time from `enc_keys` at one KME until the other knows the key.
    pub dec_delay: Duration,
}

/// A running pair.
pub struct Pair {
    kmes: [Kme; 2],
    link: QuantumLink,
    /// One for both directions, or of side A's masters and of side B's.
    stock: Vec<Stock>,
    issued: IssuedKeys,
    faults: Faults,
    /// The answer before to a request for keys, of side A and side B.
    earlier: [Option<SecretBytes>; 2],
    dec_delay: Duration,
    keys_issued: u64,
    keys_fetched: u64,
}

/// What `plait kme link NAME status` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairStatus {
    /// Whether the link is up.
    pub up: bool,
    /// Bits of secret key a second while it is up.
    pub rate_bits_per_second: u64,
    /// Keys of 256 bits in stock: one figure, or side A's and side B's.
    pub stored_keys: Vec<u64>,
    /// Keys handed to masters.
    pub keys_issued: u64,
    /// Keys handed to slaves.
    pub keys_fetched: u64,
    /// Keys that wait for their slave.
    pub keys_waiting: u64,
    /// Keys, answers or connections that will have an ordered fault.
    pub faults_waiting: u64,
    /// The faults and habits that wait.
    #[serde(default)]
    pub faults: Vec<Waiting>,
}

impl Pair {
    /// A pair whose link is up since `now`.
    pub fn new(setup: PairSetup, now: Instant) -> Self {
        let shares = if setup.split { 2 } else { 1 };
        let bits = |keys: u64| keys.saturating_mul(KEY_SIZE_DEFAULT) / shares;
        let one = Stock::new(bits(setup.stock_start), bits(setup.stock_max));
        Self {
            kmes: setup.kmes,
            link: QuantumLink::new(setup.model, setup.block_bits, now),
            stock: vec![one; shares as usize],
            issued: IssuedKeys::default(),
            faults: Faults::default(),
            earlier: [None, None],
            dec_delay: setup.dec_delay,
            keys_issued: 0,
            keys_fetched: 0,
        }
    }

    /// The KME of a side.
    pub fn kme(&self, side: Side) -> &Kme {
        let [a, b] = &self.kmes;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    /// Lets the link make key until `now`.
    pub fn advance(&mut self, now: Instant) {
        let bits = self.link.advance(now);
        let shares = self.stock.len() as u64;
        for stock in &mut self.stock {
            stock.add(bits.checked_div(shares).unwrap_or(0));
        }
    }

    /// The stock that masters of a side draw from.
    pub fn stock(&self, side: Side) -> Stock {
        let at = if side == Side::A { self.stock.first() } else { self.stock.last() };
        at.copied().unwrap_or_else(|| Stock::new(0, 0))
    }

    /// New keys for `master` at `side`, all or none; `None` if the stock does not hold so much.
    pub fn issue(
        &mut self,
        now: Instant,
        side: Side,
        order: &Issue<'_>,
        entropy: &mut dyn Entropy,
    ) -> Option<Vec<ContainerKey>> {
        let stock = if side == Side::A { self.stock.first_mut() } else { self.stock.last_mut() };
        if !stock?.take(order.number.saturating_mul(order.size_bits)) {
            return None;
        }
        let bytes = usize::try_from(order.size_bits / 8).ok()?;
        let mut keys = Vec::new();
        for _ in 0..order.number {
            let key_id = fresh_id(entropy)?;
            let mut material = vec![0; bytes];
            entropy.fill(&mut material);
            keys.push(self.issue_one(now, side, order, key_id, material));
        }
        Some(keys)
    }

    /// Puts the slave's copy aside and gives back the master's.
    fn issue_one(
        &mut self,
        now: Instant,
        side: Side,
        order: &Issue<'_>,
        key_id: KeyId,
        mut material: Vec<u8>,
    ) -> ContainerKey {
        let key_id = self.faults.spoil_id(side, key_id);
        self.faults.spoil_both(side, &key_id, &mut material);
        let mut copy = material.clone();
        self.faults.spoil_slave(side, &mut copy);
        let slaves = ContainerKey { key_id: self.faults.slaves_id(side, &key_id), material: SecretBytes::new(copy) };
        let (master, slave) = (order.master.clone(), order.slave.clone());
        if self.faults.has(Fault::LosesUnfetched, side) {
            self.issued.lose(|issued| issued.master == master && issued.slave == slave);
        }
        let late = if self.faults.take(Fault::LateKey, side) { LATE_KEY } else { Duration::ZERO };
        if !self.faults.take(Fault::LostKey, side) {
            self.issued.add(IssuedKey { key: slaves, master, slave, known_from: now + self.dec_delay + late });
        }
        self.keys_issued += 1;
        ContainerKey { key_id, material: SecretBytes::new(material) }
    }

    /// The keys named, to their slave at `side`, once.
    ///
    /// # Errors
    /// [`NotDelivered`]; nothing is taken then.
    pub fn fetch(
        &mut self,
        now: Instant,
        side: Side,
        master: &SaeId,
        slave: &SaeId,
        ids: &[String],
    ) -> Result<Vec<ContainerKey>, NotDelivered> {
        if self.faults.take(Fault::ForgetsKeys, side) {
            self.issued.lose(|issued| issued.slave == *slave);
        }
        if self.faults.take(Fault::VoidedKey, side) {
            self.issued.lose(|issued| ids.iter().any(|id| issued.key.key_id.as_str().eq_ignore_ascii_case(id)));
        }
        if self.faults.has(Fault::IdExactCase, side) && !self.issued.has_exactly(ids) {
            return Err(NotDelivered::NotFound);
        }
        let keys = self.issued.take(now, master, slave, ids)?;
        if self.faults.has(Fault::GivesAgain, side) {
            for key in &keys {
                let again = ContainerKey {
                    key_id: key.key_id.clone(),
                    material: SecretBytes::new(key.material.expose().to_vec()),
                };
                let (master, slave) = (master.clone(), slave.clone());
                self.issued.add(IssuedKey { key: again, master, slave, known_from: now });
            }
        }
        self.keys_fetched += keys.len() as u64;
        Ok(keys)
    }

    /// The keys that wait for their slave.
    pub fn keys_waiting(&self) -> u64 {
        self.issued.len() as u64
    }

    /// Cuts or repairs the link.
    pub fn set_link_up(&mut self, now: Instant, up: bool) {
        self.advance(now);
        self.link.set_up(up);
    }

    /// Changes the link's rate.
    pub fn set_link_rate(&mut self, now: Instant, rate: u64) {
        self.advance(now);
        self.link.set_rate(rate);
    }

    /// Lets the next `keys` keys have a fault, at either KME.
    pub fn order_fault(&mut self, fault: Fault, keys: u64) {
        self.faults.order(fault, None, Times::Next(keys));
    }

    /// The faults that wait.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// The faults that wait, and the answer before at this side.
    pub fn faults_and_earlier(&mut self, side: Side) -> (&mut Faults, &mut Option<SecretBytes>) {
        let [a, b] = &mut self.earlier;
        (&mut self.faults, if side == Side::A { a } else { b })
    }

    /// Whether a KME has this habit, or this fault before it.
    pub fn has(&self, fault: Fault, side: Side) -> bool {
        self.faults.has(fault, side)
    }

    /// The side whose KME has this id.
    pub fn side_of(&self, kme: &str) -> Option<Side> {
        [Side::A, Side::B].into_iter().find(|side| self.kme(*side).id == kme)
    }

    fn shown_faults(&self) -> Vec<Waiting> {
        let shown = |(fault, at, times): (Fault, Option<Side>, Times)| {
            let left = if let Times::Next(left) = times { Some(left) } else { None };
            Waiting { fault, kme: at.map(|side| self.kme(side).id.clone()), left }
        };
        self.faults.list().map(shown).collect()
    }

    /// The figures at `now`.
    pub fn status(&mut self, now: Instant) -> PairStatus {
        self.advance(now);
        PairStatus {
            up: self.link.is_up(),
            rate_bits_per_second: self.link.rate(),
            stored_keys: self.stock.iter().map(|stock| stock.keys(KEY_SIZE_DEFAULT)).collect(),
            keys_issued: self.keys_issued,
            keys_fetched: self.keys_fetched,
            keys_waiting: self.keys_waiting(),
            faults_waiting: self.faults.waiting(),
            faults: self.shown_faults(),
        }
    }
}

/// What one `enc_keys` asks for, checked.
pub struct Issue<'a> {
    /// Who asks.
    pub master: &'a SaeId,
    /// For whom as well.
    pub slave: &'a SaeId,
    /// How many keys.
    pub number: u64,
    /// Bits of each, a multiple of 8.
    pub size_bits: u64,
}

/// A random UUID (RFC 9562, version 4).
fn fresh_id(entropy: &mut dyn Entropy) -> Option<KeyId> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    KeyId::new(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().as_bytes())
}
