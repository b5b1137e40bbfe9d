//! Authenticated encryption in place: the handshake's one-time seal and the data keys of an epoch (PROTOCOL 2.1, 2.9).

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};

use crate::types::limits::TAG_BYTES;
use crate::types::policy::Cipher;
use crate::types::secret::Secret;

/// Bytes of a key of both ciphers.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce of both ciphers.
pub const NONCE_BYTES: usize = 12;

/// The implementation behind a [`DataKey`]. The bytes are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AeadBackend {
    /// aws-lc-rs: assembly, both ciphers.
    #[default]
    AwsLc,
    /// The chacha20poly1305 crate: pure Rust, the reference. It has no AES-256-GCM, which stays with aws-lc-rs.
    Reference,
}

/// One key of one direction of one epoch. Its nonces are the caller's duty (PROTOCOL 2.9 lanes).
pub struct DataKey(Backend);

enum Backend {
    AwsLc(LessSafeKey),
    Reference(ChaCha20Poly1305),
}

impl DataKey {
    /// Expands the key; the caller drops (and so wipes) its own copy.
    pub fn new(cipher: Cipher, backend: AeadBackend, key: &Secret<KEY_BYTES>) -> Self {
        match (cipher, backend) {
            (Cipher::ChaCha20Poly1305, AeadBackend::Reference) => {
                Self(Backend::Reference(ChaCha20Poly1305::new(key.expose().into())))
            }
            (Cipher::ChaCha20Poly1305, AeadBackend::AwsLc) => Self::aws_lc(&CHACHA20_POLY1305, key),
            (Cipher::Aes256Gcm, AeadBackend::AwsLc | AeadBackend::Reference) => Self::aws_lc(&AES_256_GCM, key),
        }
    }

    fn aws_lc(algorithm: &'static aws_lc_rs::aead::Algorithm, key: &Secret<KEY_BYTES>) -> Self {
        let unbound = UnboundKey::new(algorithm, key.expose());
        let unbound = unbound.unwrap_or_else(|_| unreachable!("both algorithms take 32 bytes"));
        Self(Backend::AwsLc(LessSafeKey::new(unbound)))
    }

    /// Encrypts `text` in place and returns the tag.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], ad: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        let mut out = [0; TAG_BYTES];
        match &self.0 {
            Backend::AwsLc(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(ad), text);
                let tag = tag.unwrap_or_else(|_| unreachable!("a datagram is far below the cipher's limit"));
                out.copy_from_slice(tag.as_ref());
            }
            Backend::Reference(key) => {
                let tag = key.encrypt_inout_detached(&nonce.into(), ad, text.into());
                out.copy_from_slice(
                    &tag.unwrap_or_else(|_| unreachable!("a datagram is far below the cipher's limit")),
                );
            }
        }
        out
    }

    /// Decrypts `sealed` (text and tag) in place and returns the text; `None` if it is not authentic, and then `sealed` holds no plaintext.
    pub fn open<'a>(&self, nonce: [u8; NONCE_BYTES], ad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match &self.0 {
            Backend::AwsLc(key) => key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(ad), sealed).ok(),
            Backend::Reference(key) => {
                let (text, tag) = sealed.split_at_mut_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
                let tag = <[u8; TAG_BYTES]>::try_from(&*tag).ok()?;
                key.decrypt_inout_detached(&nonce.into(), ad, (&mut *text).into(), &tag.into()).ok()?;
                Some(text)
            }
        }
    }
}

/// The handshake's seal: ChaCha20-Poly1305, nonce 0, each key used once (PROTOCOL 2.1, 2.3). Returns text and tag.
pub fn seal_once(key: Secret<KEY_BYTES>, ad: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + TAG_BYTES);
    out.extend_from_slice(text);
    let tag = DataKey::new(Cipher::ChaCha20Poly1305, AeadBackend::Reference, &key).seal([0; NONCE_BYTES], ad, &mut out);
    out.extend_from_slice(&tag);
    out
}

/// The inverse of [`seal_once`]; `None` if it is not authentic.
pub fn open_once(key: Secret<KEY_BYTES>, ad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut out = sealed.to_vec();
    let key = DataKey::new(Cipher::ChaCha20Poly1305, AeadBackend::Reference, &key);
    let length = key.open([0; NONCE_BYTES], ad, &mut out)?.len();
    out.truncate(length);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_keys() -> Vec<(&'static str, DataKey)> {
        let key = || Secret::take(&mut [3; KEY_BYTES]);
        vec![
            ("aws-lc chacha", DataKey::new(Cipher::ChaCha20Poly1305, AeadBackend::AwsLc, &key())),
            ("reference chacha", DataKey::new(Cipher::ChaCha20Poly1305, AeadBackend::Reference, &key())),
            ("aws-lc aes", DataKey::new(Cipher::Aes256Gcm, AeadBackend::AwsLc, &key())),
        ]
    }

    #[test]
    fn both_chacha_backends_give_the_same_bytes() {
        for length in [0, 1, 16, 63, 64, 1420] {
            let seal = |key: &DataKey| {
                let mut text: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let tag = key.seal([7; 12], b"header", &mut text);
                (text, tag)
            };
            let keys = all_keys();
            assert_eq!(seal(&keys[0].1), seal(&keys[1].1), "length {length}");
        }
    }

    #[test]
    fn a_failed_open_leaves_no_plaintext() {
        for (name, key) in all_keys() {
            let plain = [0x42; 64];
            let mut sealed = plain.to_vec();
            let tag = key.seal([1; 12], b"ad", &mut sealed);
            sealed.extend_from_slice(&tag);
            let good = sealed.clone();
            sealed[79] ^= 1;
            assert!(key.open([1; 12], b"ad", &mut sealed).is_none(), "{name}");
            assert_ne!(&sealed[..64], &plain, "{name}");
            for (nonce, ad) in [([2; 12], b"ad".as_slice()), ([1; 12], b"da")] {
                assert!(key.open(nonce, ad, &mut good.clone()).is_none(), "{name}");
            }
            assert_eq!(key.open([1; 12], b"ad", &mut good.clone()).map(|t| t.to_vec()), Some(plain.to_vec()), "{name}");
            assert!(key.open([1; 12], b"ad", &mut [0; 15]).is_none(), "{name}: shorter than a tag");
        }
    }
}
