//! The running state: transcript hash `h`, chaining key `ck`, one-time key `k` (PROTOCOL 2.3).

use super::trace;
use crate::crypto::aead::{KEY_BYTES, open_once, seal_once};
use crate::crypto::kdf::{HASH_BYTES, expand, hash, hmac, length_prefix};
use crate::types::limits::PROTO;
use crate::types::policy::Suite;
use crate::types::secret::Secret;

/// What every input that mixes a secret has: exactly 32 bytes (PROTOCOL 2.3 MixKey).
pub type MixedSecret = Secret<32>;

/// `h`, `ck` and, after a [`mix_key`](Self::mix_key), `k`.
pub struct Transcript {
    h: [u8; HASH_BYTES],
    ck: Secret<HASH_BYTES>,
    k: Option<Secret<KEY_BYTES>>,
}

impl Transcript {
    /// `Init` of a full handshake: `h = ck = H(lp(PROTO) || lp(suite))`.
    pub fn init(suite: Suite) -> Self {
        let number = (suite as u16).to_be_bytes();
        let h = hash(&[&length_prefix(PROTO), PROTO, &length_prefix(&number), &number]);
        let start = Self::resume(h, Secret::filled(|ck| ck.copy_from_slice(&h)));
        start.record("Init", "");
        start
    }

    /// The start of a fast rekey: `h = hs_n`, `ck = root_n` (PROTOCOL 2.8).
    pub fn resume(h: [u8; HASH_BYTES], ck: Secret<HASH_BYTES>) -> Self {
        Self { h, ck, k: None }
    }

    /// A second, independent state: a message that does not open must leave the first one as it was.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { h: self.h, ck: self.ck.duplicate(), k: self.k.as_ref().map(Secret::duplicate) }
    }

    /// The transcript hash.
    pub fn h(&self) -> &[u8; HASH_BYTES] {
        &self.h
    }

    /// `h = H(h || lp(L) || lp(x))`, with `x` the concatenation of the parts.
    pub fn mix_hash(&mut self, label: &str, parts: &[&[u8]]) {
        self.absorb(label, parts);
        self.record("MixHash", label);
    }

    fn absorb(&mut self, label: &str, parts: &[&[u8]]) {
        let label = label.as_bytes();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length =
            u16::try_from(length).unwrap_or_else(|_| unreachable!("lp takes at most 65535 bytes, got {length}"));
        let label_length = length_prefix(label);
        let length = length.to_be_bytes();
        let mut input: Vec<&[u8]> = vec![&self.h, &label_length, label, &length];
        input.extend_from_slice(parts);
        self.h = hash(&input);
    }

    /// `prk = HMAC(ck, s); okm = HKDF-Expand(prk, lp(PROTO) || lp(L) || h, 80); ck = okm[0..48]; k = okm[48..80]`.
    pub fn mix_key(&mut self, label: &str, secret: &MixedSecret) {
        let prk = hmac(self.ck.expose(), &[secret.expose()]);
        let mut okm = Secret::<80>::zero();
        self.expand_under(&prk, label, &mut okm);
        let (ck, k) = okm.expose().split_at(HASH_BYTES);
        self.ck = Secret::filled(|out| out.copy_from_slice(ck));
        self.k = Some(Secret::filled(|out| out.copy_from_slice(k)));
        self.record("MixKey", label);
    }

    /// `ct = AEAD(k, 0, h, pt); MixHash(L, ct); erase k`.
    pub fn seal(&mut self, label: &str, text: &[u8]) -> Vec<u8> {
        let key = self.k.take().unwrap_or_else(|| unreachable!("{label}: a seal needs a fresh key, MixKey first"));
        let sealed = seal_once(key, &self.h, text);
        self.absorb(label, &[&sealed]);
        self.record("Seal", label);
        sealed
    }

    /// The inverse of [`seal`](Self::seal). On `None` this state is used up: work on a [`fork`](Self::fork).
    pub fn open(&mut self, label: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let key = self.k.take().unwrap_or_else(|| unreachable!("{label}: an open needs a fresh key, MixKey first"));
        let text = open_once(key, &self.h, sealed)?;
        self.absorb(label, &[sealed]);
        self.record("Open", label);
        Some(text)
    }

    /// `Export(L, N) = HKDF-Expand(HMAC(ck, 0^32), lp(PROTO) || lp(L) || h, N)`.
    pub fn export<const N: usize>(&self, label: &str) -> Secret<N> {
        let prk = hmac(self.ck.expose(), &[&[0; 32]]);
        let mut out = Secret::zero();
        self.expand_under(&prk, label, &mut out);
        out
    }

    fn record(&self, op: &'static str, label: &str) {
        trace::record(|| trace::Step {
            op,
            label: label.to_owned(),
            h: self.h.to_vec(),
            ck: self.ck.expose().to_vec(),
            k: self.k.as_ref().map_or_else(Vec::new, |k| k.expose().to_vec()),
        });
    }

    fn expand_under<const N: usize>(&self, prk: &Secret<HASH_BYTES>, label: &str, out: &mut Secret<N>) {
        let label = label.as_bytes();
        let info: [&[u8]; 5] = [&length_prefix(PROTO), PROTO, &length_prefix(label), label, &self.h];
        *out = Secret::filled(|bytes| expand(prk, &info, bytes));
    }
}
