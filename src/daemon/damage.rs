//! State files that cannot be read as what they should be: each is named, with what follows from it and what to do.

use crate::control::event::{Draft, EventKind};
use crate::io::state::{StateDir, StateKind};
use crate::keys::state_file::{FileKind, FileState, examine};

/// Every kind, and what its damage means for the tunnel.
const KINDS: [(StateKind, FileKind, &str); 4] = [
    (
        StateKind::Ratchet,
        FileKind::Ratchet,
        "no ratchet entry of it is used: under ratchet = \"require\" no session is made until `plait ratchet reset` at both \
         ends, else the next handshake starts a new ratchet",
    ),
    (
        StateKind::Clock,
        FileKind::Clock,
        "the time without QKD keys counts as used up: the next fresh key sets that right",
    ),
    (StateKind::Budget, FileKind::Budget, "the first QKD key is asked for some seconds later"),
    (
        StateKind::Seen,
        FileKind::Seen,
        "key_IDs that were used before this start are not known any more: a KME that gives one again is not found out",
    ),
];

/// One alarm for each damaged file of this peer.
pub(super) fn look(state: &StateDir, peer: &str) -> Vec<Draft> {
    let damaged = |(kind, form, means): &(StateKind, FileKind, &str)| {
        let read = state.read(peer, *kind);
        let is_good = matches!(&read, Ok(bytes)
            if examine(*form, bytes.as_ref().map(|bytes| bytes.expose())) != FileState::Damaged);
        (!is_good).then(|| {
            let file = state.path(peer, *kind);
            let text = format!("{} is damaged: {means}; look at the disk, and for who writes there", file.display());
            Draft::new(EventKind::Alarm, text).peer(peer)
        })
    };
    KINDS.iter().filter_map(damaged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::Event;
    use crate::keys::budget::RequestBudget;
    use crate::keys::clock::PolicyClock;
    use crate::keys::policy::LeftSeconds;
    use crate::keys::ratchet::RatchetStore;
    use crate::keys::seen::SeenTable;
    use crate::types::time::{Instant, UnixMillis};
    use std::time::Duration;

    fn texts(state: &StateDir) -> Vec<String> {
        let event = |draft: Draft| -> Event { draft.numbered(1, UnixMillis(0)) };
        look(state, "dc").into_iter().map(|draft| event(draft).text).collect()
    }

    /// Good files of every kind.
    fn place() -> (tempfile::TempDir, StateDir, Vec<(StateKind, Vec<u8>)>) {
        let place = tempfile::tempdir().unwrap();
        let state = StateDir::of(place.path(), "hq");
        state.create().unwrap();
        let mut clock = PolicyClock::new();
        clock.start(Instant::ZERO, LeftSeconds(60));
        let files = [
            (StateKind::Ratchet, RatchetStore::from_file(None).to_bytes()),
            (StateKind::Clock, clock.write(Instant::ZERO)),
            (StateKind::Budget, RequestBudget::new(Duration::from_secs(60)).to_bytes()),
            (StateKind::Seen, SeenTable::new().to_bytes()),
        ];
        let files = files.map(|(kind, bytes)| (kind, bytes.expose().to_vec())).to_vec();
        for (kind, bytes) in &files {
            state.write("dc", *kind, bytes).unwrap();
        }
        (place, state, files)
    }

    #[test]
    fn good_files_and_none_say_nothing() {
        let (_place, state, _) = place();
        assert_eq!(texts(&state), Vec::<String>::new());
        assert!(look(&state, "other").is_empty());
    }

    #[test]
    fn every_damage_of_every_file_is_named_with_what_follows() {
        let (_place, state, files) = place();
        for (kind, good) in &files {
            let path = state.path("dc", *kind);
            let flipped: Vec<u8> = good.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 9)).collect();
            let bad = [b"".to_vec(), good[..good.len() / 2].to_vec(), flipped, vec![0; 100_000]];
            for content in bad {
                std::fs::write(&path, &content).unwrap();
                let said = texts(&state);
                assert!(said.len() == 1 && said[0].contains(&*path.to_string_lossy()), "{said:?}");
                assert!(said[0].ends_with("look at the disk, and for who writes there"), "cut off: {said:?}");
            }
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            assert_eq!(texts(&state).len(), 1, "a folder in its place");
            std::fs::remove_dir(&path).unwrap();
            state.write("dc", *kind, good).unwrap();
        }
        assert!(texts(&state).is_empty());
    }
}
