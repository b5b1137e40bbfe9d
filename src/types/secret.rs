//! Secret bytes: moved, wiped when dropped, never printed.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::secret_slab::Held;

/// `N` secret bytes in secret pages or on the heap, so that a move copies a pointer and not the bytes.
///
/// Neither `Clone`, `Debug`, `PartialEq` nor `Serialize`: a copy, a print or an early-exit comparison of a secret must not compile.
pub struct Secret<const N: usize>(Held);

impl<const N: usize> Secret<N> {
    /// All zero: the value the protocol gives to an absent PSK or ratchet secret (PROTOCOL 2.2, 2.5).
    pub fn zero() -> Self {
        Self(Held::zeroed(N))
    }

    /// Takes the bytes over and wipes the caller's copy.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self::filled(|out| out.copy_from_slice(bytes));
        bytes.zeroize();
        secret
    }

    /// Lets `write` fill the bytes in place, so that no copy is left on the stack.
    pub fn filled(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self::zero();
        let Ok(bytes) = secret.0.bytes_mut().try_into() else { unreachable!("made with N bytes") };
        write(bytes);
        secret
    }

    /// Copies a slice of exactly `N` bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::filled(|out| out.copy_from_slice(bytes)))
    }

    /// The bytes. Every use is a place to review.
    pub fn expose(&self) -> &[u8; N] {
        let Ok(bytes) = self.0.bytes().try_into() else { unreachable!("made with N bytes") };
        bytes
    }

    /// Equality in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.bytes().ct_eq(other.0.bytes()).into()
    }

    /// Whether every byte is zero, in constant time.
    pub fn is_zero(&self) -> bool {
        self.expose().ct_eq(&[0; N]).into()
    }

    /// A second owner of the same bytes, where the protocol itself keeps a secret in two places.
    pub fn duplicate(&self) -> Self {
        Self::filled(|out| out.copy_from_slice(self.0.bytes()))
    }
}

/// Secret bytes of a length known only at run time; wiped when dropped.
pub struct SecretBytes(Held);

impl SecretBytes {
    /// Takes the bytes over. The vector must not have been grown since the secret was written, else copies are left behind.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Held::taking(bytes))
    }

    /// The bytes. Every use is a place to review.
    pub fn expose(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.bytes().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.bytes().is_empty()
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
