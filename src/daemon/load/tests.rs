//! Each fault of a file is shown at its place in the configuration, with the right kind of exit.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::identity::{write_psk, write_public, write_secret};
use crate::types::policy::Suite;

const TEXT: &str = "[interface]\nprivate_key_file = \"hq.key\"\n[policy]\nqkd = \"off\"\n[[peer]]\nname = \"dc\"\n\
                    public_key_file = \"dc.pub\"\npsk_file = \"dc.psk\"\nallowed_ips = [\"10.20.0.0/16\"]\n";

/// A folder with a good configuration and its files.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.put("hq.toml", TEXT.as_bytes(), 0o600);
        site.put("hq.key", write_secret(Suite::MlKem1024, &Secret::take(&mut [1; 96])).expose(), 0o600);
        site.put("dc.pub", public(2).as_bytes(), 0o644);
        site.put("dc.psk", write_psk(&Secret::take(&mut [3; 32])).expose(), 0o600);
        site
    }

    fn put(&self, name: &str, bytes: &[u8], mode: u32) {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("hq.toml")
    }

    /// The failure: whether it is one of rights, and its lines without the folder.
    fn failure(&self) -> (bool, String) {
        let failure = load(&self.file()).err().unwrap();
        (failure.is_permission, failure.text.replace(&format!("{}/", self.0.path().display()), ""))
    }
}

fn public(seed: u8) -> String {
    let me = Identity::from_secret(default_backend(), Suite::MlKem1024, Secret::take(&mut [seed; 96])).unwrap();
    write_public(me.public())
}

#[test]
fn a_good_site_loads_with_its_keys() {
    let site = Site::new();
    let loaded = load(&site.file()).unwrap();
    assert_eq!((loaded.config.interface.name.as_str(), loaded.peers.len()), ("hq", 1));
    assert_eq!(loaded.peers[0].psk.expose(), &[3; 32]);
    assert!(loaded.warnings.is_empty());
    site.put("hq.toml", TEXT.replace("psk_file = \"dc.psk\"\n", "").as_bytes(), 0o600);
    assert!(load(&site.file()).unwrap().peers[0].psk.is_zero());
}

#[test]
fn files_that_are_missing_or_wrong_are_shown_at_their_places() {
    let site = Site::new();
    std::fs::remove_file(site.0.path().join("hq.key")).unwrap();
    site.put("dc.pub", b"nonsense", 0o644);
    let (is_permission, text) = site.failure();
    let lines: Vec<&str> = text.lines().collect();
    assert!(!is_permission && lines.len() == 2, "{text}");
    assert!(lines[0].starts_with("hq.toml:2:20: private_key_file: cannot open hq.key: No such file"), "{text}");
    assert!(lines[1].starts_with("hq.toml:7:19: public_key_file: dc.pub: not a plait key file"), "{text}");
}

#[test]
fn files_that_are_open_to_others_are_a_matter_of_rights() {
    let site = Site::new();
    site.put("dc.psk", b"x", 0o640);
    let (is_permission, text) = site.failure();
    assert!(is_permission && text.starts_with("hq.toml:8:12: psk_file: dc.psk has mode 0640"), "{text}");
    site.put("hq.toml", TEXT.as_bytes(), 0o620);
    let (is_permission, text) = site.failure();
    assert!(is_permission && text.contains("others may change it; run `chmod 600 hq.toml`"), "{text}");
}

#[test]
fn a_configuration_that_others_read_is_loaded_with_a_remark() {
    let site = Site::new();
    site.put("hq.toml", TEXT.as_bytes(), 0o644);
    let warnings = load(&site.file()).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("mode 0644: others may read it"), "{warnings:?}");
}

#[test]
fn the_own_key_as_a_peers_is_refused_at_the_peer() {
    let site = Site::new();
    site.put("dc.pub", public(1).as_bytes(), 0o644);
    let (is_permission, text) = site.failure();
    assert!(!is_permission && text.starts_with("hq.toml:7:19: public_key_file: peer 1 has this end's own"), "{text}");
}

#[test]
fn no_file_and_no_text_are_said_so() {
    let site = Site::new();
    site.put("hq.toml", &[0xff, 0xfe], 0o600);
    assert!(site.failure().1.contains("expected UTF-8 text, byte 0 is none"));
    std::fs::remove_file(site.file()).unwrap();
    let (is_permission, text) = site.failure();
    assert!(!is_permission && text.starts_with("cannot open hq.toml"), "{text}");
}

#[test]
fn names_and_files_are_told_apart() {
    assert_eq!(config_path("hq-dc"), Path::new("/etc/plait/hq-dc.toml"));
    assert_eq!(config_path("hq.toml"), Path::new("hq.toml"));
    assert_eq!(config_path("./hq"), Path::new("./hq"));
    assert_eq!(interface_of(Path::new("/etc/plait/hq-dc.toml")), "hq-dc");
}

#[test]
fn relative_paths_count_from_the_configuration() {
    assert_eq!(resolve(Path::new("/etc/plait/hq.toml"), Path::new("pki/ca.pem")), Path::new("/etc/plait/pki/ca.pem"));
    assert_eq!(resolve(Path::new("hq.toml"), Path::new("ca.pem")), Path::new("ca.pem"));
    assert_eq!(resolve(Path::new("hq.toml"), Path::new("/x/ca.pem")), Path::new("/x/ca.pem"));
}
