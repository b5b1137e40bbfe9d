//! X25519 (RFC 7748), refusing what gives no secret.

use x25519_dalek::{PublicKey, StaticSecret};

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

/// The public value of a scalar.
pub fn public(secret: &Secret<DH_BYTES>) -> [u8; DH_BYTES] {
    PublicKey::from(&StaticSecret::from(*secret.expose())).to_bytes()
}

/// The shared secret; `None` if it is all zero, that is, if the public value is of small order (RFC 7748 6.1).
pub fn shared(secret: &Secret<DH_BYTES>, their_public: &[u8; DH_BYTES]) -> Option<Secret<DH_BYTES>> {
    let shared = StaticSecret::from(*secret.expose()).diffie_hellman(&PublicKey::from(*their_public));
    shared.was_contributory().then(|| Secret::filled(|out| out.copy_from_slice(shared.as_bytes())))
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
