//! Hash, MAC and key derivation: SHA-384, HMAC-SHA-384, HKDF-SHA-384, one hash for everything (PROTOCOL 2.1, 2.3).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha384};

use crate::types::secret::Secret;

/// Bytes of a SHA-384 digest, an HMAC-SHA-384 tag and a chaining key.
pub const HASH_BYTES: usize = 48;

/// SHA-384 over the concatenation of the parts (FIPS 180-4).
pub fn hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut digest = Sha384::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// HMAC-SHA-384 over the concatenation of the parts (FIPS 198-1). The result is a secret where the key is one.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Secret<HASH_BYTES> {
    Secret::filled(|out| out.copy_from_slice(&finish(keyed(key), parts)))
}

/// HMAC-SHA-384 cut to `N` bytes, for tags that travel: mac1, mac2, cookie, `auth` (PROTOCOL 2.4, 2.8).
pub fn hmac_tag<const N: usize>(key: &[u8], parts: &[&[u8]]) -> [u8; N] {
    prefix(finish(keyed(key), parts))
}

/// A public key of many tags: the two blocks that depend on it alone are hashed once, which is half the work of a short tag.
#[derive(Clone)]
pub struct TagKey(Box<Hmac<Sha384>>);

impl TagKey {
    /// Of a key of any length. It is not wiped.
    pub fn new(key: &[u8]) -> Self {
        Self(Box::new(keyed(key)))
    }

    /// As [`hmac_tag`].
    pub fn tag<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        prefix(finish((*self.0).clone(), parts))
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha384> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

fn finish(mut mac: Hmac<Sha384>, parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn prefix<const N: usize>(tag: [u8; HASH_BYTES]) -> [u8; N] {
    const { assert!(N <= HASH_BYTES, "a tag is a prefix of the MAC") };
    let mut out = [0; N];
    out.iter_mut().zip(tag).for_each(|(out, byte)| *out = byte);
    out
}

/// HKDF-Expand with SHA-384 (RFC 5869 2.3); `info` is the concatenation of the parts, `out` at most 255 * 48 bytes.
pub fn expand(prk: &Secret<HASH_BYTES>, info: &[&[u8]], out: &mut [u8]) {
    assert!(out.len() <= 255 * HASH_BYTES, "HKDF-Expand gives at most 255 blocks");
    Hkdf::<Sha384>::from_prk(prk.expose())
        .and_then(|hkdf| hkdf.expand_multi_info(info, out).map_err(|_| hkdf::InvalidPrkLength))
        .unwrap_or_else(|_| unreachable!("a PRK of 48 bytes and the length asserted above fit"));
}

/// The two length bytes of `lp(x) = u16be(len x) || x` (PROTOCOL 2.3).
pub fn length_prefix(x: &[u8]) -> [u8; 2] {
    let length = u16::try_from(x.len());
    length.unwrap_or_else(|_| unreachable!("every label and value of the protocol is below 64 KiB")).to_be_bytes()
}
