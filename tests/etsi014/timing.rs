//! Slow KMEs, kept connections and turns. Waits are bounded from above by far more than they take, never from below.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plait::io::kme_client::registry::KmeClients;
use plait::io::source::{Etsi014Source, KeySource, SourceSetup};
use plait::keys::request::KeyRequestKind;
use plait::types::id::{KeyId, SaeId};
use plait::types::policy::Reason;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::pki::Pki;
use crate::stub::{Act, Stub, http, keys, tls};
use crate::world::{fetch, new_key, no_key_by_id, setup, source};

/// Nothing here may take so long.
const HANGS: Duration = Duration::from_secs(60);

async fn stub(pki: &Pki, script: impl Fn(usize) -> Act + Send + Sync + 'static) -> Stub {
    Stub::start(tls(pki.certified("KME-A"), rustls::DEFAULT_VERSIONS), script).await
}

fn at(pki: &Pki, stub: &Stub) -> SourceSetup {
    setup(pki, stub.address, "SAE-A", "SAE-B")
}

fn one_key() -> Vec<u8> {
    http(200, "", &keys(&["k-0"]))
}

#[tokio::test]
async fn a_kme_that_is_too_slow_misses_its_deadline_and_its_key_is_thrown_away() {
    let pki = Pki::new();
    for act in [Act::Hang, Act::Drip(one_key()), Act::Answer(one_key()[..60].to_vec())] {
        let stub =
            stub(&pki, move |number| if number == 0 { act.clone() } else { Act::Answer(http(503, "", "")) }).await;
        let mut source = source(at(&pki, &stub));
        let kind = KeyRequestKind::New { bits: 256 };
        let asked = timeout(HANGS, fetch(&mut source, kind, Duration::from_millis(250))).await.unwrap();
        assert_eq!(asked.unwrap_err().reason, Reason::Deadline);
        assert_eq!(new_key(&mut source).await.unwrap_err().reason, Reason::NoKeyNow, "the late key came back");
        assert_eq!(stub.connections(), 2, "a half-read connection was kept");
    }
}

#[tokio::test]
async fn what_the_kme_said_of_a_key_is_not_forgotten_over_a_last_try_without_time() {
    let pki = Pki::new();
    let script =
        |number| if number == 0 { Act::Answer(http(400, "", "{\"message\":\"not here\"}")) } else { Act::Hang };
    let stub = stub(&pki, script).await;
    let kind = KeyRequestKind::ById { key_id: KeyId::new(b"k-0").unwrap() };
    let mut source = source(at(&pki, &stub));
    let asked = fetch(&mut source, kind, Duration::from_secs(3));
    let failure = timeout(HANGS, asked).await.unwrap().unwrap_err();
    assert!(failure.reason == Reason::UnknownKeyId && failure.text.contains("not here"), "{failure:?}");
    assert!(failure.text.contains("asked 2 times") && stub.requests().len() == 2, "{failure:?}");
}

#[tokio::test]
async fn the_sections_timeout_holds_if_it_is_shorter() {
    let pki = Pki::new();
    let stub = stub(&pki, |_| Act::Hang).await;
    let mut source = source(SourceSetup { timeout: Duration::from_millis(100), ..at(&pki, &stub) });
    assert_eq!(timeout(HANGS, new_key(&mut source)).await.unwrap().unwrap_err().reason, Reason::Deadline);
    assert_eq!(timeout(HANGS, source.status()).await.unwrap().result.unwrap_err().reason, Reason::Deadline);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut source = source(setup(&pki, address, "SAE-A", "SAE-B"));
    let failure = timeout(HANGS, new_key(&mut source)).await.unwrap().unwrap_err();
    assert!(failure.reason == Reason::Unreachable && failure.text.contains("no TLS handshake"), "{failure:?}");
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_is_made_anew_when_it_closes() {
    let pki = Pki::new();
    let kept = stub(&pki, |_| Act::Answer(one_key())).await;
    let mut source_a = source(at(&pki, &kept));
    for _ in 0..5 {
        new_key(&mut source_a).await.unwrap();
    }
    assert_eq!((kept.connections(), kept.requests().len()), (1, 5));
    let closing = stub(&pki, |_| Act::Last(one_key())).await;
    let mut source_b = source(at(&pki, &closing));
    for _ in 0..5 {
        new_key(&mut source_b).await.unwrap();
    }
    assert_eq!((closing.connections(), closing.requests().len()), (5, 5));
}

#[tokio::test]
async fn a_request_lost_with_a_kept_connection_is_sent_once_more_and_others_are_not() {
    let pki = Pki::new();
    let forgetful = stub(&pki, |n| if n == 1 { Act::Cut(Vec::new()) } else { Act::Answer(one_key()) }).await;
    let mut source_a = source(at(&pki, &forgetful));
    new_key(&mut source_a).await.unwrap();
    new_key(&mut source_a).await.unwrap();
    assert_eq!((forgetful.connections(), forgetful.requests().len()), (2, 3));
    let dead = stub(&pki, |_| Act::Cut(Vec::new())).await;
    new_key(&mut source(at(&pki, &dead))).await.unwrap_err();
    assert_eq!(dead.requests().len(), 1, "each further enc_keys would burn a further key");
}

#[tokio::test]
async fn enc_keys_is_asked_once_and_dec_keys_until_the_key_is_there() {
    let pki = Pki::new();
    let empty = stub(&pki, |_| Act::Answer(http(503, "", ""))).await;
    new_key(&mut source(at(&pki, &empty))).await.unwrap_err();
    assert_eq!(empty.requests().len(), 1);
    for code in [400, 401, 404, 503] {
        let late = stub(&pki, move |n| Act::Answer(if n < 2 { http(code, "", "") } else { one_key() })).await;
        let by_id = KeyRequestKind::ById { key_id: KeyId::new(b"k-0").unwrap() };
        fetch(&mut source(at(&pki, &late)), by_id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(late.requests().len(), 3);
    }
    let expired = stub(&pki, |_| Act::Answer(http(403, "", "Key expired"))).await;
    let failure = no_key_by_id(&mut source(at(&pki, &expired)), &KeyId::new(b"k-0").unwrap()).await.unwrap_err();
    assert_eq!((failure.reason, expired.requests().len()), (Reason::UnknownKeyId, 1));
}

#[tokio::test]
async fn a_key_that_does_not_come_is_asked_for_less_and_less_often() {
    let pki = Pki::new();
    let stub = stub(&pki, |_| Act::Answer(http(404, "", ""))).await;
    let by_id = KeyRequestKind::ById { key_id: KeyId::new(b"k-0").unwrap() };
    fetch(&mut source(at(&pki, &stub)), by_id, Duration::from_secs(2)).await.unwrap_err();
    // After 0, 50, 150, 350, 750 and 1550 ms at the soonest.
    assert!((2..=6).contains(&stub.requests().len()), "{}", stub.requests().len());
}

#[tokio::test]
async fn a_kme_that_hangs_up_after_the_deadline_was_late_all_the_same() {
    let pki = Pki::new();
    let stub = stub(&pki, |_| Act::CutAfter(Duration::from_millis(330))).await;
    let kind = KeyRequestKind::New { bits: 256 };
    let failure = fetch(&mut source(at(&pki, &stub)), kind, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Deadline, "{failure:?}");
}

#[tokio::test]
async fn a_connection_to_a_kme_that_says_nothing_is_closed_with_the_request() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let acceptor = TlsAcceptor::from(tls(pki.certified("KME-A"), rustls::DEFAULT_VERSIONS));
    let mut source = source(setup(&pki, listener.local_addr().unwrap(), "SAE-A", "SAE-B"));
    let silent = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        while !matches!(stream.read(&mut [0; 512]).await, Ok(0) | Err(_)) {}
    });
    let kind = KeyRequestKind::New { bits: 256 };
    fetch(&mut source, kind, Duration::from_millis(300)).await.unwrap_err();
    timeout(HANGS, silent).await.expect("the connection is still there").unwrap();
}

