//! Reads a whole new configuration and every file that it names, before anything is touched.

use super::edit;
use super::kept::Kept;
use crate::control::reload::Blame;
use crate::daemon::load::{self, Loaded};
use crate::daemon::refused::Refused;
use crate::daemon::start::{RunFailure, plan_of};
use crate::daemon::{certificates, kill_switch, setup};
use crate::io::keeper_link::Wanted;
use crate::io::source::HeldFiles;
use crate::types::secret::SecretBytes;
use crate::types::time::UnixTime;

/// A configuration that is whole and right in itself.
pub(super) struct Loadable {
    pub(super) loaded: Loaded,
    /// What the files of each source held.
    pub(super) sources: Vec<HeldFiles>,
    /// For the keys process.
    pub(super) handover: SecretBytes,
    /// What is allowed and probably not meant.
    pub(super) warnings: Vec<String>,
}

/// # Errors
/// As `plait check` would say, with its places.
pub(super) fn load(kept: &Kept, wanted: &Wanted, generation: u32, now: UnixTime) -> Result<Loadable, Refused> {
    let file = &kept.file;
    let mut loaded = match wanted {
        Wanted::File => load::load(file).map_err(RunFailure::from)?,
        Wanted::Added { sections } => edit::with_peer(file, &kept.text, sections)?,
        Wanted::Removed { peer } => edit::without_peer(file, &kept.text, peer)?,
    };
    let name = &kept.config.interface.name;
    if loaded.config.interface.name != *name {
        let text = format!("this is {name}, not {}", loaded.config.interface.name);
        return Err(Refused { blame: Blame::Restart, text });
    }
    plan_of(&loaded.config)?;
    kill_switch::wanted(&loaded.config)?;
    let checked = certificates::check(file, &loaded.config, now).map_err(RunFailure::from)?;
    let mut warnings = std::mem::take(&mut loaded.warnings);
    warnings.extend(checked.remarks);
    let handover = setup::handover(generation, file, &loaded.config, checked.files)?;
    Ok(Loadable { loaded, sources: checked.held, handover, warnings })
}
