//! Tolerant reading of JSON: bounded nesting, escapes undone in place, integers that may be text, errors without values.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Levels of objects and arrays in a body: the standard's deepest (extensions of a key) has six.
pub const NESTING_MAX: usize = 16;

/// Why a body was not read: never quotes it, a body may hold keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nested deeper than [`NESTING_MAX`].
    #[error("nested deeper than {NESTING_MAX} levels")]
    Nesting,
    /// Not JSON.
    #[error("not JSON (line {line}, column {column})")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Ends early.
    #[error("ends in the middle")]
    Truncated,
    /// JSON, but a member is missing, double or of another type.
    #[error("a member is missing, double or of another type than the standard's (line {line}, column {column})")]
    Form {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A mandatory member is absent or null.
    #[error("no \"{0}\" in it")]
    Missing(&'static str),
    /// A key_ID that is empty, longer than 64 bytes or not printable ASCII.
    #[error("a key_ID is empty, longer than 64 characters or not printable ASCII")]
    KeyId,
    /// A key that is not base64 as RFC 4648 section 4 writes it, or empty, or longer than any key.
    #[error("a key is not canonical base64 of 1 to 2048 bytes")]
    Key,
    /// The same key_ID twice in one container.
    #[error("the same key_ID twice in one answer")]
    DoubleKeyId,
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => Self::Truncated,
            Category::Syntax | Category::Io => Self::Syntax { line, column },
            Category::Data => Self::Form { line, column },
        }
    }
}

/// Reads an object, borrowing from the body.
///
/// # Errors
/// [`Malformed`] if the body is nested too deeply, not JSON, or not of the form of `T`.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    if !nesting_fits(body) {
        return Err(Malformed::Nesting);
    }
    Ok(serde_json::from_slice::<Object<T>>(body)?.0)
}

/// A value that must be written as an object: a derived reader would take a list of its members as well.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Whether no place of the text lies deeper than [`NESTING_MAX`] objects and arrays.
fn nesting_fits(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return false;
        }
    }
    true
}

/// Undoes `\/` and `\u00XX` of harmless ASCII inside strings, in place.
///
/// Some encoders escape `/`, `+` and `=`, the very letters of base64. Without escapes a key can be borrowed from the
/// body; with them a JSON reader makes a copy that nobody wipes.
pub fn unescape_in_place(text: &mut Vec<u8>) {
    let (mut from, mut to) = (0, 0);
    let mut in_string = false;
    while let Some(&byte) = text.get(from) {
        let (kept, used) = match byte {
            b'\\' if in_string => escape(text.get(from..).unwrap_or_default()),
            _ => (Kept::Byte(byte), 1),
        };
        in_string ^= byte == b'"';
        match kept {
            Kept::Byte(byte) => {
                put(text, to, byte);
                to += 1;
            }
            Kept::AsItIs => {
                text.copy_within(from..from + used, to);
                to += used;
            }
        }
        from += used;
    }
    text.get_mut(to..).unwrap_or_default().fill(0);
    text.truncate(to);
}

enum Kept {
    Byte(u8),
    AsItIs,
}

