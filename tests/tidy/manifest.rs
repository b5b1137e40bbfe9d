//! The manifest: the oldest compiler is stated and enough, and crates come from the public index only.

use std::path::Path;

/// What the manifest must say.
const NEEDED: [&str; 5] = [
    "edition = \"2024\"",
    "license = \"Apache-2.0 OR MIT\"",
    "unsafe_code = \"deny\"",
    "missing_docs",
    "overflow-checks = true",
];
/// The six packages the tool is built around.
const CARD: [&str; 6] = ["tun-tap", "chacha20poly1305", "pqcrypto-kyber", "hkdf", "tokio", "clap"];
/// The public index, as cargo writes it.
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What is missing from the manifest, or should not be in it.
pub(crate) fn violations(manifest: &str) -> Vec<String> {
    let mut wrong: Vec<String> =
        NEEDED.iter().filter(|line| !manifest.contains(*line)).map(|line| format!("Cargo.toml lacks {line}")).collect();
    let names = |card: &&&str| manifest.lines().any(|line| line.starts_with(&format!("{card} = ")));
    wrong.extend(CARD.iter().filter(|card| !names(card)).map(|card| format!("Cargo.toml does not name {card}")));
    let foreign = manifest
        .lines()
        .filter(|line| ["registry =", "git =", "[source", "[patch"].iter().any(|word| line.contains(word)));
    wrong.extend(foreign.map(|line| format!("Cargo.toml: {line}")));
    wrong
}

/// `rust-version` of a manifest.
pub(crate) fn rust_version(manifest: &str) -> Option<String> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""))?;
    line.strip_suffix('"').map(str::to_owned)
}

/// What cargo knows of the packages in use, as JSON.
pub(crate) fn metadata(root: &Path) -> String {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let output = std::process::Command::new(env!("CARGO")).args(arguments).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Dependencies that ask for a newer compiler than the one stated.
pub(crate) fn newer_dependencies(stated: &str, metadata: &str) -> Vec<String> {
    let cue = "\"rust_version\":\"";
    let versions = metadata.match_indices(cue).filter_map(|(at, _)| metadata[at + cue.len()..].split('"').next());
    let newer = versions.filter(|version| parts(version) > parts(stated));
    newer.map(|version| format!("a dependency needs Rust {version}, stated is {stated}")).collect()
}

fn parts(version: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    parts.resize(3, 0);
    parts
}

/// Packages of the lock file that come from elsewhere.
pub(crate) fn foreign_sources(lock: &str) -> Vec<String> {
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    sources.filter(|source| source.trim_matches('"') != INDEX).map(|source| format!("Cargo.lock: {source}")).collect()
}

#[test]
fn a_manifest_that_lacks_something_is_found() {
    let names: String = CARD.iter().map(|name| format!("{name} = \"1\"\n")).collect();
    let good = format!("{}\n{names}", NEEDED.join("\n"));
    assert!(violations(&good).is_empty());
    assert_eq!(violations(&good.replace("hkdf", "hkdf2")).len(), 1);
    assert_eq!(violations(&good.replace("deny", "warn")).len(), 1);
    assert_eq!(violations(&format!("{good}x = {{ git = \"https://example.org/x\" }}")).len(), 1);
}

#[test]
fn a_newer_dependency_is_found() {
    assert_eq!(rust_version("[package]\nrust-version = \"1.90\"\n").as_deref(), Some("1.90"));
    let metadata = r#"{"rust_version":"1.89.0"},{"rust_version":null},{"rust_version":"1.91"}"#;
    assert_eq!(newer_dependencies("1.90", metadata).len(), 1);
    assert!(newer_dependencies("1.91", metadata).is_empty());
}

#[test]
fn a_foreign_source_is_found() {
    let lock =
        format!("[[package]]\nsource = \"{INDEX}\"\n[[package]]\nsource = \"registry+https://mirror.example/index\"\n");
    assert_eq!(foreign_sources(&lock).len(), 1);
}
