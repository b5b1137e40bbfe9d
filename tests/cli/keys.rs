//! `genkey`, `pubkey`, `genpsk`, `fingerprint`: the forms that scripts rely on, and what each refuses.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plait::identity::{read_psk, read_secret};
use plait::types::policy::Suite;

use super::run::{Run, plait, plait_with};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// No line of the secret file but its labels may be where nobody expects it.
fn holds_nothing_of(run: &Run, secret: &str) {
    let body = secret.lines().filter(|line| !line.starts_with("-----"));
    for line in body {
        assert!(!run.out.contains(line) && !run.err.contains(line), "{run:?}");
    }
}

#[test]
fn a_site_makes_its_key_and_both_see_one_fingerprint() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);

    let made = plait(place.path(), &["genkey", "--out", "hq.key"]);
    assert_eq!((made.code, made.out.as_str()), (0, ""), "{made:?}");
    assert_eq!(mode(&at("hq.key")), 0o600);
    let secret = std::fs::read_to_string(at("hq.key")).unwrap();
    assert!(secret.starts_with("-----BEGIN PLAIT1-SECRET-----\n"));
    holds_nothing_of(&made, &secret);

    let public = plait_with(place.path(), &["pubkey"], secret.as_bytes());
    assert_eq!((public.code, public.err.as_str()), (0, ""), "{public:?}");
    std::fs::write(at("hq.pub"), &public.out).unwrap();

    let from_secret = plait(place.path(), &["fingerprint", "hq.key"]);
    let from_public = plait(place.path(), &["fingerprint", "hq.pub"]);
    assert_eq!((from_secret.code, from_secret.out.len()), (0, 52 + 12 + 1), "{from_secret:?}");
    assert_eq!(from_secret.out, from_public.out);
    assert_eq!(made.err, format!("fingerprint: {}", from_secret.out));
}

#[test]
fn printed_keys_are_files_and_no_two_are_alike() {
    let place = tempfile::tempdir().unwrap();
    let one = plait(place.path(), &["genkey"]);
    let other = plait(place.path(), &["genkey", "--suite", "2"]);
    assert_eq!(read_secret(&one.out).unwrap().0, Suite::MlKem1024);
    assert_eq!(read_secret(&other.out).unwrap().0, Suite::MlKem768);
    let psk = plait(place.path(), &["genpsk"]);
    let another = plait(place.path(), &["genpsk"]);
    assert!(!read_psk(&psk.out).unwrap().ct_eq(&read_psk(&another.out).unwrap()));
    assert_eq!(psk.err, "");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing is written unasked");
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("precious");
    std::fs::write(&path, "the only copy").unwrap();
    for verb in ["genkey", "genpsk"] {
        let run = plait(place.path(), &[verb, "--out", "precious"]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(run.err.starts_with("plait: precious exists and is not overwritten"), "{run:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the only copy");
    }
    let run = plait(place.path(), &["genpsk", "--out", "psk"]);
    assert_eq!((run.code, run.out.as_str(), mode(&place.path().join("psk"))), (0, "", 0o600), "{run:?}");
}

#[test]
fn what_is_no_secret_key_has_no_public_key() {
    let place = tempfile::tempdir().unwrap();
    let secret = plait(place.path(), &["genkey"]).out;
    let public = plait_with(place.path(), &["pubkey"], secret.as_bytes()).out;
    let longer = format!("{secret}{}", " ".repeat(5000));
    let psk = plait(place.path(), &["genpsk"]).out;
    for (input, said) in [
        ("", "not a plait key file"),
        (public.as_str(), "expected a secret key file, this is a public key file"),
        (psk.as_str(), "expected a secret key file, this is a PSK file"),
        (longer.as_str(), "not in its exact form"),
        (&secret[..100], "cut off"),
    ] {
        let run = plait_with(place.path(), &["pubkey"], input.as_bytes());
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(run.err.contains(said) && run.err.contains("plait pubkey < SECRET-FILE"), "{run:?}");
        holds_nothing_of(&run, &secret);
    }
    let binary = plait_with(place.path(), &["pubkey"], &[0xff; 200]);
    assert_eq!((binary.code, binary.out.as_str()), (1, ""), "{binary:?}");
}

#[test]
fn a_fingerprint_is_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    plait(place.path(), &["genkey", "--out", "open.key"]);
    std::fs::set_permissions(at("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    plait(place.path(), &["genpsk", "--out", "a.psk"]);
    std::fs::write(at("junk"), "junk").unwrap();
    for (file, code, said) in [
        ("open.key", 7, "run `chmod 600 open.key`"),
        ("a.psk", 1, "a PSK has no fingerprint"),
        ("junk", 1, "junk: not a plait key file"),
        ("missing", 1, "cannot open missing"),
    ] {
        let run = plait(place.path(), &["fingerprint", file]);
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{run:?}");
        assert!(run.err.contains(said), "{run:?}");
    }
}

#[test]
fn an_unknown_suite_is_a_mistake_of_usage() {
    let place = tempfile::tempdir().unwrap();
    for suite in ["0", "3", "x"] {
        let run = plait(place.path(), &["genkey", "--suite", suite]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    }
}
