//! The fingerprint of a public identity: what people compare over the phone (PROTOCOL 2.2).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use crate::crypto::kdf::hash;
use crate::types::policy::Suite;

/// Bytes of a fingerprint.
const FINGERPRINT_BYTES: usize = 32;
/// Base32 characters of a fingerprint: 256 bits and 4 spare ones, which are zero.
const FINGERPRINT_CHARS: usize = 52;
/// Characters of one group when shown.
const GROUP_CHARS: usize = 4;

/// `SHA-384("PLAIT1 fp" || suite || S || EK)[0..32]`. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

/// Why a text is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Another number of characters than 52.
    #[error("a fingerprint has {FINGERPRINT_CHARS} letters and digits (13 groups of 4), this one has {0}")]
    Length(usize),
    /// A character that base32 does not use.
    #[error("a fingerprint holds the letters A to Z and the digits 2 to 7 only, not {0:?}")]
    Character(char),
    /// The last character has bits beyond the 256th.
    #[error("the last character of the fingerprint cannot be right: it was misread or mistyped")]
    SpareBits,
}

impl Fingerprint {
    /// Of a public identity; the caller has checked the lengths.
    pub(super) fn compute(suite: Suite, s: &[u8], ek: &[u8]) -> Self {
        let digest = hash(&[b"PLAIT1 fp", &(suite as u16).to_be_bytes(), s, ek]);
        let mut bytes = [0; FINGERPRINT_BYTES];
        bytes.iter_mut().zip(digest).for_each(|(out, byte)| *out = byte);
        Self(bytes)
    }

    /// From the wire: the `id` of I1 (PROTOCOL 2.5).
    pub fn from_bytes(bytes: [u8; FINGERPRINT_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; FINGERPRINT_BYTES] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in BASE32_NOPAD.encode(&self.0).chars().enumerate() {
            if at > 0 && at % GROUP_CHARS == 0 {
                f.write_str("-")?;
            }
            write!(f, "{character}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// In either case, with hyphens or spaces anywhere or none: as people type it.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let typed = || text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase());
        if let Some(odd) = typed().find(|c| !matches!(c, 'A'..='Z' | '2'..='7')) {
            return Err(FingerprintError::Character(odd));
        }
        let length = typed().count();
        if length != FINGERPRINT_CHARS {
            return Err(FingerprintError::Length(length));
        }
        let typed: String = typed().collect();
        let bytes = BASE32_NOPAD.decode(typed.as_bytes()).map_err(|_| FingerprintError::SpareBits)?;
        bytes.try_into().map(Self).map_err(|_| FingerprintError::Length(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_thirteen_groups_of_four() {
        let text = Fingerprint([0xa5; 32]).to_string();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 13]);
        assert_eq!(text.parse(), Ok(Fingerprint([0xa5; 32])));
        assert_eq!(text.replace('-', "").to_lowercase().parse(), Ok(Fingerprint([0xa5; 32])));
    }

    #[test]
    fn what_is_no_fingerprint_says_why() {
        let zero = Fingerprint([0; 32]).to_string();
        assert_eq!(Fingerprint::from_str(&zero[1..]), Err(FingerprintError::Length(51)));
        assert_eq!(Fingerprint::from_str(&format!("{zero}A")), Err(FingerprintError::Length(53)));
        assert_eq!(Fingerprint::from_str(&zero.replacen('A', "1", 1)), Err(FingerprintError::Character('1')));
        assert_eq!(Fingerprint::from_str(&zero.replacen('A', "ä", 1)), Err(FingerprintError::Character('ä')));
        assert_eq!(
            Fingerprint::from_str(&zero.replacen("AAAA-AAAA", "AAAA=AAAA", 1)),
            Err(FingerprintError::Character('='))
        );
        let spare = format!("{}B", &zero[..zero.len() - 1]);
        assert_eq!(Fingerprint::from_str(&spare), Err(FingerprintError::SpareBits));
    }
}
