//! `plait peer add|remove`: one peer more or less while the daemon runs, and in its file if that is wanted.

pub mod args;

mod sections;

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use self::args::{How, PeerCommand};
use super::ask::{ask, interface};
use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::reload::RELOAD_DEADLINE;
use crate::config::edit::{EditError, add_peer, remove_peer};
use crate::control::reload::{ReloadReport, text};
use crate::control::request::{Answer, Request};
use crate::crypto::digest::sha256;
use crate::daemon::load::config_path;
use crate::io::keyfile::read_public;
use crate::io::replace::Replacement;
use crate::types::limits::CONFIG_BYTES_MAX;

/// Runs the verb.
pub(super) fn run(command: &PeerCommand, run_dir: &Path) -> Outcome {
    match command {
        PeerCommand::Add(order) => {
            let file = config_path(&order.interface);
            let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
            let sections = sections::sections(order, &folder)?;
            let edit = |old: &str| add_peer(old, &sections).map(|added| added.text);
            let file = File::for_saving(&order.how, &file, edit)?;
            let (only_if, dry_run) = (file.digest(), order.how.dry_run);
            let request = Request::PeerAdd { sections: sections.clone(), only_if, dry_run };
            change(&order.interface, &request, &order.how, file, run_dir)
        }
        PeerCommand::Remove { name, peer, how } => {
            let file = File::for_saving(how, &config_path(name), |old| remove_peer(old, peer))?;
            let request = Request::PeerRemove { peer: peer.clone(), only_if: file.digest(), dry_run: how.dry_run };
            change(name, &request, how, file, run_dir)
        }
    }
}

/// The daemon first: what it does not take is not written either. The file is ready by then, and only changes its name.
fn change(name: &str, request: &Request, how: &How, file: File, run_dir: &Path) -> Outcome {
    let Answer::Reloaded { report } = ask(&interface(name)?, run_dir, request, RELOAD_DEADLINE)? else {
        return Err(Failure::new(Exit::Unreachable, format!("the daemon of {name} gave another answer than expected")));
    };
    let wanted = how.save && !how.dry_run;
    let saved = if wanted { file.save() } else { Ok(()) };
    output::data(&shown(&report, how.json, wanted && saved.is_ok())?)?;
    saved?;
    if !how.json && !how.dry_run {
        let until = if how.save { "saved" } else { "until the next reload or restart: --save keeps it" };
        output::talk(until);
    }
    Ok(Exit::Ok)
}

fn shown(report: &ReloadReport, json: bool, saved: bool) -> Result<String, Failure> {
    if !json {
        return Ok(text(report));
    }
    let no_json = |error: serde_json::Error| Failure::new(Exit::Failure, format!("no JSON: {error}"));
    let mut value = serde_json::to_value(report).map_err(no_json)?;
    if let Some(members) = value.as_object_mut() {
        members.insert("saved".to_owned(), saved.into());
    }
    Ok(format!("{value}\n"))
}

/// The configuration file as it is, and what is to take its place.
#[derive(Default)]
struct File {
    old: Option<String>,
    new: Option<(PathBuf, Replacement)>,
}

impl File {
    /// Nothing, unless it is to be saved.
    fn for_saving(how: &How, path: &Path, edit: impl Fn(&str) -> Result<String, EditError>) -> Result<Self, Failure> {
        if !how.save {
            return Ok(Self::default());
        }
        let bytes = read_public(path, CONFIG_BYTES_MAX).map_err(|error| {
            let exit = if error.is_permission() { Exit::Permission } else { Exit::Configuration };
            Failure::new(exit, format!("{error}; --save writes the file that is named in the place of NAME"))
        })?;
        let invalid = |text: String| Failure::new(Exit::Configuration, format!("{}: {text}", path.display()));
        let old = String::from_utf8(bytes).map_err(|_| invalid("expected UTF-8 text".to_owned()))?;
        if how.dry_run {
            return Ok(Self { old: Some(old), new: None });
        }
        let new = match edit(&old) {
            Ok(new) => {
                let ready = Replacement::prepare(path, old.as_bytes(), new.as_bytes());
                Some((path.to_owned(), ready.map_err(|error| Failure::io(path.display(), &error))?))
            }
            // The daemon says so too, unless it runs something else, which it says then.
            Err(_) => None,
        };
        Ok(Self { old: Some(old), new })
    }

    /// What the daemon has to run for this.
    fn digest(&self) -> Option<String> {
        self.old.as_ref().map(|old| HEXLOWER.encode(&sha256(old.as_bytes())))
    }

    fn save(self) -> Result<(), Failure> {
        let Some((path, ready)) = self.new else {
            return Err(Failure::new(Exit::Failure, "it runs so, but is not saved: the file could not be changed"));
        };
        ready.commit().map_err(|error| {
            let text = format!("it runs so, but is not saved: {}: {error}", path.display());
            Failure::new(Exit::Failure, text)
        })
    }
}
