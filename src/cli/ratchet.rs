//! `plait ratchet show|reset NAME PEER`: the ratchet state of one peer (PROTOCOL 2.7), while no daemon has it.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::args::RatchetCommand;
use super::ask::interface;
use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::status::Form;
use crate::control::time::rfc3339;
use crate::daemon::load::{config_path, read_config};
use crate::io::lock::{Lock, LockError};
use crate::io::state::{StateDir, StateKind};
use crate::keys::ratchet::{RatchetEntry, RatchetStore};
use crate::keys::state_file::FileState;
use crate::types::limits::CONFIG_NAME_CHARS_MAX;
use crate::types::terms::Role;

/// Shows or resets.
pub(super) fn run(command: &RatchetCommand, state_dir: &Path) -> Outcome {
    let (RatchetCommand::Show { name, peer, .. } | RatchetCommand::Reset { name, peer }) = command;
    let dir = StateDir::of(state_dir, &interface(name)?);
    let peer = peer_name(peer)?;
    known_peer(name, peer)?;
    match command {
        RatchetCommand::Show { json, .. } => show(&dir, peer, Form::of(*json)),
        RatchetCommand::Reset { .. } => reset(&dir, peer),
    }
}

/// A name that is in no section is a slip of the pen. Where there is no configuration any more, the state may be looked at.
fn known_peer(name: &str, peer: &str) -> Result<(), Failure> {
    let file = config_path(name);
    if !file.exists() {
        return Ok(());
    }
    let (config, _) = read_config(&file).map_err(|failure| Failure::new(Exit::Configuration, failure.text))?;
    let names: Vec<&str> = config.peers.iter().map(|known| known.name.as_str()).collect();
    if names.contains(&peer) {
        return Ok(());
    }
    let text = format!("{}: no peer {peer:?}: there are {}", file.display(), names.join(", "));
    Err(Failure::new(Exit::Failure, text))
}

/// The same names as in a configuration: nothing that leads out of the folder.
fn peer_name(peer: &str) -> Result<&str, Failure> {
    let fits = (1..=CONFIG_NAME_CHARS_MAX).contains(&peer.len())
        && peer.starts_with(|first: char| first.is_ascii_alphanumeric())
        && peer.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    fits.then_some(peer).ok_or_else(|| Failure::new(Exit::Usage, format!("{peer:?} is no name of a peer")))
}

/// What `show --json` prints; no secrets.
#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    peer: &'a str,
    /// Newest first.
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    confirmed: bool,
    made: String,
    role: &'static str,
}

fn show(dir: &StateDir, peer: &str, form: Form) -> Outcome {
    let path = dir.path(peer, StateKind::Ratchet);
    let bytes = dir.read(peer, StateKind::Ratchet).map_err(|error| Failure::io(path.display(), &error))?;
    let store = RatchetStore::from_file(bytes.as_ref().map(|bytes| bytes.expose()));
    let text = match store.file_state() {
        FileState::Absent | FileState::Present if form == Form::Json => as_json(peer, &store),
        FileState::Absent => format!("{peer}: no ratchet state: the next handshake is accepted without\n"),
        FileState::Damaged => {
            let path = path.display();
            return Err(Failure::new(
                Exit::Failure,
                format!("{path} is damaged: with ratchet = \"require\" no session comes up until both sites reset it"),
            ));
        }
        FileState::Present => entries(peer, &store),
    };
    output::data(&text)
}

/// Names and dates, never the secrets.
fn shown(store: &RatchetStore) -> Vec<Entry> {
    let confirmed = store.confirmed();
    let entry = |entry: &RatchetEntry| Entry {
        id: HEXLOWER.encode(&entry.id),
        confirmed: confirmed == Some(entry.id),
        made: rfc3339(entry.when),
        role: match entry.role {
            Role::Initiator => "initiator",
            Role::Responder => "responder",
        },
    };
    store.newest_first().map(entry).collect()
}

fn as_json(peer: &str, store: &RatchetStore) -> String {
    let shown = Shown { schema: 1, peer, entries: shown(store) };
    // It holds only texts, numbers and lists: there is nothing that JSON cannot say.
    serde_json::to_string(&shown).unwrap_or_default() + "\n"
}

fn entries(peer: &str, store: &RatchetStore) -> String {
    let line = |Entry { id, confirmed, made, role }: Entry| {
        let standing = if confirmed { "confirmed" } else { "unconfirmed" };
        format!("  {id}  {standing}  {made}  as {role}\n")
    };
    format!("{peer}: newest first\n{}", shown(store).into_iter().map(line).collect::<String>())
}

fn reset(dir: &StateDir, peer: &str) -> Outcome {
    let path = dir.path(peer, StateKind::Ratchet);
    let there = dir.read(peer, StateKind::Ratchet).map_err(|error| Failure::io(path.display(), &error))?;
    if there.is_none() {
        output::talk(&format!("{peer}: there is no ratchet state to reset ({})", path.display()));
        return Ok(Exit::Ok);
    }
    let _lock = Lock::take(&dir.lock_path()).map_err(|error| match error {
        LockError::Held { .. } => Failure::new(
            Exit::Failure,
            format!("{error}: the daemon would write its state again; stop it first (plait down), then reset"),
        ),
        LockError::File { ref error, .. } => Failure::io(dir.lock_path().display(), error),
    })?;
    dir.write(peer, StateKind::Ratchet, &[]).map_err(|error| Failure::io(path.display(), &error))?;
    output::talk(&format!("{peer}: reset; reset it at the other site too, then start both"));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::secret::Secret;
    use crate::types::time::UnixTime;

    fn store() -> RatchetStore {
        let entry = |id: u8, role| RatchetEntry {
            id: [id; 8],
            rs: Secret::take(&mut [0x77; 32]),
            when: UnixTime(1_795_510_800),
            role,
        };
        let mut store = RatchetStore::absent();
        store.store(entry(1, Role::Initiator));
        store.confirm([1; 8]);
        store.store(entry(2, Role::Responder));
        store
    }

    #[test]
    fn entries_are_shown_without_their_secrets() {
        let text = entries("dc", &store());
        assert_eq!(
            text,
            "dc: newest first\n  0202020202020202  unconfirmed  2026-11-24T09:00:00Z  as responder\n  \
             0101010101010101  confirmed  2026-11-24T09:00:00Z  as initiator\n"
        );
        assert!(!text.contains("77"));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for bad in ["", "../x", "a/b", ".x", "-x", "a b"] {
            assert_eq!(peer_name(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
        assert!(peer_name("dc-east.1").is_ok());
    }

    #[test]
    fn a_reset_waits_for_nobody_and_needs_the_lock() {
        let place = tempfile::tempdir().unwrap();
        let dir = StateDir::of(place.path(), "hq");
        dir.create().unwrap();
        assert_eq!(reset(&dir, "dc").unwrap(), Exit::Ok, "nothing to reset");
        dir.write("dc", StateKind::Ratchet, store().to_bytes().expose()).unwrap();
        let lock = Lock::take(&dir.lock_path()).unwrap();
        assert!(reset(&dir, "dc").unwrap_err().text.contains("stop it first"));
        drop(lock);
        reset(&dir, "dc").unwrap();
        assert!(dir.read("dc", StateKind::Ratchet).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_is_a_failure() {
        let place = tempfile::tempdir().unwrap();
        let dir = StateDir::of(place.path(), "hq");
        dir.create().unwrap();
        dir.write("dc", StateKind::Ratchet, b"nonsense").unwrap();
        assert!(show(&dir, "dc", Form::Text).unwrap_err().text.contains("damaged"));
    }
}
