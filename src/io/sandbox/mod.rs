//! What a process gives up before it sees the first foreign byte: rights, other programs, files, system calls.
//!
//! Everything here holds for the calling thread and those that it starts: it is entered while there is one thread. What the
//! kernel does not have is told, not hidden: `--require-sandbox` refuses to run with less.

mod capabilities;
mod files;
mod hardening;
mod profile;
mod system_calls;

pub use self::profile::Profile;
use crate::control::sandbox::{Measure, Sandbox};

/// Gives everything up but what the profile names; where secrets lie was decided before. The order matters: what comes
/// later needs what goes last.
pub fn enter(profile: &Profile, secrets: Measure) -> Sandbox {
    let memory = measure(hardening::no_dumps());
    let files = measure(files::confine(profile));
    let capabilities = measure(capabilities::drop_all());
    let no_new_privileges = measure(hardening::no_new_privileges());
    let system_calls = measure(system_calls::confine(profile.role));
    Sandbox { capabilities, no_new_privileges, system_calls, files, memory, secrets }
}

fn measure(done: Result<String, String>) -> Measure {
    let (on, text) = match done {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    };
    Measure { on, text }
}

#[cfg(test)]
mod tests;
