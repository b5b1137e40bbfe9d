//! Small measures of prctl(2) and setrlimit(2).

use nix::sys::prctl::{get_dumpable, get_no_new_privs, set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};

/// No core file is written, and no other process of the same user reads the memory.
///
/// # Errors
/// In words.
pub(super) fn no_dumps() -> Result<String, String> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| format!("RLIMIT_CORE: {error}"))?;
    set_dumpable(false).map_err(|error| format!("PR_SET_DUMPABLE: {error}"))?;
    match get_dumpable() {
        Ok(false) => Ok(String::new()),
        Ok(true) => Err("PR_SET_DUMPABLE had no effect".to_owned()),
        Err(error) => Err(format!("PR_GET_DUMPABLE: {error}")),
    }
}

/// No program that is run gains rights.
///
/// # Errors
/// In words.
pub(super) fn no_new_privileges() -> Result<String, String> {
    set_no_new_privs().map_err(|error| format!("PR_SET_NO_NEW_PRIVS: {error}"))?;
    match get_no_new_privs() {
        Ok(true) => Ok(String::new()),
        Ok(false) => Err("PR_SET_NO_NEW_PRIVS had no effect".to_owned()),
        Err(error) => Err(format!("PR_GET_NO_NEW_PRIVS: {error}")),
    }
}
