//! The first stages of a fast rekey: from the root of the current epoch to where the QKD keys go in (PROTOCOL 2.8).
//!
//! [`EpochRoot`] → [`AfterFr1`] → [`BeforeQkd`]. From there on it goes as in a full handshake.

use super::confirm::BeforeQkd;
use super::labels;
use super::transcript::{MixedSecret, Transcript};
use crate::crypto::kdf::{HASH_BYTES, hmac_tag};
use crate::types::secret::{Secret, tags_equal};

/// Bytes of FR1's `auth`.
pub const AUTH_BYTES: usize = 16;

/// What a fast rekey starts from: the transcript hash and the root of the current epoch. The initiator drops it when
/// `ok` opens, the responder when the first packet under the next epoch opens.
pub struct EpochRoot {
    /// `hs_n`.
    pub hs: [u8; HASH_BYTES],
    /// `root_n`.
    pub root: Secret<HASH_BYTES>,
}

impl EpochRoot {
    fn resume(&self) -> Transcript {
        Transcript::resume(self.hs, self.root.duplicate())
    }

    /// `auth = HMAC(Export("fr", 48), FR1 before auth)[0..16]`: shows that the sender holds the root, which does not
    /// live with the packets as the traffic keys do.
    pub fn auth(&self, fr1_before_auth: &[u8]) -> [u8; AUTH_BYTES] {
        let key: Secret<HASH_BYTES> = self.resume().export(labels::FR);
        hmac_tag(key.expose(), &[fr1_before_auth])
    }

    /// Whether `auth` is good, in constant time.
    pub fn is_authentic(&self, fr1_before_auth: &[u8], auth: &[u8; AUTH_BYTES]) -> bool {
        tags_equal(&self.auth(fr1_before_auth), auth)
    }

    /// Takes in FR1 with its `auth`.
    pub fn after_fr1(&self, fr1: &[u8]) -> AfterFr1 {
        let mut transcript = self.resume();
        transcript.mix_hash(labels::FR1, &[fr1]);
        AfterFr1(transcript)
    }
}

/// FR1 is in; the check bytes of FR2's status are made over this state.
pub struct AfterFr1(Transcript);

impl AfterFr1 {
    /// The hash that the check bytes cover.
    pub fn h(&self) -> &[u8; HASH_BYTES] {
        self.0.h()
    }

    /// Takes in FR2 without its `ok`, and the shared secret of both ephemeral keys. This state stays as it is, for
    /// another FR2 if this one does not hold.
    pub fn after_fr2(&self, fr2_without_ok: &[u8], shared: &MixedSecret) -> BeforeQkd {
        let mut transcript = self.0.fork();
        transcript.mix_hash(labels::FR2, &[fr2_without_ok]);
        transcript.mix_key(labels::FEE, shared);
        BeforeQkd::new(transcript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(hs: u8, root: u8) -> EpochRoot {
        EpochRoot { hs: [hs; HASH_BYTES], root: Secret::take(&mut [root; HASH_BYTES]) }
    }

    #[test]
    fn auth_depends_on_the_root_the_transcript_and_every_byte() {
        let auth = root(1, 2).auth(b"FR1");
        assert!(root(1, 2).is_authentic(b"FR1", &auth));
        assert!(!root(1, 3).is_authentic(b"FR1", &auth));
        assert!(!root(2, 2).is_authentic(b"FR1", &auth));
        assert!(!root(1, 2).is_authentic(b"FR2", &auth));
    }
}
