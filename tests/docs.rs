//! Every command in the documents is run by a test: here, in namespaces by `tests/netns`, or as a script of the repository.
//!
//! A fenced `sh` block has a line `<!-- run: HOW -->` above it: `here` runs it in a folder of its own, one folder a document;
//! `hq`, `dc` and `kme` (with `background`) are run by `tests/netns/documents.rs`; `script` names what this repository holds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, also in its helpers"
)]

#[path = "netns/blocks.rs"]
mod blocks;

use blocks::{Block, blocks};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and everything in docs/, in order.
fn documents() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.push(root().join("README.md"));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths
        .iter()
        .map(|path| (path.file_name().unwrap().to_string_lossy().into(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Command blocks that say how they are run, and what is wrong with the others.
fn unmarked(name: &str, blocks: &[Block]) -> Vec<String> {
    let shells =
        blocks.iter().filter(|block| ["sh", "bash", "shell", "console", ""].contains(&block.language.as_str()));
    let known = ["here", "script", "hq", "dc", "kme"];
    let wrong = shells.filter(|block| !block.run().is_some_and(|how| known.contains(&how)));
    wrong.map(|block| format!("{name}:{}: this block says not how it is run", block.line)).collect()
}

#[test]
fn every_command_block_says_how_it_is_run() {
    let documents = documents();
    assert!(documents.len() >= 6, "README.md and the documents were found");
    let wrong: Vec<String> = documents.iter().flat_map(|(name, text)| unmarked(name, &blocks(text))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_block_without_a_mark_is_found() {
    let text = "a\n```sh\nplait version\n```\n\n<!-- run: here -->\n```sh\nplait version\n```\n```toml\nx = 1\n```\n<!-- run: nowhere -->\n```sh\n```\n";
    let blocks = blocks(text);
    assert_eq!(blocks.len(), 4);
    assert_eq!(unmarked("a.md", &blocks).len(), 2);
}

#[test]
fn blocks_run_here_do_what_they_say() {
    for (name, text) in documents() {
        let folder = tempfile::tempdir().unwrap();
        for block in blocks(&text) {
            if let Some(("here", file)) = block.file() {
                blocks::write_private(&folder.path().join(file), &block.text);
            }
            if block.run() == Some("here") {
                run(&name, &block, folder.path());
            }
        }
    }
}

/// Runs a block by `sh -eu` with the binary under test in front of the path; nothing outside `folder` is touched.
fn run(name: &str, block: &Block, folder: &Path) {
    let path = blocks::path_with_plait(folder, env!("CARGO_BIN_EXE_plait"));
    let output = Command::new("sh").args(["-euc", &block.text]).current_dir(folder).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}:{}: {}\n{said}", block.line, output.status);
}

#[test]
fn every_fault_of_a_kme_is_explained() {
    let text = std::fs::read_to_string(root().join("docs/KME.md")).unwrap();
    for fault in plait::kme::catalogue::Fault::ALL {
        let row = format!("| `{}` | {} |", fault.name(), fault.words());
        assert!(text.contains(&row), "docs/KME.md has no row {row}");
    }
}

#[test]
fn scripts_exist_and_can_be_run() {
    let mut seen = Vec::new();
    for (_, text) in documents() {
        for block in blocks(&text).into_iter().filter(|block| block.run() == Some("script")) {
            for line in block.text.lines() {
                let command = line.split(' ').next().unwrap().trim_start_matches("./").to_owned();
                assert!(command == "cargo" || is_script(&command), "{line}: no script of this repository");
                seen.push(command);
            }
        }
    }
    for needed in ["scripts/demo.sh", "scripts/test.sh"] {
        assert!(seen.iter().any(|command| command == needed), "the documents do not name {needed}");
    }
    // CI runs the tests by the command that the README names.
    assert!(std::fs::read_to_string(root().join(".ci/run")).unwrap().contains("./scripts/test.sh"));
}

fn is_script(path: &str) -> bool {
    let path = root().join(path);
    let executable = std::fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    executable && Command::new("bash").arg("-n").arg(&path).status().unwrap().success()
}

#[test]
fn every_verb_that_is_named_exists() {
    let mut named = 0;
    for (document, text) in documents() {
        for verbs in blocks::verbs(&text) {
            let output = Command::new(env!("CARGO_BIN_EXE_plait")).args(&verbs).arg("--help").output().unwrap();
            assert!(output.status.success(), "{document} names `plait {}`, which is no verb", verbs.join(" "));
            named += 1;
        }
    }
    assert!(named >= 15, "{named} verbs were found in the documents");
}

#[test]
fn configurations_are_toml() {
    for (name, text) in documents() {
        for block in blocks(&text).into_iter().filter(|block| block.language == "toml") {
            let parsed: Result<toml::Table, _> = block.text.parse();
            assert!(parsed.is_ok(), "{name}:{}: {parsed:?}", block.line);
        }
    }
}
