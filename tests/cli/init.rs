//! `plait init`: what it writes is complete and passes `check`; what is there stays as it is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::run::{Run, plait};

const HQ: &[&str] = &[
    "init",
    "hq",
    "--dir",
    "etc",
    "--peer",
    "dc",
    "--address",
    "10.99.0.1/30",
    "--address",
    "fd99::1/126",
    "--endpoint",
    "203.0.113.9:51900",
    "--allowed-ips",
    "10.99.0.2/32",
    "--allowed-ips",
    "10.20.0.0/16",
    "--kme-url",
    "https://127.0.0.1:18443",
    "--local-sae",
    "SAE-A",
    "--remote-sae",
    "SAE-B",
    "--ca-file",
    "../pki/ca.pem",
    "--cert-file",
    "../pki/SAE-A.pem",
    "--key-file",
    "../pki/SAE-A.key",
];

fn init(place: &Path, without: &[&str], more: &[&str]) -> Run {
    let pairs = HQ[2..].chunks(2).filter(|pair| !without.contains(&pair[0]));
    let words: Vec<&str> =
        HQ[..2].iter().copied().chain(pairs.flatten().copied()).chain(more.iter().copied()).collect();
    plait(place, &words)
}

fn names(place: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(place.join("etc")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_it_writes_passes_check_once_the_other_sites_files_are_there() {
    let place = tempfile::tempdir().unwrap();
    let made = init(place.path(), &[], &[]);
    assert_eq!((made.code, made.out.as_str()), (0, "made etc/hq.toml\nmade etc/hq.key\nmade etc/hq.pub\n"), "{made:?}");
    for (file, mode) in [("hq.toml", 0o600), ("hq.key", 0o600), ("hq.pub", 0o644)] {
        let found = std::fs::metadata(place.path().join("etc").join(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{file}");
    }
    let fingerprint = plait(place.path(), &["fingerprint", "etc/hq.pub"]).out;
    for words in [fingerprint.trim(), "etc/dc.pub", "../pki/ca.pem", "plait check etc/hq.toml --online", "plait@hq"] {
        assert!(made.err.contains(words), "{words}: {made:?}");
    }
    let text = std::fs::read_to_string(place.path().join("etc/hq.toml")).unwrap();
    assert!(text.lines().filter(|line| line.contains('#')).count() > 15, "commented: {text}");
    let other = init(place.path(), &["--dir", "--ca-file"], &["--dir", "other", "--qkd", "preferred"]);
    assert_eq!(other.code, 0, "{other:?}");
    std::fs::copy(place.path().join("other/hq.pub"), place.path().join("etc/dc.pub")).unwrap();
    let pki = plait(place.path(), &["kme", "cert", "--dir", "pki", "--kme", "KME-A=127.0.0.1", "--sae", "SAE-A"]);
    assert_eq!(pki.code, 0, "{pki:?}");
    let check = plait(place.path(), &["check", "etc/hq.toml"]);
    assert!(check.code == 0 && check.out.contains("policy required"), "{check:?}");
}

#[test]
fn without_qkd_no_kme_is_needed() {
    let place = tempfile::tempdir().unwrap();
    let made = init(place.path(), &["--kme-url", "--local-sae", "--remote-sae", "--endpoint"], &["--qkd", "off"]);
    assert_eq!(made.code, 0, "{made:?}");
    let text = std::fs::read_to_string(place.path().join("etc/hq.toml")).unwrap();
    assert!(!text.contains("[[qkd]]") && text.contains("# endpoint ="), "{text}");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    for file in ["hq.toml", "hq.key", "hq.pub"] {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("etc")).unwrap();
        let path = place.path().join("etc").join(file);
        std::fs::write(&path, "precious").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let made = init(place.path(), &[], &[]);
        assert_eq!((made.code, made.out.as_str()), (1, ""), "{file}: {made:?}");
        assert!(made.err.contains(file), "{file}: {made:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(names(place.path()), [file], "nothing new is left");
    }
}

#[test]
fn a_key_that_is_there_is_used() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(init(place.path(), &[], &[]).code, 0);
    let key = std::fs::read(place.path().join("etc/hq.key")).unwrap();
    std::fs::remove_file(place.path().join("etc/hq.toml")).unwrap();
    let again = init(place.path(), &[], &[]);
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "made etc/hq.toml\nkept etc/hq.key\nkept etc/hq.pub\n"),
        "{again:?}"
    );
    assert_eq!(std::fs::read(place.path().join("etc/hq.key")).unwrap(), key);
}

#[test]
fn what_is_missing_or_wrong_is_said_and_nothing_is_written() {
    let place = tempfile::tempdir().unwrap();
    let missing = init(place.path(), &["--peer", "--local-sae"], &[]);
    assert!(missing.code == 2 && missing.err.contains("missing: --peer, --local-sae"), "{missing:?}");
    let wrong = init(place.path(), &["--allowed-ips"], &["--allowed-ips", "10.20.0.0/33"]);
    assert!(wrong.code == 2 && wrong.err.contains("came \"10.20.0.0/33\""), "{wrong:?}");
    let swapped = init(place.path(), &["--remote-sae"], &["--remote-sae", "SAE-A"]);
    assert!(swapped.code == 2 && swapped.err.contains("came our own"), "{swapped:?}");
    assert_eq!(plait(place.path(), &["init", "a/b"]).code, 2);
    assert!(names(place.path()).is_empty());
}
