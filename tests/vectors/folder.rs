//! Where the vector files are: beside this test, or in the folder that `$PLAIT_VECTORS` names.

use std::path::PathBuf;

use serde_json::Value;

fn given() -> Option<PathBuf> {
    std::env::var_os("PLAIT_VECTORS").map(PathBuf::from)
}

fn path() -> PathBuf {
    given().unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"))
}

fn read(file: &PathBuf) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A file by its name. A folder that was given may lack it, then this says so; our own may not.
pub(crate) fn load(name: &str) -> Option<Value> {
    let file = path().join(name);
    if given().is_some() && !file.exists() {
        println!("skipped: no {name} in $PLAIT_VECTORS");
        return None;
    }
    Some(read(&file))
}

/// All files whose name begins so, with their names in order. There must be at least one.
pub(crate) fn load_all(prefix: &str) -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(path()).unwrap_or_else(|error| panic!("{}: {error}", path().display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix) && name.ends_with(".json")).collect();
    names.sort();
    assert!(!names.is_empty(), "no {prefix}*.json in {}", path().display());
    names.into_iter().map(|name| (name.clone(), read(&path().join(name)))).collect()
}

/// The cases of a section: our own files hold this many, files from a given folder at least one.
pub(crate) fn cases<'a>(vectors: &'a Value, section: &str, count: usize) -> &'a [Value] {
    let cases = vectors[section].as_array().unwrap_or_else(|| panic!("no section {section}"));
    assert!(if given().is_some() { !cases.is_empty() } else { cases.len() == count }, "{section}: {}", cases.len());
    cases
}

/// Whether a case that a test has no words for is one of ours, which must not be.
pub(crate) fn is_own() -> bool {
    given().is_none()
}
