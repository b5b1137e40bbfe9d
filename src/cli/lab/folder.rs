//! A passing folder: keys, configurations, sockets and logs, gone when it is dropped.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A new folder that only this user can enter.
pub(in crate::cli) struct Folder(PathBuf);

impl Folder {
    /// Makes it under the system's folder for temporary files, named after the verb; a name that is taken is an error, not
    /// reused.
    pub(in crate::cli) fn create(verb: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("plait-{verb}-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    pub(in crate::cli) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder itself.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only this user can read.
    pub(in crate::cli) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        use io::Write;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.file(name))?;
        file.write_all(text.as_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to be told; what remains is a folder of dead keys that only this user can read.
        drop(fs::remove_dir_all(&self.0));
    }
}
