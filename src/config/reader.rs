//! Reads single keys: each helper takes one written value and gives it resolved, or notes an error and gives nothing.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, Place};
use super::model::FileRef;
use super::value::{Written, duration, words};
use crate::types::limits::{CONFIG_ERRORS_MAX, CONFIG_NAME_CHARS_MAX};
use crate::types::nearest::nearest;

/// The text and what was found wrong in it.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Byte offsets at which lines begin: a place is found without reading the text again.
    lines: Vec<usize>,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
}

impl<'t> Reader<'t> {
    /// Nothing read yet.
    pub(super) fn new(text: &'t str) -> Self {
        let after_each = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(after_each).collect(), errors: Vec::new(), warnings: Vec::new() }
    }

    /// The errors and the warnings, each in the order of the text.
    pub(super) fn finish(mut self) -> (Vec<ConfigError>, Vec<ConfigError>) {
        self.errors.sort_by_key(|error| error.place);
        self.warnings.sort_by_key(|warning| warning.place);
        (self.errors, self.warnings)
    }

    /// Where a value stands.
    pub(super) fn place<T>(&self, value: &Spanned<T>) -> Place {
        let start = value.span().start;
        let line = self.lines.partition_point(|begin| *begin <= start);
        let begin = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let column = self.text.get(begin..start).map_or(0, |before| before.chars().count()) + 1;
        Place { line, column }
    }

    /// Keeps an error, once: `[policy]` is read again for every peer.
    pub(super) fn note(&mut self, error: ConfigError) {
        if !self.is_full() && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Keeps a remark on what is allowed and probably not meant.
    pub(super) fn warn<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        let warning = ConfigError::other(self.place(at), text);
        self.warnings.push(warning);
    }

    fn is_full(&self) -> bool {
        self.errors.len() >= CONFIG_ERRORS_MAX
    }

    /// Notes an error at the value.
    pub(super) fn fail<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        // Counting columns costs time in a long line: not for what is not kept.
        if !self.is_full() {
            let place = self.place(at);
            self.note(ConfigError::other(place, text));
        }
    }

    /// Notes that another value was expected.
    pub(super) fn expected<T>(&mut self, at: &Spanned<T>, key: &str, expected: &str, came: &str) {
        if !self.is_full() {
            let place = self.place(at);
            self.note(ConfigError::expected(place, key, expected, came));
        }
    }

    /// The value of a key that must be there; `section` is where it is missed.
    pub(super) fn required<'v, T, S>(
        &mut self,
        section: &Spanned<S>,
        key: &str,
        value: Option<&'v Spanned<T>>,
    ) -> Option<&'v Spanned<T>> {
        if value.is_none() {
            self.fail(section, format!("{key}: this key is needed here and is missing"));
        }
        value
    }

    /// One of a few words; `None` if it is another or left out.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        value: Option<&Spanned<String>>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let value = value?;
        let came = value.get_ref();
        let found = known.iter().find(|(word, _)| word == came);
        if found.is_none() {
            let names = || known.iter().map(|(word, _)| *word);
            let expected = names().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
            self.expected(value, key, &expected, &format!("{came:?}{}", nearest(came, names())));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        key: &str,
        value: Option<&Spanned<Written>>,
        bounds: RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = value?;
        match value.get_ref() {
            Written::Number(number) if bounds.contains(number) => Some(*number),
            came @ (Written::Number(_) | Written::Text(_) | Written::Switch(_) | Written::Other(_)) => {
                let expected = format!("a number from {} to {}", bounds.start(), bounds.end());
                self.expected(value, key, &expected, &came.to_string());
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, key: &str, value: Option<&Spanned<Written>>) -> Option<bool> {
        let value = value?;
        match value.get_ref() {
            Written::Switch(on) => Some(*on),
            came @ (Written::Number(_) | Written::Text(_) | Written::Other(_)) => {
                self.expected(value, key, "true or false", &came.to_string());
                None
            }
        }
    }

    /// Whole seconds within bounds.
    pub(super) fn seconds(
        &mut self,
        key: &str,
        value: Option<&Spanned<Written>>,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let value = value?;
        let found = duration(value.get_ref()).filter(|span| bounds.contains(span) && span.subsec_nanos() == 0);
        if found.is_none() {
            let (low, high) = (words(*bounds.start()), words(*bounds.end()));
            let expected = format!("a time in whole seconds from \"{low}\" to \"{high}\", such as \"60s\" or \"1h\"");
            self.expected(value, key, &expected, &value.get_ref().to_string());
        }
        found
    }

    /// A file that the configuration names.
    pub(super) fn file(&mut self, key: &'static str, value: Option<&Spanned<String>>) -> Option<FileRef> {
        let value = value?;
        if value.get_ref().is_empty() || value.get_ref().contains('\0') {
            self.expected(value, key, "the path of a file", &format!("{:?}", value.get_ref()));
            return None;
        }
        Some(FileRef { path: PathBuf::from(value.get_ref()), place: self.place(value), key })
    }

    /// A name for output and file names: letters, digits, `.`, `_`, `-`, not beginning with a dot.
    pub(super) fn name(&mut self, key: &str, value: Option<&Spanned<String>>) -> Option<String> {
        let value = value?;
        let came = value.get_ref();
        let fits = (1..=CONFIG_NAME_CHARS_MAX).contains(&came.len())
            && came.starts_with(|first: char| first.is_ascii_alphanumeric())
            && came.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !fits {
            let expected =
                format!("1 to {CONFIG_NAME_CHARS_MAX} of a-z A-Z 0-9 . _ - that begin with a letter or digit");
            self.expected(value, key, &expected, &format!("{came:?}"));
        }
        fits.then(|| came.clone())
    }
}
