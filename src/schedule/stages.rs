//! The stages of a full handshake, each its own type, reached only through the one before (PROTOCOL 2.5).
//!
//! [`Start`] → [`BeforeId`] → [`Identified`] → [`BeforeP1`] → [`AfterI1`] → [`BeforeP2`] → [`AfterP2`] → [`BeforeP3`] →
//! [`AfterP3`] → [`BeforeQkd`]. Both ends walk the same way; where one seals the other opens. A message that
//! does not open uses a stage up: whoever must go on from the stage before opens on a `fork`.

use super::confirm::BeforeQkd;
use super::labels;
use super::transcript::{MixedSecret, Transcript};
use crate::crypto::kdf::HASH_BYTES;
use crate::identity::PublicIdentity;
use crate::types::secret::Secret;
use crate::wire::bodies::{COOKIE_BYTES, R1};

/// Nothing but public values of the responder, and the cookie.
pub struct Start(Transcript);

impl Start {
    /// `Init`, the responder's static values, the cookie.
    pub fn new(responder: &PublicIdentity, cookie: &[u8; COOKIE_BYTES]) -> Self {
        let mut transcript = Transcript::init(responder.suite());
        transcript.mix_hash(labels::FP_R, &[responder.fp().as_bytes(), responder.s(), responder.ek()]);
        transcript.mix_hash(labels::COOKIE, &[cookie]);
        Self(transcript)
    }

    /// The initiator's ephemerals: `es` of X25519, `skem_r` of the encapsulation to the responder's static key.
    pub fn mix_ephemerals(
        mut self,
        e_i: &[u8; 32],
        es: &MixedSecret,
        (ek, ct_r): (&[u8], &[u8]),
        skem_r: &MixedSecret,
    ) -> BeforeId {
        self.0.mix_hash(labels::E_I, &[e_i]);
        self.0.mix_key(labels::ES, es);
        self.0.mix_hash(labels::EK, &[ek]);
        self.0.mix_hash(labels::CT_R, &[ct_r]);
        self.0.mix_key(labels::SKEM_R, skem_r);
        BeforeId(self.0)
    }
}

/// A key that only the responder's static keys can find.
pub struct BeforeId(Transcript);

impl BeforeId {
    /// Seals the initiator's fingerprint.
    pub fn seal(mut self, fp_i: &[u8]) -> (Vec<u8>, Identified) {
        let id = self.0.seal(labels::ID, fp_i);
        (id, Identified(self.0))
    }

    /// Opens it.
    pub fn open(mut self, id: &[u8]) -> Option<(Vec<u8>, Identified)> {
        let fp_i = self.0.open(labels::ID, id)?;
        Some((fp_i, Identified(self.0)))
    }
}

/// The responder knows which peer this claims to be.
pub struct Identified(Transcript);

impl Identified {
    /// The initiator's static values, `ss` of both static X25519 keys, the PSK or zero.
    pub fn mix_statics(mut self, initiator: &PublicIdentity, ss: &MixedSecret, psk: &MixedSecret) -> BeforeP1 {
        self.0.mix_hash(labels::PK_I, &[initiator.s(), initiator.ek()]);
        self.0.mix_key(labels::SS, ss);
        self.0.mix_key(labels::PSK, psk);
        BeforeP1(self.0)
    }
}

/// A key that proves the claim by `ss` and `psk`.
pub struct BeforeP1(Transcript);

impl BeforeP1 {
    /// Seals payload 1.
    pub fn seal(mut self, payload: &[u8]) -> (Vec<u8>, AfterI1) {
        let p1 = self.0.seal(labels::P1, payload);
        (p1, AfterI1(self.0))
    }

    /// Opens payload 1.
    pub fn open(mut self, p1: &[u8]) -> Option<(Vec<u8>, AfterI1)> {
        let payload = self.0.open(labels::P1, p1)?;
        Some((payload, AfterI1(self.0)))
    }
}

/// I1 is complete.
pub struct AfterI1(Transcript);

