//! Reads a configuration and every file that it names, each fault at its place in the configuration.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{self, Config, ConfigError, ConfigErrors, FileRef};
use crate::crypto::kem::default_backend;
use crate::identity::{Identity, IdentityError, PublicIdentity, check_distinct};
use crate::io::identity::{LoadError, load_identity, load_psk, load_public};
use crate::io::keyfile;
use crate::types::limits::CONFIG_BYTES_MAX;
use crate::types::secret::Secret;

/// Where configurations lie that are given by name.
pub const CONFIG_DIR: &str = "/etc/plait";

/// A configuration with the keys that it names.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its file as the operator named it.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// This end.
    pub me: Identity,
    /// The other ends, in the order of the configuration.
    pub peers: Vec<PeerKeys>,
    /// What is allowed and probably not meant, one sentence each.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// A file that the configuration names.
    pub fn at(&self, named: &FileRef) -> PathBuf {
        resolve(&self.file, &named.path)
    }
}

/// The keys of one peer.
pub struct PeerKeys {
    /// Its public identity.
    pub public: PublicIdentity,
    /// The PSK, all zero if there is none (PROTOCOL 2.2).
    pub psk: Secret<32>,
}

/// Why nothing was loaded: one or more sentences, each with its place.
#[derive(Debug)]
pub struct LoadFailure {
    /// For a person.
    pub text: String,
    /// A right is missing or too many have one (exit code 7), as opposed to a wrong file (6).
    pub is_permission: bool,
}

impl LoadFailure {
    fn invalid(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), is_permission: false }
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for LoadFailure {}

/// The file meant by `NAME|FILE`: what holds a slash or ends in `.toml` is a path, all else a name.
pub fn config_path(name_or_file: &str) -> PathBuf {
    if name_or_file.contains('/') || name_or_file.ends_with(".toml") {
        PathBuf::from(name_or_file)
    } else {
        Path::new(CONFIG_DIR).join(format!("{name_or_file}.toml"))
    }
}

/// The name of the interface of a configuration file: its stem.
pub fn interface_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads the configuration alone.
///
/// # Errors
/// It cannot be read, others may write it, or it is invalid.
pub fn read_config(file: &Path) -> Result<(Config, Vec<String>), LoadFailure> {
    let (text, mut warnings) = read_text(file)?;
    let config = parse(file, &text, &mut warnings)?;
    Ok((config, warnings))
}

/// The text and what is remarkable about its file.
fn read_text(file: &Path) -> Result<(String, Vec<String>), LoadFailure> {
    let bytes = keyfile::read_public(file, CONFIG_BYTES_MAX)
        .map_err(|error| LoadFailure { is_permission: error.is_permission(), text: error.to_string() })?;
    let warnings = check_mode(file)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        LoadFailure::invalid(format!("{}: expected UTF-8 text, byte {at} is none", file.display()))
    })?;
    Ok((text, warnings))
}

fn parse(file: &Path, text: &str, warnings: &mut Vec<String>) -> Result<Config, LoadFailure> {
    let shown = file.display().to_string();
    let config = config::parse(&shown, &interface_of(file), text).map_err(LoadFailure::invalid)?;
    warnings.extend(config.warnings.iter().map(|warning| remark(&shown, warning)));
    Ok(config)
}

/// Reads the configuration and the keys it names. All faults of the files are shown at once.
///
/// # Errors
/// As [`read_config`], or a key file is missing, open to others or wrong.
pub fn load(file: &Path) -> Result<Loaded, LoadFailure> {
    let (text, warnings) = read_text(file)?;
    load_text(file, text, warnings)
}

/// The same for a text that takes the place of the file's.
///
/// # Errors
/// As [`load`].
pub fn load_text(file: &Path, text: String, mut warnings: Vec<String>) -> Result<Loaded, LoadFailure> {
    let config = parse(file, &text, &mut warnings)?;
    let mut faults = Faults::in_file(file);
    let at = |named: &FileRef| resolve(file, &named.path);
    let named = &config.interface.private_key_file;
    let me = faults.take(named, load_identity(default_backend(), &at(named)));
    let mut peers = Vec::with_capacity(config.peers.len());
    for peer in &config.peers {
        let named = &peer.public_key_file;
        let public = faults.take(named, load_public(default_backend(), &at(named)));
        let psk = match &peer.psk_file {
            Some(named) => faults.take(named, load_psk(&at(named))),
            None => Some(Secret::zero()),
        };
        peers.push(public.zip(psk).map(|(public, psk)| PeerKeys { public, psk }));
    }
    let peers: Option<Vec<PeerKeys>> = peers.into_iter().collect();
    match (me, peers) {
        (Some(me), Some(peers)) => {
            distinct(&config, &me, &peers, &mut faults);
            faults.none()?;
            Ok(Loaded { config, file: file.to_owned(), text, me, peers, warnings })
        }
        (Some(_) | None, _) => Err(faults.failure()),
    }
}

