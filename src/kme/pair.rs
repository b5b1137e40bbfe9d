//! The pair: two KMEs with their SAEs, one quantum link, and the stock that both sides draw from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Keys that will have an ordered fault.
    pub faults_waiting: u64,
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
            keys.push(self.issue_one(now, order, key_id, material));
        }
        Some(keys)
    }

    /// Puts the slave's copy aside and gives back the master's.
    fn issue_one(&mut self, now: Instant, order: &Issue<'_>, key_id: KeyId, mut material: Vec<u8>) -> ContainerKey {
        self.faults.spoil_both(&mut material);
        let mut copy = material.clone();
        self.faults.spoil_slave(&mut copy);
        let slaves = ContainerKey { key_id: key_id.clone(), material: SecretBytes::new(copy) };
        let (master, slave) = (order.master.clone(), order.slave.clone());
        if !self.faults.take(Fault::LostKey) {
            self.issued.add(IssuedKey { key: slaves, master, slave, known_from: now + self.dec_delay });
        }
        self.keys_issued += 1;
        ContainerKey { key_id, material: SecretBytes::new(material) }
    }

    /// The keys named, to their slave, once.
    ///
    /// # Errors
    /// [`NotDelivered`]; nothing is taken then.
    pub fn fetch(
        &mut self,
        now: Instant,
        master: &SaeId,
        slave: &SaeId,
        ids: &[String],
    ) -> Result<Vec<ContainerKey>, NotDelivered> {
        let keys = self.issued.take(now, master, slave, ids)?;
        self.keys_fetched += keys.len() as u64;
        Ok(keys)
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

    /// Lets the next `keys` keys have a fault.
    pub fn order_fault(&mut self, fault: Fault, keys: u64) {
        self.faults.order(fault, keys);
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
            keys_waiting: self.issued.len() as u64,
            faults_waiting: self.faults.waiting(),
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
