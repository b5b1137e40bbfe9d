//! One process at a time: a lock file whose lock the kernel drops with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// The lock, held until it is dropped. The file stays: removing it would let two processes lock two files of one name.
pub struct Lock {
    _held: Flock<File>,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is locked by process {holder}", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Its process id as it wrote it, or "?".
        holder: String,
    },
    /// The file cannot be made or opened.
    #[error("cannot lock {}: {error}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Lock {
    /// Takes the lock at once or says who holds it.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |error| LockError::File { path: path.to_owned(), error };
        let file = open(path).map_err(failed)?;
        let mut held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                return Err(LockError::Held { path: path.to_owned(), holder: holder(&file) });
            }
            Err((_, error)) => return Err(failed(error.into())),
        };
        // Only for people: the lock is the kernel's, whatever the file says.
        let noted = held.set_len(0).and_then(|()| writeln!(*held, "{}", std::process::id()));
        noted.map_err(failed)?;
        Ok(Self { _held: held })
    }

    /// Whether a process holds the lock of this file. A file that cannot be opened is not held.
    pub fn is_held(path: &Path) -> bool {
        let Ok(file) = OpenOptions::new().read(true).custom_flags(FLAGS).open(path) else { return false };
        matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, nix::errno::Errno::EWOULDBLOCK)))
    }
}

/// Not through a link, and no FIFO may hold us up.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;

fn open(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(FLAGS);
    how.open(path)
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    // 20 digits hold every process id.
    let read = file.take(20).read_to_string(&mut text);
    let text = text.trim();
    if read.is_ok() && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.to_owned()
    } else {
        "?".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_who_holds_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hq.lock");
        assert!(!Lock::is_held(&path));
        let first = Lock::take(&path).unwrap();
        assert!(Lock::is_held(&path));
        let LockError::Held { holder, .. } = Lock::take(&path).err().unwrap() else { panic!("expected Held") };
        assert_eq!(holder, std::process::id().to_string());
        drop(first);
        assert!(!Lock::is_held(&path));
        assert!(Lock::take(&path).is_ok());
    }

    #[test]
    fn a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hq.lock");
        std::os::unix::fs::symlink(place.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(Lock::take(&path), Err(LockError::File { .. })));
        assert!(!place.path().join("elsewhere").exists());
    }
}
