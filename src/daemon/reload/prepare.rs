//! Reads the whole new configuration and every file that it names, before anything is touched; on a thread of its own.

use std::path::Path;

use crate::config::Config;
use crate::control::reload::Blame;
use crate::daemon::fetch::{ReadySource, ready_sources};
use crate::daemon::load::Loaded;
use crate::daemon::refused::Refused;
use crate::daemon::start::{RunFailure, plan_of};
use crate::daemon::{certificates, load, setup};
use crate::engine::setup::PeerSetup;
use crate::io::kme_client::registry::KmeClients;
use crate::io::system::plan::InterfacePlan;
use crate::types::time::UnixTime;

/// A configuration that is whole and right in itself.
pub(super) struct Prepared {
    /// The configuration.
    pub(super) config: Config,
    /// Its text.
    pub(super) text: String,
    /// Fingerprint of this end.
    pub(super) fingerprint: String,
    /// In the order of the configuration.
    pub(super) setups: Vec<PeerSetup>,
    /// With their files read, numbered by the places of their peers.
    pub(super) sources: Vec<ReadySource>,
    /// How the interface is to be.
    pub(super) plan: InterfacePlan,
    /// What is allowed and probably not meant.
    pub(super) warnings: Vec<String>,
}

/// From the file as it is now.
///
/// # Errors
/// As `plait check` would say, with its places.
pub(super) fn from_file(file: &Path, clients: KmeClients, now: UnixTime) -> Result<Prepared, Refused> {
    from_loaded(load::load(file).map_err(RunFailure::from)?, clients, now)
}

/// From what was loaded, whose text may never have been a file.
///
/// # Errors
/// As [`from_file`].
pub(super) fn from_loaded(loaded: Loaded, mut clients: KmeClients, now: UnixTime) -> Result<Prepared, Refused> {
    let mut warnings = loaded.warnings.clone();
    warnings.extend(certificates::check(&loaded, now).map_err(RunFailure::from)?);
    let plan = plan_of(&loaded.config)?;
    let sources = ready_sources(setup::sources(&loaded), &mut clients);
    let sources = sources.map_err(|error| Refused { blame: Blame::Configuration, text: error.to_string() })?;
    let fingerprint = loaded.me.fp().to_string();
    let Loaded { config, text, peers, .. } = loaded;
    let setups = setup::peers(&config, peers);
    Ok(Prepared { config, text, fingerprint, setups, sources, plan, warnings })
}
