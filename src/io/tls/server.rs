//! TLS as a simulated KME serves it: client certificates demanded, X25519MLKEM768 offered, HTTP/1.1 only.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{NamedGroup, ServerConfig};

use super::files::TlsFiles;
use super::material::{self, SetupError};
use crate::kme::file::{KmeServing, ServedTls};

/// Loads a KME's files and makes its configuration. A client without a certificate of `ca_file` fails in the handshake.
///
/// # Errors
/// [`SetupError`], which names the file and the mistake.
pub fn server_tls(serving: &KmeServing) -> Result<Arc<ServerConfig>, SetupError> {
    let other = |error: &dyn std::fmt::Display| SetupError::Other(error.to_string());
    let mut files = TlsFiles::default();
    let identity = material::identity(&mut files, &serving.cert_file, &serving.key_file, None)?;
    let roots = Arc::new(material::trust(&mut files, &serving.ca_file)?);
    let mut provider = aws_lc_rs::default_provider();
    if serving.tls == ServedTls::Classical {
        let curves = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];
        provider.kx_groups.retain(|group| curves.contains(&group.name()));
    }
    let provider = Arc::new(provider);
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
    let clients = clients.map_err(|error| other(&error))?;
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = match serving.tls {
        ServedTls::Any | ServedTls::Classical => builder.with_safe_default_protocol_versions(),
        ServedTls::V12 => builder.with_protocol_versions(&[&rustls::version::TLS12]),
    };
    let builder = builder.map_err(|error| other(&error))?.with_client_cert_verifier(clients);
    let mut config = builder.with_single_cert(identity.chain, identity.key).map_err(|error| other(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
