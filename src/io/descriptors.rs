//! How many descriptors this process may have (getrlimit(2)): as many as it is allowed, and no start with too few.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A daemon at rest has some 25 and some for each queue; with every place of its control socket and of its page taken, a
/// connection to each of some KMEs, and the second set of all files that a reload opens, it stays below this.
pub const DESCRIPTORS_MIN: u64 = 128;

/// Raises the limit of this process, and of those that it starts, as far as it may. Nothing here uses select(2), which could
/// not name the higher ones.
///
/// # Errors
/// In words: fewer than [`DESCRIPTORS_MIN`].
pub fn provide() -> Result<(), String> {
    let asked = |error: nix::Error| format!("descriptors: {}", io::Error::from(error));
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(asked)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(asked)?;
    }
    enough(hard)
}

fn enough(allowed: u64) -> Result<(), String> {
    if allowed >= DESCRIPTORS_MIN {
        return Ok(());
    }
    Err(format!(
        "descriptors: this process may have {allowed}, and a daemon needs {DESCRIPTORS_MIN}: raise the limit \
         (LimitNOFILE= of the unit, ulimit -n)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_are_refused_in_words() {
        assert_eq!(enough(DESCRIPTORS_MIN), Ok(()));
        assert!(enough(DESCRIPTORS_MIN - 1).unwrap_err().contains("may have 127, and a daemon needs 128"));
    }

    #[test]
    fn as_many_as_allowed_are_taken() {
        provide().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }
}
