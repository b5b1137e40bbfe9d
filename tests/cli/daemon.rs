//! Verbs that need a daemon, without one; and `up` where it cannot start.

use super::site::Site;

#[test]
fn without_a_daemon_the_verbs_say_so_with_their_code() {
    let site = Site::new();
    for verb in [
        &["status", "hq"][..],
        &["down", "hq"],
        &["rekey", "hq"],
        &["rekey", "hq", "--wait"],
        &["status"],
        &["status", "hq", "--watch", "1s"],
    ] {
        let arguments = [&["--run-dir", "run"], verb].concat();
        let run = site.plait(&arguments);
        assert_eq!((run.code, run.out.as_str()), (3, ""), "{verb:?}: {run:?}");
        assert!(run.err.contains("no daemon runs"), "{verb:?}: {run:?}");
    }
}

#[test]
fn places_may_stand_before_and_after_the_verb() {
    let site = Site::new();
    for arguments in [["--run-dir", "run", "status", "hq"], ["status", "hq", "--run-dir", "run"]] {
        let run = site.plait(&arguments);
        assert!(run.code == 3 && run.err.contains("run/hq.sock"), "{run:?}");
    }
}

#[test]
fn up_refuses_what_check_refuses_and_leaves_nothing() {
    let site = Site::new().with("listen =", "lissen =");
    let up = site.plait(&["up", "./hq.toml", "--run-dir", "run", "--state-dir", "state"]);
    assert_eq!(up.code, 6, "{up:?}");
    assert!(up.err.contains("hq.toml:3:1"), "{up:?}");
    assert!(!site.at("run").exists() && !site.at("state").exists());
}

#[test]
fn a_dry_run_prints_the_commands_and_does_nothing() {
    let site = Site::new();
    let up = site.plait(&["up", "./hq.toml", "--dry-run", "--run-dir", "run", "--state-dir", "state"]);
    assert_eq!(up.code, 0, "{up:?}");
    for line in [
        "ip tuntap add dev hq mode tun",
        "ip address add 10.99.0.1/30 dev hq",
        "ip route add 10.20.0.0/16 dev hq",
        "ip route add fd20::/48 dev hq",
    ] {
        assert!(up.out.lines().any(|shown| shown.starts_with(line)), "{line}: {up:?}");
    }
    assert!(!site.at("run").exists() && !site.at("state").exists());
}

#[test]
fn mistakes_of_usage_have_code_2_and_help_has_code_0() {
    let site = Site::new();
    for arguments in
        [&["explode"][..], &["status", "--jason"], &["up"], &["status", "a/b c"], &[], &["status", "--watch", "0s"]]
    {
        let run = site.plait(arguments);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}: {run:?}");
    }
    for verb in ["up", "down", "status", "rekey", "check", "genkey", "kme", "demo", "ratchet", "completions"] {
        let help = site.plait(&[verb, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{verb}: {help:?}");
        assert!(help.out.contains("plait"), "{verb}: {help:?}");
    }
}

#[test]
fn version_shows_the_features_and_completions_name_the_verbs() {
    let site = Site::new();
    let version = site.plait(&["version"]);
    assert!(version.code == 0 && version.out.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
    assert!(version.out.contains("tun-rs") && version.out.contains("ml-kem"), "{version:?}");
    for shell in ["bash", "zsh", "fish"] {
        let completions = site.plait(&["completions", shell]);
        assert!(completions.code == 0 && completions.out.contains("rekey"), "{shell}");
    }
}

#[test]
fn the_ratchet_of_a_new_peer_is_empty_and_an_unknown_peer_is_refused() {
    let site = Site::new();
    let shown = site.plait(&["--state-dir", "state", "ratchet", "show", "./hq.toml", "dc"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let unknown = site.plait(&["--state-dir", "state", "ratchet", "show", "./hq.toml", "nobody"]);
    assert_ne!(unknown.code, 0, "{unknown:?}");
    assert!(unknown.err.contains("nobody"), "{unknown:?}");
}
