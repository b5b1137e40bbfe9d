//! `plait report` without a daemon: what is in the archive, and what must never be.

use super::site::Site;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read;

const PLACES: [&str; 4] = ["--run-dir", "run", "--state-dir", "state"];
const EVENT: &str = "{\"schema\":1,\"seq\":1,\"time\":\"2026-11-24T09:00:00.250Z\",\"kind\":\"endpoint\",\"peer\":\"dc\",\
    \"text\":\"from 198.51.100.7:51900, inside 10.20.3.4\"}\n";

/// The files of an archive by their names without the folder.
fn unpacked(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let read = |entry: std::io::Result<tar::Entry<'_, GzDecoder<&[u8]>>>| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (path.split_once('/').unwrap().1.to_owned(), text)
    };
    archive.entries().unwrap().map(read).collect()
}

fn report(site: &Site, more: &[&str]) -> BTreeMap<String, String> {
    let made = site.plait(&[&PLACES[..], &["report", "./hq.toml", "--out", "r.tar.gz"], more].concat());
    assert_eq!((made.code, made.out.as_str()), (0, "r.tar.gz\n"), "{made:?}");
    let bytes = std::fs::read(site.at("r.tar.gz")).unwrap();
    std::fs::remove_file(site.at("r.tar.gz")).unwrap();
    unpacked(&bytes)
}

fn with_events(site: &Site) {
    std::fs::create_dir_all(site.at("state/hq")).unwrap();
    std::fs::write(site.at("state/hq/events.jsonl"), EVENT).unwrap();
}

/// Lines of files that are secret: of armour and of PEM those between the first and the last.
fn secrets(site: &Site) -> Vec<String> {
    let files = ["hq.key", "dc.key", "pki/SAE-A.key", "pki/ca.key"];
    let texts = files.map(|file| std::fs::read_to_string(site.at(file)).unwrap());
    let lines = texts.iter().flat_map(|text| text.lines().filter(|line| !line.starts_with("-----")));
    lines.filter(|line| line.len() >= 16).map(str::to_owned).collect()
}

#[test]
fn without_a_daemon_it_says_so_and_tells_no_secret_and_no_address() {
    let site = Site::new();
    with_events(&site);
    let files = report(&site, &[]);
    let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
    assert!(manifest["daemon"].as_str().unwrap().contains("no daemon runs"), "{manifest}");
    let named: Vec<&str> = manifest["files"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(named.len() + 1, files.len(), "{manifest}");
    for name in named {
        assert!(!files[name].trim().is_empty(), "{name} is empty");
    }
    let all: String = files.values().map(String::as_str).collect();
    let secrets = secrets(&site);
    assert!(secrets.len() >= 4, "{secrets:?}");
    let inner = ["10.99.0", "10.20", "fd99:", "fd20:", "198.51.100.7"].map(str::to_owned);
    for gone in secrets.iter().chain(&inner) {
        assert!(!all.contains(gone.as_str()), "{gone} is told in {files:#?}");
    }
    for (file, words) in [
        ("configuration.toml", "local_sae = \"SAE-A\""),
        ("configuration.toml", "endpoint = \"(address):51900\""),
        ("events.jsonl", "from (address):51900, inside (inner)"),
        ("version.txt", "suites: "),
        ("doctor.json", "\"first_cause\""),
        ("machine.txt", "rmem_max"),
        ("status.txt", "no daemon runs"),
    ] {
        assert!(files[file].contains(words), "no {words} in {file}: {}", files[file]);
    }
}

#[test]
fn addresses_of_the_underlay_are_told_only_if_they_are_wanted() {
    let site = Site::new();
    with_events(&site);
    let files = report(&site, &["--with-addresses"]);
    assert!(files["configuration.toml"].contains("198.51.100.7:51900"), "{}", files["configuration.toml"]);
    assert!(files["events.jsonl"].contains("from 198.51.100.7:51900, inside (inner)"), "{}", files["events.jsonl"]);
    let all: String = files.values().map(String::as_str).collect();
    assert!(!all.contains("10.20") && !all.contains("fd20:"), "{files:#?}");
    // What is no TOML does not say which addresses are inner.
    let site = site.with("[interface]", "[interface\n10.20.7.7");
    let broken = report(&site, &["--with-addresses"]);
    let all: String = broken.values().map(String::as_str).collect();
    assert!(!all.contains("10.20") && !all.contains("198.51"), "{broken:#?}");
    assert!(broken["configuration.toml"].contains("is no TOML"), "{}", broken["configuration.toml"]);
}

#[test]
fn nothing_is_overwritten_and_nothing_is_made_of_nothing() {
    let site = Site::new();
    std::fs::write(site.at("there"), "mine").unwrap();
    let over = site.plait(&[&PLACES[..], &["report", "./hq.toml", "--out", "there"]].concat());
    assert!(over.code == 1 && over.err.contains("nothing is overwritten"), "{over:?}");
    assert_eq!(std::fs::read_to_string(site.at("there")).unwrap(), "mine");
    let nobody = site.plait(&[&PLACES[..], &["report", "./nobody.toml", "--out", "r.tar.gz"]].concat());
    assert!(nobody.code == 3 && nobody.err.contains("nothing is known of nobody"), "{nobody:?}");
    assert!(!site.at("r.tar.gz").exists());
    let json = site.plait(&[&PLACES[..], &["report", "./hq.toml", "--json"]].concat());
    let manifest: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let path = site.at(manifest["archive"].as_str().unwrap());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
}
