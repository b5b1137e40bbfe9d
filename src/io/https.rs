//! HTTP/1.1 over mutual TLS to one KME: one kept connection, one request at a time, everything bounded.
//!
//! No proxy (the environment is not asked), no redirect (a 3xx is an answer like any other), no other protocol. What it
//! reads into its own memory is wiped; the buffers of the TLS and HTTP libraries are not in its reach.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, DATE, HOST, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::clock::Clock;
use super::http_date;
use super::last_words::HeardOut;
use super::tls::client::{ClientFiles, ClientTls, client_tls, server_name};
use super::tls::explain::{explain_connect, explain_tls, tls_error};
use super::tls::leaf::Leaf;
use super::tls::material::SetupError;
use crate::config::KmeTls;
use crate::etsi014::v1::url::BaseUrl;
use crate::types::policy::Reason;
use crate::types::time::UnixTime;

/// TCP and TLS together: a KME of the same site answers in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Addresses of one name that are tried; each gets its share of the time.
const ADDRESSES_MAX: usize = 4;
/// Header fields of an answer.
const HEADERS_MAX: usize = 64;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long the last words of a connection that ends are waited for: they say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a machine that stood still over a deadline may still take to read the refusal that came meanwhile.
const LATE_WORDS: Duration = Duration::from_millis(100);

/// One request.
pub struct Call {
    /// GET without a body, POST with one.
    pub body: Option<String>,
    /// Path and query, escaped.
    pub target: String,
    /// Bytes of an answer's body; a longer one is not read to its end.
    pub body_bytes_max: usize,
}

/// One answer, of any code.
pub struct Answer {
    /// HTTP status code.
    pub code: u16,
    /// Wiped when dropped.
    pub body: Zeroizing<Vec<u8>>,
    /// The other end's clock, if it tells.
    pub date: Option<UnixTime>,
}

/// What a connection showed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `TLSv1.3 X25519MLKEM768`.
    pub tls: String,
    /// The KME's certificate.
    pub kme: Option<Leaf>,
}

/// How far a call came, in the order of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The host has no address.
    Name,
    /// No TCP connection.
    Connect,
    /// No TLS, for another reason than the two below.
    Tls,
    /// The KME's certificate is not the expected one.
    Certificate,
    /// The KME refuses ours.
    OwnCertificate,
    /// TLS stands, the answer does not come.
    Exchange,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The class.
    pub reason: Reason,
    /// For a person.
    pub text: String,
    /// Whether the same request may do better in a moment: the way failed, not the trust.
    pub is_passing: bool,
    /// Where it failed.
    pub stage: Stage,
}

impl Fault {
    fn passing(stage: Stage, reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), is_passing: true, stage }
    }

    fn lasting(stage: Stage, reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), is_passing: false, stage }
    }
}

/// A KME as HTTPS reaches it.
pub struct HttpsClient {
    url: BaseUrl,
    name: ServerName<'static>,
    tls: ClientTls,
    kme_tls: KmeTls,
    /// Shared by all clients of one KME, whatever certificate they show: two of the field's KMEs stall on two requests.
    turn: Arc<Mutex<()>>,
    live: Mutex<Option<Live>>,
}

struct Live {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    seen: Seen,
}

/// The task that moves the connection's bytes; it ends with the connection.
struct Driver(JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The right to send: nobody else speaks to this KME while it is held.
pub struct Turn<'a> {
    client: &'a HttpsClient,
    live: MutexGuard<'a, Option<Live>>,
    _turn: OwnedMutexGuard<()>,
}

impl HttpsClient {
    /// Loads the files; nothing is connected yet.
    ///
    /// # Errors
    /// [`SetupError`], which says which usual mistake it is.
    pub fn new(
        url: BaseUrl,
        files: ClientFiles<'_>,
        kme_tls: KmeTls,
        turn: Arc<Mutex<()>>,
    ) -> Result<Self, SetupError> {
        let name = server_name(url.host())?;
        Ok(Self { url, name, tls: client_tls(files)?, kme_tls, turn, live: Mutex::new(None) })
    }

    /// Our own certificate.
    pub fn own(&self) -> &Leaf {
        &self.tls.own
    }

    /// Where the KME is.
    pub fn url(&self) -> &BaseUrl {
        &self.url
    }

    /// Waits for the right to send; first come, first served.
    pub async fn turn(&self) -> Turn<'_> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        Turn { client: self, live: self.live.lock().await, _turn: turn }
    }
}

