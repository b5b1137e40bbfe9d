//! Which requests are let in, and what is asked: decided from the head alone.

use std::net::IpAddr;

use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/`
    Page,
    /// `/metrics`
    Metrics,
    /// `/status.json`
    Status,
    /// `/live.json`
    Live,
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Of the answer.
    pub(super) code: StatusCode,
    /// For a person.
    pub(super) text: &'static str,
}

const fn refusal(code: StatusCode, text: &'static str) -> Refusal {
    Refusal { code, text }
}

const NOT_FOUND: Refusal =
    refusal(StatusCode::NOT_FOUND, "there are / /metrics /status.json /live.json /healthz /readyz");
const METHOD: Refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only: nothing can be changed here");
const BODY: Refusal = refusal(StatusCode::PAYLOAD_TOO_LARGE, "no body is taken");
const NO_HOST: Refusal = refusal(StatusCode::BAD_REQUEST, "expected one Host header (RFC 9112, 3.2)");
const FOREIGN_HOST: Refusal = refusal(
    StatusCode::MISDIRECTED_REQUEST,
    "Host names another machine: on a loopback address this page answers to an address and to localhost only",
);

/// What the request asks for. A page on `loopback` answers to addresses and `localhost` only: a foreign site whose name
/// was pointed at this machine must not read it through the operator's browser.
pub(super) fn admit(head: &Parts, loopback: bool) -> Result<Place, Refusal> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(METHOD);
    }
    if has_body(&head.headers) {
        return Err(BODY);
    }
    host(head, loopback)?;
    match head.uri.path() {
        "/" => Ok(Place::Page),
        "/metrics" => Ok(Place::Metrics),
        "/status.json" => Ok(Place::Status),
        "/live.json" => Ok(Place::Live),
        "/healthz" => Ok(Place::Health),
        "/readyz" => Ok(Place::Ready),
        _ => Err(NOT_FOUND),
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    length || headers.contains_key(TRANSFER_ENCODING)
}

fn host(head: &Parts, loopback: bool) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        // HTTP/1.0 has none, and no browser speaks it.
        (None, _) if head.version == Version::HTTP_10 => return Ok(()),
        (None, _) | (Some(_), Some(_)) => return Err(NO_HOST),
    };
    let name = host.to_str().ok().and_then(name_of).ok_or(NO_HOST)?;
    let is_own = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    if loopback && !is_own { Err(FOREIGN_HOST) } else { Ok(()) }
}

/// `name`, `name:80`, `[::1]`, `[::1]:80` without brackets and port.
fn name_of(host: &str) -> Option<&str> {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Place, Refusal> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        admit(&request.body(()).unwrap().into_parts().0, true)
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:9596");

    #[test]
    fn each_place_has_its_path_and_nothing_else_is_there() {
        for (path, place) in [
            ("/", Place::Page),
            ("/metrics", Place::Metrics),
            ("/metrics?x=1", Place::Metrics),
            ("/status.json", Place::Status),
            ("/live.json", Place::Live),
            ("/healthz", Place::Health),
            ("/readyz", Place::Ready),
        ] {
            assert_eq!(asked("GET", path, &[HERE]), Ok(place), "{path}");
            assert_eq!(asked("HEAD", path, &[HERE]), Ok(place), "{path}");
        }
        for path in ["/metrics/", "//", "/../etc/passwd", "/status", "/METRICS", "*"] {
            assert_eq!(asked("GET", path, &[HERE]), Err(NOT_FOUND), "{path}");
        }
    }

    #[test]
    fn nothing_can_be_sent() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "BREW"] {
            assert_eq!(asked(method, "/metrics", &[HERE]), Err(METHOD), "{method}");
        }
        assert_eq!(asked("GET", "/", &[HERE, ("content-length", "1")]), Err(BODY));
        assert_eq!(asked("GET", "/", &[HERE, ("content-length", "-1")]), Err(BODY));
        assert_eq!(asked("GET", "/", &[HERE, ("transfer-encoding", "chunked")]), Err(BODY));
        assert_eq!(asked("GET", "/", &[HERE, ("content-length", "0")]), Ok(Place::Page));
    }

    #[test]
    fn the_host_is_this_machine() {
        for host in ["localhost", "LOCALHOST:9596", "127.0.0.1", "[::1]:9596", "10.0.0.1:1", "[fe80::1]"] {
            assert_eq!(asked("GET", "/", &[("host", host)]), Ok(Place::Page), "{host}");
        }
        for host in ["evil.example", "evil.example:9596", "127.0.0.1.evil.example", "localhost.evil.example"] {
            assert_eq!(asked("GET", "/", &[("host", host)]), Err(FOREIGN_HOST), "{host}");
        }
        for hosts in [&[][..], &[("host", "")], &[("host", ":80")], &[("host", "[::1")], &[HERE, HERE]] {
            assert_eq!(asked("GET", "/", hosts), Err(NO_HOST), "{hosts:?}");
        }
        let mut old = Request::builder().uri("/").body(()).unwrap().into_parts().0;
        old.version = Version::HTTP_10;
        assert_eq!(admit(&old, true), Ok(Place::Page));
    }

    #[test]
    fn where_others_may_look_they_may_use_a_name() {
        let head = Request::builder().uri("/").header("host", "hq.example").body(()).unwrap().into_parts().0;
        assert_eq!(admit(&head, false), Ok(Place::Page));
        assert_eq!(admit(&head, true), Err(FOREIGN_HOST));
    }
}
