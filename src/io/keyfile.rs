//! Files that hold keys: read only if nobody else could have read or changed them, written so that nothing is lost.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use zeroize::Zeroizing;

use super::keyfile_error::{Fault, KeyFileError};
use crate::types::secret::SecretBytes;

/// Mode of a secret file: its owner alone.
const SECRET_MODE: u32 = 0o600;
/// Bytes of the room for a file that does not say how long it is, or is longer: a page.
const ROOM_BYTES: usize = 4096;
/// Where systemd puts the credentials of a service.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Reads a secret file of our own making: not through a link, owned by root or us, closed to group and others.
///
/// # Errors
/// Says what is wrong and, for a mode or an owner, the command that repairs it.
pub fn read_secret(path: &Path, bytes_max: usize) -> Result<SecretBytes, KeyFileError> {
    read_closed(path, bytes_max, libc::O_NOFOLLOW)
}

/// Reads a secret that another tool may keep behind a link (a TLS key): what the link points at passes the same checks.
///
/// # Errors
/// As [`read_secret`].
pub fn read_linked_secret(path: &Path, bytes_max: usize) -> Result<SecretBytes, KeyFileError> {
    read_closed(path, bytes_max, 0)
}

/// Reads a file that anybody may see: a public key, a certificate.
///
/// # Errors
/// It cannot be opened, is not a regular file, or is larger than `bytes_max`.
pub fn read_public(path: &Path, bytes_max: usize) -> Result<Vec<u8>, KeyFileError> {
    let at = |fault| KeyFileError { path: path.to_owned(), fault };
    let mut file = open(path, 0).map_err(at)?;
    let found = regular(&file).map_err(at)?;
    let bytes = read_bounded(&mut file, &found, bytes_max).map_err(at)?;
    Ok(bytes.to_vec())
}

/// Writes a new secret file, mode 0600, and returns when it is on the disk. An existing file is never touched.
///
/// # Errors
/// It exists, or cannot be written; then no part of it is left.
pub fn write_new_secret(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let at = |fault| KeyFileError { path: path.to_owned(), fault };
    let created = OpenOptions::new().write(true).create_new(true).mode(SECRET_MODE).open(path);
    let mut file = created.map_err(|error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        at(if exists { Fault::Exists } else { Fault::Write(error) })
    })?;
    let written = write_whole(&mut file, path, bytes);
    or_remove(path, written).map_err(|error| at(Fault::Write(error)))
}

/// Half a key is of use to nobody. If the removal fails too, the first error is the one to report.
fn or_remove(path: &Path, written: io::Result<()>) -> io::Result<()> {
    if written.is_err() {
        drop(std::fs::remove_file(path));
    }
    written
}

fn write_whole(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The umask may have taken rights from the owner.
    file.set_permissions(Permissions::from_mode(SECRET_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // The name is on the disk only when the directory is.
    File::open(directory_of(path))?.sync_all()
}

fn read_closed(path: &Path, bytes_max: usize, flags: i32) -> Result<SecretBytes, KeyFileError> {
    let at = |fault| KeyFileError { path: path.to_owned(), fault };
    let mut file = open(path, flags).map_err(at)?;
    let found = regular(&file).map_err(at)?;
    let may_group_read = is_credential(path, std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from));
    check_closed(found.mode(), found.uid(), Uid::effective().as_raw(), may_group_read).map_err(at)?;
    check_directory(directory_of(path)).map_err(at)?;
    read_bounded(&mut file, &found, bytes_max).map(|bytes| SecretBytes::new(bytes.to_vec())).map_err(at)
}

fn open(path: &Path, flags: i32) -> Result<File, Fault> {
    // Without O_NONBLOCK the open of a FIFO would wait for its writer.
    let opened = OpenOptions::new().read(true).custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => Fault::Link,
        _ => Fault::Open(error),
    })
}

fn regular(file: &File) -> Result<Metadata, Fault> {
    let found = file.metadata().map_err(Fault::Read)?;
    if found.is_file() { Ok(found) } else { Err(Fault::NotRegular) }
}

/// The whole file, for which as much room is made as it says that it needs: the bound may be thousands of times that.
fn read_bounded(file: &mut File, found: &Metadata, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
    // One byte more than allowed tells a file that is too large, and one more than it says, that it is longer.
    let most = bytes_max.saturating_add(1);
    let mut room = usize::try_from(found.len()).unwrap_or(most).saturating_add(1).min(most);
    loop {
        let bytes = read_up_to(file, room).map_err(Fault::Read)?;
        if bytes.len() < room {
            return Ok(bytes);
        }
        if room == most {
            return Err(Fault::TooLarge { bytes_max });
        }
        // It grew, or is one of those that say nothing: once more from its beginning.
        file.rewind().map_err(Fault::Read)?;
        room = room.saturating_mul(2).max(ROOM_BYTES).min(most);
    }
}

/// Never grown, so no copy of a secret stays behind.
fn read_up_to(file: &mut File, room: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// A secret belongs to root or to us, and nobody else may read or write it.
fn check_closed(mode: u32, owner: u32, me: u32, may_group_read: bool) -> Result<(), Fault> {
    if owner != 0 && owner != me {
        return Err(Fault::Owner { owner });
    }
    let closed_to = if may_group_read { 0o037 } else { 0o077 };
    if mode & closed_to != 0 {
        return Err(Fault::Mode { mode: mode & 0o7777 });
    }
    Ok(())
}

fn check_directory(directory: &Path) -> Result<(), Fault> {
    let found = std::fs::metadata(directory).map_err(Fault::Open)?;
    if is_directory_closed(found.mode(), found.uid(), found.gid()) {
        return Ok(());
    }
    Err(Fault::Directory { directory: directory.to_owned(), mode: found.mode() & 0o7777 })
}

/// Who may write the directory may replace the file. A group of the owner's own (same number) holds nobody else.
fn is_directory_closed(mode: u32, owner: u32, group: u32) -> bool {
    let is_sticky = mode & 0o1000 != 0;
    let by_group = mode & 0o020 != 0 && group != owner;
    is_sticky || !by_group && mode & 0o002 == 0
}

/// A systemd credential of a service that is not root is given by an access list, which shows as group-readable.
fn is_credential(path: &Path, credentials: Option<PathBuf>) -> bool {
    credentials.is_some_and(|directory| directory.is_absolute() && path.parent() == Some(&directory))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests;