/// A path of the configuration: a credential of that name goes first, else it counts from the configuration's folder.
pub fn resolve(config_file: &Path, named: &Path) -> PathBuf {
    if named.is_absolute() {
        return named.to_owned();
    }
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(named));
    match credential.filter(|path| path.exists()) {
        Some(path) => path,
        None => config_file.parent().unwrap_or_else(|| Path::new("")).join(named),
    }
}

/// Who may write the configuration says where traffic goes. Who may only read it learns no secret: a remark.
fn check_mode(file: &Path) -> Result<Vec<String>, LoadFailure> {
    let shown = file.display();
    let found = std::fs::metadata(file).map_err(|error| LoadFailure::invalid(format!("{shown}: {error}")))?;
    let mode = found.mode() & 0o7777;
    if mode & 0o022 != 0 {
        let text = format!("{shown} has mode {mode:04o}: others may change it; run `chmod 600 {shown}`");
        return Err(LoadFailure { text, is_permission: true });
    }
    let is_open = mode & 0o044 != 0;
    Ok(is_open
        .then(|| format!("{shown} has mode {mode:04o}: others may read it; `chmod 600 {shown}`"))
        .into_iter()
        .collect())
}

/// One site is one peer entry (PROTOCOL 2.2).
fn distinct(config: &Config, me: &Identity, peers: &[PeerKeys], faults: &mut Faults) {
    let publics: Vec<&PublicIdentity> = peers.iter().map(|peer| &peer.public).collect();
    let Err(error) = check_distinct(me.public(), &publics) else { return };
    let at = match error {
        IdentityError::SuiteDiffers { peer, .. } | IdentityError::SharedWithOwn { peer, .. } => peer,
        IdentityError::SharedByPeers { second, .. } => second,
        // Faults of one key alone are found when it is read.
        IdentityError::Armour(_)
        | IdentityError::WrongKind { .. }
        | IdentityError::PublicLength { .. }
        | IdentityError::DhNotCanonical
        | IdentityError::DhSmallOrder
        | IdentityError::EkInvalid(_)
        | IdentityError::PskLength(_)
        | IdentityError::PskZero => 0,
    };
    if let Some(peer) = config.peers.get(at) {
        faults.note(&peer.public_key_file, &error);
    }
}

/// `FILE:LINE:COLUMN: TEXT`.
pub(super) fn remark(file: &str, error: &ConfigError) -> String {
    ConfigErrors { file: file.to_owned(), errors: vec![error.clone()] }.to_string()
}

/// What was found wrong with the files.
pub(super) struct Faults {
    file: String,
    errors: Vec<ConfigError>,
    is_permission: bool,
}

impl Faults {
    pub(super) fn in_file(file: &Path) -> Self {
        Self { file: file.display().to_string(), errors: Vec::new(), is_permission: false }
    }

    pub(super) fn note_right(&mut self, named: &FileRef, is_permission: bool, error: &dyn fmt::Display) {
        self.is_permission |= is_permission;
        self.note(named, error);
    }

    fn take<T>(&mut self, named: &FileRef, loaded: Result<T, LoadError>) -> Option<T> {
        loaded
            .map_err(|error| {
                self.note_right(named, error.is_permission(), &error);
            })
            .ok()
    }

    fn note(&mut self, named: &FileRef, error: &dyn fmt::Display) {
        self.errors.push(ConfigError { place: named.place, text: format!("{}: {error}", named.key) });
    }

    pub(super) fn none(self) -> Result<(), LoadFailure> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.failure()) }
    }

    fn failure(self) -> LoadFailure {
        let text = ConfigErrors { file: self.file, errors: self.errors }.to_string();
        LoadFailure { text, is_permission: self.is_permission }
    }
}

#[cfg(test)]
mod tests;
