//! The three kinds of key file of PROTOCOL 2.2, from the disk.

use std::path::{Path, PathBuf};

use super::keyfile;
use super::keyfile_error::KeyFileError;
use crate::crypto::kem::Kem;
use crate::identity::armour::ArmourError;
use crate::identity::{Identity, IdentityError, PublicIdentity, read_psk, read_public, read_secret};
use crate::types::secret::Secret;

/// Bytes of a key file at most: the largest kind, a public file of suite 1, has 2228; twice that leaves room for a
/// message that says what is wrong with a longer one.
pub const KEY_FILE_BYTES_MAX: usize = 4096;

/// Why an identity or a PSK was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// What is in it.
    #[error("{}: {error}", path.display())]
    Content {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong.
        error: IdentityError,
    },
}

impl LoadError {
    /// Whether a right is missing or too many have one (exit code 7).
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::File(error) if error.is_permission())
    }
}

/// The own identity from its secret file.
///
/// # Errors
/// The file is open to others, is no secret file, or is damaged.
pub fn load_identity(kem: &'static dyn Kem, path: &Path) -> Result<Identity, LoadError> {
    let bytes = keyfile::read_secret(path, KEY_FILE_BYTES_MAX)?;
    let read = text(bytes.expose()).and_then(read_secret);
    read.and_then(|(suite, secret)| Identity::from_secret(kem, suite, secret)).map_err(|error| content(path, error))
}

/// A peer's identity from its public file.
///
/// # Errors
/// The file is no public file, or the key in it fails a check of PROTOCOL 2.2.
pub fn load_public(kem: &dyn Kem, path: &Path) -> Result<PublicIdentity, LoadError> {
    let bytes = keyfile::read_public(path, KEY_FILE_BYTES_MAX)?;
    text(&bytes).and_then(|text| read_public(kem, text)).map_err(|error| content(path, error))
}

/// A PSK from its file.
///
/// # Errors
/// The file is open to others, is no PSK file, or holds zeros.
pub fn load_psk(path: &Path) -> Result<Secret<32>, LoadError> {
    let bytes = keyfile::read_secret(path, KEY_FILE_BYTES_MAX)?;
    text(bytes.expose()).and_then(read_psk).map_err(|error| content(path, error))
}

fn text(bytes: &[u8]) -> Result<&str, IdentityError> {
    std::str::from_utf8(bytes).map_err(|_| ArmourError::NotArmour.into())
}

fn content(path: &Path, error: IdentityError) -> LoadError {
    LoadError::Content { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::kem::default_backend;
    use crate::identity::{write_psk, write_public, write_secret};
    use crate::types::policy::Suite;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_kind_comes_back_from_the_disk() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let secret = Secret::take(&mut [5; 96]);
        keyfile::write_new_secret(&at("key"), write_secret(Suite::MlKem768, &secret).expose()).unwrap();
        let me = load_identity(default_backend(), &at("key")).unwrap();
        assert!(me.static_secret().ct_eq(&secret));
        std::fs::write(at("pub"), write_public(me.public())).unwrap();
        assert_eq!(&load_public(default_backend(), &at("pub")).unwrap(), me.public());
        let psk = Secret::take(&mut [6; 32]);
        keyfile::write_new_secret(&at("psk"), write_psk(&psk).expose()).unwrap();
        assert!(load_psk(&at("psk")).unwrap().ct_eq(&psk));
    }

    #[test]
    fn the_error_names_file_and_fault() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key");
        std::fs::write(&path, [0xff; 10]).unwrap();
        let error = load_public(default_backend(), &path).unwrap_err();
        assert!(!error.is_permission());
        let said = error.to_string();
        assert!(said.starts_with(&format!("{}: not a plait key file", path.display())), "{said}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_psk(&path).err().unwrap().is_permission());
        assert!(load_identity(default_backend(), &path).err().unwrap().is_permission());
    }
}
