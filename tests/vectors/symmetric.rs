//! `symmetric.json`: the functions of PROTOCOL 2.3, a traced chain of them, and what QKD and ratchet secrets become.

use plait::crypto::aead::open_once;
use plait::crypto::kdf::{expand, hash, hmac, length_prefix};
use plait::handshake::terms::RatchetSecret;
use plait::keys::request::DeliveredKey;
use plait::schedule::confirm::BeforeQkd;
use plait::schedule::qkd::{MixableKey, status};
use plait::schedule::trace;
use plait::schedule::transcript::Transcript;
use plait::types::id::{KeyId, SourceId, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, Suite};
use plait::types::secret::{Secret, SecretBytes};
use plait::types::terms::Agreed;
use serde_json::Value;

use super::folder::{self, cases};
use super::hex::{array, bytes};

fn vectors() -> Option<Value> {
    folder::load("symmetric.json")
}

#[test]
fn no_section_is_left_out() {
    let Some(vectors) = vectors() else { return };
    let sections: Vec<_> = vectors.as_object().unwrap().keys().map(String::as_str).collect();
    let replayed = [
        "H",
        "HKDF_Expand",
        "HMAC",
        "check",
        "exports_after_steps",
        "init",
        "lp",
        "qkd_key",
        "rs_id",
        "sealed",
        "steps",
    ];
    let mut sections = sections;
    sections.sort_unstable();
    assert_eq!(sections, replayed);
}

#[test]
fn hash_mac_and_expand() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "H", 2) {
        let input = bytes(&case["in"]);
        let (front, back) = input.split_at(input.len() / 3);
        assert_eq!(hash(&[front, back]), array(&case["out"]));
    }
    for case in cases(&vectors, "HMAC", 2) {
        assert_eq!(hmac(&bytes(&case["key"]), &[&bytes(&case["in"])]).expose(), &array(&case["out"]));
    }
    for case in cases(&vectors, "HKDF_Expand", 4) {
        let mut out = vec![0; case["n"].as_u64().unwrap() as usize];
        expand(&Secret::take(&mut array(&case["prk"])), &[&bytes(&case["info"])], &mut out);
        assert_eq!(out, bytes(&case["out"]));
    }
    for case in cases(&vectors, "lp", 3) {
        let input = bytes(&case["in"]);
        assert_eq!([length_prefix(&input).as_slice(), &input].concat(), bytes(&case["out"]));
    }
}

#[test]
fn init() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "init", 2) {
        let suite = Suite::from_number(case["suite"].as_u64().unwrap() as u16).unwrap();
        assert_eq!(Transcript::init(suite).h(), &array(&case["h"]));
    }
}

/// Runs the chain of `steps`; gives the state at its end and what was sealed, in order.
fn run_steps(steps: &[Value]) -> (Transcript, Vec<Vec<u8>>) {
    let mut transcript = Transcript::init(Suite::MlKem1024);
    let mut sealed = Vec::new();
    for step in steps {
        let (label, input) = (step["label"].as_str().unwrap(), bytes(&step["in"]));
        match step["op"].as_str().unwrap() {
            "Init" => assert_eq!(input, (Suite::MlKem1024 as u16).to_be_bytes()),
            "MixHash" => transcript.mix_hash(label, &[&input]),
            "MixKey" => transcript.mix_key(label, &Secret::from_slice(&input).unwrap()),
            "Seal" => sealed.push(transcript.seal(label, &input)),
            other => panic!("unknown operation {other}"),
        }
    }
    (transcript, sealed)
}

#[test]
fn every_step_and_what_it_sealed() {
    let Some(vectors) = vectors() else { return };
    let steps = cases(&vectors, "steps", 7);
    trace::start();
    let (_, sealed) = run_steps(steps);
    let traced = trace::stop();
    assert_eq!(traced.len(), steps.len());
    for (step, expected) in traced.iter().zip(steps) {
        assert_eq!(step.op, expected["op"].as_str().unwrap());
        assert_eq!(step.label, expected["label"].as_str().unwrap());
        assert_eq!(step.h, bytes(&expected["h"]), "h after {} {}", step.op, step.label);
        assert_eq!(step.ck, bytes(&expected["ck"]), "ck after {} {}", step.op, step.label);
        assert_eq!(step.k, bytes(&expected["k"]), "k after {} {}", step.op, step.label);
    }
    let expected = cases(&vectors, "sealed", 2);
    assert_eq!(sealed, expected.iter().map(|case| bytes(&case["ct"])).collect::<Vec<_>>());
    let (id, key) = (&expected[0], Secret::take(&mut array(&expected[0]["k"])));
    let text = open_once(key, &bytes(&id["h"]), &bytes(&id["ct"])).unwrap();
    assert_eq!(text, bytes(&steps[4]["in"]));
}

#[test]
fn exports() {
    let Some(vectors) = vectors() else { return };
    let (end, _) = run_steps(cases(&vectors, "steps", 7));
    for case in cases(&vectors, "exports_after_steps", 6) {
        let (label, expected) = (case["label"].as_str().unwrap(), bytes(&case["out"]));
        let got = match expected.len() {
            32 => end.export::<32>(label).expose().to_vec(),
            48 => end.export::<48>(label).expose().to_vec(),
            100 => end.export::<100>(label).expose().to_vec(),
            other => panic!("an export of {other} bytes"),
        };
        assert_eq!((got.len() as u64, got), (case["n"].as_u64().unwrap(), expected), "{label}");
    }
}

fn mixable(material: Vec<u8>) -> MixableKey {
    let key_id = KeyId::new(b"vector").unwrap();
    MixableKey::new(SourceId::new(0).unwrap(), DeliveredKey { key_id, material: SecretBytes::new(material) }).unwrap()
}

/// The root key of an epoch that mixed this one key: equal roots mean equal keys.
fn root_with(key: &MixableKey) -> Vec<u8> {
    let agreed = Agreed {
        policy: QkdPolicy::Required,
        need: 1,
        asked: SourceMask::from_bits(1).unwrap(),
        cipher: Cipher::ChaCha20Poly1305,
        features: 0,
        inner_mtu: 1420,
        hold_last: 0,
        degrade_for: 0,
        clock: 0,
    };
    let keyed = BeforeQkd::new(Transcript::init(Suite::MlKem1024)).mix([key], &agreed, None).ok().unwrap();
    keyed.seal_ok().1.split().root.expose().to_vec()
}

#[test]
fn a_long_qkd_key_is_hashed() {
    let Some(vectors) = vectors() else { return };
    let roots: Vec<_> = cases(&vectors, "qkd_key", 3)
        .iter()
        .map(|case| {
            let root = root_with(&mixable(bytes(&case["delivered"])));
            assert_eq!(root, root_with(&mixable(bytes(&case["K"]))));
            root
        })
        .collect();
    assert_ne!(roots[0], roots[1], "the comparison sees the key");
}

#[test]
fn check_byte_and_ratchet_id() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "check", 1) {
        let status = status(&array(&case["h"]), &[mixable(bytes(&case["K"]))], [None; 6]);
        assert_eq!(status.check[..1], bytes(&case["out"]));
    }
    for case in cases(&vectors, "rs_id", 1) {
        let secret = RatchetSecret::new(Secret::take(&mut array(&case["rs"])));
        assert_eq!(secret.id.as_slice(), bytes(&case["out"]));
    }
}
