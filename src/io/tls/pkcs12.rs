//! PKCS#12 (.p12, .pfx): one private key with its certificates behind a password (RFC 7292).

use p12_keystore::{CertificateBag, Pkcs12Archive};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::leaf::Leaf;

/// The object identifier `pkcs7-data` in DER, near the start of every PKCS#12 file.
const PKCS7_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// Bytes at the start of a file within which it stands.
const START_BYTES: usize = 64;

/// What was in the file.
pub(super) struct Container {
    /// The key's certificate first, then its issuers as far as they are there, without the root.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub(super) key: PrivateKeyDer<'static>,
}

/// Whether these bytes are a PKCS#12 file, as opposed to PEM or another DER file.
pub(super) fn is_container(bytes: &[u8]) -> bool {
    let start = bytes.get(..START_BYTES).unwrap_or(bytes);
    start.first() == Some(&0x30) && start.windows(PKCS7_DATA.len()).any(|window| window == PKCS7_DATA)
}

/// Opens the file. The library keeps copies of the key that it does not wipe.
///
/// # Errors
/// The end of a sentence that begins with the file.
pub(super) fn open(bytes: &[u8], password: Option<&str>) -> Result<Container, String> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or_default()).map_err(|error| match password {
        None => "is PKCS#12 and does not open without a password: write its password into a file of mode 0600, and \
                 name that file by key_password_file"
            .to_owned(),
        Some(_) => format!("is PKCS#12 and does not open with the password of key_password_file ({error})"),
    })?;
    let [key] = archive.keys.as_slice() else {
        return Err(format!("holds {} private keys, expected one", archive.keys.len()));
    };
    let of_key = |bag: &&CertificateBag| {
        let ids = bag.local_key_id.as_deref().zip(key.local_key_id.as_ref());
        ids.is_some_and(|(cert, key)| cert == key.as_ref())
    };
    let issued = |bag: &&CertificateBag| Leaf::read(bag.cert.as_der()).is_some_and(|leaf| !leaf.is_ca);
    let leaf = archive.certs.iter().find(of_key).or_else(|| archive.certs.iter().find(issued));
    let leaf = leaf.ok_or("holds a private key but no certificate for it")?;
    let key = PrivatePkcs8KeyDer::from(key.key.as_der().to_vec());
    Ok(Container { chain: chain(leaf, &archive.certs), key: key.into() })
}

/// From the leaf to the last issuer that is there and did not issue itself; each certificate once.
fn chain(leaf: &CertificateBag, all: &[CertificateBag]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![leaf];
    while let Some(last) = chain.last() {
        let next = all.iter().find(|bag| {
            bag.cert.subject() == last.cert.issuer()
                && bag.cert.subject() != bag.cert.issuer()
                && !chain.iter().any(|known| known.cert == bag.cert)
        });
        match next {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    chain.into_iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect()
}
