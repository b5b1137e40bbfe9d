//! Why a key file was not read or written, with the command that repairs it.

use std::io;
use std::path::{Path, PathBuf};

/// Which file and why.
#[derive(Debug, thiserror::Error)]
#[error("{}", fault.text(path))]
pub struct KeyFileError {
    /// The file as it was named.
    pub path: PathBuf,
    /// Why.
    pub fault: Fault,
}

impl KeyFileError {
    /// Whether a right is missing or too many have one (exit code 7), as opposed to a wrong file.
    pub fn is_permission(&self) -> bool {
        match &self.fault {
            Fault::Mode { .. } | Fault::Owner { .. } | Fault::Directory { .. } => true,
            Fault::Open(error) | Fault::Read(error) | Fault::Write(error) => {
                error.kind() == io::ErrorKind::PermissionDenied
            }
            Fault::Link | Fault::NotRegular | Fault::TooLarge { .. } | Fault::Exists => false,
        }
    }
}

/// The ways it goes wrong.
#[derive(Debug)]
pub enum Fault {
    /// It cannot be opened.
    Open(io::Error),
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
    /// It is a symbolic link.
    Link,
    /// It is a directory, a FIFO, a device.
    NotRegular,
    /// It is larger than any file of its kind.
    TooLarge {
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// Group or others may read or write it.
    Mode {
        /// Its mode bits.
        mode: u32,
    },
    /// It belongs neither to root nor to the user of the process.
    Owner {
        /// Numeric user.
        owner: u32,
    },
    /// Others may replace it, because they may write its directory.
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// A new file was to be written, and there is one.
    Exists,
}

impl Fault {
    fn text(&self, path: &Path) -> String {
        let file = path.display();
        match self {
            Self::Open(error) => format!("cannot open {file}: {error}"),
            Self::Read(error) => format!("cannot read {file}: {error}"),
            Self::Write(error) => format!("cannot write {file}: {error}"),
            Self::Link => format!("{file} is a symbolic link; a secret key must be named directly"),
            Self::NotRegular => format!("{file} is not a regular file"),
            Self::TooLarge { bytes_max } => {
                format!("{file} is larger than {bytes_max} bytes, which no file of this kind is")
            }
            Self::Mode { mode } => format!(
                "{file} has mode {mode:04o}: others may read or write this secret; run `chmod 600 {}`, and make a \
                 new key if they may have seen it",
                quoted(path)
            ),
            Self::Owner { owner } => format!(
                "{file} belongs to user {owner}, who is neither root nor the user that runs plait; run `chown root {}`",
                quoted(path)
            ),
            Self::Directory { directory, mode } => {
                let (shown, typed) = (directory.display(), quoted(directory));
                format!(
                    "{file} lies in {shown} (mode {mode:04o}), where others may replace it; run `chmod go-w {typed}`"
                )
            }
            Self::Exists => format!(
                "{file} exists and is not overwritten, because the key in it would be lost; choose another name or \
                 move it away"
            ),
        }
    }
}

/// The path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    if text.bytes().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_paste_is_one_command() {
        assert_eq!(quoted(Path::new("/etc/plait/hq-dc.key")), "/etc/plait/hq-dc.key");
        assert_eq!(quoted(Path::new("my key; rm x")), "'my key; rm x'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