/// The four secrets that R1 adds.
pub struct R1Secrets {
    /// X25519 of both ephemeral keys.
    pub ee: MixedSecret,
    /// X25519 of the initiator's static and the responder's ephemeral key.
    pub se: MixedSecret,
    /// Of `ct_e`.
    pub ekem: MixedSecret,
    /// Of `ct_i`.
    pub skem_i: MixedSecret,
}

impl AfterI1 {
    /// Key of mac2 of R1, I2 and R2 (PROTOCOL 2.4).
    pub fn fragment_key(&self) -> Secret<HASH_BYTES> {
        self.0.export(labels::FRAG)
    }

    /// A second state to go on from.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(self.0.fork())
    }

    /// The responder's ephemerals and both encapsulations to the initiator. Of `r1` everything but `p2` is read.
    pub fn mix_r1(mut self, r1: &R1<'_>, secrets: &R1Secrets) -> BeforeP2 {
        self.0.mix_hash(labels::E_R, &[r1.e_r]);
        self.0.mix_hash(labels::CT_E, &[r1.ct_e]);
        self.0.mix_hash(labels::CT_I, &[r1.ct_i]);
        self.0.mix_key(labels::EE, &secrets.ee);
        self.0.mix_key(labels::SE, &secrets.se);
        self.0.mix_key(labels::EKEM, &secrets.ekem);
        self.0.mix_key(labels::SKEM_I, &secrets.skem_i);
        BeforeP2(self.0)
    }
}

/// A key that proves the responder: it holds its static keys and saw this I1.
pub struct BeforeP2(Transcript);

impl BeforeP2 {
    /// Seals payload 2.
    pub fn seal(mut self, payload: &[u8]) -> (Vec<u8>, AfterP2) {
        let p2 = self.0.seal(labels::P2, payload);
        (p2, AfterP2(self.0))
    }

    /// Opens payload 2.
    pub fn open(mut self, p2: &[u8]) -> Option<(Vec<u8>, AfterP2)> {
        let payload = self.0.open(labels::P2, p2)?;
        Some((payload, AfterP2(self.0)))
    }
}

/// R1 is complete but for the ratchet entry that it names.
pub struct AfterP2(Transcript);

impl AfterP2 {
    /// Mixes the ratchet secret, or zero if there is none.
    pub fn mix_ratchet(mut self, rs: Option<&MixedSecret>) -> BeforeP3 {
        match rs {
            Some(rs) => self.0.mix_key(labels::RATCHET, rs),
            None => self.0.mix_key(labels::RATCHET, &MixedSecret::zero()),
        }
        BeforeP3(self.0)
    }
}

/// A key that proves the initiator: it holds its static keys and saw R1.
pub struct BeforeP3(Transcript);

impl BeforeP3 {
    /// Seals payload 3.
    pub fn seal(mut self, payload: &[u8]) -> (Vec<u8>, AfterP3) {
        let p3 = self.0.seal(labels::P3, payload);
        (p3, AfterP3::new(self.0))
    }

    /// Opens payload 3 and leaves this stage as it was.
    pub fn open(&self, p3: &[u8]) -> Option<(Vec<u8>, AfterP3)> {
        let mut next = self.0.fork();
        let payload = next.open(labels::P3, p3)?;
        Some((payload, AfterP3::new(next)))
    }
}

/// I2 is complete.
pub struct AfterP3(Transcript);

impl AfterP3 {
    fn new(mut transcript: Transcript) -> Self {
        transcript.mix_key(labels::TURN, &MixedSecret::zero());
        Self(transcript)
    }

    /// What the check bytes of the status are made over.
    pub fn check_hash(&self) -> &[u8; HASH_BYTES] {
        self.0.h()
    }

    /// Seals the status.
    pub fn seal(mut self, status: &[u8]) -> (Vec<u8>, BeforeQkd) {
        let p4 = self.0.seal(labels::P4, status);
        (p4, BeforeQkd::new(self.0))
    }

    /// Opens the status and leaves this stage as it was.
    pub fn open(&self, p4: &[u8]) -> Option<(Vec<u8>, BeforeQkd)> {
        let mut next = self.0.fork();
        let status = next.open(labels::P4, p4)?;
        Some((status, BeforeQkd::new(next)))
    }
}
