//! Which clients share a connection: those with one url and the same certificate; all of one KME take turns.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::config::KmeTls;
use crate::etsi014::v1::pin::Pin;
use crate::etsi014::v1::url::BaseUrl;
use crate::io::https::HttpsClient;
use crate::io::tls::client::ClientFiles;
use crate::io::tls::files::TlsFiles;
use crate::io::tls::material::SetupError;
use crate::io::tls::verify::Expected;

/// How a KME is reached: equal values share one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// Where it is.
    pub url: BaseUrl,
    /// PEM, the only certificates trusted as issuers.
    pub ca_file: PathBuf,
    /// PEM, our certificate and its chain.
    pub cert_file: PathBuf,
    /// PEM, its private key; or PKCS#12, as `cert_file` too.
    pub key_file: PathBuf,
    /// Password of the PKCS#12 file.
    pub key_password_file: Option<PathBuf>,
    /// A name expected in the KME's SAN or CN, in place of the url's host.
    pub server_name: Option<String>,
    /// The KME's leaf or its public key: replaces chain and name.
    pub pin_sha256: Option<Pin>,
    /// Whether less than a post-quantum key exchange is refused.
    pub is_pq_only: bool,
}

impl Reach {
    /// The files of TLS that it names, as `bytes` has them, and what the KME's certificate must show.
    pub fn files<'a>(&'a self, bytes: &'a mut TlsFiles) -> ClientFiles<'a> {
        ClientFiles {
            bytes,
            ca_file: &self.ca_file,
            cert_file: &self.cert_file,
            key_file: &self.key_file,
            password_file: self.key_password_file.as_deref(),
            expected: self.expected(),
        }
    }

    fn expected(&self) -> Expected {
        match (self.pin_sha256, &self.server_name) {
            (Some(pin), _) => Expected::Pin(pin),
            (None, Some(name)) => Expected::Name(name.clone()),
            (None, None) => Expected::Host,
        }
    }
}

/// The clients of one configuration. Another configuration has a new registry, with the files as they are then.
#[derive(Default)]
pub struct KmeClients {
    clients: BTreeMap<Reach, Arc<HttpsClient>>,
    /// By host and port: one request at a time to one KME, whoever asks.
    turns: BTreeMap<(String, u16), Arc<Mutex<()>>>,
    files: TlsFiles,
}

impl KmeClients {
    /// Without any client, over these files. Those of one KME still take turns with the earlier ones.
    #[must_use]
    pub fn anew(&self, files: TlsFiles) -> Self {
        Self { clients: BTreeMap::new(), turns: self.turns.clone(), files }
    }

    /// The client for a KME: a known one, or a new one whose files are read now.
    ///
    /// # Errors
    /// [`SetupError`], which says which usual mistake it is.
    pub fn client(&mut self, reach: &Reach) -> Result<Arc<HttpsClient>, SetupError> {
        if let Some(known) = self.clients.get(reach) {
            return Ok(Arc::clone(known));
        }
        let kme = (reach.url.host().to_owned(), reach.url.port());
        let turn = Arc::clone(self.turns.entry(kme).or_default());
        let files = reach.files(&mut self.files);
        let kme_tls = if reach.is_pq_only { KmeTls::PostQuantum } else { KmeTls::Any };
        let client = Arc::new(HttpsClient::new(reach.url.clone(), files, kme_tls, turn)?);
        self.clients.insert(reach.clone(), Arc::clone(&client));
        Ok(client)
    }
}
