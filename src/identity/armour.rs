//! The text form of key files: one label, base64 at 64 characters a line, one spelling only (PROTOCOL 2.2).

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::types::policy::Suite;
use crate::types::secret::{SecretBytes, tags_equal};

/// Base64 characters of a full line.
const LINE_CHARS: usize = 64;
/// Bytes of a secret file's content: X25519 scalar, then ML-KEM seed `d || z`.
pub(super) const SECRET_BYTES: usize = 96;
/// Bytes of a PSK.
pub(super) const PSK_BYTES: usize = 32;
/// Bytes of an X25519 value: the first part of both identity files.
pub(super) const DH_BYTES: usize = 32;

/// What a key file holds: the word in its first and last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// `PLAIT1-SECRET`: 96 bytes.
    Secret(Suite),
    /// `PLAIT1-PUBLIC`: 32 bytes and an encapsulation key.
    Public(Suite),
    /// `PLAIT1-PSK`: 32 bytes.
    Psk,
}

/// Why a text is no key file; positions only, no content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmourError {
    /// The first line is not a BEGIN line.
    #[error("not a plait key file: the first line must be `-----BEGIN PLAIT1-...-----`")]
    NotArmour,
    /// A BEGIN line with a label of nobody.
    #[error(
        "unknown label in the first line; known are PLAIT1-SECRET, PLAIT1-PUBLIC (both also with -0002) and PLAIT1-PSK"
    )]
    UnknownLabel,
    /// The END line is missing.
    #[error("the last line must be `-----END {}-----`: the file was cut off", .0.text())]
    NoEnd(Label),
    /// A character outside the base64 alphabet.
    #[error("line {line} holds a character that is not base64: the file is damaged")]
    NotBase64 {
        /// Counted from 1.
        line: usize,
    },
    /// The right bytes perhaps, but not in the one spelling.
    #[error(
        "the file is not in its exact form (64 characters a line, \"\\n\" line ends, nothing before or after): \
         copy the original file unchanged"
    )]
    NotCanonical,
    /// The content has another length than the label asks for.
    #[error("a {} file holds {} bytes, this one {found}", label.text(), label.bytes())]
    Length {
        /// What the file says it is.
        label: Label,
        /// What it holds.
        found: usize,
    },
}

impl Label {
    const ALL: [Self; 5] = [
        Self::Secret(Suite::MlKem1024),
        Self::Secret(Suite::MlKem768),
        Self::Public(Suite::MlKem1024),
        Self::Public(Suite::MlKem768),
        Self::Psk,
    ];

    /// The word in the BEGIN and END line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Secret(Suite::MlKem1024) => "PLAIT1-SECRET",
            Self::Secret(Suite::MlKem768) => "PLAIT1-SECRET-0002",
            Self::Public(Suite::MlKem1024) => "PLAIT1-PUBLIC",
            Self::Public(Suite::MlKem768) => "PLAIT1-PUBLIC-0002",
            Self::Psk => "PLAIT1-PSK",
        }
    }

    /// A word for messages.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Secret(_) => "secret key",
            Self::Public(_) => "public key",
            Self::Psk => "PSK",
        }
    }

    /// Bytes of the content.
    pub fn bytes(self) -> usize {
        match self {
            Self::Secret(_) => SECRET_BYTES,
            Self::Public(suite) => DH_BYTES + suite.ek_bytes(),
            Self::Psk => PSK_BYTES,
        }
    }
}

