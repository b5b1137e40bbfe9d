//! Events over restarts: two files of JSON lines, the newer one growing; what cannot be read is passed over.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::state::StateDir;
use crate::control::event::Event;

/// Bytes of one of the two files: together some 10 000 events, weeks of them.
pub const EVENT_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Appends to the newer file.
pub struct EventFile {
    folder: PathBuf,
    bytes_max: u64,
    open: Option<Open>,
}

/// A file at its end.
struct Open {
    file: File,
    bytes: u64,
}

impl EventFile {
    /// Names the files without touching them.
    pub fn of(state: &StateDir) -> Self {
        Self { folder: state.folder().to_owned(), bytes_max: EVENT_FILE_BYTES_MAX, open: None }
    }

    /// One more line, which is the whole of `event`. After an error the file is opened anew.
    ///
    /// # Errors
    /// What the system said.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_string(event).map_err(io::Error::other)?;
        line.push('\n');
        // An error leaves no file open, and perhaps a piece of a line: see `opened`.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => opened(&newer(&self.folder))?,
        };
        let length = line.len() as u64;
        if open.bytes > 0 && open.bytes + length > self.bytes_max {
            std::fs::rename(newer(&self.folder), older(&self.folder))?;
            open = opened(&newer(&self.folder))?;
        }
        open.file.write_all(line.as_bytes())?;
        open.bytes += length;
        self.open = Some(open);
        Ok(())
    }

    /// Whether the last event was not written.
    pub fn is_failing(&self) -> bool {
        self.open.is_none()
    }
}

fn newer(folder: &Path) -> PathBuf {
    folder.join("events.jsonl")
}

fn older(folder: &Path) -> PathBuf {
    folder.join("events.1.jsonl")
}

/// The file at its end. A last line that was cut off by a crash is ended, so that the next one is whole.
fn opened(path: &Path) -> io::Result<Open> {
    let mut how = OpenOptions::new();
    how.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = how.open(path)?;
    let mut bytes = file.metadata()?.len();
    if bytes > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            bytes += 1;
        }
    }
    Ok(Open { file, bytes })
}

/// All events of both files, by their numbers; `None` if there is no file.
///
/// # Errors
/// A file exists and cannot be read, or is a link.
pub fn read_events(state: &StateDir) -> io::Result<Option<Vec<Event>>> {
    // By number: while this reads, the newer file may become the older one.
    let mut events = BTreeMap::new();
    let mut is_there = false;
    for path in [newer(state.folder()), older(state.folder())] {
        let mut how = OpenOptions::new();
        how.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match how.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        is_there = true;
        let mut bytes = Vec::new();
        // A file of ours is not longer; of a longer one the beginning is looked at.
        file.take(EVENT_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b'\n');
        events.extend(
            lines.filter_map(|line| serde_json::from_slice::<Event>(line).ok()).map(|event| (event.seq, event)),
        );
    }
    Ok(is_there.then(|| events.into_values().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::event::{Draft, EventKind};
    use crate::types::time::UnixMillis;
    use std::os::unix::fs::MetadataExt;

    fn place() -> (tempfile::TempDir, StateDir) {
        let place = tempfile::tempdir().unwrap();
        let state = StateDir::of(place.path(), "hq");
        state.create().unwrap();
        (place, state)
    }

    fn event(seq: u64) -> Event {
        Draft::new(EventKind::State, "x").numbered(seq, UnixMillis(seq * 1000))
    }

    fn numbers(state: &StateDir) -> Vec<u64> {
        read_events(state).unwrap().unwrap().iter().map(|event| event.seq).collect()
    }

    #[test]
    fn events_outlive_the_writer_in_files_closed_to_others() {
        let (_place, state) = place();
        assert_eq!(read_events(&state).unwrap(), None);
        for seq in 1..=3 {
            EventFile::of(&state).append(&event(seq)).unwrap();
        }
        assert_eq!(read_events(&state).unwrap().unwrap(), [event(1), event(2), event(3)]);
        assert_eq!(std::fs::metadata(newer(state.folder())).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn two_files_of_bounded_length_and_no_more() {
        let (_place, state) = place();
        let mut file = EventFile { bytes_max: 1000, ..EventFile::of(&state) };
        for seq in 1..=100 {
            file.append(&event(seq)).unwrap();
        }
        let length = |path| std::fs::metadata(path).unwrap().len();
        assert!(length(newer(state.folder())) <= 1000 && length(older(state.folder())) <= 1000);
        assert_eq!(std::fs::read_dir(state.folder()).unwrap().count(), 2);
        let kept = numbers(&state);
        assert_eq!(*kept.last().unwrap(), 100);
        assert!(kept.len() > 10 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1), "{kept:?}");
    }

    #[test]
    fn a_line_that_a_crash_cut_costs_only_itself() {
        let (_place, state) = place();
        EventFile::of(&state).append(&event(1)).unwrap();
        let path = newer(state.folder());
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"schema\":1,\"seq\":2,\"ti");
        std::fs::write(&path, torn).unwrap();
        assert_eq!(numbers(&state), [1]);
        EventFile::of(&state).append(&event(3)).unwrap();
        assert_eq!(numbers(&state), [1, 3]);
    }

    #[test]
    fn what_is_no_event_is_passed_over_and_links_are_refused() {
        let (place, state) = place();
        std::fs::write(newer(state.folder()), b"\xff\xfe\n[]\n{}\n\n").unwrap();
        assert_eq!(numbers(&state), [] as [u64; 0]);
        std::fs::remove_file(newer(state.folder())).unwrap();
        std::os::unix::fs::symlink(place.path().join("elsewhere"), newer(state.folder())).unwrap();
        assert!(read_events(&state).is_err());
        assert!(EventFile::of(&state).append(&event(1)).is_err());
        assert!(!place.path().join("elsewhere").exists());
    }

    #[test]
    fn after_a_write_that_failed_the_next_one_succeeds() {
        let (_place, state) = place();
        std::fs::create_dir(newer(state.folder())).unwrap();
        let mut file = EventFile::of(&state);
        assert!(file.append(&event(1)).is_err());
        std::fs::remove_dir(newer(state.folder())).unwrap();
        file.append(&event(2)).unwrap();
        assert_eq!(numbers(&state), [2]);
    }
}
