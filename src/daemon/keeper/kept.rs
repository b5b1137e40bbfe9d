//! What the keeper keeps of what was set up.

use std::path::PathBuf;

use super::keys::Keys;
use crate::config::Config;
use crate::io::control_socket::ControlName;
use crate::io::lock::Lock;
use crate::io::system::plan::InterfacePlan;

/// What the keeper keeps of what was set up.
pub struct Kept {
    /// The configuration file.
    pub(in crate::daemon) file: PathBuf,
    /// What is in use, and its text.
    pub(in crate::daemon) config: Config,
    pub(in crate::daemon) text: String,
    /// Number of the sources that the keys process has or will have.
    pub(in crate::daemon) generation: u32,
    pub(in crate::daemon) keys: Keys,
    /// How the interface is.
    pub(in crate::daemon) plan: InterfacePlan,
    /// The kernel's number of it.
    pub(in crate::daemon) index: u32,
    /// Removed when the last process ends.
    pub(in crate::daemon) _name: ControlName,
    pub(in crate::daemon) _locks: [Lock; 2],
}
