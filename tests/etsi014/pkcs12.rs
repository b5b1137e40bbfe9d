//! PKCS#12 files as vendors hand them over: read with their password, refused without, and nothing in between.

use std::path::PathBuf;

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use plait::io::kme_client::registry::{KmeClients, Reach};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::pki::Pki;
use crate::world::{STILL, new_key, serve, setup, site, source};

/// Made by OpenSSL 3, the second with `-legacy` (RC2, 3DES and SHA-1); the password of both is `qkd`, the CN is SAE-A.
const OPENSSL: [&[u8]; 2] = [include_bytes!("data/openssl.p12"), include_bytes!("data/legacy.p12")];

/// `NAME.p12` with the certificate and key of a SAE, and the password's file.
fn container(pki: &Pki, sae: &str, password: &str) -> (PathBuf, PathBuf) {
    let certified = pki.certified(sae);
    let certs: Vec<Certificate> = certified.cert.iter().map(|der| Certificate::from_der(der).unwrap()).collect();
    let PrivateKeyDer::Pkcs8(key) =
        PrivateKeyDer::from_pem_slice(&std::fs::read(pki.file(&format!("{sae}.key"))).unwrap()).unwrap()
    else {
        panic!("the test's keys are PKCS#8")
    };
    let key = PrivateKey::from_der(key.secret_pkcs8_der()).unwrap();
    let mut store = KeyStore::new();
    store.add_entry("sae", KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, certs)));
    let bytes = store.writer(password).write().unwrap();
    (pki.write(&format!("{sae}.p12"), &bytes), pki.write("password", format!("{password}\n").as_bytes()))
}

fn outcome(pki: &Pki, change: impl FnOnce(&mut Reach)) -> Result<(), String> {
    let mut reach = setup(pki, "127.0.0.1:1".parse().unwrap(), "SAE-A", "SAE-B").reach;
    change(&mut reach);
    KmeClients::default().client(&reach).map(|_| ()).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(outcome: Result<(), String>, words: &[&str]) {
    let text = outcome.unwrap_err();
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
}

#[tokio::test]
async fn keys_are_fetched_with_a_certificate_out_of_a_container() {
    let pki = Pki::new();
    let (p12, password) = container(&pki, "SAE-A", "s3cret with spaces");
    let server = serve(&pki, STILL, "").await;
    let mut setup = site(&pki, &server, 0);
    (setup.reach.cert_file, setup.reach.key_file) = (p12.clone(), p12);
    setup.reach.key_password_file = Some(password);
    new_key(&mut source(setup)).await.unwrap();
}

#[test]
fn containers_of_openssl_open_in_both_of_its_forms() {
    let pki = Pki::new();
    for (bytes, name) in OPENSSL.into_iter().zip(["openssl.p12", "legacy.p12"]) {
        let p12 = pki.write(name, bytes);
        for (password, opens) in [("qkd", true), ("qkd\r\n", true), ("QKD", false), ("", false)] {
            let password = pki.write("password", password.as_bytes());
            let outcome = outcome(&pki, |reach| {
                (reach.cert_file, reach.key_file) = (p12.clone(), p12.clone());
                reach.key_password_file = Some(password);
            });
            assert_eq!(outcome.is_ok(), opens, "{name}: {outcome:?}");
        }
    }
}

#[test]
fn a_container_without_its_password_and_a_password_without_a_container_are_refused() {
    let pki = Pki::new();
    let (p12, password) = container(&pki, "SAE-A", "s3cret");
    let both = |reach: &mut Reach| (reach.cert_file, reach.key_file) = (p12.clone(), p12.clone());
    refused(outcome(&pki, both), &["SAE-A.p12", "key_password_file", "0600"]);
    let wrong = pki.write("wrong", b"other\n");
    let with = |file: &PathBuf| {
        let file = file.clone();
        |reach: &mut Reach| {
            both(reach);
            reach.key_password_file = Some(file);
        }
    };
    let text = outcome(&pki, with(&wrong)).unwrap_err();
    assert!(text.contains("does not open with the password") && !text.contains("other"), "{text}");
    refused(outcome(&pki, |reach| reach.key_password_file = Some(password.clone())), &["leave it out", "PKCS#12"]);
    let long = pki.write("long", &[b'x'; 2000]);
    refused(outcome(&pki, with(&long)), &["larger than"]);
    let binary = pki.write("binary", &[0xff, 0xfe]);
    refused(outcome(&pki, with(&binary)), &["UTF-8"]);
    assert!(outcome(&pki, with(&password)).is_ok());
    // The certificate from a PEM file beside it, and one that the key does not fit.
    let key_only = |cert: &str| {
        let (p12, password, cert) = (p12.clone(), password.clone(), pki.file(cert));
        move |reach: &mut Reach| {
            (reach.cert_file, reach.key_file, reach.key_password_file) = (cert, p12, Some(password))
        }
    };
    assert!(outcome(&pki, key_only("SAE-A.pem")).is_ok());
    refused(outcome(&pki, key_only("SAE-B.pem")), &["does not belong to"]);
}

#[test]
fn a_container_or_a_password_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let pki = Pki::new();
    let (p12, password) = container(&pki, "SAE-A", "s3cret");
    for file in [&p12, &password] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        refused(
            outcome(&pki, |reach| {
                (reach.cert_file, reach.key_file) = (p12.clone(), p12.clone());
                reach.key_password_file = Some(password.clone());
            }),
            &["chmod 600"],
        );
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_damaged_container_never_panics() {
    let pki = Pki::new();
    let whole = OPENSSL[0];
    let password = pki.write("password", b"qkd");
    for at in (0..whole.len()).step_by(37) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x55;
        let p12 = pki.write("damaged.p12", &bytes);
        let _ = outcome(&pki, |reach| {
            (reach.cert_file, reach.key_file) = (p12.clone(), p12.clone());
            reach.key_password_file = Some(password.clone());
        });
        let p12 = pki.write("cut.p12", &whole[..at]);
        assert!(outcome(&pki, |reach| reach.key_file = p12.clone()).is_err());
    }
}
