//! The words people read to each other to see that both sites are in the same epoch (PROTOCOL 2.9).

use std::fmt;

use super::kdf::{HASH_BYTES, hmac_tag};

/// First four bytes of `HMAC(hs_n, "PLAIT1 words")`, shown as `7f2c-91aa`. Not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckWords([u8; 4]);

impl CheckWords {
    /// Of the epoch whose handshake hash is `hs` (PROTOCOL 2.8).
    pub fn of_epoch(hs: &[u8; HASH_BYTES]) -> Self {
        Self(hmac_tag(hs, &[b"PLAIT1 words"]))
    }
}

impl fmt::Display for CheckWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:02x}{b:02x}-{c:02x}{d:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_start_of_the_mac() {
        // Computed with Python: hmac.digest(bytes(range(48)), b"PLAIT1 words", "sha384")[:4].
        let hs: [u8; HASH_BYTES] = std::array::from_fn(|at| at as u8);
        assert_eq!(CheckWords::of_epoch(&hs).to_string(), "62cf-00cc");
    }

    #[test]
    fn keep_leading_zeros() {
        assert_eq!(CheckWords([0, 1, 0x0a, 0xff]).to_string(), "0001-0aff");
    }
}
