//! Secret bytes: moved, wiped when dropped, never printed.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// `N` secret bytes on the heap, so that a move copies a pointer and not the bytes.
///
/// Neither `Clone`, `Debug`, `PartialEq` nor `Serialize`: a copy, a print or an early-exit comparison of a secret must not compile.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// All zero: the value the protocol gives to an absent PSK or ratchet secret (PROTOCOL 2.2, 2.5).
    pub fn zero() -> Self {
        Self(Box::new([0; N]))
    }

    /// Takes the bytes over and wipes the caller's copy.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self(Box::new(*bytes));
        bytes.zeroize();
        secret
    }

    /// Lets `write` fill the bytes in place, so that no copy is left on the stack.
    pub fn filled(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self::zero();
        write(&mut secret.0);
        secret
    }

    /// Copies a slice of exactly `N` bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::filled(|out| out.copy_from_slice(bytes)))
    }

    /// The bytes. Every use is a place to review.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Equality in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }

    /// Whether every byte is zero, in constant time.
    pub fn is_zero(&self) -> bool {
        self.ct_eq(&Self::zero())
    }

    /// A second owner of the same bytes, where the protocol itself keeps a secret in two places.
    pub fn duplicate(&self) -> Self {
        Self::filled(|out| out.copy_from_slice(self.0.as_slice()))
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Secret bytes of a length known only at run time; wiped when dropped.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over. The vector must not have been grown since the secret was written, else copies are left behind.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Every use is a place to review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Compares two public tags of the same length in constant time; different lengths are unequal.
pub fn tags_equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_wipes_the_source() {
        let mut bytes = [7; 32];
        let secret = Secret::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(secret.expose(), &[7; 32]);
    }

    #[test]
    fn a_slice_of_another_length_is_refused() {
        assert!(Secret::<32>::from_slice(&[1; 31]).is_none());
        assert!(Secret::<32>::from_slice(&[1; 33]).is_none());
        assert!(Secret::<32>::from_slice(&[1; 32]).is_some());
    }

    #[test]
    fn equality_sees_every_byte() {
        let a = Secret::take(&mut [9; 32]);
        for at in 0..32 {
            let mut other = [9; 32];
            other[at] ^= 0x80;
            assert!(!a.ct_eq(&Secret::take(&mut other)), "byte {at}");
        }
        assert!(a.ct_eq(&a.duplicate()));
        assert!(Secret::<48>::zero().is_zero());
    }
}