impl Turn<'_> {
    /// Sends the request and reads the whole answer before `until`.
    ///
    /// # Errors
    /// [`Fault`]. A connection on which anything went wrong, or whose answer is too late, is closed.
    pub async fn call(&mut self, until: Instant, call: &Call) -> Result<Answer, Fault> {
        // Taken out, so that a call that is given up half-way leaves no half-read connection behind.
        let kept = self.live.take();
        self.exchange(kept, until, call).await
    }

    /// TLS version and key exchange of the connection, if there is one.
    pub fn tls(&self) -> Option<&str> {
        self.seen().map(|seen| seen.tls.as_str())
    }

    /// What the connection showed, if there is one.
    pub fn seen(&self) -> Option<&Seen> {
        self.live.as_ref().map(|live| &live.seen)
    }

    async fn exchange(&mut self, kept: Option<Live>, until: Instant, call: &Call) -> Result<Answer, Fault> {
        if let Some(mut live) = kept {
            match self.client.send(&mut live, until, call).await {
                Ok(answer) => return self.keep(live, answer),
                // The KME closed the kept connection; at most one key is lost with a request that it still read.
                Err(Broken::Unanswered(_)) => {}
                Err(Broken::Fault(fault)) => return Err(fault),
            }
        }
        let mut live = timeout_at(until, self.client.connect()).await.unwrap_or_else(|_| Err(late()))?;
        let answer = self.client.send(&mut live, until, call).await.map_err(Broken::into_fault)?;
        self.keep(live, answer)
    }

    fn keep(&mut self, live: Live, answer: Answer) -> Result<Answer, Fault> {
        *self.live = Some(live);
        Ok(answer)
    }
}

/// The time of each of so many addresses.
fn share(addresses: usize) -> Duration {
    CONNECT_TIMEOUT / u32::try_from(addresses).unwrap_or(1).max(1)
}

fn late() -> Fault {
    Fault::lasting(Stage::Exchange, Reason::Deadline, "no whole answer in time")
}

/// How a sent request failed.
enum Broken {
    /// Before the first byte of an answer.
    Unanswered(Fault),
    /// Any other way.
    Fault(Fault),
}

impl Broken {
    fn into_fault(self) -> Fault {
        match self {
            Self::Unanswered(fault) | Self::Fault(fault) => fault,
        }
    }
}

