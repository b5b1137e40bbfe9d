//! What the two processes without rights still need.

use std::path::PathBuf;

/// What the process still needs.
pub struct Profile {
    /// Folders in which it makes, changes and removes files.
    pub(super) write: Vec<PathBuf>,
    pub(super) role: Role,
}

/// What the process is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
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
