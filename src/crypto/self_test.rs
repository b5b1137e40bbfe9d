//! Known answers of every primitive, asked at start on the code path this processor takes: a wrong library stops here.

use std::fmt;

use data_encoding::HEXLOWER;

use super::aead::{AeadBackend, DataKey};
use super::dh;
use super::kdf::{expand, hash, hmac};
use super::kem::{Kem, SEED_BYTES, SHARED_BYTES, reference};
use crate::types::policy::{Cipher, Suite};
use crate::types::secret::Secret;

/// The primitive whose answer was wrong: nothing may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("self-test failed: {0} gives a wrong answer on this machine; refusing to start")]
pub struct SelfTestFailure(pub Primitive);

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    /// FIPS 180-4.
    Sha384,
    /// FIPS 198-1.
    HmacSha384,
    /// RFC 5869.
    HkdfExpand,
    /// RFC 7748.
    X25519,
    /// FIPS 203, by suite.
    MlKem(Suite),
    /// RFC 8439 or SP 800-38D, by implementation.
    Aead(Cipher, AeadBackend),
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha384 => f.write_str("sha-384"),
            Self::HmacSha384 => f.write_str("hmac-sha-384"),
            Self::HkdfExpand => f.write_str("hkdf-expand-sha-384"),
            Self::X25519 => f.write_str("x25519"),
            Self::MlKem(suite) => f.write_str(suite.kem_name()),
            Self::Aead(cipher, AeadBackend::AwsLc) => write!(f, "{} (aws-lc)", cipher.as_str()),
            Self::Aead(cipher, AeadBackend::Reference) => write!(f, "{} (reference)", cipher.as_str()),
        }
    }
}

/// Asks every primitive; `kem` is the backend the daemon will use. Takes well under 50 ms and draws no randomness unless
/// `kem` takes no `m`.
pub fn run(kem: &dyn Kem) -> Result<(), SelfTestFailure> {
    let answers = [
        (Primitive::Sha384, sha384()),
        (Primitive::HmacSha384, hmac_sha384()),
        (Primitive::HkdfExpand, hkdf_expand()),
        (Primitive::X25519, x25519()),
        (Primitive::MlKem(Suite::MlKem1024), ml_kem(kem, Suite::MlKem1024)),
        (Primitive::MlKem(Suite::MlKem768), ml_kem(kem, Suite::MlKem768)),
        aead(Cipher::ChaCha20Poly1305, AeadBackend::AwsLc),
        aead(Cipher::ChaCha20Poly1305, AeadBackend::Reference),
        aead(Cipher::Aes256Gcm, AeadBackend::AwsLc),
    ];
    match answers.into_iter().find(|(_, right)| !right) {
        Some((primitive, _)) => Err(SelfTestFailure(primitive)),
        None => Ok(()),
    }
}

/// `first, first + 1, ..`: the input of the tests whose standard gives no short one.
fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(first..).for_each(|(byte, value)| *byte = value);
    bytes
}

fn is_hex(bytes: &[u8], expected: &str) -> bool {
    HEXLOWER.encode(bytes) == expected
}

/// "abc", FIPS 180-4 example.
fn sha384() -> bool {
    is_hex(
        &hash(&[b"a", b"bc"]),
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    )
}

/// RFC 4231, test case 2.
fn hmac_sha384() -> bool {
    is_hex(
        hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]).expose(),
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
    )
}

/// Two blocks, the second cut; made with Python's hmac.
fn hkdf_expand() -> bool {
    let mut okm = [0; 80];
    expand(&Secret::take(&mut counting(0)), &[b"in", b"fo"], &mut okm);
    is_hex(
        &okm,
        "ef1be6da9fde779499afc872e55e6739e74d30bdca39e14a68b4b0c16602ee75869f1f9dc364d19f6490d97cf398e043\
         dae8f810ce7003dc6f1a59a9da1c1741ce96e3c30524733966a3141ab9654ba3",
    )
}

