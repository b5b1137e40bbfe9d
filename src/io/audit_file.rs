//! The audit on the disk: files of lines that hang together, each line on the disk before the next begins.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::state::StateDir;
use crate::control::audit::chain::{Hash, Head, read_line, write_line};
use crate::control::audit::record::{Record, What};
use crate::control::time::rfc3339_millis;
use crate::types::time::UnixMillis;

/// Bytes of one file: some 10 000 lines, three days of one peer that rekeys every minute.
pub const AUDIT_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files that are kept, the oldest goes: 1 GiB in all, more than two years of such a peer.
pub const AUDIT_FILES_MAX: usize = 256;
/// Bytes of a line: a record with six sources has under 2 KiB.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of the head: five short members.
const HEAD_BYTES_MAX: u64 = 4096;
/// Name of the head's file.
const HEAD: &str = "audit.head";

/// Writes lines, one after the other.
pub struct AuditFile {
    state: StateDir,
    head: Head,
    head_due: bool,
    open: Option<Open>,
    bytes_max: u64,
    files_max: usize,
}

/// The newest file at its end.
struct Open {
    file: File,
    bytes: u64,
}

impl AuditFile {
    /// Goes on where the last daemon ended. Tells if the end is not what the head says.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(state: &StateDir) -> io::Result<(Self, Option<String>)> {
        let head = read_head(state)?;
        cut_torn_line(&newest(state))?;
        let last = last_line(state)?;
        let (head, head_due, trouble) = go_on(head, last.as_deref());
        let file = Self {
            state: state.clone(),
            head,
            head_due,
            open: None,
            bytes_max: AUDIT_FILE_BYTES_MAX,
            files_max: AUDIT_FILES_MAX,
        };
        Ok((file, trouble))
    }

    /// One more line. When this returns without an error, it is on the disk; with one, nothing of it is.
    ///
    /// # Errors
    /// What the system said; the same record may be tried again.
    pub fn append(&mut self, time: UnixMillis, what: What) -> io::Result<()> {
        if self.head_due {
            self.write_head()?;
        }
        let n = self.head.last.saturating_add(1);
        let (line, hash) = write_line(self.head.hash(), &Record { n, time: rfc3339_millis(time), what });
        let mut open = match self.open.take() {
            Some(open) => open,
            None => open_newest(&self.state)?,
        };
        if open.bytes > 0 && open.bytes + line.len() as u64 > self.bytes_max {
            drop(open);
            self.rotate()?;
            open = open_newest(&self.state)?;
        }
        let written = open.file.write_all(line.as_bytes()).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // A piece of a line would break the chain. If this fails too, it is cut at the next start.
            drop(open.file.set_len(open.bytes));
            return Err(error);
        }
        open.bytes += line.len() as u64;
        self.open = Some(open);
        self.head.last = n;
        self.head.last_hash = hash.to_hex();
        // The line is there. If the head cannot be written, the next line fails: it is never two lines behind.
        self.head_due = true;
        drop(self.write_head());
        Ok(())
    }

    fn write_head(&mut self) -> io::Result<()> {
        let text = serde_json::to_string(&self.head).map_err(io::Error::other)? + "\n";
        self.state.replace(HEAD, text.as_bytes())?;
        self.head_due = false;
        Ok(())
    }

    /// The newest file gets the number of its first line as its name; the oldest go.
    fn rotate(&mut self) -> io::Result<()> {
        let current = newest(&self.state);
        let first = first_number(&current)?.unwrap_or(self.head.last);
        std::fs::rename(&current, self.state.folder().join(format!("audit-{first:012}.log")))?;
        let older = older_files(&self.state)?;
        let too_many = (older.len() + 1).saturating_sub(self.files_max);
        for oldest in older.iter().take(too_many) {
            if let Some((n, hash)) = last_line_of(oldest)?.as_deref().and_then(number_and_hash) {
                self.head.first = n.saturating_add(1);
                self.head.first_previous = hash.to_hex();
                self.write_head()?;
            }
            std::fs::remove_file(oldest)?;
        }
        Ok(())
    }
}

fn newest(state: &StateDir) -> PathBuf {
    state.folder().join("audit.log")
}

/// All files but the newest, oldest first.
fn older_files(state: &StateDir) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(state.folder())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".log"));
        if number.is_some_and(|digits| digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit())) {
            found.push(path);
        }
    }
    // Twelve digits: the order of the names is that of the numbers.
    found.sort();
    Ok(found)
}

fn opened(path: &Path, how: &mut OpenOptions) -> io::Result<Option<File>> {
    match how.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_newest(state: &StateDir) -> io::Result<Open> {
    let file = opened(&newest(state), OpenOptions::new().append(true).create(true).mode(0o600))?;
    let file = file.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes })
}

