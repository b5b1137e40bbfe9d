//! PEM files of TLS, loaded and judged: every usual mistake has its own sentence.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::files::TlsFiles;
use super::leaf::Leaf;
use super::pkcs12;
use crate::io::keyfile_error::KeyFileError;

/// Bytes of a PEM file: a bundle of a few hundred certificates.
pub const PEM_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a password.
const PASSWORD_BYTES_MAX: usize = 1024;

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

/// Loads `cert_file` and `key_file`: PEM, or PKCS#12 that opens with the password in `password_file`.
///
/// # Errors
/// [`SetupError`], which names the file and the mistake.
pub fn identity(
    files: &mut TlsFiles,
    cert_file: &Path,
    key_file: &Path,
    password_file: Option<&Path>,
) -> Result<Identity, SetupError> {
    let password = password_file.map(|file| password(files, file)).transpose()?;
    let password = password.as_ref().map(|password| password.as_str());
    let of_cert = container(files, cert_file, password)?;
    let key_bytes = files.secret(key_file, PEM_BYTES_MAX)?;
    let of_key = match pkcs12::is_container(key_bytes.expose()) {
        true => Some(pkcs12::open(key_bytes.expose(), password).map_err(|text| content(key_file, text))?),
        false => None,
    };
    if let (Some(file), None, None) = (password_file, &of_cert, &of_key) {
        let text = "is named by key_password_file, but neither cert_file nor key_file is PKCS#12: leave it out";
        return Err(content(file, text));
    }
    let chain = of_cert.map_or_else(|| certificates(files, cert_file), |container| Ok(container.chain))?;
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
    let key = of_key.map_or_else(|| private_key(key_file, key_bytes.expose()), |container| Ok(container.key))?;
    Ok(Identity { chain, key, leaf })
}

/// Loads `ca_file`: the only issuers that are trusted.
///
/// # Errors
/// [`SetupError`], which names the mistake: a leaf in place of its issuer above all.
pub fn trust(files: &mut TlsFiles, ca_file: &Path) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let mut leaves = Vec::new();
    for der in certificates(files, ca_file)? {
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

fn certificates(files: &mut TlsFiles, path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let bytes = files.public(path, PEM_BYTES_MAX)?;
    let bytes = bytes.expose();
    refuse_binary(path, bytes)?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certs = certs.map_err(|error| content(path, format!("is not readable as PEM: {error}")))?;
    if certs.is_empty() {
        let came = if has(bytes, b"PRIVATE KEY-----") { "only a private key" } else { "none" };
        return Err(content(path, format!("expected -----BEGIN CERTIFICATE-----, found {came}")));
    }
    Ok(certs)
}

/// The container in a `cert_file`; it holds the key too, so it must be as closed as a key file.
fn container(
    files: &mut TlsFiles,
    path: &Path,
    password: Option<&str>,
) -> Result<Option<pkcs12::Container>, SetupError> {
    let bytes = files.public(path, PEM_BYTES_MAX)?;
    if !pkcs12::is_container(bytes.expose()) {
        return Ok(None);
    }
    files.secret(path, PEM_BYTES_MAX)?;
    pkcs12::open(bytes.expose(), password).map(Some).map_err(|text| content(path, text))
}

/// What stands in the file, but for the end of its line.
fn password(files: &mut TlsFiles, path: &Path) -> Result<Zeroizing<String>, SetupError> {
    let bytes = files.secret(path, PASSWORD_BYTES_MAX)?;
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| content(path, "is not a password in UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

fn private_key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, SetupError> {
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
    let text = if pkcs12::is_container(bytes) {
        "is PKCS#12 (.p12, .pfx), expected the CA's certificate as PEM; take it out: \
         `openssl pkcs12 -in FILE -cacerts -nokeys -out ca.pem`"
    } else {
        "is DER, expected PEM; convert it: `openssl x509 -inform der -in FILE -out sae.pem` for a certificate, \
         `openssl pkey -inform der -in FILE -out sae.key` for a key"
    };
    Err(content(path, text))
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