impl HttpsClient {
    async fn connect(&self) -> Result<Live, Fault> {
        let to = self.url.authority();
        let (mut doing, mut stage) = ("TCP connection", Stage::Connect);
        let connecting = async {
            let tcp = self.connect_tcp(&to).await?;
            (doing, stage) = ("TLS handshake", Stage::Tls);
            let connector = TlsConnector::from(Arc::clone(&self.tls.config));
            let tls = connector.connect(self.name.clone(), HeardOut::new(tcp)).await;
            tls.map_err(|error| self.tls_fault(&error, &error))
        };
        let stream = timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| {
            let text = format!(
                "no {doing} with {to} in 3 s: a firewall that drops, a wrong address or port, or a KME that hangs"
            );
            Err(Fault::passing(stage, Reason::Unreachable, text))
        })?;
        let tls = self.check_session(&stream)?;
        let kme = stream.get_ref().1.peer_certificates().and_then(|chain| Leaf::read(chain.first()?));
        let mut builder = http1::Builder::new();
        builder.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|e| self.http_fault(&e))?;
        Ok(Live { sender, driver: Driver(tokio::spawn(connection)), seen: Seen { tls, kme } })
    }

    async fn connect_tcp(&self, to: &str) -> Result<TcpStream, Fault> {
        let unreachable = |error| Fault::passing(Stage::Connect, Reason::Unreachable, explain_connect(&error, to));
        let found = tokio::net::lookup_host((self.url.host(), self.url.port())).await;
        let found = found.map_err(|error| {
            let text = format!("the name {} is not known here: {error}", self.url.host());
            Fault::passing(Stage::Name, Reason::Unreachable, text)
        })?;
        let addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
        let share = share(addresses.len());
        let mut last = std::io::Error::other("the name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Requests are single small writes.
                    stream.set_nodelay(true).map_err(unreachable)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = std::io::Error::other("no answer: a firewall that drops, or a wrong address"),
            }
        }
        Err(unreachable(last))
    }

    /// What was negotiated, and whether it is enough.
    fn check_session(&self, stream: &TlsStream<HeardOut>) -> Result<String, Fault> {
        let (_, session) = stream.get_ref();
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(_) | None => "TLS",
        };
        let group = session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        let group = group.unwrap_or_else(|| "without key exchange".to_owned());
        let tls = format!("{version} {group}");
        if self.kme_tls == KmeTls::PostQuantum && !group.contains("MLKEM") {
            let text = format!(
                "the KME negotiates {tls}, and kme_tls = \"pq\" demands a post-quantum key exchange \
                 (X25519MLKEM768): no key was asked for"
            );
            return Err(Fault::lasting(Stage::Tls, Reason::Unreachable, text));
        }
        Ok(tls)
    }

    async fn send(&self, live: &mut Live, until: Instant, call: &Call) -> Result<Answer, Broken> {
        let request = self.request(call).map_err(Broken::Fault)?;
        if let Err(error) = live.sender.ready().await {
            return Err(Broken::Unanswered(self.ended(live, &error).await));
        }
        let sent = {
            let mut sending = std::pin::pin!(live.sender.try_send_request(request));
            match timeout_at(until, &mut sending).await {
                Ok(sent) => sent,
                // An answer is too late, a refusal by TLS is still the reason.
                Err(_) => match timeout(LATE_WORDS, sending).await {
                    Ok(Err(failed)) if tls_error(failed.error()).is_some() => Err(failed),
                    Ok(_) | Err(_) => return Err(Broken::Fault(late())),
                },
            }
        };
        match sent {
            Ok(response) => {
                let answer = timeout_at(until, self.read(response, call)).await;
                answer.unwrap_or_else(|_| Err(late())).map_err(Broken::Fault)
            }
            Err(failed) => {
                let error = failed.into_error();
                let is_unanswered = !error.is_parse();
                let fault = self.ended(live, &error).await;
                Err(if is_unanswered { Broken::Unanswered(fault) } else { Broken::Fault(fault) })
            }
        }
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Fault> {
        let builder = Request::builder()
            .uri(&call.target)
            .header(HOST, self.url.authority())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("plait/", env!("CARGO_PKG_VERSION")));
        let built = match &call.body {
            Some(body) => {
                let builder = builder.method(Method::POST).header(CONTENT_TYPE, "application/json");
                builder.body(Full::new(Bytes::from(body.clone())))
            }
            None => builder.method(Method::GET).body(Full::default()),
        };
        built.map_err(|error| {
            Fault::lasting(Stage::Exchange, Reason::Other, format!("the request cannot be written: {error}"))
        })
    }

    async fn read(&self, response: Response<Incoming>, call: &Call) -> Result<Answer, Fault> {
        let code = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| http_date::read(date.to_str().ok()?));
        let mut incoming = response.into_body();
        // Reserved once, whatever length is claimed: a vector that grows would leave copies of keys behind.
        let mut body = Zeroizing::new(Vec::with_capacity(call.body_bytes_max));
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| self.http_fault(&error))?;
            let Some(part) = frame.data_ref() else { continue };
            if body.len() + part.len() > call.body_bytes_max {
                let text = format!("the answer is longer than {} bytes", call.body_bytes_max);
                return Err(Fault::lasting(Stage::Exchange, Reason::Malformed, text));
            }
            body.extend_from_slice(part);
        }
        Ok(Answer { code, body, date })
    }

    /// Why a connection ended: the reason may lie with the task that reads it (a TLS 1.3 server refuses a client's
    /// certificate only after the handshake).
    async fn ended(&self, live: &mut Live, error: &hyper::Error) -> Fault {
        if tls_error(error).is_none()
            && let Ok(Ok(Err(last))) = timeout(LAST_WORDS, &mut live.driver.0).await
            && tls_error(&last).is_some()
        {
            return self.http_fault(&last);
        }
        self.http_fault(error)
    }

    fn http_fault(&self, error: &hyper::Error) -> Fault {
        if error.is_parse() || error.is_parse_too_large() {
            return Fault::lasting(Stage::Exchange, Reason::Malformed, format!("the answer is not HTTP/1.1: {error}"));
        }
        let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})")).unwrap_or_default();
        let text = format!("the KME closed the connection before a whole answer: {error}{cause}");
        let plain = std::io::Error::other(text.clone());
        match tls_error(error) {
            Some(_) => self.tls_fault(error, &plain),
            None => Fault::passing(Stage::Exchange, Reason::Unreachable, text),
        }
    }

    fn tls_fault(&self, error: &(dyn std::error::Error + 'static), plain: &std::io::Error) -> Fault {
        match tls_error(error) {
            Some(error) => {
                let stage = if matches!(error, rustls::Error::InvalidCertificate(_)) {
                    Stage::Certificate
                } else if matches!(error, rustls::Error::AlertReceived(_)) {
                    Stage::OwnCertificate
                } else {
                    Stage::Tls
                };
                let (reason, text) = explain_tls(error, &self.tls.own, Clock::start().unix());
                Fault::lasting(stage, reason, text)
            }
            None => Fault::passing(Stage::Tls, Reason::Unreachable, explain_connect(plain, &self.url.authority())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_share_the_time_of_one() {
        assert_eq!([0, 1, 2, ADDRESSES_MAX].map(share), [3000, 3000, 1500, 750].map(Duration::from_millis));
    }
}
