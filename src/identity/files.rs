//! Content of the three kinds of key file, from text and to text (PROTOCOL 2.2).

use super::armour::{Label, PSK_BYTES, SECRET_BYTES, decode, encode};
use super::error::IdentityError;
use super::public::PublicIdentity;
use crate::crypto::kem::Kem;
use crate::types::policy::Suite;
use crate::types::secret::{Secret, SecretBytes};

/// The 96 bytes of a secret file and the suite in its label.
pub fn read_secret(text: &str) -> Result<(Suite, Secret<SECRET_BYTES>), IdentityError> {
    let (label, bytes) = decode(text)?;
    let Label::Secret(suite) = label else {
        return Err(IdentityError::WrongKind { expected: "secret key", found: label });
    };
    let secret = Secret::from_slice(bytes.expose());
    Ok((suite, secret.unwrap_or_else(|| unreachable!("the armour checked the length"))))
}

/// The checked identity in a public file.
pub fn read_public(kem: &dyn Kem, text: &str) -> Result<PublicIdentity, IdentityError> {
    let (label, bytes) = decode(text)?;
    let Label::Public(suite) = label else {
        return Err(IdentityError::WrongKind { expected: "public key", found: label });
    };
    PublicIdentity::from_bytes(kem, suite, bytes.expose())
}

/// The 32 bytes of a PSK file; all zero is refused.
pub fn read_psk(text: &str) -> Result<Secret<PSK_BYTES>, IdentityError> {
    let (label, bytes) = decode(text)?;
    if label != Label::Psk {
        return Err(IdentityError::WrongKind { expected: "PSK", found: label });
    }
    psk_from_bytes(bytes.expose())
}

/// A PSK from its bytes; all zero is refused, because that means "no PSK" in the protocol.
pub fn psk_from_bytes(bytes: &[u8]) -> Result<Secret<PSK_BYTES>, IdentityError> {
    let psk = Secret::from_slice(bytes).ok_or(IdentityError::PskLength(bytes.len()))?;
    if psk.is_zero() {
        return Err(IdentityError::PskZero);
    }
    Ok(psk)
}

/// The text of a secret file.
pub fn write_secret(suite: Suite, secret: &Secret<SECRET_BYTES>) -> SecretBytes {
    encode(Label::Secret(suite), secret.expose())
}

/// The text of a public file.
pub fn write_public(public: &PublicIdentity) -> String {
    String::from_utf8_lossy(encode(Label::Public(public.suite()), &public.to_bytes()).expose()).into_owned()
}

/// The text of a PSK file.
pub fn write_psk(psk: &Secret<PSK_BYTES>) -> SecretBytes {
    encode(Label::Psk, psk.expose())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::kem::default_backend;

    #[test]
    fn a_file_of_another_kind_is_named() {
        let psk = write_psk(&Secret::take(&mut [1; 32]));
        let psk = std::str::from_utf8(psk.expose()).unwrap();
        let secret = write_secret(Suite::MlKem768, &Secret::take(&mut [1; 96]));
        let secret = std::str::from_utf8(secret.expose()).unwrap();
        let said = [
            read_secret(psk).err().unwrap().to_string(),
            read_public(default_backend(), secret).err().unwrap().to_string(),
            read_psk(secret).err().unwrap().to_string(),
        ];
        assert_eq!(
            said,
            [
                "expected a secret key file, this is a PSK file",
                "expected a public key file, this is a secret key file",
                "expected a PSK file, this is a secret key file",
            ]
        );
    }

    #[test]
    fn a_psk_of_zeros_or_of_another_length_is_refused() {
        let zero = write_psk(&Secret::zero());
        assert_eq!(read_psk(std::str::from_utf8(zero.expose()).unwrap()).err(), Some(IdentityError::PskZero));
        assert_eq!(psk_from_bytes(&[1; 31]).err(), Some(IdentityError::PskLength(31)));
    }
}
