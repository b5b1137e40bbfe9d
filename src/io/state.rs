//! Small files that outlive a restart: written whole or not at all, and on the disk before anyone relies on them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::types::secret::SecretBytes;

/// Bytes of a state file: a seen table has up to 8248, a ratchet store with three entries under 300, a clock and a budget
/// under 100.
pub const STATE_FILE_BYTES_MAX: usize = 16 * 1024;

/// Which file of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// Ratchet store.
    Ratchet,
    /// Policy clock.
    Clock,
    /// Request budget.
    Budget,
    /// Seen table.
    Seen,
}

impl StateKind {
    fn ending(self) -> &'static str {
        match self {
            Self::Ratchet => "ratchet",
            Self::Clock => "clock",
            Self::Budget => "budget",
            Self::Seen => "seen",
        }
    }
}

/// The folder of one interface: `STATE_DIR/INTERFACE`, mode 0700, files `PEER.ratchet`, `PEER.clock`,
/// `PEER.budget`, `PEER.seen`.
#[derive(Clone, Debug)]
pub struct StateDir {
    folder: PathBuf,
}

impl StateDir {
    /// Names the folder without touching it.
    pub fn of(state_dir: &Path, interface: &str) -> Self {
        Self { folder: state_dir.join(interface) }
    }

    /// Makes the folder if there is none. One that others may write is refused: they could exchange the files.
    ///
    /// # Errors
    /// What the system said, or `PermissionDenied` with words.
    pub fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mode = std::fs::metadata(&self.folder)?.mode();
        if mode & 0o022 != 0 {
            let folder = self.folder.display();
            let text = format!("{folder} can be written by others; run `chmod 700 {folder}`");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(())
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that a daemon of this interface locks.
    pub fn lock_path(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// Where a file is.
    pub fn path(&self, peer: &str, kind: StateKind) -> PathBuf {
        self.folder.join(format!("{peer}.{}", kind.ending()))
    }

    /// The content; `None` if there is no file. What is longer than any state file is cut, so that its checksum fails.
    ///
    /// # Errors
    /// The file exists and cannot be read, or is a link.
    pub fn read(&self, peer: &str, kind: StateKind) -> io::Result<Option<SecretBytes>> {
        let mut how = OpenOptions::new();
        how.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match how.open(self.path(peer, kind)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::with_capacity(STATE_FILE_BYTES_MAX);
        file.take(STATE_FILE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        Ok(Some(SecretBytes::new(bytes)))
    }

    /// Puts `bytes` in the place of the file, or removes it if there are none. When this returns it is on the disk;
    /// when the machine stops before, the old content is there, whole.
    ///
    /// # Errors
    /// The old content is still there.
    pub fn write(&self, peer: &str, kind: StateKind, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return self.remove(&self.path(peer, kind));
        }
        self.replace(&format!("{peer}.{}", kind.ending()), bytes)
    }

    /// The same for a file of this name.
    ///
    /// # Errors
    /// The old content is still there.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (path, fresh) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        write_whole(&fresh, bytes).and_then(|()| std::fs::rename(&fresh, &path)).inspect_err(|_| {
            drop(std::fs::remove_file(&fresh));
        })?;
        self.sync()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a crash left of an earlier attempt.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn dir() -> (tempfile::TempDir, StateDir) {
        let place = tempfile::tempdir().unwrap();
        let dir = StateDir::of(&place.path().join("state"), "hq");
        dir.create().unwrap();
        (place, dir)
    }

    fn content(dir: &StateDir, kind: StateKind) -> Option<Vec<u8>> {
        dir.read("dc", kind).unwrap().map(|bytes| bytes.expose().to_vec())
    }

    #[test]
    fn a_file_is_replaced_whole_and_closed_to_others() {
        let (_place, dir) = dir();
        assert_eq!(content(&dir, StateKind::Ratchet), None);
        for bytes in [&b"one"[..], b"two, longer"] {
            dir.write("dc", StateKind::Ratchet, bytes).unwrap();
            assert_eq!(content(&dir, StateKind::Ratchet).as_deref(), Some(bytes));
        }
        assert_eq!(content(&dir, StateKind::Clock), None, "each kind has its own file");
        let mode = std::fs::metadata(dir.path("dc", StateKind::Ratchet)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let left: Vec<_> = std::fs::read_dir(&dir.folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn nothing_to_write_removes_the_file() {
        let (_place, dir) = dir();
        dir.write("dc", StateKind::Clock, b"x").unwrap();
        dir.write("dc", StateKind::Clock, b"").unwrap();
        assert_eq!(content(&dir, StateKind::Clock), None);
        dir.write("dc", StateKind::Clock, b"").unwrap();
    }

    #[test]
    fn what_a_crash_left_is_in_nobodys_way() {
        let (_place, dir) = dir();
        std::fs::write(dir.folder.join("dc.ratchet.new"), b"half").unwrap();
        assert_eq!(content(&dir, StateKind::Ratchet), None);
        dir.write("dc", StateKind::Ratchet, b"whole").unwrap();
        assert_eq!(content(&dir, StateKind::Ratchet).unwrap(), b"whole");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content() {
        let (_place, dir) = dir();
        dir.write("dc", StateKind::Budget, b"old").unwrap();
        // A directory in the way of the new file: the write cannot begin.
        std::fs::create_dir_all(dir.folder.join("dc.budget.new/x")).unwrap();
        assert!(dir.write("dc", StateKind::Budget, b"new").is_err());
        assert_eq!(content(&dir, StateKind::Budget).unwrap(), b"old");
    }

    #[test]
    fn links_and_open_folders_are_refused() {
        let (place, dir) = dir();
        std::fs::write(place.path().join("other"), b"secret").unwrap();
        std::os::unix::fs::symlink(place.path().join("other"), dir.path("dc", StateKind::Ratchet)).unwrap();
        assert!(dir.read("dc", StateKind::Ratchet).is_err());
        std::fs::set_permissions(&dir.folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(dir.create().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_file_of_any_size_is_read_within_bounds() {
        let (_place, dir) = dir();
        std::fs::write(dir.path("dc", StateKind::Ratchet), vec![7; 1 << 20]).unwrap();
        assert_eq!(content(&dir, StateKind::Ratchet).unwrap().len(), STATE_FILE_BYTES_MAX);
    }
}
