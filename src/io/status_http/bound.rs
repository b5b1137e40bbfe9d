//! Connections of the status page: how many, how long, how large; and the answers.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::door::{Place, Refusal, admit};
use super::page::Page;
use super::shelf::{Ask, Moment, Shelf};
use crate::control::openmetrics;
use crate::control::report::Urgency;

/// Connections at once: a few browsers and scrapers; one more is told so and closed.
pub const CONNECTIONS_MAX: usize = 16;
/// For a request's head to come: a slow one holds a place that another needs.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(3);
/// For all of a connection, its answer read by the other end included.
pub const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of a request's head: the least that the HTTP library takes, and ten times what a browser sends.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// What is said to one connection too many.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 3\r\n\r\n";
/// Of the page's answers a browser keeps nothing and shows nothing within another page.
const PLAIN_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A listening socket.
pub struct StatusListener {
    listener: TcpListener,
    loopback: bool,
}

struct Desk {
    shelf: Shelf,
    page: Page,
    loopback: bool,
}

impl StatusListener {
    /// Over a socket that listens. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub fn over(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let loopback = socket.local_addr()?.ip().to_canonical().is_loopback();
        Ok(Self { listener: TcpListener::from_std(socket)?, loopback })
    }

    /// The address with its port.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the receiver of the questions is gone.
    pub async fn serve(self, asks: mpsc::Sender<Ask>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let gone = asks.clone();
        let desk = Arc::new(Desk { shelf: Shelf::new(asks), page: Page::new(), loopback: self.loopback });
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = gone.closed() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "status page: a client is lost");
                    // Without descriptors accept fails at once and again: do not spin.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                // It fits into the empty buffer of a new connection, or it is not said.
                let _ = stream.try_write(FULL);
                continue;
            };
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                if timeout(CONNECTION_DEADLINE, attend(stream, desk)).await.is_err() {
                    tracing::debug!("status page: a client was too slow");
                }
                drop(place);
            });
        }
    }
}

async fn attend(stream: TcpStream, desk: Arc<Desk>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    // One request a connection: there is nothing left to be slow with.
    http.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX).keep_alive(false);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "status page: a connection ended");
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let place = match admit(&request.into_parts().0, self.loopback) {
            Ok(place) => place,
            Err(refusal) => return refused(refusal),
        };
        if place == Place::Page {
            let page = response(StatusCode::OK, "text/html; charset=utf-8", self.page.html());
            return with(page, CONTENT_SECURITY_POLICY, self.page.policy());
        }
        match self.shelf.moment().await {
            Some(moment) => shown(place, &moment),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer"),
        }
    }
}

fn shown(place: Place, moment: &Moment) -> Response<Full<Bytes>> {
    let json = "application/json";
    match place {
        Place::Metrics => response(StatusCode::OK, openmetrics::CONTENT_TYPE, moment.metrics()),
        Place::Status => response(StatusCode::OK, json, moment.status()),
        Place::Live => response(StatusCode::OK, json, moment.live()),
        // The page does not wait for the loop, and whoever got a moment knows that the loop answers.
        Place::Page | Place::Health => text(StatusCode::OK, "ok"),
        Place::Ready => {
            let status = &moment.view().report.status;
            let code = match status.urgency() {
                Urgency::None | Urgency::Soon => StatusCode::OK,
                Urgency::Now => StatusCode::SERVICE_UNAVAILABLE,
            };
            text(code, &status.state)
        }
    }
}

fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let answer = text(refusal.code, refusal.text);
    if refusal.code == StatusCode::METHOD_NOT_ALLOWED {
        return with(answer, ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    answer
}

fn text(code: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(code, "text/plain; charset=utf-8", Bytes::from(format!("{text}\n")))
}

fn with(mut response: Response<Full<Bytes>>, name: HeaderName, value: HeaderValue) -> Response<Full<Bytes>> {
    response.headers_mut().insert(name, value);
    response
}

fn response(code: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = code;
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, PLAIN_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
