//! Files that are not what they should be: refused at set-up, each mistake by its name.

use plait::io::kme_client::registry::{KmeClients, Reach};
use rcgen::ExtendedKeyUsagePurpose;

use crate::pki::{Odd, Pki};
use crate::world::setup;

const P12: &[u8] = include_bytes!("data/sae.p12");
const ENCRYPTED_KEY: &[u8] = include_bytes!("data/encrypted.key");

fn fault(pki: &Pki, change: impl FnOnce(&mut Reach)) -> String {
    let mut reach = setup(pki, "127.0.0.1:1".parse().unwrap(), "SAE-A", "SAE-B").reach;
    change(&mut reach);
    let made = KmeClients::default().client(&reach).map(|_| ());
    made.unwrap_err().to_string()
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
}

#[test]
fn each_mistake_has_its_sentence() {
    let pki = Pki::new();
    let p12 = pki.write("sae.p12", P12);
    let encrypted = pki.write("encrypted.key", ENCRYPTED_KEY);
    let empty = pki.write("empty.pem", b"");
    let der = pki.write("sae.der", &pki.certified("SAE-A").cert[0]);
    pki.version_1("v1");
    says(&fault(&pki, |reach| reach.cert_file = p12.clone()), &["sae.p12", "PKCS#12", "key_password_file"]);
    says(&fault(&pki, |reach| reach.key_file = p12.clone()), &["sae.p12", "PKCS#12", "key_password_file"]);
    says(&fault(&pki, |reach| reach.ca_file = p12.clone()), &["PKCS#12", "openssl pkcs12"]);
    says(&fault(&pki, |reach| reach.cert_file = der), &["is DER", "openssl x509"]);
    says(&fault(&pki, |reach| reach.key_file = encrypted), &["encrypted", "openssl pkey"]);
    says(&fault(&pki, |reach| reach.cert_file = empty.clone()), &["BEGIN CERTIFICATE"]);
    says(&fault(&pki, |reach| reach.ca_file = empty), &["BEGIN CERTIFICATE"]);
    says(&fault(&pki, |reach| reach.cert_file = pki.file("SAE-A.key")), &["only a private key"]);
    says(
        &fault(&pki, |reach| reach.key_file = pki.write("copy.pem", &std::fs::read(pki.file("SAE-A.pem")).unwrap())),
        &["only a certificate"],
    );
    says(&fault(&pki, |reach| reach.key_file = pki.file("SAE-B.key")), &["does not belong to", "SAE-A.pem"]);
    says(&fault(&pki, |reach| reach.cert_file = pki.file("v1.pem")), &["X.509 v1", "reissued"]);
    says(&fault(&pki, |reach| reach.cert_file = pki.file("ca.pem")), &["holds a CA certificate"]);
    says(&fault(&pki, |reach| reach.ca_file = pki.file("KME-A.pem")), &["a leaf", "CN=KME-A", "pin_sha256"]);
    says(&fault(&pki, |reach| reach.ca_file = pki.file("nowhere.pem")), &["nowhere.pem", "cannot open"]);
}

#[test]
fn a_readable_key_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let pki = Pki::new();
    std::fs::set_permissions(pki.file("SAE-A.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    says(&fault(&pki, |_| {}), &["SAE-A.key"]);
}

#[test]
fn a_bundle_may_hold_leaves_beside_a_ca_and_a_pin_needs_no_ca() {
    let pki = Pki::new();
    pki.self_sign("self", &Odd { purpose: ExtendedKeyUsagePurpose::ServerAuth, ..Odd::default() });
    let read = |name: &str| std::fs::read(pki.file(name)).unwrap();
    let bundle = pki.write("bundle.pem", &[read("KME-A.pem"), read("ca.pem")].concat());
    let mut reach = setup(&pki, "127.0.0.1:1".parse().unwrap(), "SAE-A", "SAE-B").reach;
    reach.ca_file = bundle;
    assert!(KmeClients::default().client(&reach).is_ok());
    reach.ca_file = pki.file("self.pem");
    assert!(KmeClients::default().client(&reach).is_err());
    reach.pin_sha256 = Some([0; 32]);
    assert!(KmeClients::default().client(&reach).is_ok());
}
