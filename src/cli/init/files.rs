//! The files that `plait init` leaves: all of them or none, and never over one that is there.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::cli::exit::{Exit, Failure};
use crate::cli::keys::{draw, failure, failure_to_load};
use crate::crypto::kem::default_backend;
use crate::identity::{Identity, write_public, write_secret};
use crate::io::identity::{KEY_FILE_BYTES_MAX, load_identity};
use crate::io::keyfile::{read_public, write_new_secret};
use crate::types::policy::Suite;

/// One file and whether it is new.
pub(super) struct Made {
    /// Where.
    pub(super) path: PathBuf,
    /// False: it was there and is used.
    pub(super) is_new: bool,
}

/// What was made.
pub(super) struct Files {
    /// Configuration, secret and public file.
    pub(super) made: Vec<Made>,
    /// This end.
    pub(super) me: Identity,
}

/// Files written so far; dropped before [`Undo::keep`], they are removed again.
#[derive(Default)]
struct Undo(Vec<PathBuf>);

impl Undo {
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in &self.0 {
            // The failure that led here is the one to report.
            drop(std::fs::remove_file(path));
        }
    }
}

/// Writes `NAME.key`, `NAME.pub` and `NAME.toml`. A secret key that is there is used, and so is its public file.
///
/// # Errors
/// A file is there that is not ours to write, or cannot be written; nothing new is left then.
pub(super) fn write(dir: &Path, name: &str, text: &str, suite: Suite) -> Result<Files, Failure> {
    let at = |extension: &str| dir.join(format!("{name}.{extension}"));
    let (config, secret, public) = (at("toml"), at("key"), at("pub"));
    if std::fs::symlink_metadata(&config).is_ok() {
        return Err(exists(&config, "choose another name or move it away"));
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| Failure::io(dir.display(), &error))?;
    let mut undo = Undo::default();
    let (me, is_new_secret) = identity(&secret, suite, &mut undo)?;
    let is_new_public = public_file(&public, &write_public(me.public()), &mut undo)?;
    write_new_secret(&config, text.as_bytes()).map_err(|error| failure_to_load(error.into()))?;
    undo.keep();
    let made = [(config, true), (secret, is_new_secret), (public, is_new_public)];
    Ok(Files { made: made.into_iter().map(|(path, is_new)| Made { path, is_new }).collect(), me })
}

fn identity(path: &Path, suite: Suite, undo: &mut Undo) -> Result<(Identity, bool), Failure> {
    if std::fs::symlink_metadata(path).is_ok() {
        let me = load_identity(default_backend(), path).map_err(failure_to_load)?;
        return Ok((me, false));
    }
    let secret = draw()?;
    let text = write_secret(suite, &secret);
    let me = Identity::from_secret(default_backend(), suite, secret).map_err(failure)?;
    write_new_secret(path, text.expose()).map_err(|error| failure_to_load(error.into()))?;
    undo.0.push(path.to_owned());
    Ok((me, true))
}

fn public_file(path: &Path, text: &str, undo: &mut Undo) -> Result<bool, Failure> {
    if std::fs::symlink_metadata(path).is_ok() {
        let there = read_public(path, KEY_FILE_BYTES_MAX).map_err(|error| failure_to_load(error.into()))?;
        return if there == text.as_bytes() {
            Ok(false)
        } else {
            Err(exists(path, "it holds another key than ours: choose another name or move it away"))
        };
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let mut file = file.map_err(|error| Failure::io(path.display(), &error))?;
    undo.0.push(path.to_owned());
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::io(path.display(), &error))?;
    Ok(true)
}

fn exists(path: &Path, advice: &str) -> Failure {
    Failure::new(Exit::Failure, format!("{} exists and is not overwritten; {advice}", path.display()))
}
