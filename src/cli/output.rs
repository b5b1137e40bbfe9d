//! Data to stdout, talk to stderr: the only place where verbs write, and no write can panic.

use std::io::{ErrorKind, IsTerminal, Write};

use super::exit::{Exit, Failure, Outcome};

/// Writes data to stdout. A reader that went away (`| head`) ends the verb quietly; a full disk is a failure.
pub fn data(text: &str) -> Outcome {
    data_wanted(text).map(|_| Exit::Ok)
}

/// Writes data to stdout and says whether anybody still reads.
///
/// # Errors
/// A full disk and the like.
pub fn data_wanted(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::io("cannot write to standard output", &error)),
    }
}

/// Writes one line to stderr. Nobody can be told that this failed.
pub fn talk(text: &str) {
    let mut err = std::io::stderr().lock();
    drop(writeln!(err, "{}", text.trim_end()));
}

/// Whether stdout may be coloured: a terminal, and `NO_COLOR` unset or empty (the convention of that name).
pub fn may_colour_stdout() -> bool {
    may_colour(std::io::stdout().is_terminal())
}

/// The same for stderr.
pub fn may_colour_stderr() -> bool {
    may_colour(std::io::stderr().is_terminal())
}

fn may_colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
