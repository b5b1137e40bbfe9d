//! Another content for a file of the operator's: made ready beside it first, then put in its place in one step.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// The new content, on the disk, under a name of its own; dropped before [`Replacement::commit`] it is removed.
pub struct Replacement {
    path: PathBuf,
    fresh: PathBuf,
    old: Vec<u8>,
    is_done: bool,
}

impl Replacement {
    /// Writes `new` beside the file (behind a link, beside what it leads to), with its mode and owner; `old` is what the
    /// new content was made from.
    ///
    /// # Errors
    /// It cannot be written: nothing is left, and the file is as it was.
    pub fn prepare(path: &Path, old: &[u8], new: &[u8]) -> io::Result<Self> {
        let path = std::fs::canonicalize(path)?;
        let found = std::fs::metadata(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fresh = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        let ready = Self { path, fresh, old: old.to_vec(), is_done: false };
        file.write_all(new)?;
        file.set_permissions(found.permissions())?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
            fchown(&file, Some(found.uid()), Some(found.gid()))?;
        }
        file.sync_all()?;
        Ok(ready)
    }

    /// Puts it in the place of the file; when this returns it is on the disk.
    ///
    /// # Errors
    /// Somebody has written the file meanwhile, or the system refuses: the file is as it was.
    pub fn commit(mut self) -> io::Result<()> {
        if std::fs::read(&self.path)? != self.old {
            return Err(io::Error::other("somebody has changed the file meanwhile"));
        }
        std::fs::rename(&self.fresh, &self.path)?;
        self.is_done = true;
        File::open(self.path.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_done {
            // The failure that led here is the one to report.
            drop(std::fs::remove_file(&self.fresh));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hq.toml");
        std::fs::write(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        (dir, path)
    }

    fn names(dir: &tempfile::TempDir) -> usize {
        std::fs::read_dir(dir.path()).unwrap().count()
    }

    #[test]
    fn the_file_has_the_new_content_with_its_old_mode_behind_a_link_too() {
        let (dir, path) = place();
        let link = dir.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let ready = Replacement::prepare(&link, b"old", b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old", "not before it is said");
        ready.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(&dir), 2);
    }

    #[test]
    fn nothing_is_left_of_what_was_not_wanted_in_the_end() {
        let (dir, path) = place();
        drop(Replacement::prepare(&path, b"old", b"new").unwrap());
        assert_eq!((std::fs::read(&path).unwrap(), names(&dir)), (b"old".to_vec(), 1));
    }

    #[test]
    fn what_somebody_wrote_meanwhile_stays() {
        let (dir, path) = place();
        let ready = Replacement::prepare(&path, b"old", b"new").unwrap();
        std::fs::write(&path, b"theirs").unwrap();
        assert!(ready.commit().unwrap_err().to_string().contains("meanwhile"));
        assert_eq!((std::fs::read(&path).unwrap(), names(&dir)), (b"theirs".to_vec(), 1));
    }
}
