//! A scripted KME: TLS as told, then exactly the bytes of its script, whatever is asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the stub does with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Writes these bytes and waits for the next request.
    Answer(Vec<u8>),
    /// Writes these bytes and closes the connection.
    Last(Vec<u8>),
    /// Writes these bytes, one each 20 ms.
    Drip(Vec<u8>),
    /// Says nothing more.
    Hang,
    /// Says nothing more, and cuts the connection after this time.
    CutAfter(Duration),
    /// Writes these bytes and cuts the connection without a TLS farewell.
    Cut(Vec<u8>),
    /// Writes the same bytes for ever.
    Forever(Vec<u8>, Vec<u8>),
}

pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Any certificate, whatever its version and dates.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A server that shows this certificate and asks for none.
pub(crate) fn tls(cert: Arc<CertifiedKey>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(Fixed(cert))))
}

impl Stub {
    /// Answers request number n (from 0, over all connections) by `script(n)`.
    pub(crate) async fn start(
        config: Arc<ServerConfig>,
        script: impl Fn(usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, kept, script) = (Arc::clone(&connections), Arc::clone(&requests), Arc::new(script));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, kept, script) =
                    (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&kept), Arc::clone(&script));
                tokio::spawn(async move {
                    // A client that refuses the certificate ends it here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, &kept, script.as_ref()).await;
                    }
                });
            }
        });
        Self { address, connections, requests, task }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: tokio_rustls::server::TlsStream<TcpStream>,
    requests: &Mutex<Vec<String>>,
    script: &(dyn Fn(usize) -> Act + Send + Sync),
) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let written = match script(number) {
            Act::Answer(bytes) => stream.write_all(&bytes).await,
            Act::Last(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
                return;
            }
            Act::Drip(bytes) => drip(&mut stream, &bytes).await,
            Act::Hang => return std::future::pending().await,
            Act::CutAfter(time) => return tokio::time::sleep(time).await,
            Act::Cut(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(stream.flush().await);
                return;
            }
            Act::Forever(head, more) => forever(&mut stream, &head, &more).await,
        };
        if written.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn drip(stream: &mut tokio_rustls::server::TlsStream<TcpStream>, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn forever(
    stream: &mut tokio_rustls::server::TlsStream<TcpStream>,
    head: &[u8],
    more: &[u8],
) -> std::io::Result<()> {
    stream.write_all(head).await?;
    loop {
        stream.write_all(more).await?;
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
        if text.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// An answer with this body, its length said rightly.
pub(crate) fn http(code: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A container of keys of 32 bytes, every byte `n` for the n-th.
pub(crate) fn keys(ids: &[&str]) -> String {
    let key = |(n, id): (usize, &&str)| {
        let text = plait::etsi014::v1::base64::encode(&[n as u8; 32]);
        format!("{{\"key_ID\":\"{id}\",\"key\":\"{}\"}}", std::str::from_utf8(text.expose()).unwrap())
    };
    format!("{{\"keys\":[{}]}}", ids.iter().enumerate().map(key).collect::<Vec<_>>().join(","))
}