/// What the escape at the start of `rest` stands for, and how many bytes it has.
fn escape(rest: &[u8]) -> (Kept, usize) {
    match rest {
        [_, b'/', ..] => (Kept::Byte(b'/'), 2),
        [_, b'u', b'0', b'0', high, low, ..] => match hex(*high, *low) {
            Some(byte) if (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\' => {
                (Kept::Byte(byte), 6)
            }
            Some(_) | None => (Kept::AsItIs, 2),
        },
        [_, _, ..] => (Kept::AsItIs, 2),
        _ => (Kept::AsItIs, rest.len()),
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn put(text: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = text.get_mut(at) {
        *place = byte;
    }
}

/// An integer of 0.. that may be written as a number, as a whole float or as text; `null` and absent are `None`.
///
/// # Errors
/// The format's own, for anything else.
pub fn integer<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    from.deserialize_any(Integer)
}

struct Integer;

impl<'de> Visitor<'de> for Integer {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        // 2^53: above it a float does not name one integer.
        if value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&value) {
            Ok(Some(value as u64))
        } else {
            Err(E::custom("not an integer"))
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = if digits { text.parse().ok() } else { None };
        value.map(Some).ok_or_else(|| E::custom("not an integer"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A list where `null` is the empty list.
///
/// # Errors
/// The format's own.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn nesting_counts_outside_strings_only() {
        assert!(nesting_fits("[".repeat(NESTING_MAX).as_bytes()));
        assert!(!nesting_fits("[".repeat(NESTING_MAX + 1).as_bytes()));
        assert!(nesting_fits(format!("\"\\\"{}\"", "{".repeat(99)).as_bytes()));
        assert_eq!(read::<serde_json::Value>("{\"a\":".repeat(99).as_bytes()), Err(Malformed::Nesting));
    }

    #[test]
    fn escapes_of_base64_letters_are_undone_and_others_kept() {
        let undone = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            unescape_in_place(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(undone(r#""a\/b\u002bc\u003D""#), r#""a/b+c=""#);
        assert_eq!(undone(r#""\\/\"\u0022\u005c\n\u00e9\u1234""#), r#""\\/\"\u0022\u005c\n\u00e9\u1234""#);
        assert_eq!(undone(r#"{"a":"\"}\/"}"#), r#"{"a":"\"}/"}"#);
        assert_eq!(undone(r#""cut\u00"#), r#""cut\u00"#);
        assert_eq!(undone("\"cut\\"), "\"cut\\");
    }

    #[test]
    fn integers_come_in_three_spellings() {
        #[derive(serde::Deserialize)]
        struct One {
            #[serde(default, deserialize_with = "integer")]
            n: Option<u64>,
        }
        let n = |text: &str| read::<One>(text.as_bytes()).map(|one| one.n);
        assert_eq!(n(r#"{"n":256}"#), Ok(Some(256)));
        assert_eq!(n(r#"{"n":"256"}"#), Ok(Some(256)));
        assert_eq!(n(r#"{"n":256.0}"#), Ok(Some(256)));
        assert_eq!(n(r#"{"n":null}"#), Ok(None));
        assert_eq!(n("{}"), Ok(None));
        for wrong in [r#"{"n":-1}"#, r#"{"n":1.5}"#, r#"{"n":"+1"}"#, r#"{"n":""}"#, r#"{"n":[1]}"#, r#"{"n":1e300}"#] {
            assert!(matches!(n(wrong), Err(Malformed::Form { .. })), "{wrong}");
        }
        assert!(matches!(n(r#"{"n":NaN}"#), Err(Malformed::Syntax { .. })));
        assert!(n(r#"{"n":1e999}"#).is_err());
        assert_eq!(n(r#"{"n":1"#), Err(Malformed::Truncated));
        assert!(matches!(n(r#"{"n":1,"n":2}"#), Err(Malformed::Form { .. })));
        assert!(n("\u{feff}{}").is_err());
    }

    #[test]
    fn an_error_never_quotes_the_body() {
        let error = read::<BTreeMap<String, u64>>(br#"{"key":"canary-of-a-key"}"#).unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn nesting_counts_what_is_open_at_the_same_time() {
        assert!(nesting_fits(format!("[{}]", "[],{},".repeat(NESTING_MAX)).as_bytes()));
        assert!(
            !nesting_fits("{\"]}\":[".repeat(NESTING_MAX).as_bytes()),
            "what closes within a string closes nothing"
        );
    }

    #[test]
    fn escapes_outside_strings_stay_what_they_are() {
        for wrong in [r"{\u0020}", r#"{"a":"b"\u0020}"#] {
            let mut bytes = wrong.as_bytes().to_vec();
            unescape_in_place(&mut bytes);
            assert_eq!(bytes, wrong.as_bytes());
        }
    }
}
