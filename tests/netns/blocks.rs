//! Fenced blocks of a document, with the mark above each that says how it is run or which file it is.

use std::ffi::OsString;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// One fenced block.
pub(crate) struct Block {
    /// Line of the fence, from 1.
    pub(crate) line: usize,
    /// Word after the fence.
    #[allow(dead_code, reason = "tests/netns goes by the mark")]
    pub(crate) language: String,
    /// `<!-- mark -->` on the line above the fence.
    pub(crate) mark: Option<String>,
    /// What stands between the fences.
    pub(crate) text: String,
}

impl Block {
    /// How it is run: the first word of `run: ...`.
    pub(crate) fn run(&self) -> Option<&str> {
        self.mark.as_deref()?.strip_prefix("run: ")?.split(' ').next()
    }

    /// Where and as which file it is written: `file: hq hq.toml`.
    pub(crate) fn file(&self) -> Option<(&str, &str)> {
        self.mark.as_deref()?.strip_prefix("file: ")?.split_once(' ')
    }

    /// Whether it goes on running: `run: hq background`.
    #[allow(dead_code, reason = "tests/docs.rs runs no daemon")]
    pub(crate) fn is_background(&self) -> bool {
        self.mark.as_deref().is_some_and(|mark| mark.ends_with(" background"))
    }
}

/// All blocks of a document, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    let mut above = "";
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(language) = line.strip_prefix("```") {
            open = !open;
            if open {
                let mark = above.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->")).map(str::to_owned);
                found.push(Block { line: number, language: language.trim().to_owned(), mark, text: String::new() });
            }
        } else if open && let Some(block) = found.last_mut() {
            block.text += line;
            block.text.push('\n');
        }
        above = line;
    }
    assert!(!open, "a fence is not closed");
    found
}

/// Verbs that a document names in running text: `plait kme status hq.toml` in back quotes gives `kme status`.
#[allow(dead_code, reason = "tests/netns does not ask for help")]
pub(crate) fn verbs(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, cue) in text.match_indices("`plait ") {
        let command = text[at + cue.len()..].split(['`', '\n']).next().unwrap_or_default();
        let plain = |word: &&str| {
            word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-') && !word.starts_with('-')
        };
        let words: Vec<&str> = command.split(' ').take_while(plain).collect();
        let nested = ["audit", "kme", "ratchet"].iter().any(|verb| words.first() == Some(verb));
        let alternatives = command.split(' ').nth(usize::from(nested)).unwrap_or_default();
        for verb in alternatives.split('|').filter(|verb| plain(verb) && !verb.is_empty()) {
            let group = words.first().filter(|_| nested).map(|group| (*group).to_owned());
            found.push(group.into_iter().chain([verb.to_owned()]).collect());
        }
    }
    found
}

/// Writes a file that only this user can read: what `plait` asks of configurations and keys.
pub(crate) fn write_private(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A path on which `plait` is the binary under test, with its folders inside `folder`: nothing of the system is touched.
pub(crate) fn path_with_plait(folder: &Path, binary: &str) -> OsString {
    let bin = folder.join(".bin");
    std::fs::create_dir_all(&bin).unwrap();
    let (run, state) = (folder.join(".run"), folder.join(".state"));
    let script =
        format!("#!/bin/sh\nexec '{binary}' --run-dir '{}' --state-dir '{}' \"$@\"\n", run.display(), state.display());
    std::fs::write(bin.join("plait"), script).unwrap();
    std::fs::set_permissions(bin.join("plait"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut path = bin.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

#[test]
fn a_verb_in_running_text_is_found() {
    let text = "`plait check NAME|FILE` and `plait kme status|test FILE`, `plait up` but not `plait` nor `plait@NAME`";
    assert_eq!(verbs(text), [vec!["check"], vec!["kme", "status"], vec!["kme", "test"], vec!["up"]]);
}
