//! One KME's HTTPS server: bounded connections, the caller's identity from its certificate, bounded bodies.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::doorstep::{Doorstep, Place};
use super::outlet::{Outlet, Parts};
use super::threshold;
use crate::etsi014::v1::error::error_json;
use crate::io::clock::Clock;
use crate::io::entropy::OsEntropy;
use crate::io::tls::leaf::Leaf;
use crate::kme::api::{self, ApiRequest, Verb};
use crate::kme::catalogue::Fault;
use crate::kme::delivery::Delivery;
use crate::kme::pair::{Pair, Side};
use crate::types::id::SaeId;
use crate::types::secret::SecretBytes;

/// Connections of one KME with a good certificate; the next one waits until one ends.
const CONNECTIONS_MAX: usize = 256;
/// A TLS handshake that takes longer is given up: it holds a connection and has proven nothing.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection without a whole request head for so long is closed; a client that polls each 30 s keeps it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// A body that takes longer is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a body: 128 ids of the longest kind fit five times.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Bytes of a request head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What both servers and the control socket share.
pub(super) struct Shared {
    pub(super) pair: Mutex<(Pair, OsEntropy)>,
    pub(super) clock: Clock,
}

/// One KME of the pair.
pub(super) struct Kme {
    shared: Arc<Shared>,
    side: Side,
    acceptor: TlsAcceptor,
    doorstep: Doorstep,
    room: Arc<Semaphore>,
}

impl Kme {
    pub(super) fn new(shared: Arc<Shared>, side: Side, tls: Arc<ServerConfig>) -> Self {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { shared, side, acceptor: TlsAcceptor::from(tls), doorstep: Doorstep::default(), room }
    }

    /// Accepts connections until the pair stops; then all of them end.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = stopped.changed() => return,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    let kme = Arc::clone(&self);
                    self.doorstep.enter(from.ip(), |place| connections.spawn(kme.connection(stream, place)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    // Out of file descriptors: accepting again at once would spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, place: Place) {
        if let Some(fault) = self.fault_of_connection() {
            return threshold::mistreat(stream, fault).await;
        }
        let accepting = self.acceptor.accept(stream).into_fallible();
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err((error, stream))) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return threshold::farewell(stream).await;
            }
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        };
        // For as long as others with a certificate leave no room, it stands on the doorstep.
        let Ok(_room) = Arc::clone(&self.room).acquire_owned().await else { return };
        drop(place);
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(|leaf| Leaf::read(leaf));
        let caller = leaf.and_then(|leaf| leaf.common_name).and_then(|cn| SaeId::new(&cn));
        let Parts { reader, library, pipe, outlet } = Parts::of(stream);
        let outlet = Arc::new(outlet);
        let at = Arc::clone(&outlet);
        let service = hyper::service::service_fn(move |request| {
            let (kme, caller, outlet) = (Arc::clone(&self), caller.clone(), Arc::clone(&at));
            async move { Ok::<_, Infallible>(kme.answer(caller, request, &outlet).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT).max_headers(HEADERS_MAX);
        http.max_buf_size(HEAD_BYTES_MAX);
        let serving = http.serve_connection(TokioIo::new(library), service);
        let serving = async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection ended");
            }
        };
        outlet.carry(reader, pipe, serving).await;
    }

    fn fault_of_connection(&self) -> Option<Fault> {
        let mut held = self.shared.pair.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = held.0.faults();
        threshold::OF_CONNECTIONS.into_iter().find(|fault| faults.take(*fault, self.side))
    }

    async fn answer(
        &self,
        caller: Option<SaeId>,
        request: Request<Incoming>,
        outlet: &Outlet,
    ) -> Response<Full<Bytes>> {
        let Some(caller) = caller else {
            return error(StatusCode::UNAUTHORIZED, "the client certificate has no CN that names a SAE");
        };
        let (head, body) = request.into_parts();
        let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(reason)) if reason.is::<http_body_util::LengthLimitError>() => {
                return error(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 64 KiB");
            }
            Ok(Err(_)) => return error(StatusCode::BAD_REQUEST, "the body ends early"),
            Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body took longer than 10 s"),
        };
        let verb = match head.method {
            Method::GET => Verb::Get,
            Method::POST => Verb::Post,
            _ => Verb::Other,
        };
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let request = ApiRequest { caller: &caller, verb, path, query, body: &body };
        let delivery = {
            let mut held = self.shared.pair.lock().unwrap_or_else(PoisonError::into_inner);
            let (pair, entropy) = &mut *held;
            api::answer_on_the_way(pair, self.shared.clock.now(), self.side, &request, entropy)
        };
        match delivery {
            Delivery::Proper { code, fields, body } => {
                tracing::debug!(sae = %caller, path, code, "answered");
                response(code, &fields, body)
            }
            Delivery::Scripted(steps) => {
                tracing::debug!(sae = %caller, path, "answered by a script");
                outlet.play(steps).await;
                response(204, &[], SecretBytes::new(Vec::new()))
            }
        }
    }
}

/// Body bytes that are wiped once they are sent.
struct Wiped(SecretBytes);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

fn response(code: u16, fields: &[(&'static str, &'static str)], body: SecretBytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_owner(Wiped(body))));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in fields {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

fn error(code: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = SecretBytes::new(error_json(message).into_bytes());
    response(code.as_u16(), &[("content-type", "application/json")], body)
}
