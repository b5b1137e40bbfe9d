//! How lines hang together: each hash covers the one before.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::crypto::digest::sha256;

/// Characters of a hash.
const HASH_CHARS: usize = 64;

/// SHA-256 of a line and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Before the first line.
    pub const NONE: Self = Self([0; 32]);

    /// That of a line with this body after a line with this hash.
    pub fn after(self, body: &str) -> Self {
        let mut text = self.to_hex();
        text.push_str(body);
        Self(sha256(text.as_bytes()))
    }

    /// 64 characters, lower case.
    pub fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// From 64 characters, lower case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// A line read: what it says of itself, not whether that is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// As written before the body.
    pub hash: Hash,
    /// As written.
    pub body: &'a str,
    /// The body understood.
    pub record: Record,
}

/// A line without its end; `None` if it is none of an audit.
pub fn read_line(text: &str) -> Option<Line<'_>> {
    let (hash, body) = text.split_at_checked(HASH_CHARS)?;
    let body = body.strip_prefix(' ')?;
    let record = serde_json::from_str(body).ok()?;
    Some(Line { hash: Hash::from_hex(hash)?, body, record })
}

/// The line of a record after a line with hash `previous`, with its end, and its own hash.
pub fn write_line(previous: Hash, record: &Record) -> (String, Hash) {
    // A record holds only texts, numbers and lists: there is nothing that JSON cannot say.
    let body = serde_json::to_string(record).unwrap_or_default();
    let hash = previous.after(&body);
    (format!("{} {body}\n", hash.to_hex()), hash)
}

/// Where the lines that are kept begin and end: a file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// 1.
    pub schema: u32,
    /// Number of the oldest line that is kept.
    pub first: u64,
    /// Hash of the line before it.
    pub first_previous: String,
    /// Number of the newest line; 0 if there is none.
    pub last: u64,
    /// Its hash.
    pub last_hash: String,
}

impl Head {
    /// Of no line.
    pub fn empty() -> Self {
        let none = Hash::NONE.to_hex();
        Self { schema: 1, first: 1, first_previous: none.clone(), last: 0, last_hash: none }
    }

    /// The last line's hash; of a head that holds none, that before the first line.
    pub fn hash(&self) -> Hash {
        Hash::from_hex(&self.last_hash).unwrap_or(Hash::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::audit::record::What;

    fn record(n: u64) -> Record {
        Record { n, time: "2026-11-24T09:00:00.000Z".to_owned(), what: What::Stop }
    }

    #[test]
    fn a_line_can_be_checked_with_common_tools() {
        let (line, hash) = write_line(Hash::NONE, &record(1));
        let body = "{\"n\":1,\"time\":\"2026-11-24T09:00:00.000Z\",\"what\":\"stop\"}";
        // printf %s%s 0000..00 BODY | sha256sum
        let digest = sha256(format!("{}{body}", "0".repeat(64)).as_bytes());
        assert_eq!(line, format!("{} {body}\n", HEXLOWER.encode(&digest)));
        let (second, _) = write_line(hash, &record(2));
        let read = read_line(second.trim_end()).unwrap();
        assert_eq!((read.record.clone(), hash.after(read.body)), (record(2), read.hash));
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let (line, _) = write_line(Hash::NONE, &record(1));
        let line = line.trim_end();
        assert!(read_line(line).is_some());
        let changed = [
            String::new(),
            line[..64].to_owned(),
            line.replacen(' ', "", 1),
            line.replacen(' ', "  x", 1),
            line.replace("\"n\":1", "\"n\":-1"),
            line.replace("stop", "dance"),
            line[..line.len() - 1].to_owned(),
            format!("G{}", &line[1..]),
            format!("\u{20ac}{}", &line[3..]),
        ];
        for text in changed {
            assert!(read_line(&text).is_none(), "{text}");
        }
    }
}
