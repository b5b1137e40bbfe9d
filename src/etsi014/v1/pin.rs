//! A pinned certificate as an operator writes it: the SHA-256 of the leaf or of its public key, in hex.

use data_encoding::HEXLOWER_PERMISSIVE;

/// SHA-256 of a leaf certificate's DER, or of its SubjectPublicKeyInfo's.
pub type Pin = [u8; 32];

/// Reads 64 hex digits, with or without the colons that openssl prints; `None` for anything else.
pub fn parse(text: &str) -> Option<Pin> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_32_bytes_is_read_in_both_spellings() {
        assert_eq!(parse(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(parse(&["0A"; 32].join(":")), Some([10; 32]));
        for wrong in ["", "0a", &"0a".repeat(31), &"0a".repeat(33), &"0g".repeat(32)] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
