//! One epoch's keys: the only place that hands out counters, and the only place that opens (PROTOCOL 2.9).
//!
//! Both halves are shared between threads without waiting: a counter is taken by one atomic step in the thread's own
//! lane, and each lane has its own replay window.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::crypto::aead::{AeadBackend, DataKey};
use crate::session::replay::{Accepted, ReplayWindow};
use crate::types::id::{PeerId, SessionIndex};
use crate::types::limits::{
    DATA_HEADER_BYTES, EPOCH_BYTES_REKEY, FAILED_OPENS_MAX, JUMBO_INNER_MTU, JUMBO_LIMIT_DIVISOR, LANE_PACKETS_MAX,
    LANE_PACKETS_REKEY, LANES, TAG_BYTES,
};
use crate::types::policy::Cipher;
use crate::types::secret::Secret;
use crate::types::time::Instant;
use crate::wire::transport::{Counter, DataHeader, RecordKind};

/// Which epoch of which session of which peer. Ordered: of two of one peer the newer is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochTag {
    /// The peer.
    pub peer: PeerId,
    /// The engine's own running number of the session: a later one is greater.
    pub session: u32,
    /// The epoch within the session; 0 is the handshake's.
    pub number: u32,
}

/// The lane may send no more under this key; a new epoch is due long before (PROTOCOL 2.9 "Packet limits").
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lane's packet limit is reached")]
pub struct CounterExhausted;

/// What one lane has sent. A cache line of its own, so that lanes do not slow each other down.
#[repr(align(64))]
#[derive(Default)]
struct SealLane {
    next: AtomicU64,
    bytes: AtomicU64,
}

/// What both ends agreed on about the records of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTerms {
    /// The cipher.
    pub cipher: Cipher,
    /// No plaintext is longer, in bytes.
    pub inner_mtu: u16,
    /// The kinds of records beside data and control: `FEATURE_SEGMENT`, `FEATURE_BUNDLE`.
    pub features: u8,
}

/// The sending half of an epoch.
pub struct SealEpoch {
    tag: EpochTag,
    receiver: SessionIndex,
    key: DataKey,
    cipher: Cipher,
    inner_mtu: u16,
    features: u8,
    rekey_at: u64,
    refuse_at: u64,
    lanes: [SealLane; LANES],
}

impl SealEpoch {
    /// `receiver` is the other end's data receiver index.
    pub fn new(
        tag: EpochTag,
        receiver: SessionIndex,
        key: &Secret<32>,
        backend: AeadBackend,
        RecordTerms { cipher, inner_mtu, features }: RecordTerms,
    ) -> Self {
        let key = DataKey::new(cipher, backend, key);
        // RFC 9001 appendix B allows AES-GCM 2^28 packets only up to 2^11 bytes each.
        let jumbo = cipher == Cipher::Aes256Gcm && inner_mtu > JUMBO_INNER_MTU;
        let divisor = if jumbo { JUMBO_LIMIT_DIVISOR } else { 1 };
        let (rekey_at, refuse_at) = (LANE_PACKETS_REKEY / divisor, LANE_PACKETS_MAX / divisor);
        Self { tag, receiver, key, cipher, inner_mtu, features, rekey_at, refuse_at, lanes: Default::default() }
    }

    /// Which epoch it is.
    pub fn tag(&self) -> EpochTag {
        self.tag
    }

    /// The other end's data receiver index.
    pub fn receiver(&self) -> SessionIndex {
        self.receiver
    }

    /// The agreed cipher.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The agreed inner MTU: no plaintext is longer.
    pub fn inner_mtu(&self) -> u16 {
        self.inner_mtu
    }

    /// Whether both ends set the feature bit.
    pub fn has(&self, feature: u8) -> bool {
        self.features & feature != 0
    }

