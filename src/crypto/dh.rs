//! X25519 (RFC 7748), refusing what gives no secret.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

use crate::types::secret::Secret;

/// Bytes of an X25519 scalar, public value and shared secret.
pub const DH_BYTES: usize = 32;

/// 2^255 - 19, little-endian: public values at or above it are not canonical.
const P: [u8; DH_BYTES] = {
    let mut p = [0xff; DH_BYTES];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// A scalar that is ready for use. Loading it takes a third of the time that a shared secret takes, so it is loaded once
/// for all that a message needs. It is wiped when dropped.
pub struct Scalar(PrivateKey);

impl Scalar {
    /// Loads it. Every 32 bytes are a scalar (RFC 7748, 5).
    pub fn load(secret: &Secret<DH_BYTES>) -> Self {
        let key = PrivateKey::from_private_key(&X25519, secret.expose());
        Self(key.unwrap_or_else(|_| unreachable!("every 32 bytes are a scalar")))
    }

    /// Its public value.
    pub fn public(&self) -> [u8; DH_BYTES] {
        let public = self.0.compute_public_key().ok();
        let bytes = public.and_then(|public| public.as_ref().first_chunk().copied());
        bytes.unwrap_or_else(|| unreachable!("every scalar has a public value of 32 bytes"))
    }

    /// The shared secret; `None` if it is all zero, that is, if the public value is of small order (RFC 7748 6.1).
    pub fn shared(&self, their_public: &[u8; DH_BYTES]) -> Option<Secret<DH_BYTES>> {
        let agreed = agree(&self.0, UnparsedPublicKey::new(&X25519, their_public), (), |shared| {
            let shared = shared.first_chunk::<DH_BYTES>().ok_or(())?;
            Ok(Secret::filled(|out| out.copy_from_slice(shared)))
        });
        agreed.ok()
    }
}

/// The public value of a scalar.
pub fn public(secret: &Secret<DH_BYTES>) -> [u8; DH_BYTES] {
    Scalar::load(secret).public()
}

/// The shared secret, as [`Scalar::shared`].
pub fn shared(secret: &Secret<DH_BYTES>, their_public: &[u8; DH_BYTES]) -> Option<Secret<DH_BYTES>> {
    Scalar::load(secret).shared(their_public)
}

/// Whether a public value is canonical: below 2^255 - 19 (PROTOCOL 2.2).
pub fn is_canonical(value: &[u8; DH_BYTES]) -> bool {
    value.iter().rev().lt(P.iter().rev())
}

/// Whether a public value is of small order: no scalar whatsoever gives a secret with it.
pub fn is_small_order(value: &[u8; DH_BYTES]) -> bool {
    // Any clamped scalar is a multiple of the cofactor: exactly the points of small order go to zero.
    shared(&Secret::filled(|s| s[0] = 8), value).is_none()
}

/// Whether a static public value is canonical and not of small order (PROTOCOL 2.2).
pub fn is_valid_static_public(value: &[u8; DH_BYTES]) -> bool {
    is_canonical(value) && !is_small_order(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use x25519_dalek::{PublicKey, StaticSecret};

    #[test]
    fn the_reference_gives_the_same_bytes() {
        let mut theirs = [9; DH_BYTES];
        for round in 0..64_u8 {
            let scalar: [u8; DH_BYTES] = std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ round);
            let secret = Secret::take(&mut scalar.clone());
            let reference = StaticSecret::from(scalar);
            assert_eq!(public(&secret), PublicKey::from(&reference).to_bytes(), "round {round}");
            // Any bytes are a public value; the top bit of it is ignored (RFC 7748 5).
            theirs[31] |= round << 7;
            let agreed = reference.diffie_hellman(&PublicKey::from(theirs));
            assert_eq!(
                shared(&secret, &theirs).map(|shared| *shared.expose()),
                Some(agreed.to_bytes()),
                "round {round}"
            );
            theirs = public(&secret);
        }
    }

    #[test]
    fn values_at_and_above_p_are_not_canonical() {
        let mut at_p = P;
        assert!(!is_valid_static_public(&at_p));
        at_p[0] -= 1;
        // p - 1 is of small order; p - 2 is an ordinary value.
        assert!(!is_valid_static_public(&at_p));
        at_p[0] -= 1;
        assert!(is_valid_static_public(&at_p));
        assert!(!is_valid_static_public(&[0xff; 32]));
    }

    #[test]
    fn small_order_gives_no_secret() {
        let secret = Secret::take(&mut [0x77; 32]);
        assert!(shared(&secret, &[0; 32]).is_none());
        let mut one = [0; 32];
        one[0] = 1;
        assert!(shared(&secret, &one).is_none());
        assert!(shared(&secret, &public(&secret)).is_some());
    }
}
