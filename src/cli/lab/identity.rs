//! Identity files, made as an operator makes them.

use std::io;

use super::children::succeed;
use super::folder::Folder;

/// Writes `NAME.key` and `NAME.pub`.
pub(in crate::cli) fn write(folder: &Folder, name: &str) -> io::Result<()> {
    let key = format!("{name}.key");
    folder.write(&key, &succeed(folder, &["genkey"], None)?)?;
    let public = succeed(folder, &["pubkey"], Some(&folder.file(&key)))?;
    folder.write(&format!("{name}.pub"), &public)
}
