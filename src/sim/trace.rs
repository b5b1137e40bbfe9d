//! The hash of everything that happened: two runs of one seed must give the same.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// A running SHA-256 over events, each with its time.
#[derive(Default)]
pub(super) struct Trace {
    hash: Sha256,
    events: u64,
}

impl Trace {
    /// Adds an event.
    pub(super) fn add(&mut self, at: Duration, kind: u8, bytes: &[u8]) {
        self.events += 1;
        self.hash.update(at.as_nanos().to_le_bytes());
        self.hash.update([kind]);
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    /// How many were added.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The first 8 bytes, in hex.
    pub(super) fn finish(self) -> String {
        data_encoding::HEXLOWER.encode(&self.hash.finalize()[..8])
    }
}