/// What a crash left of a line that was never whole.
fn cut_torn_line(path: &Path) -> io::Result<()> {
    let Some(mut file) = opened(path, OpenOptions::new().read(true).write(true))? else { return Ok(()) };
    let mut bytes = Vec::new();
    (&mut file).take(AUDIT_FILE_BYTES_MAX + LINE_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() { file.set_len(whole as u64) } else { Ok(()) }
}

fn read_head(state: &StateDir) -> io::Result<Option<Head>> {
    let path = state.folder().join(HEAD);
    let Some(file) = opened(&path, OpenOptions::new().read(true))? else { return Ok(None) };
    let mut text = Vec::new();
    file.take(HEAD_BYTES_MAX).read_to_end(&mut text)?;
    let head: Option<Head> = serde_json::from_slice(&text).ok();
    Ok(head.filter(|head| Hash::from_hex(&head.last_hash).is_some() && Hash::from_hex(&head.first_previous).is_some()))
}

fn number_and_hash(line: &str) -> Option<(u64, Hash)> {
    read_line(line).map(|line| (line.record.n, line.hash))
}

fn first_number(path: &Path) -> io::Result<Option<u64>> {
    let Some(file) = opened(path, OpenOptions::new().read(true))? else { return Ok(None) };
    let mut line = String::new();
    BufReader::new(file.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    Ok(number_and_hash(line.trim_end_matches('\n')).map(|(n, _)| n))
}

/// The last line of all; empty text if it is unreadable.
fn last_line(state: &StateDir) -> io::Result<Option<String>> {
    let older = older_files(state)?;
    match last_line_of(&newest(state))? {
        Some(line) => Ok(Some(line)),
        None => older.last().map_or(Ok(None), |path| last_line_of(path)),
    }
}

fn last_line_of(path: &Path) -> io::Result<Option<String>> {
    let mut last = None;
    let Some(file) = opened(path, OpenOptions::new().read(true))? else { return Ok(None) };
    lines_of(file, |line| last = Some(line.to_owned()))?;
    Ok(last)
}

/// Every whole line. One that is no text, or too long for a line, is an empty one.
fn lines_of(file: File, mut each: impl FnMut(&str)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    loop {
        let mut line = Vec::new();
        (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            each(std::str::from_utf8(&line).unwrap_or_default());
        } else if line.len() as u64 == LINE_BYTES_MAX {
            each("");
            reader.skip_until(b'\n')?;
        }
        // A last line without an end is being written, or torn: if it should be there, the head says so.
    }
}

/// From where lines go on, whether the head is to be written first, and what is not as it should be.
fn go_on(head: Option<Head>, last: Option<&str>) -> (Head, bool, Option<String>) {
    let read = last.and_then(read_line);
    let Some(head) = head else {
        let Some(line) = last else { return (Head::empty(), false, None) };
        let (n, hash) = number_and_hash(line).unwrap_or((0, Hash::NONE));
        let head = Head { last: n, last_hash: hash.to_hex(), ..Head::empty() };
        return (head, true, Some("there are lines, and no head that could be read".to_owned()));
    };
    match read {
        Some(line) if line.record.n == head.last && line.hash == head.hash() => (head, false, None),
        None if last.is_none() && head.last == 0 => (head, false, None),
        // A crash between the line and the head.
        Some(line) if line.record.n == head.last + 1 && head.hash().after(line.body) == line.hash => {
            let head = Head { last: line.record.n, last_hash: line.hash.to_hex(), ..head };
            (head, true, None)
        }
        Some(line) => {
            let (n, written) = (line.record.n, head.last);
            let hash = line.hash.to_hex();
            let text = format!("the last line is {n}, and {written} were written: cut off or changed");
            (Head { last: written.max(n), last_hash: hash, ..head }, true, Some(text))
        }
        None => {
            let text = format!("{} lines were written, and the last one is gone or cannot be read", head.last);
            (head, false, Some(text))
        }
    }
}

/// What is on the disk, for `plait audit`.
pub struct AuditReader {
    state: StateDir,
}

impl AuditReader {
    /// Of this interface.
    pub fn of(state: &StateDir) -> Self {
        Self { state: state.clone() }
    }

    /// The head; `None` if there is none that could be read.
    ///
    /// # Errors
    /// What the system said.
    pub fn head(&self) -> io::Result<Option<Head>> {
        read_head(&self.state)
    }

    /// Every whole line, oldest first, with its file and its number there. Gives the number of files.
    ///
    /// # Errors
    /// What the system said.
    pub fn lines(&self, mut each: impl FnMut(&str, &str)) -> io::Result<usize> {
        let older = match older_files(&self.state) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        let mut files = 0;
        for path in older.into_iter().chain([newest(&self.state)]) {
            let Some(file) = opened(&path, OpenOptions::new().read(true))? else { continue };
            files += 1;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut at = 0;
            lines_of(file, |line| {
                at += 1;
                each(&format!("{name}:{at}"), line);
            })?;
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests;
