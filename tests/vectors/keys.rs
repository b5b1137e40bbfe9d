//! `keys.json`: identities, fingerprints, key files, the hedge `rnd`, and what must be refused (PROTOCOL 2.2).

use plait::crypto::entropy::Hedge;
use plait::crypto::kem::default_backend;
use plait::identity::{
    Fingerprint, Identity, IdentityError, PublicIdentity, check_distinct, psk_from_bytes, read_psk, read_public,
    read_secret, write_psk, write_public, write_secret,
};
use plait::types::policy::Suite;
use plait::types::random::{Entropy, Randomness};
use plait::types::secret::Secret;
use serde_json::Value;

use super::folder::{self, cases};
use super::hex::{array, bytes};

fn vectors() -> Option<Value> {
    folder::load("keys.json")
}

fn suite(case: &Value) -> Suite {
    Suite::from_number(case["suite"].as_u64().unwrap() as u16).unwrap()
}

fn text(case: &Value) -> &str {
    case.as_str().unwrap()
}

#[test]
fn identities() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "identities", 3) {
        let secret = Secret::take(&mut array::<96>(&case["secret"]));
        let me = Identity::from_secret(default_backend(), suite(case), secret).unwrap();
        assert_eq!(me.public().s(), &array::<32>(&case["S"]));
        assert_eq!(me.public().ek(), bytes(&case["EK"]));
        assert_eq!(me.fp().as_bytes(), &array::<32>(&case["fp"]));
        assert_eq!(me.fp().to_string(), text(&case["fp_text"]));
        assert_eq!(me.static_secret().expose(), &array::<96>(&case["secret"]));
        assert_eq!(me.suite(), suite(case));
    }
}

#[test]
fn key_files_both_ways() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "identities", 3) {
        let (found, secret) = read_secret(text(&case["secret_file"])).unwrap();
        assert_eq!((found, secret.expose()), (suite(case), &array::<96>(&case["secret"])));
        assert_eq!(write_secret(found, &secret).expose(), text(&case["secret_file"]).as_bytes());

        let public = read_public(default_backend(), text(&case["public_file"])).unwrap();
        assert_eq!(public.suite(), suite(case));
        assert_eq!(public.fp().as_bytes(), &array::<32>(&case["fp"]));
        assert_eq!(write_public(&public), text(&case["public_file"]));
    }
    let psk = read_psk(text(&vectors["psk"]["file"])).unwrap();
    assert_eq!(psk.expose(), &array::<32>(&vectors["psk"]["psk"]));
    assert_eq!(write_psk(&psk).expose(), text(&vectors["psk"]["file"]).as_bytes());
}

#[test]
fn fingerprint_spellings() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "fingerprint_spellings", 3) {
        let parsed: Fingerprint = text(&case["input"]).parse().unwrap();
        assert_eq!(parsed.as_bytes(), &array::<32>(&case["fp"]));
    }
}

/// Gives the `OS_random` of the case, once.
struct Scripted(Vec<u8>);

impl Entropy for Scripted {
    fn fill(&mut self, out: &mut [u8]) {
        assert_eq!(out.len(), self.0.len(), "one draw of 64 bytes");
        out.copy_from_slice(&std::mem::take(&mut self.0));
    }
}

#[test]
fn hedged_randomness() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "rnd", 3) {
        let static_secret = Secret::take(&mut array(&case["static_secret"]));
        let os = Box::new(Scripted(bytes(&case["os_random"])));
        let mut hedge = Hedge::starting_at(static_secret, os, case["counter"].as_u64().unwrap());
        let label: &'static str = text(&case["label"]).to_owned().leak();
        let mut out = vec![0; case["n"].as_u64().unwrap() as usize];
        hedge.secret(label, &mut out);
        assert_eq!(out, bytes(&case["out"]), "{label}");
    }
}

/// The error of each case, as words: each names its own fault.
fn refusal(case: &Value) -> String {
    let kem = default_backend();
    let error = match text(&case["what"]) {
        "public" => PublicIdentity::from_bytes(kem, suite(case), &bytes(&case["input"])).err(),
        "psk" => psk_from_bytes(&bytes(&case["input"])).err(),
        "fingerprint" => return text(&case["input"]).parse::<Fingerprint>().unwrap_err().to_string(),
        "file" => read_public(kem, text(&case["input"])).err(),
        "peers" => refused_peers(case),
        other => panic!("unknown kind {other}"),
    };
    error.unwrap_or_else(|| panic!("accepted: {}", case["why"])).to_string()
}

fn refused_peers(case: &Value) -> Option<IdentityError> {
    let read = |value| PublicIdentity::from_bytes(default_backend(), Suite::MlKem1024, &bytes(value)).unwrap();
    let peers: Vec<_> = case["peers"].as_array().unwrap().iter().map(read).collect();
    check_distinct(&read(&case["me"]), &peers.iter().collect::<Vec<_>>()).err()
}

/// What the message must say, by the vector's `why`. Files from a given folder may name faults of their own.
fn expected_words(why: &str) -> &'static str {
    match why {
        _ if !folder::is_own() => "",
        "S of small order, number 5" | "S of small order, number 6" => "not canonical",
        _ if why.starts_with("S of small order") => "small order",
        _ if why.starts_with("S not canonical") => "not canonical",
        "EK fails the modulus check" => "modulus check",
        "1599 bytes" => "has 1600 bytes, this one has 1599",
        "length of another suite" => "has 1216 bytes, this one has 1600",
        "32 zero bytes mean no PSK" => "all zero",
        "51 characters" => "has 52 letters and digits (13 groups of 4), this one has 51",
        "1 is not in the alphabet" => "not '1'",
        "spare bits not zero" => "last character",
        "unknown label" => "unknown label",
        "not base64" => "line 3 holds a character that is not base64",
        "no END line" => "cut off",
        "not canonical" => "not in its exact form",
        "own key as peer" => "peer 1 has this end's own public key",
        "two peers share fp, S and EK" => "peers 1 and 2 have the same public key",
        "two peers share S" => "peers 1 and 2 have the same X25519 public value",
        "a peer has my EK" => "peer 1 has this end's own ML-KEM encapsulation key",
        other => panic!("a case this test does not know: {other}"),
    }
}

#[test]
fn refused_inputs_say_why() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "refused", 24) {
        let (said, expected) = (refusal(case), expected_words(text(&case["why"])));
        assert!(said.contains(expected), "{}: {said:?} does not say {expected:?}", case["why"]);
    }
}

#[test]
fn a_peer_of_another_suite_is_refused() {
    let Some(vectors) = vectors().filter(|_| folder::is_own()) else { return };
    let cases = cases(&vectors, "identities", 3);
    let read = |at: usize| read_public(default_backend(), text(&cases[at]["public_file"])).unwrap();
    assert_eq!(check_distinct(&read(0), &[&read(1)]), Ok(()));
    let refused = check_distinct(&read(0), &[&read(1), &read(2)]).unwrap_err();
    assert!(matches!(refused, IdentityError::SuiteDiffers { peer: 1, .. }), "{refused}");
}
