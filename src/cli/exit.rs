//! The exit codes, all of them, and the failure that carries one with its sentence.

use std::fmt;
use std::process::ExitCode;

/// How a verb ended. Scripts rely on the numbers: add to them, do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `status`: HYBRID, or OFF by policy.
    Ok = 0,
    /// It failed; for `status`: the worst peer is HOLDING, BLOCKED or DOWN.
    Failure = 1,
    /// The command line was not understood.
    Usage = 2,
    /// No daemon of that name runs.
    NotRunning = 3,
    /// A daemon seems to run, but its control socket does not answer.
    Unreachable = 4,
    /// `status`: the worst peer is DEGRADED or HOLDOVER.
    Degraded = 5,
    /// The configuration, or a file it names, is invalid.
    Configuration = 6,
    /// A right is missing: of the caller, or a file is open to others.
    Permission = 7,
    /// `up`: the process that reads packets was ended from outside, or did what it must not.
    Ended = 8,
}

impl Exit {
    /// Every code with its meaning, for the manual and the help.
    pub const ALL: [(Self, &str); 9] = [
        (Self::Ok, "Done; for status: HYBRID, or OFF by policy."),
        (Self::Failure, "It failed; for status: the worst peer is HOLDING, BLOCKED or DOWN."),
        (Self::Usage, "The command line was not understood."),
        (Self::NotRunning, "No daemon of that name runs."),
        (Self::Unreachable, "A daemon seems to run, but its control socket does not answer."),
        (Self::Degraded, "For status: the worst peer is DEGRADED or HOLDOVER."),
        (Self::Configuration, "The configuration, or a file it names, is invalid."),
        (Self::Permission, "A right is missing: of the caller, or a file is open to others."),
        (Self::Ended, "For up: the process that reads packets was ended from outside, or did what it must not."),
    ];

    /// The one of that number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.iter().map(|(exit, _)| *exit).find(|exit| *exit as u8 == code)
    }

    /// All of them for the end of the help.
    pub fn help() -> String {
        let line = |(exit, meaning): (Self, &str)| format!("  {}  {meaning}\n", exit as u8);
        format!("Exit codes:\n{}", Self::ALL.map(line).concat())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb did not do what was asked: one or more lines for a person, and the code for the script.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What was expected, what came, what to do. Goes to stderr.
    pub text: String,
}

impl Failure {
    /// A failure with this code and these words.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    /// A failure with code 1 unless the system says that a right is missing (7).
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        Self::new(if denied { Exit::Permission } else { Exit::Failure }, format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// What every verb returns.
pub type Outcome = Result<Exit, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_in_their_order_and_none_is_left_out() {
        let told: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(told, (0..=Exit::Ended as u8).collect::<Vec<_>>());
        assert_eq!(Exit::help().lines().count(), 1 + told.len());
    }

    #[test]
    fn a_denied_file_has_the_code_for_permission() {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(Failure::io("x", &denied).exit, Exit::Permission);
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(Failure::io("x", &missing).exit, Exit::Failure);
    }
}