/// Made with OpenSSL.
fn x25519() -> bool {
    let (ours, theirs) = (Secret::take(&mut counting(0)), Secret::take(&mut counting(32)));
    let shared = dh::shared(&ours, &dh::public(&theirs));
    is_hex(&dh::public(&ours), "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f")
        && shared.is_some_and(|shared| {
            is_hex(shared.expose(), "9663aa1da97e848a914a436d04163dfbb89178f107f1b5b77ed3854203382854")
        })
        && dh::shared(&ours, &[0; 32]).is_none()
}

/// Key generation, encapsulation, decapsulation, implicit rejection and the modulus check. The digest over all four
/// results is that of OpenSSL.
fn ml_kem(kem: &dyn Kem, suite: Suite) -> bool {
    let expected = match suite {
        Suite::MlKem1024 => {
            "1a4d99843d91fe7fd90be8b7199c52dc84294d2385988abee7aee2c4723ae1f3b503e592fad5e929f35828ee869def0b"
        }
        Suite::MlKem768 => {
            "b35ab057ae3916c950430e83ec8d2684a1ccd52d81e8f4ca312e08a84e094e1d69255745d8918260f84d07081bee9b47"
        }
    };
    is_hex(&ml_kem_digest(kem, suite).unwrap_or_default(), expected)
}

fn ml_kem_digest(kem: &dyn Kem, suite: Suite) -> Option<Vec<u8>> {
    let pair = kem.generate(suite, &Secret::<SEED_BYTES>::take(&mut counting(0x20)));
    let m = Secret::<SHARED_BYTES>::take(&mut counting(0x60));
    let by_itself = kem.encapsulate(suite, &pair.ek, &m)?;
    if !kem.decapsulate(suite, &pair.dk, &by_itself.0)?.ct_eq(&by_itself.1) {
        return None;
    }
    // A backend that draws its own `m` is asked to open what the reference made.
    let (ct, _) = if kem.takes_m() { by_itself } else { reference().encapsulate(suite, &pair.ek, &m)? };
    let shared = kem.decapsulate(suite, &pair.dk, &ct)?;
    let mut changed = ct.clone();
    *changed.first_mut()? ^= 1;
    let rejected = kem.decapsulate(suite, &pair.dk, &changed)?;
    let above_modulus = vec![0xff; suite.ek_bytes()];
    if !kem.is_valid_ek(suite, &pair.ek) || kem.encapsulate(suite, &above_modulus, &m).is_some() {
        return None;
    }
    Some(hash(&[&pair.ek, &ct, shared.expose(), rejected.expose()]).to_vec())
}

/// Made with OpenSSL.
fn aead(cipher: Cipher, backend: AeadBackend) -> (Primitive, bool) {
    let expected = match cipher {
        Cipher::ChaCha20Poly1305 => {
            "89fa0a032d12a347bf8a35f89410006cd961a0f44561bbaefe8e35de69ddb823cca10ed0c23b97bf1f1b5cf349b9a10c\
             4eb59b47c91d8eac2a81e33cac72a0e9217a6f9acb5a3bcdee065d6070a20abf"
        }
        Cipher::Aes256Gcm => {
            "4703d418c1e0c41c85489d80bde4766293c79527e46e496b207eff9e01741ead21318cdf8be434bf5c8d55c6a4aa0617\
             de6852be6ee395ed07ae102224decbd16ca46b9f6684005c60d0273077284c00"
        }
    };
    let key = DataKey::new(cipher, backend, &Secret::take(&mut counting(0)));
    let plain: [u8; 64] = counting(0);
    let mut sealed = plain.to_vec();
    let tag = key.seal(counting(0), b"plait", &mut sealed);
    sealed.extend_from_slice(&tag);
    let mut opened = sealed.clone();
    let mut forged = sealed.clone();
    forged.iter_mut().take(1).for_each(|byte| *byte ^= 1);
    let right = is_hex(&sealed, expected)
        && key.open(counting(0), b"plait", &mut opened).is_some_and(|text| *text == plain)
        && key.open(counting(0), b"plait", &mut forged).is_none();
    (Primitive::Aead(cipher, backend), right)
}

#[cfg(test)]
mod tests;
