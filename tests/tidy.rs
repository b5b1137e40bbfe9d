//! The rules of the house, checked: floors, sizes, words, documents, manifest; each rule has a planted violation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, also in its helpers"
)]

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::path::{Path, PathBuf};

/// A text file of the repository: its path from the root, with forward slashes, and its text.
struct File {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file under the root, in path order, but not what is built or belongs to git.
fn files() -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(root())];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", ".git"].contains(&name.as_str()) && !path.join("CACHEDIR.TAG").exists() {
                    folders.push(path);
                }
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                if path != ".git" {
                    found.push(File { path, text });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The Rust files under `folder`.
fn rust_files(folder: &str) -> Vec<File> {
    let files: Vec<File> =
        files().into_iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(".rs")).collect();
    assert!(!files.is_empty(), "no Rust file under {folder}: the rule would check nothing");
    files
}

/// Fails with every violation, one a line.
fn none(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn imports_go_strictly_downward() {
    let floors = floors::table(&read("src/lib.rs"));
    let files = rust_files("src/");
    none(files.iter().flat_map(|file| floors::violations(&floors, &file.path, &file.text)).collect());
}

#[test]
fn every_folder_stands_on_a_floor() {
    let floors = floors::table(&read("src/lib.rs"));
    for file in rust_files("src/") {
        let module = floors::module_of(&file.path);
        assert!(["main", "lib"].contains(&module) || floors.iter().any(|(name, _)| name == module), "{}", file.path);
    }
}

#[test]
fn leaves_do_not_import_their_mod_rs() {
    let files = rust_files("src/");
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    none(files.iter().flat_map(|file| floors::leaf_violations(&paths, &file.path, &file.text)).collect());
}

#[test]
fn nothing_above_the_purity_line_names_a_clock_a_socket_or_a_runtime() {
    let pure = floors::pure_modules(&read("src/lib.rs"));
    assert!(pure.iter().any(|name| name == "engine") && !pure.iter().any(|name| name == "io"));
    let files = rust_files("src/");
    let files = files.iter().filter(|file| pure.iter().any(|name| name == floors::module_of(&file.path)));
    none(files.flat_map(|file| words::impure(&file.path, &file.text)).collect());
}

#[test]
fn files_and_functions_fit() {
    none(rust_files("").iter().flat_map(|file| sizes::violations(&file.path, &file.text)).collect());
}

#[test]
fn every_file_says_what_it_is() {
    none(rust_files("").iter().flat_map(|file| sizes::first_line(&file.path, &file.text)).collect());
}

#[test]
fn no_banned_word() {
    none(rust_files("src/").iter().flat_map(|file| words::banned(&file.path, &file.text)).collect());
}

#[test]
fn no_test_is_ignored() {
    none(rust_files("").iter().flat_map(|file| words::ignored(&file.path, &file.text)).collect());
}

#[test]
fn committed_text_names_no_machine() {
    none(files().iter().flat_map(|file| words::machine(&file.path, &file.text)).collect());
}

#[test]
fn every_limit_is_documented() {
    none(docs::undocumented_limits(&read("src/types/limits.rs")));
}

#[test]
fn every_cited_section_exists() {
    let sections = docs::sections(&read("docs/PROTOCOL.md"));
    assert!(sections.iter().any(|section| section == "2.8a"), "{sections:?}");
    let files = files();
    let cites = files.iter().filter(|file| file.path.ends_with(".rs") || file.path.ends_with(".md"));
    none(cites.flat_map(|file| docs::missing_sections(&sections, &file.path, &file.text)).collect());
}

#[test]
fn every_folder_is_on_the_map() {
    let floors = floors::table(&read("src/lib.rs"));
    none(docs::unmapped(floors.iter().map(|(name, _)| name.as_str()), &read("docs/ARCHITECTURE.md")));
}

#[test]
fn every_configuration_key_is_in_the_documents() {
    let written = rust_files("src/config/");
    let written: Vec<&File> = written.iter().filter(|file| docs::is_written_form(&file.path)).collect();
    let keys: Vec<String> = written.iter().flat_map(|file| docs::keys(&file.text)).collect();
    assert!(keys.iter().any(|key| key == "hold_last"), "no hold_last among the keys of src/config/file.rs: {keys:?}");
    none(docs::unlisted(&keys, &read("docs/CONFIG.md")));
}

#[test]
fn the_manifest_states_what_it_needs() {
    none(manifest::violations(&read("Cargo.toml")));
    let stated = manifest::rust_version(&read("Cargo.toml")).expect("rust-version is stated");
    none(manifest::newer_dependencies(&stated, &manifest::metadata(root())));
    none(manifest::foreign_sources(&read("Cargo.lock")));
}
