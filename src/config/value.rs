//! Values that can be written in more than one way: a word, a number or a switch.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What stands behind the equals sign, whatever its type: what fits is decided where the key is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// `"text"`
    Text(String),
    /// `25`
    Number(i64),
    /// `true`
    Switch(bool),
    /// A list, a table, a float or a date: no key takes one here.
    Other(&'static str),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => number.fmt(f),
            Self::Switch(on) => on.fmt(f),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Written, E> {
        Ok(Written::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Written, E> {
        Ok(i64::try_from(number).map_or(Written::Other("a number beyond 63 bits"), Written::Number))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Written, E> {
        Ok(Written::Other("a number beyond 63 bits"))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Written, E> {
        Ok(Written::Other("a number beyond 63 bits"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Written, E> {
        Ok(Written::Other("a fraction"))
    }

    fn visit_bool<E>(self, on: bool) -> Result<Written, E> {
        Ok(Written::Switch(on))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Written, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Written::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Written, A::Error> {
        while table.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Written::Other("a table or a date"))
    }
}

/// A span of time as a person writes it: `1h`, `60s`, `1h 30m`, `0s`.
pub(super) fn duration(value: &Written) -> Option<Duration> {
    match value {
        Written::Text(text) => humantime::parse_duration(text).ok(),
        Written::Number(_) | Written::Switch(_) | Written::Other(_) => None,
    }
}

/// A span of time in the shortest words: `1h`, `10m`, `90s`.
pub(super) fn words(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}
