//! PEM files of TLS, loaded and judged: every usual mistake has its own sentence.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::leaf::Leaf;
use crate::io::keyfile;
use crate::io::keyfile_error::KeyFileError;
use crate::types::secret::SecretBytes;

/// Bytes of a PEM file: a bundle of a few hundred certificates.
const PEM_BYTES_MAX: usize = 1024 * 1024;
/// The object identifier `pkcs7-data` in DER, near the start of every PKCS#12 file.
const PKCS7_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// Why a KME cannot be spoken to as configured: which file, and which usual mistake it is.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A file that holds something else than expected.
    #[error("{}: {text}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected, what came, what to do.
        text: String,
    },
    /// Something else of the section.
    #[error("{0}")]
    Other(String),
}

fn content(path: &Path, text: impl Into<String>) -> SetupError {
    SetupError::Content { path: path.to_owned(), text: text.into() }
}

/// A certificate with its chain and private key.
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Of the leaf.
    pub key: PrivateKeyDer<'static>,
    /// Facts of the leaf.
    pub leaf: Leaf,
}

/// Loads `cert_file` and `key_file`.
///
/// # Errors
/// [`SetupError`], which names the file and the mistake.
pub fn identity(cert_file: &Path, key_file: &Path) -> Result<Identity, SetupError> {
    let chain = certificates(cert_file)?;
    let leaf = chain.first().and_then(|leaf| Leaf::read(leaf));
    let leaf = leaf.ok_or_else(|| content(cert_file, "the first certificate is not a readable X.509 certificate"))?;
    if leaf.is_version_1 {
        let text = "is an X.509 v1 certificate, which TLS libraries refuse; have it reissued as v3, with extensions";
        return Err(content(cert_file, text));
    }
    if leaf.is_ca && chain.len() == 1 {
        let text = format!("holds a CA certificate ({}), expected the certificate issued to this SAE", leaf.subject);
        return Err(content(cert_file, text));
    }
    Ok(Identity { chain, key: private_key(key_file)?, leaf })
}

/// Loads `ca_file`: the only issuers that are trusted.
///
/// # Errors
/// [`SetupError`], which names the mistake: a leaf in place of its issuer above all.
pub fn trust(ca_file: &Path) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let mut leaves = Vec::new();
    for der in certificates(ca_file)? {
        let facts = Leaf::read(&der).ok_or_else(|| content(ca_file, "holds a certificate that cannot be read"))?;
        if facts.is_ca || facts.is_version_1 {
            roots.add(der).map_err(|error| content(ca_file, format!("a CA certificate is unusable: {error}")))?;
        } else {
            leaves.push(facts);
        }
    }
    match leaves.first() {
        Some(leaf) if roots.is_empty() => Err(content(
            ca_file,
            format!(
                "holds no CA certificate but a leaf ({}, issued by {}); name the issuer's certificate here, \
                 or pin the leaf by pin_sha256",
                leaf.subject, leaf.issuer
            ),
        )),
        Some(_) | None => Ok(roots),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let bytes = keyfile::read_public(path, PEM_BYTES_MAX)?;
    refuse_binary(path, &bytes)?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certs = certs.map_err(|error| content(path, format!("is not readable as PEM: {error}")))?;
    if certs.is_empty() {
        let came = if has(&bytes, b"PRIVATE KEY-----") { "only a private key" } else { "none" };
        return Err(content(path, format!("expected -----BEGIN CERTIFICATE-----, found {came}")));
    }
    Ok(certs)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    let bytes: SecretBytes = keyfile::read_linked_secret(path, PEM_BYTES_MAX)?;
    let bytes = bytes.expose();
    refuse_binary(path, bytes)?;
    if has(bytes, b"ENCRYPTED PRIVATE KEY-----") || has(bytes, b"Proc-Type: 4,ENCRYPTED") {
        let text = "the private key is encrypted, and nobody is there to type its passphrase: \
                    decrypt it with `openssl pkey -in FILE -out NEW` and keep NEW at mode 0600";
        return Err(content(path, text));
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        let came = if has(bytes, b"-----BEGIN CERTIFICATE-----") { "only a certificate" } else { "none" };
        content(path, format!("expected a PEM private key (PKCS#8, PKCS#1 or SEC1), found {came}"))
    })
}

/// PKCS#12 and DER begin with an ASN.1 SEQUENCE, PEM never does.
fn refuse_binary(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    if bytes.first() != Some(&0x30) {
        return Ok(());
    }
    let start = bytes.get(..64).unwrap_or(bytes);
    let text = if start.windows(PKCS7_DATA.len()).any(|window| window == PKCS7_DATA) {
        "is PKCS#12 (.p12, .pfx), expected PEM; convert it: `openssl pkcs12 -in FILE -clcerts -nokeys -out sae.pem`, \
         `openssl pkcs12 -in FILE -nocerts -noenc -out sae.key`, `openssl pkcs12 -in FILE -cacerts -nokeys -out ca.pem`"
    } else {
        "is DER, expected PEM; convert it: `openssl x509 -inform der -in FILE -out sae.pem` for a certificate, \
         `openssl pkey -inform der -in FILE -out sae.key` for a key"
    };
    Err(content(path, text))
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
