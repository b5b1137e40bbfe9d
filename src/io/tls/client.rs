//! TLS as a client of KMEs: our certificate, one trusted `ca_file`, X25519MLKEM768 offered first, HTTP/1.1 only.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::files::TlsFiles;
use super::leaf::Leaf;
use super::material::{self, SetupError};
use super::verify::{Expected, KmeVerifier};

/// Files and checks of one source.
pub struct ClientFiles<'a> {
    /// What they hold.
    pub bytes: &'a mut TlsFiles,
    /// The only issuers trusted.
    pub ca_file: &'a Path,
    /// Our certificate and its chain.
    pub cert_file: &'a Path,
    /// Its private key.
    pub key_file: &'a Path,
    /// Password of a PKCS#12 file among them.
    pub password_file: Option<&'a Path>,
    /// What the KME's certificate must show.
    pub expected: Expected,
}

/// A client's configuration and the facts of its certificate.
pub struct ClientTls {
    /// For the connector.
    pub config: Arc<ClientConfig>,
    /// Our own certificate.
    pub own: Leaf,
}

/// Loads the files and makes the configuration.
///
/// # Errors
/// [`SetupError`], which names the file and the mistake.
pub fn client_tls(files: ClientFiles<'_>) -> Result<ClientTls, SetupError> {
    let identity = material::identity(files.bytes, files.cert_file, files.key_file, files.password_file)?;
    // A pin replaces chain and name: an unusable ca_file is then no reason to refuse.
    let roots = match files.expected {
        Expected::Pin(_) => RootCertStore::empty(),
        Expected::Host | Expected::Name(_) => material::trust(files.bytes, files.ca_file)?,
    };
    let provider = aws_lc_rs::default_provider();
    let verifier = KmeVerifier::new(files.expected, roots, provider.signature_verification_algorithms);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| SetupError::Other(error.to_string()))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_client_auth_cert(identity.chain, identity.key).map_err(|error| {
        let text = if matches!(error, rustls::Error::InconsistentKeys(_)) {
            format!("does not belong to the certificate in {}", files.cert_file.display())
        } else {
            format!("cannot be used: {error}")
        };
        SetupError::Content { path: files.key_file.to_owned(), text }
    })?;
    // A KME behind a web server otherwise chooses HTTP/2.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no key exchange, and `kme_tls = "pq"` judges by it; handshakes are rare.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(ClientTls { config: Arc::new(config), own: identity.leaf })
}

/// The URL's host as TLS names it.
///
/// # Errors
/// [`SetupError`] if it is neither a DNS name nor an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, SetupError> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_| SetupError::Other(format!("url: \"{host}\" is neither a DNS name nor an address")))
}
