//! mac1 and mac2: who may get an answer, and which parts belong to the handshake (PROTOCOL 2.4).

use super::refusal::Refusal;
use crate::crypto::kdf::{TagKey, hash, hmac_tag};
use crate::identity::Fingerprint;
use crate::schedule::labels;
use crate::types::secret::tags_equal;
use crate::wire::handshake::{HandshakeDatagram, Header, MAC_BYTES, cut};

/// Key of mac1 on every datagram of a handshake, both ways: whoever knows the responder's public file has it.
#[derive(Clone)]
pub struct Mac1Key(TagKey);

impl Mac1Key {
    /// `H("PLAIT1 mac1" || fp_r)`.
    pub fn new(fp_r: &Fingerprint) -> Self {
        Self(TagKey::new(&hash(&[labels::MAC1, fp_r.as_bytes()])))
    }

    /// Compares mac1 in constant time.
    ///
    /// # Errors
    /// [`Refusal::Mac1`].
    pub fn check(&self, datagram: &HandshakeDatagram<'_>) -> Result<(), Refusal> {
        let expected: [u8; MAC_BYTES] = self.0.tag(&[datagram.mac1_input()]);
        if tags_equal(&expected, datagram.mac1()) { Ok(()) } else { Err(Refusal::Mac1) }
    }

    /// Cuts a body into datagrams and puts both MACs on each; without a mac2 key mac2 is zero.
    pub(crate) fn finish(&self, header: &Header, body: &[u8], mac2_key: Option<&[u8]>) -> Vec<Vec<u8>> {
        let mut datagrams = cut(header, body);
        for bytes in &mut datagrams {
            let mac1: [u8; MAC_BYTES] = self.0.tag(&[bytes]);
            bytes.extend_from_slice(&mac1);
            let mac2 = mac2_key.map_or([0; MAC_BYTES], |key| hmac_tag(key, &[bytes]));
            bytes.extend_from_slice(&mac2);
        }
        datagrams
    }
}

/// Compares mac2 under a key in constant time.
pub(super) fn check_mac2(datagram: &HandshakeDatagram<'_>, key: &[u8]) -> Result<(), Refusal> {
    let expected: [u8; MAC_BYTES] = hmac_tag(key, &[datagram.mac2_input()]);
    if tags_equal(&expected, datagram.mac2()) { Ok(()) } else { Err(Refusal::Mac2) }
}

/// Refuses a mac2 that is not zero: I0 and R0 have none.
pub(super) fn check_no_mac2(datagram: &HandshakeDatagram<'_>) -> Result<(), Refusal> {
    if *datagram.mac2() == [0; MAC_BYTES] { Ok(()) } else { Err(Refusal::Mac2) }
}
