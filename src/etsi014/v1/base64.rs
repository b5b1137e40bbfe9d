//! Base64 of keys (RFC 4648 section 4), strict, canonical and in constant time, straight into secret memory.

use base64ct::{Base64, Encoding};

use crate::types::limits::QKD_KEY_BYTES_MAX;
use crate::types::secret::SecretBytes;

/// The key that the text stands for; `None` if it is not canonical base64 with padding, empty or longer than
/// [`QKD_KEY_BYTES_MAX`].
pub fn decode(text: &str) -> Option<SecretBytes> {
    let fits = (1..=QKD_KEY_BYTES_MAX.div_ceil(3) * 4).contains(&text.len()) && text.len().is_multiple_of(4);
    if !fits {
        return None;
    }
    // Reserved once: a vector that grows would leave a copy behind.
    let mut bytes = vec![0; text.len() / 4 * 3];
    let decoded = Base64::decode(text, &mut bytes).map(<[u8]>::len);
    // Wrapped before any return, so that the half-decoded bytes of a refused key are wiped as well.
    let length = decoded.unwrap_or(0);
    bytes.get_mut(length..).unwrap_or_default().fill(0);
    bytes.truncate(length);
    let key = SecretBytes::new(bytes);
    (decoded.is_ok() && (1..=QKD_KEY_BYTES_MAX).contains(&length)).then_some(key)
}

/// The text of a key, as secret as the key.
pub fn encode(key: &[u8]) -> SecretBytes {
    let mut text = vec![0; Base64::encoded_len(key)];
    let written = Base64::encode(key, &mut text).map_or(0, str::len);
    text.truncate(written);
    SecretBytes::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_taken() {
        assert_eq!(decode("AQI=").unwrap().expose(), [1, 2]);
        for wrong in ["", "AQI", "AQI=\n", " AQI", "AQJ=", "AR==", "A===", "AQ-_", "AQI=AQI=", "====", "AQ=I", "AQIDé"]
        {
            assert!(decode(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn the_longest_key_fits_and_one_byte_more_does_not() {
        let text = |bytes: usize| String::from_utf8(encode(&vec![7; bytes]).expose().to_vec()).unwrap();
        assert_eq!(decode(&text(QKD_KEY_BYTES_MAX)).unwrap().len(), QKD_KEY_BYTES_MAX);
        assert!(decode(&text(QKD_KEY_BYTES_MAX + 1)).is_none());
        assert!(decode(&text(QKD_KEY_BYTES_MAX + 4)).is_none());
    }
}
