//! Errors of a configuration: where, what was expected, what came, and the nearest known name.

use std::fmt;

/// A place in the text, both counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        Self { line: before.matches('\n').count() + 1, column: column + 1 }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the key or value stands.
    pub place: Place,
    /// What is wrong, with what was expected and what came.
    pub text: String,
}

impl ConfigError {
    /// `KEY: expected EXPECTED, came CAME`.
    pub(super) fn expected(place: Place, key: &str, expected: impl fmt::Display, came: impl fmt::Display) -> Self {
        Self { place, text: format!("{key}: expected {expected}, came {came}") }
    }

    /// An error in free words.
    pub(super) fn other(place: Place, text: impl Into<String>) -> Self {
        Self { place, text: text.into() }
    }
}

/// All that is wrong with one file, in the order of the text. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file as the operator named it.
    pub file: String,
    /// The errors.
    pub errors: Vec<ConfigError>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            let Place { line, column } = error.place;
            write!(f, "{separator}{}:{line}:{column}: {}", self.file, error.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let text = "a = 1\nµ = \"é\" x\n";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of(text, text.find('x').unwrap()), Place { line: 2, column: 9 });
        assert_eq!(Place::of(text, text.len()), Place { line: 3, column: 1 });
        assert_eq!(Place::of(text, 7).line, 3, "inside a character: as at the end, no panic");
    }
}
