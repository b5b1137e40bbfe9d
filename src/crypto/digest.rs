//! SHA-256 (FIPS 180-4) of public things: certificates that an operator pins. The protocol's own hash is SHA-384 (`kdf`).

use sha2::{Digest, Sha256};

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_standard_example_holds() {
        // FIPS 180-4 example "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(data_encoding::HEXLOWER.encode(&super::sha256(b"abc")), expected);
    }
}
