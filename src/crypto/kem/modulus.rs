//! The check of FIPS 203 7.2 on a received encapsulation key, for libraries that lack it.

use crate::types::policy::Suite;

/// The modulus q of ML-KEM (FIPS 203, 2.4).
const Q: u16 = 3329;
/// Bytes of the seed `rho` behind the coefficients.
const RHO_BYTES: usize = 32;

/// Whether the length is that of the suite and every 12-bit coefficient is below q. All of it is public.
pub(super) fn is_valid_ek(suite: Suite, ek: &[u8]) -> bool {
    let coefficients = ek.len().checked_sub(RHO_BYTES).and_then(|length| ek.get(..length));
    ek.len() == suite.ek_bytes() && coefficients.is_some_and(|bytes| bytes.chunks(3).all(both_below_q))
}

/// Two coefficients in three bytes, little-endian (FIPS 203, algorithm 6).
fn both_below_q(three: &[u8]) -> bool {
    let &[a, b, c] = three else { return false };
    let (a, b, c) = (u16::from(a), u16::from(b), u16::from(c));
    (a | (b & 0x0f) << 8) < Q && (b >> 4 | c << 4) < Q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_coefficient_is_checked_at_the_modulus() {
        for suite in [Suite::MlKem1024, Suite::MlKem768] {
            let coefficients = (suite.ek_bytes() - RHO_BYTES) / 3 * 2;
            for at in 0..coefficients {
                for (value, valid) in [(Q - 1, true), (Q, false), (0xfff, false)] {
                    let mut ek = vec![0; suite.ek_bytes()];
                    let three = &mut ek[at / 2 * 3..][..3];
                    match at % 2 {
                        0 => (three[0], three[1]) = (value as u8, (value >> 8) as u8),
                        _ => (three[1], three[2]) = ((value << 4) as u8, (value >> 4) as u8),
                    }
                    assert_eq!(is_valid_ek(suite, &ek), valid, "{suite:?}: {value} at {at}");
                }
            }
        }
    }

    #[test]
    fn the_seed_may_hold_anything_and_the_length_nothing_else() {
        let mut ek = vec![0; 1568];
        ek[1536..].fill(0xff);
        assert!(is_valid_ek(Suite::MlKem1024, &ek));
        assert!(!is_valid_ek(Suite::MlKem1024, &ek[..1567]));
        assert!(!is_valid_ek(Suite::MlKem768, &ek));
        assert!(!is_valid_ek(Suite::MlKem1024, &[]));
    }
}
