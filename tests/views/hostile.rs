//! Requests of people who mean ill: each is bounded and none keeps the next one from its answer.

use crate::sample::well;
use crate::server::{Answer, Server};
use plait::io::status_http::{CONNECTIONS_MAX, HEAD_BYTES_MAX};
use std::io::Write;
use std::net::TcpStream;

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(Some(well()));
    let long = "x".repeat(2 * HEAD_BYTES_MAX);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1000)),
    ] {
        let mut stream = server.connect();
        // The other end may close before all of it is sent.
        let _ = stream.write_all(request.as_bytes());
        let answer = Answer::read(stream);
        assert!([0, 414, 431].contains(&answer.code), "{answer:?}");
    }
    assert_eq!(server.get("/healthz").code, 200);
}

#[test]
fn what_is_not_a_look_is_refused() {
    let server = Server::start(Some(well()));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let answer = server.ask(method, "/status.json");
        assert_eq!((answer.code, answer.header("allow")), (405, "get, head"), "{method}");
    }
    let host = "Host: localhost\r\n";
    for (request, code) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhello"), 413),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: 999999999999\r\n\r\n"), 413),
        (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 413),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 200),
    ] {
        assert_eq!(server.raw(&request).code, code, "{request}");
    }
    for garbage in
        ["\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\nHost"]
    {
        let mut stream = server.connect();
        stream.write_all(garbage.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = Answer::read(stream);
        assert!([0, 400, 505].contains(&answer.code), "{garbage:?}: {answer:?}");
    }
    assert_eq!(server.get("/healthz").code, 200);
}

#[test]
fn one_request_a_connection() {
    let server = Server::start(Some(well()));
    let twice = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    let answer = server.raw(&twice);
    assert_eq!((answer.code, answer.header("connection")), (200, "close"));
    assert_eq!(answer.body, "ok\n", "the second one has no answer");
}

#[test]
fn slow_ones_lose_their_place_and_too_many_are_told_so() {
    let server = Server::start(Some(well()));
    let slow: Vec<TcpStream> = (0..CONNECTIONS_MAX)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    // The listener counts a connection when it accepts it: the last of them may still wait for that.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let refused = server.get("/healthz");
    assert!([0, 503].contains(&refused.code), "{refused:?}");
    for stream in slow {
        let answer = Answer::read(stream);
        assert!([0, 408].contains(&answer.code), "a slow head has no answer: {answer:?}");
    }
    assert_eq!(server.get("/healthz").code, 200, "their places are free again");
}