#[tokio::test]
async fn sections_with_one_url_share_one_connection_and_take_turns() {
    let pki = Pki::new();
    let stub = Arc::new(stub(&pki, |_| Act::Answer(one_key())).await);
    let mut clients = KmeClients::default();
    let mut sources: Vec<Etsi014Source> = ["SAE-B", "SAE-C", "SAE-D"]
        .map(|remote| SourceSetup { remote_sae: SaeId::new(remote).unwrap(), ..at(&pki, &stub) })
        .map(|setup| Etsi014Source::new(setup, &mut clients).unwrap())
        .into();
    let [a, b, c] = sources.as_mut_slice() else { panic!("three sources") };
    let (a, b, c) = tokio::join!(new_key(a), new_key(b), new_key(c));
    a.and(b).and(c).unwrap();
    assert_eq!((stub.connections(), stub.requests().len()), (1, 3));
    let reach = at(&pki, &stub).reach;
    assert!(Arc::ptr_eq(&clients.client(&reach).unwrap(), &clients.client(&reach).unwrap()));
}

#[tokio::test]
async fn another_certificate_at_the_same_kme_waits_for_its_turn() {
    let pki = Pki::new();
    let stub = stub(&pki, |n| if n == 0 { Act::Hang } else { Act::Answer(one_key()) }).await;
    let mut clients = KmeClients::default();
    let mut first = Etsi014Source::new(at(&pki, &stub), &mut clients).unwrap();
    let mut second = Etsi014Source::new(setup(&pki, stub.address, "SAE-B", "SAE-A"), &mut clients).unwrap();
    let kind = KeyRequestKind::New { bits: 256 };
    let (first, second) = tokio::join!(fetch(&mut first, kind, Duration::from_secs(2)), async {
        while stub.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let while_busy = timeout(Duration::from_millis(20), second_turn(&mut clients, &pki, &stub)).await;
        (while_busy.is_err(), new_key(&mut second).await)
    });
    assert_eq!(first.unwrap_err().reason, Reason::Deadline);
    assert!(second.0, "a second request was sent while the first was out");
    second.1.unwrap();
}

async fn second_turn(clients: &mut KmeClients, pki: &Pki, stub: &Stub) {
    let reach = setup(pki, stub.address, "SAE-B", "SAE-A").reach;
    drop(clients.client(&reach).unwrap().turn().await);
}

#[tokio::test]
async fn stuck_clients_of_our_kme_hold_others_up_for_seconds_only() {
    let pki = Pki::new();
    let server = crate::world::serve(&pki, crate::world::STILL, "").await;
    let at = server.addresses()[0][0];
    let mut stuck = Vec::new();
    // More than its 256 connections: the rest waits in the kernel.
    for _ in 0..300 {
        stuck.push(tokio::net::TcpStream::connect(at).await.unwrap());
    }
    let start = Instant::now();
    let mut asking = source(crate::world::site(&pki, &server, 0));
    while new_key(&mut asking).await.is_err() {
        assert!(start.elapsed() < HANGS, "the stuck connections were never given up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(stuck);
}