/// The file text of `bytes`.
pub fn encode(label: Label, bytes: &[u8]) -> SecretBytes {
    let body = Zeroizing::new(Base64::encode_string(bytes));
    let (begin, end) = (begin_line(label), end_line(label));
    let newlines = body.len().div_ceil(LINE_CHARS);
    // Never grown after the secret went in: no copy stays behind in freed memory.
    let mut text = Vec::with_capacity(begin.len() + body.len() + newlines + end.len());
    text.extend_from_slice(begin.as_bytes());
    for line in body.as_bytes().chunks(LINE_CHARS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(end.as_bytes());
    SecretBytes::new(text)
}

/// The label and content of a file text. Exactly what [`encode`] writes is accepted.
pub fn decode(text: &str) -> Result<(Label, SecretBytes), ArmourError> {
    let first = text.lines().next().unwrap_or_default();
    let word = first.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
    let word = word.ok_or(ArmourError::NotArmour)?;
    let label = Label::ALL.into_iter().find(|label| label.text() == word).ok_or(ArmourError::UnknownLabel)?;
    let end = end_line(label);
    if !text.contains(end.trim_end()) {
        return Err(ArmourError::NoEnd(label));
    }
    let body = text.strip_prefix(&begin_line(label)).and_then(|rest| rest.strip_suffix(&end));
    let bytes = decode_body(body.ok_or(ArmourError::NotCanonical)?)?;
    if !tags_equal(encode(label, bytes.expose()).expose(), text.as_bytes()) {
        return Err(ArmourError::NotCanonical);
    }
    if bytes.len() != label.bytes() {
        return Err(ArmourError::Length { label, found: bytes.len() });
    }
    Ok((label, bytes))
}

fn decode_body(body: &str) -> Result<SecretBytes, ArmourError> {
    let mut joined = Zeroizing::new(String::with_capacity(body.len()));
    body.split('\n').for_each(|line| joined.push_str(line));
    // In constant time for a body in order; only a damaged one is looked at character by character.
    Base64::decode_vec(&joined).map(SecretBytes::new).map_err(|_| why_no_base64(body))
}

fn why_no_base64(body: &str) -> ArmourError {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r');
    match body.lines().position(|line| !line.bytes().all(is_base64)) {
        // The BEGIN line is line 1.
        Some(at) => ArmourError::NotBase64 { line: at + 2 },
        None => ArmourError::NotCanonical,
    }
}

fn begin_line(label: Label) -> String {
    format!("-----BEGIN {}-----\n", label.text())
}

fn end_line(label: Label) -> String {
    format!("-----END {}-----\n", label.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn psk_text() -> String {
        String::from_utf8(encode(Label::Psk, &[7; PSK_BYTES]).expose().to_vec()).unwrap()
    }

    fn refused(text: &str) -> ArmourError {
        decode(text).err().unwrap_or_else(|| panic!("accepted {text:?}"))
    }

    #[test]
    fn every_label_comes_back() {
        for label in Label::ALL {
            let bytes: Vec<u8> = (0..label.bytes()).map(|i| i as u8).collect();
            let text = encode(label, &bytes);
            let (found, content) = decode(std::str::from_utf8(text.expose()).unwrap()).unwrap();
            assert_eq!((found, content.expose()), (label, bytes.as_slice()));
        }
    }

    #[test]
    fn one_spelling_only() {
        let good = psk_text();
        assert!(decode(&good).is_ok());
        let body = good.lines().nth(1).unwrap();
        let (head, tail) = body.split_at(10);
        for (what, text) in [
            ("no last newline", good.trim_end().to_owned()),
            ("two newlines", format!("{good}\n")),
            ("text before", format!("\n{good}")),
            ("text after", format!("{good}-- \n")),
            ("CRLF", good.replace('\n', "\r\n")),
            ("short lines", good.replace(body, &format!("{head}\n{tail}"))),
            ("empty line", good.replace(body, &format!("{body}\n"))),
            ("a space at a line's end", good.replace(body, &format!("{body} "))),
            ("no padding", good.replace('=', "")),
            ("spare bits", good.replace("c=\n", "d=\n")),
            ("END line inside", good.replace(body, &format!("-----END PLAIT1-PSK-----\n{body}"))),
        ] {
            assert_ne!(text, good, "{what}: the case is empty");
            refused(&text);
        }
    }

    #[test]
    fn the_error_names_the_fault() {
        let good = psk_text();
        assert_eq!(refused(""), ArmourError::NotArmour);
        assert_eq!(refused("-----BEGIN PRIVATE KEY-----"), ArmourError::UnknownLabel);
        assert_eq!(refused(&good.replace("-----END", "")), ArmourError::NoEnd(Label::Psk));
        assert_eq!(refused(&good.replace("cH", "c!")), ArmourError::NotBase64 { line: 2 });
        let short = encode(Label::Psk, &[7; 31]);
        let short = std::str::from_utf8(short.expose()).unwrap();
        assert_eq!(refused(short), ArmourError::Length { label: Label::Psk, found: 31 });
    }
}
