//! Every place answers what it should, in every state, and the places agree with each other.

use crate::sample::{in_state, well};
use crate::server::Server;
use plait::control::live::LiveReport;
use plait::control::report::StatusReport;

#[test]
fn every_place_answers_with_its_type() {
    let server = Server::start(Some(well()));
    for (path, code, kind) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/metrics", 200, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("/status.json", 200, "application/json"),
        ("/live.json", 200, "application/json"),
        ("/healthz", 200, "text/plain; charset=utf-8"),
        ("/readyz", 200, "text/plain; charset=utf-8"),
        ("/nothing", 404, "text/plain; charset=utf-8"),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.code, answer.header("content-type")), (code, kind), "{path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(!answer.head_has("access-control"), "{path}: no other site may read it");
        let head = server.ask("HEAD", path);
        assert_eq!((head.code, head.body.as_str()), (code, ""), "{path}");
        assert_eq!(head.header("content-length"), answer.header("content-length"), "{path}");
    }
}

#[test]
fn the_places_agree_with_each_other_in_every_state() {
    for (state, ready) in [
        ("HYBRID", 200),
        ("OFF", 200),
        ("HOLDOVER", 200),
        ("DEGRADED", 200),
        ("HOLDING", 503),
        ("BLOCKED", 503),
        ("DOWN", 503),
    ] {
        // A moment is kept for half a second: a new listener has none yet.
        let server = Server::start(Some(in_state(state)));
        let status: StatusReport = serde_json::from_str(&server.get("/status.json").body).unwrap();
        let live: LiveReport = serde_json::from_str(&server.get("/live.json").body).unwrap();
        assert_eq!(live.status, status);
        assert_eq!((status.state.as_str(), status.peers[0].state.as_str()), (state, state));
        let answer = server.get("/readyz");
        assert_eq!((answer.code, answer.body.as_str()), (ready, format!("{state}\n").as_str()));
        let metrics = server.get("/metrics").body;
        let series = format!("plait_peer_state{{interface=\"hq-dc\",peer=\"dc-east\",state=\"{state}\"}} 1\n");
        assert!(metrics.contains(&series), "{metrics}");
        assert_eq!(server.get("/healthz").code, 200, "the daemon is well, whatever the tunnel is");
    }
}

#[test]
fn the_loop_is_asked_seldom_however_many_ask() {
    use std::sync::atomic::Ordering;
    let server = Server::start(Some(well()));
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(server.get("/status.json").code, 200);
    }
    let most = 2 + begun.elapsed().as_millis() as usize / 500;
    let asked = server.asked.load(Ordering::SeqCst);
    assert!((1..=most).contains(&asked), "{asked} times, {most} at most");
}

#[test]
fn a_loop_that_stands_still_is_said_and_the_page_still_comes() {
    let server = Server::start(None);
    let answer = server.get("/healthz");
    assert_eq!((answer.code, answer.body.as_str()), (503, "the daemon does not answer\n"));
    assert_eq!(server.get("/").code, 200);
    server.show(Some(well()));
    assert_eq!(server.get("/healthz").code, 200, "and it comes back");
}
