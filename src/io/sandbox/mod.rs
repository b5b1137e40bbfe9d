//! What a process gives up before it sees the first foreign byte: rights, other programs, files, system calls.
//!
//! Everything here holds for the calling thread and those that it starts: it is entered while there is one thread. What the
//! kernel does not have is told, not hidden: `--require-sandbox` refuses to run with less.

mod capabilities;
mod files;
mod hardening;
mod system_calls;

use std::path::PathBuf;

use crate::control::sandbox::{Measure, Sandbox};

/// What the process still needs.
pub struct Profile {
    /// Folders in which it makes, changes and removes files.
    write: Vec<PathBuf>,
    role: Role,
}

/// What the process is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Packets: what sockets it needs it has or is given, but for those inside this machine.
    Packets,
    /// Keys: it resolves names and connects to KMEs.
    Keys,
}

impl Profile {
    /// For the packet process, which writes in its state folder.
    pub fn packets(state: PathBuf) -> Self {
        Self { write: vec![state], role: Role::Packets }
    }

    /// For the keys process, which writes nowhere.
    pub fn keys() -> Self {
        Self { write: Vec::new(), role: Role::Keys }
    }
}

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
