//! Key sources: what fetches QKD keys for the engine, and what `status` shows of it.
//!
//! A source speaks only `KeyRequest` and `DeliveredKey` (`keys::request`): the rest of the daemon never sees TLS, HTTP or
//! JSON. It may be slow, wrong or gone; it answers each request once, with a key or a reason, within its deadline.

pub mod watch;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use self::watch::SourceWatch;
use crate::etsi014::v1::pin::Pin;
use crate::etsi014::v1::url::BaseUrl;
use crate::keys::request::{DeliveredKey, KeyRequest, SourceFailure};
use crate::types::id::SaeId;

/// Anything that yields QKD keys.
pub trait KeySource: Send {
    /// Answers one request: a key, or why there is none. Takes no longer than the request's deadline once it is sent;
    /// a key that would come later is thrown away.
    fn fetch(&mut self, request: &KeyRequest) -> impl Future<Output = Result<DeliveredKey, SourceFailure>> + Send;

    /// Asks the KME for its status and keeps it for [`KeySource::watch`]. Advisory: no request is decided by it.
    fn status(&mut self) -> impl Future<Output = Result<(), SourceFailure>> + Send;

    /// A handle that shows the source's figures while a fetch runs.
    fn watch(&self) -> SourceWatch;
}

/// How often the daemon asks a source for its status: slow, because it is advisory and the KME has better to do.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// Which HTTP method fetches keys (V1.1.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HttpMethod {
    /// The default: every KME seen in the field honours `number` and `size` in a body.
    #[default]
    Post,
    /// For KMEs that serve only simple requests.
    Get,
}

/// Which key exchange the TLS session to the KME must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KmeTls {
    /// Whatever TLS 1.2 or 1.3 negotiates; X25519MLKEM768 is offered first.
    #[default]
    Any,
    /// A post-quantum key exchange, else no request is sent: who records a classical session reads the keys later.
    Pq,
}

/// One ETSI GS QKD 014 source: the `[[qkd]]` section as plain data, paths already resolved.
#[derive(Clone, Debug)]
pub struct SourceSetup {
    /// Its name in configuration, logs and metrics.
    pub name: String,
    /// The KME of this site.
    pub url: BaseUrl,
    /// This site's SAE, as its KME knows it.
    pub local_sae: SaeId,
    /// The other site's SAE.
    pub remote_sae: SaeId,
    /// PEM, the only certificates trusted as issuers.
    pub ca_file: PathBuf,
    /// PEM, the client certificate and what chains it to its issuer.
    pub cert_file: PathBuf,
    /// PEM, the client certificate's private key.
    pub key_file: PathBuf,
    /// A name expected in the KME's SAN or CN, in place of the URL's host.
    pub server_name: Option<String>,
    /// The KME's leaf or its public key: replaces chain and name.
    pub pin_sha256: Option<Pin>,
    /// Longest time of one `enc_keys`; the standard's deadlines hold if they are shorter.
    pub timeout: Duration,
    /// What is refused.
    pub kme_tls: KmeTls,
    /// How keys are asked for.
    pub method: HttpMethod,
}