    /// Takes the next `count` counters of the lane: all of them or none. No counter is ever handed out twice.
    ///
    /// # Errors
    /// [`CounterExhausted`] if the lane's limit would be passed, and for a lane above 7, which has no counters.
    pub fn take_counters(&self, lane: u8, count: u64) -> Result<CounterRange, CounterExhausted> {
        let numbers = &self.lanes.get(usize::from(lane)).ok_or(CounterExhausted)?.next;
        let end_of = |next: u64| next.checked_add(count).filter(|end| *end <= self.refuse_at);
        let first = numbers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end_of).map_err(|_| CounterExhausted)?;
        Ok(CounterRange { lane, numbers: first..first + count })
    }

    /// Seals in place and returns header and tag. The caller counts the bytes, of many records at once:
    /// [`Self::count_bytes`].
    pub fn seal(
        &self,
        kind: RecordKind,
        counter: Counter,
        text: &mut [u8],
    ) -> ([u8; DATA_HEADER_BYTES], [u8; TAG_BYTES]) {
        let header = DataHeader { kind, receiver: self.receiver, counter }.to_bytes();
        let tag = self.key.seal(counter.nonce(), &header, text);
        (header, tag)
    }

    /// Adds plaintext bytes that were sealed in the lane.
    pub fn count_bytes(&self, lane: u8, bytes: u64) {
        if let Some(lane) = self.lanes.get(usize::from(lane)) {
            lane.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Whether a lane has passed the number at which it asks for a rekey, or all together their volume.
    pub fn needs_rekey(&self) -> bool {
        self.sealed_bytes() >= EPOCH_BYTES_REKEY
            || self.lanes.iter().any(|lane| lane.next.load(Ordering::Relaxed) >= self.rekey_at)
    }

    /// Packets sealed in all lanes, keepalives and control messages included.
    pub fn sealed_packets(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.next.load(Ordering::Relaxed)).sum()
    }

    /// Plaintext bytes sealed in all lanes, padding included: what V_fast counts.
    pub fn sealed_bytes(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.bytes.load(Ordering::Relaxed)).sum()
    }
}

/// Counters of one lane that were handed out together, each to be used once.
pub struct CounterRange {
    lane: u8,
    numbers: Range<u64>,
}

impl Iterator for CounterRange {
    type Item = Counter;

    fn next(&mut self) -> Option<Counter> {
        self.numbers.next().and_then(|number| Counter::new(self.lane, number))
    }
}

/// Why a record did not open. Nothing was changed but a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    /// The number was seen before or is older than the window.
    #[error("seen before, or too old")]
    Replay,
    /// Not sealed by the peer under this epoch.
    #[error("not authentic")]
    NotAuthentic,
    /// The epoch has refused so many records that it opens no more (PROTOCOL 2.9: 2^36).
    #[error("too many failed opens under this epoch")]
    WornOut,
}

/// The receiving half of an epoch.
pub struct OpenEpoch {
    tag: EpochTag,
    local: SessionIndex,
    key: DataKey,
    inner_mtu: u16,
    features: u8,
    failed: AtomicU64,
    reported: AtomicBool,
    last_opened: AtomicU64,
    windows: [Mutex<ReplayWindow>; LANES],
}

impl OpenEpoch {
    /// `local` is this end's data receiver index.
    pub fn new(
        tag: EpochTag,
        local: SessionIndex,
        key: &Secret<32>,
        backend: AeadBackend,
        RecordTerms { cipher, inner_mtu, features }: RecordTerms,
    ) -> Self {
        Self {
            tag,
            local,
            key: DataKey::new(cipher, backend, key),
            inner_mtu,
            features,
            failed: AtomicU64::new(0),
            reported: AtomicBool::new(false),
            last_opened: AtomicU64::new(0),
            windows: Default::default(),
        }
    }

    /// Which epoch it is.
    pub fn tag(&self) -> EpochTag {
        self.tag
    }

    /// This end's data receiver index.
    pub fn local(&self) -> SessionIndex {
        self.local
    }

    /// The agreed inner MTU: no plaintext is longer.
    pub fn inner_mtu(&self) -> u16 {
        self.inner_mtu
    }

