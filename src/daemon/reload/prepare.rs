//! Makes of what the keeper read what the engine takes, before anything is touched; on a thread of its own.

use std::path::Path;

use data_encoding::BASE64;

use crate::config::{self, Config};
use crate::control::reload::Blame;
use crate::crypto::kem::default_backend;
use crate::daemon::fetch::{ReadSource, read_sources};
use crate::daemon::load::{PeerKeys, interface_of};
use crate::daemon::refused::Refused;
use crate::daemon::setup;
use crate::daemon::start::plan_of;
use crate::engine::setup::PeerSetup;
use crate::identity::PublicIdentity;
use crate::io::keeper_link::{Came, LoadedConfig, Reply};
use crate::io::system::plan::InterfacePlan;
use crate::types::policy::Suite;
use crate::types::secret::Secret;

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
    /// Numbered by the places of their peers.
    pub(super) sources: Vec<ReadSource>,
    /// How the interface is to be.
    pub(super) plan: InterfacePlan,
    /// What is allowed and probably not meant.
    pub(super) warnings: Vec<String>,
}

/// From what the keeper has read of `file`, or of what runs with one peer more or less.
///
/// # Errors
/// It answers with something else.
pub(super) fn from_keeper(file: &Path, came: Came<Reply>) -> Result<Prepared, Refused> {
    let Reply::Loaded(loaded) = came.message else { return Err(strange("an answer to another question")) };
    let LoadedConfig { text, warnings, fingerprint, peers, sources } = *loaded;
    let config = config::parse(&file.display().to_string(), &interface_of(file), &text);
    let config = config.map_err(|error| strange(&error.to_string()))?;
    let psks = came.secret.expose().as_chunks::<32>().0;
    let keys = peers.iter().zip(psks).map(|((suite, public), psk)| {
        let suite = Suite::from_number(*suite).ok_or_else(|| strange("a suite that is not known"))?;
        let public = BASE64.decode(public.as_bytes()).map_err(|error| strange(&error.to_string()))?;
        let public = PublicIdentity::from_bytes(default_backend(), suite, &public);
        let public = public.map_err(|error| strange(&error.to_string()))?;
        Ok(PeerKeys { public, psk: Secret::filled(|out| out.copy_from_slice(psk)) })
    });
    let keys = keys.collect::<Result<Vec<_>, Refused>>()?;
    let places = setup::sources(file, &config);
    if (keys.len(), places.len()) != (config.peers.len(), sources.len()) {
        return Err(strange("keys or sources of fewer peers than there are"));
    }
    let plan = plan_of(&config)?;
    let (setups, sources) = (setup::peers(&config, keys), read_sources(places, sources));
    Ok(Prepared { config, text, fingerprint, setups, sources, plan, warnings })
}

fn strange(text: &str) -> Refused {
    Refused { blame: Blame::System, text: format!("the keeper's answer cannot be used: {text}") }
}
