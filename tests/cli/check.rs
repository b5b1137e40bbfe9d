//! `plait check`: a good site passes, and every broken one is refused at its place with what was expected and what came.

use super::site::Site;

#[test]
fn a_good_site_passes_and_shows_the_fingerprints_to_compare() {
    let site = Site::new();
    let check = site.plait(&["check", "hq.toml"]);
    assert_eq!(check.code, 0, "{check:?}");
    let fingerprint = site.plait(&["fingerprint", "dc.pub"]).out;
    assert!(check.out.contains(fingerprint.trim()), "{check:?}");
    assert!(check.out.contains("hq.toml: ok") && check.out.contains("1 key source"), "{check:?}");
}

/// What is broken, and the place and words of the refusal.
const BROKEN: &[(&str, &str, &str, &[&str])] = &[
    ("listen =", "lissen =", "hq.toml:3:1", &["lissen", "did you mean `listen`?"]),
    ("\"required\"", "\"requird\"", "hq.toml:6:7", &["came \"requird\"", "did you mean `required`?"]),
    ("hold_last = \"1h\"", "hold_last = 3600", "hq.toml:8:13", &["hold_last", "came 3600"]),
    ("rekey = \"60s\"", "rekey = \"60 parsecs\"", "hq.toml:9:9", &["rekey", "came \"60 parsecs\""]),
    ("rekey = \"60s\"", "rekey = \"11m\"", "hq.toml", &["full", "rekey"]),
    ("min_sources = 1", "min_sources = 2", "hq.toml", &["min_sources", "2"]),
    ("10.20.0.0/16", "10.20.0.0/33", "hq.toml:24:16", &["allowed_ips", "came \"10.20.0.0/33\""]),
    ("private_key_file = \"hq.key\"\n", "", "hq.toml:1:1", &["private_key_file", "missing"]),
    ("hq.key", "none.key", "hq.toml:2:20", &["none.key", "No such file"]),
    ("remote_sae = \"SAE-B\"", "remote_sae = \"SAE-A\"", "hq.toml:16:14", &["remote_sae", "our own"]),
    ("[[qkd]]", "[[qkd]", "hq.toml:11:7", &["expected `]`"]),
    ("https:", "http:", "hq.toml:14:7", &["demands HTTPS", "came \"http://"]),
    ("dc.pub", "dc.key", "hq.toml:22:19", &["expected a public key file"]),
    ("private_key_file = \"hq.key\"", "private_key_file = \"dc.key\"", "hq.toml", &["own"]),
    ("[::]:51900", "[::]:99999", "hq.toml:3:10", &["listen", "came \"[::]:99999\""]),
    ("pki/ca.pem", "pki/SAE-A.key", "hq.toml:17:11", &["ca_file"]),
    ("type = \"etsi014\"", "type = \"etsi041\"", "hq.toml:13:8", &["etsi041", "etsi014"]),
];

#[test]
fn every_broken_configuration_is_refused_at_its_place() {
    for (old, new, place, words) in BROKEN {
        let check = Site::new().with(old, new).plait(&["check", "hq.toml"]);
        assert_eq!(check.code, 6, "{old} -> {new}: {check:?}");
        assert!(check.err.contains(place), "{old} -> {new}: expected {place} in {check:?}");
        for word in *words {
            assert!(check.err.contains(word), "{old} -> {new}: expected {word:?} in {check:?}");
        }
    }
}

#[test]
fn files_open_to_others_are_refused_with_the_command_to_run() {
    for (file, mode) in [("hq.key", 0o644), ("hq.key", 0o620), ("pki/SAE-A.key", 0o604), ("hq.toml", 0o666)] {
        let site = Site::new();
        site.set_mode(file, mode);
        let check = site.plait(&["check", "hq.toml"]);
        assert_eq!(check.code, 7, "{file} {mode:o}: {check:?}");
        assert!(check.err.contains("chmod"), "{file} {mode:o}: {check:?}");
    }
}

#[test]
fn two_faults_are_shown_at_once() {
    let check = Site::new().with("dc.pub", "none.pub").plait(&["check", "hq.toml"]);
    assert_eq!(check.code, 6);
    let site = Site::new().with("hq.key", "none.key");
    std::fs::remove_file(site.at("dc.pub")).unwrap();
    let check = site.plait(&["check", "hq.toml"]);
    assert!(check.err.contains("none.key") && check.err.contains("dc.pub"), "{check:?}");
}