    /// Whether both ends set the feature bit.
    pub fn has(&self, feature: u8) -> bool {
        self.features & feature != 0
    }

    /// Opens a whole datagram in place: replay check, open, then the number is marked (PROTOCOL 2.9).
    ///
    /// Returns the plaintext and what its number did to the window.
    ///
    /// # Errors
    /// [`OpenFailure`]; the datagram then holds no plaintext.
    pub fn open<'a>(
        &self,
        header: DataHeader,
        datagram: &'a mut [u8],
    ) -> Result<(&'a mut [u8], Accepted), OpenFailure> {
        if self.is_worn_out() {
            return Err(OpenFailure::WornOut);
        }
        let lane = header.counter.lane();
        if self.would_accept_run(lane, header.counter.number()) & 1 == 0 {
            return Err(OpenFailure::Replay);
        }
        if !self.unseal(header, datagram) {
            return Err(OpenFailure::NotAuthentic);
        }
        // Between the check and here another thread may have accepted the same number: this is the one that decides.
        let (accepted, raised) = self.accept_run(lane, header.counter.number(), 1);
        let text = text_of(datagram).filter(|_| accepted == 1).ok_or(OpenFailure::Replay)?;
        Ok((text, if raised { Accepted::RaisedTop } else { Accepted::Behind }))
    }

    /// Which of 64 records in a row, the first of that lane and number, may be worth opening: bit `k` is that of number
    /// `first + k`.
    pub fn would_accept_run(&self, lane: usize, first: u64) -> u64 {
        self.windows.get(lane).map_or(0, |window| lock(window).would_accept_run(first))
    }

    /// Decrypts a whole datagram in place; false, and counted, if it is not authentic. No plaintext of it may be used before
    /// its number was accepted: [`Self::accept_run`].
    pub fn unseal(&self, header: DataHeader, datagram: &mut [u8]) -> bool {
        let sealed = datagram.get_mut(DATA_HEADER_BYTES..).unwrap_or_default();
        let is_authentic = self.key.open(header.counter.nonce(), &header.to_bytes(), sealed).is_some();
        if !is_authentic {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        is_authentic
    }

    /// Marks the numbers of records that were authentic. Returns which of them are accepted, each number once, and whether
    /// one raised the top of the window.
    pub fn accept_run(&self, lane: usize, first: u64, authentic: u64) -> (u64, bool) {
        self.windows.get(lane).map_or((0, false), |window| lock(window).accept_run(first, authentic))
    }

    /// Records that did not open under this key.
    pub fn failed_opens(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether 2^36 records failed: the session is to be dropped (PROTOCOL 2.9).
    pub fn is_worn_out(&self) -> bool {
        self.failed_opens() >= FAILED_OPENS_MAX
    }

    /// When the last record opened; `None` if none did.
    pub fn last_opened(&self) -> Option<Instant> {
        match self.last_opened.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Instant::from_nanos(ns)),
        }
    }

    /// Notes that a record opened.
    pub fn note_opened(&self, now: Instant) {
        self.last_opened.fetch_max(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// Whether the engine has been told that a record opened.
    pub fn is_reported(&self) -> bool {
        self.reported.load(Ordering::Relaxed)
    }

    /// True for the first caller only: it tells the engine.
    pub fn claim_report(&self) -> bool {
        !self.reported.swap(true, Ordering::Relaxed)
    }

    /// The engine could not be told: the next record tries again.
    pub fn withdraw_report(&self) {
        self.reported.store(false, Ordering::Relaxed);
    }
}

/// Where the plaintext lies in a datagram that was opened in place.
pub fn text_of(datagram: &mut [u8]) -> Option<&mut [u8]> {
    let end = datagram.len().checked_sub(TAG_BYTES)?;
    datagram.get_mut(DATA_HEADER_BYTES..end)
}

/// A thread that panicked while holding a window left it whole: every step of the window is complete by itself.
fn lock(window: &Mutex<ReplayWindow>) -> std::sync::MutexGuard<'_, ReplayWindow> {
    window.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
