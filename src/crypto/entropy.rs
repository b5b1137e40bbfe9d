//! The hedge of PROTOCOL 2.2: every ephemeral secret also depends on the static secret file, so that a weak generator alone breaks no session.

use super::kdf::{expand, hmac, length_prefix};
use crate::types::limits::PROTO;
use crate::types::random::{Entropy, Randomness};
use crate::types::secret::Secret;

/// Bytes of a secret file's content: X25519 scalar and ML-KEM seed (PROTOCOL 2.2).
pub const STATIC_SECRET_BYTES: usize = 96;
/// Bytes asked of the operating system for each secret draw (PROTOCOL 2.2).
const OS_RANDOM_BYTES: usize = 64;

/// `rnd(L, n) = HKDF-Expand(HMAC(static secret, OS_random(64)), lp(PROTO) || lp(L) || u64 counter, n)`.
pub struct Hedge {
    static_secret: Secret<STATIC_SECRET_BYTES>,
    os: Box<dyn Entropy>,
    counter: u64,
}

impl Hedge {
    /// Starts with counter 0.
    pub fn new(static_secret: Secret<STATIC_SECRET_BYTES>, os: Box<dyn Entropy>) -> Self {
        Self::starting_at(static_secret, os, 0)
    }

    /// Starts with a given counter: the published vectors need it.
    pub fn starting_at(static_secret: Secret<STATIC_SECRET_BYTES>, os: Box<dyn Entropy>, counter: u64) -> Self {
        Self { static_secret, os, counter }
    }
}

impl Randomness for Hedge {
    fn secret(&mut self, label: &'static str, out: &mut [u8]) {
        let os_random = Secret::<OS_RANDOM_BYTES>::filled(|bytes| self.os.fill(bytes));
        let prk = hmac(self.static_secret.expose(), &[os_random.expose()]);
        let label = label.as_bytes();
        let info: [&[u8]; 5] =
            [&length_prefix(PROTO), PROTO, &length_prefix(label), label, &self.counter.to_be_bytes()];
        expand(&prk, &info, out);
        self.counter = self.counter.wrapping_add(1);
    }

    fn public(&mut self, _name: &'static str, out: &mut [u8]) {
        self.os.fill(out);
    }
}
