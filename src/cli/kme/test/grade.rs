//! Checks of a KME and how each ended.

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::cli) enum Grade {
    /// As the standard, or good sense, has it.
    Pass,
    /// It works, and somebody should know.
    Warn,
    /// It does not work, or not as the standard says.
    Fail,
}

impl Grade {
    /// The word.
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Check {
    /// What was looked at.
    pub(in crate::cli) name: &'static str,
    /// Of ETSI GS QKD 014 V1.1.1; empty where the standard says nothing.
    pub(in crate::cli) clause: &'static str,
    /// How it ended.
    pub(in crate::cli) result: Grade,
    /// What was found, and what to do about it.
    pub(in crate::cli) text: String,
}

/// Checks in the order in which they were made.
#[derive(Debug, Default)]
pub(in crate::cli) struct Findings {
    /// All of them.
    pub(in crate::cli) checks: Vec<Check>,
}

impl Findings {
    /// Notes one.
    pub(in crate::cli) fn note(
        &mut self,
        result: Grade,
        name: &'static str,
        clause: &'static str,
        text: impl Into<String>,
    ) {
        self.checks.push(Check { name, clause, result, text: text.into() });
    }

    /// Notes one that passed.
    pub(in crate::cli) fn pass(&mut self, name: &'static str, clause: &'static str, text: impl Into<String>) {
        self.note(Grade::Pass, name, clause, text);
    }

    /// Notes one that asks for attention.
    pub(in crate::cli) fn warn(&mut self, name: &'static str, clause: &'static str, text: impl Into<String>) {
        self.note(Grade::Warn, name, clause, text);
    }

    /// Notes one that failed.
    pub(in crate::cli) fn fail(&mut self, name: &'static str, clause: &'static str, text: impl Into<String>) {
        self.note(Grade::Fail, name, clause, text);
    }

    /// How many ended so.
    pub(in crate::cli) fn count(&self, result: Grade) -> usize {
        self.checks.iter().filter(|check| check.result == result).count()
    }

    /// The first that ended so.
    pub(in crate::cli) fn first(&self, result: Grade) -> Option<&Check> {
        self.checks.iter().find(|check| check.result == result)
    }
}
