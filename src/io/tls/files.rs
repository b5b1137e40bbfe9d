//! The files of TLS as bytes: each read once, and handed on to a process that opens none.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::io::keyfile;
use crate::io::keyfile_error::{Fault, KeyFileError};
use crate::types::secret::SecretBytes;

/// Files by their paths. What is not known yet is read from the disk, unless all were handed over.
#[derive(Default)]
pub struct TlsFiles {
    known: BTreeMap<PathBuf, Arc<SecretBytes>>,
    is_complete: bool,
}

impl TlsFiles {
    /// These and no others: nothing is read from the disk.
    pub fn handed(known: BTreeMap<PathBuf, Arc<SecretBytes>>) -> Self {
        Self { known, is_complete: true }
    }

    /// What was read so far.
    pub fn known(&self) -> impl ExactSizeIterator<Item = (&Path, &SecretBytes)> {
        self.known.iter().map(|(path, bytes)| (path.as_path(), bytes.as_ref()))
    }

    /// A file that anybody may see.
    ///
    /// # Errors
    /// As [`keyfile::read_public`].
    pub fn public(&mut self, path: &Path, bytes_max: usize) -> Result<Arc<SecretBytes>, KeyFileError> {
        let read = || keyfile::read_public(path, bytes_max).map(SecretBytes::new);
        self.get(path, read)
    }

    /// A file that nobody else may read; looked at on the disk even if its content is known already.
    ///
    /// # Errors
    /// As [`keyfile::read_linked_secret`].
    pub fn secret(&mut self, path: &Path, bytes_max: usize) -> Result<Arc<SecretBytes>, KeyFileError> {
        if self.is_complete {
            return self.get(path, || Err(absent(path)));
        }
        let bytes = keyfile::read_linked_secret(path, bytes_max)?;
        self.get(path, || Ok(bytes))
    }

    fn get(
        &mut self,
        path: &Path,
        read: impl FnOnce() -> Result<SecretBytes, KeyFileError>,
    ) -> Result<Arc<SecretBytes>, KeyFileError> {
        if let Some(known) = self.known.get(path) {
            return Ok(Arc::clone(known));
        }
        if self.is_complete {
            return Err(absent(path));
        }
        let bytes = Arc::new(read()?);
        self.known.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }
}

fn absent(path: &Path) -> KeyFileError {
    KeyFileError { path: path.to_owned(), fault: Fault::Open(io::Error::from(io::ErrorKind::NotFound)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_read_once_is_not_read_again_and_a_secret_is_looked_at_each_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sae.p12");
        std::fs::write(&path, b"first").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut files = TlsFiles::default();
        assert_eq!(files.public(&path, 100).unwrap().expose(), b"first");
        std::fs::write(&path, b"second").unwrap();
        assert_eq!(files.public(&path, 100).unwrap().expose(), b"first");
        assert!(files.secret(&path, 100).err().unwrap().is_permission(), "open to others");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(files.secret(&path, 100).unwrap().expose(), b"first");
    }

    #[test]
    fn of_files_that_were_handed_over_none_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sae.key");
        std::fs::write(&path, b"on the disk").unwrap();
        let mut files = TlsFiles::handed(BTreeMap::new());
        assert!(files.public(&path, 100).is_err() && files.secret(&path, 100).is_err());
        let known = BTreeMap::from([(path.clone(), Arc::new(SecretBytes::new(b"handed".to_vec())))]);
        let mut files = TlsFiles::handed(known);
        assert_eq!(files.secret(&path, 100).unwrap().expose(), b"handed");
        assert_eq!(files.public(&path, 100).unwrap().expose(), b"handed");
    }
}
