//! The usual mistakes with a KME, each told by its own words, beside those of `trust.rs` and `files.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use plait::keys::request::SourceFailure;
use plait::types::id::SaeId;
use plait::types::policy::Reason;
use socket2::{Domain, Socket, Type};

use crate::pki::Pki;
use crate::stub::{Act, Stub, http, tls};
use crate::world::{STILL, new_key, serve, setup, site, source};

async fn failure(setup: plait::io::source::SourceSetup) -> SourceFailure {
    new_key(&mut source(setup)).await.unwrap_err()
}

#[tokio::test]
async fn swapped_ids_are_said_to_be_swapped() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut swapped = site(&pki, &server, 0);
    (swapped.local_sae, swapped.remote_sae) = (SaeId::new("SAE-B").unwrap(), SaeId::new("SAE-A").unwrap());
    let failure = failure(swapped).await;
    assert!(failure.text.contains("local_sae and remote_sae are swapped"), "{failure:?}");
    let mut strange = site(&pki, &server, 0);
    strange.remote_sae = SaeId::new("SAE-Z").unwrap();
    let failure = new_key(&mut source(strange)).await.unwrap_err();
    assert!(!failure.text.contains("are swapped") && failure.text.contains("unknown remote_sae"), "{failure:?}");
}

#[tokio::test]
async fn a_key_size_that_the_kme_does_not_serve_is_named() {
    let pki = Pki::new();
    let short = "{\"keys\":[{\"key_ID\":\"k-0\",\"key\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}]}";
    let act = Act::Answer(http(200, "", short));
    let stub = Stub::start(tls(pki.certified("KME-A"), rustls::DEFAULT_VERSIONS), move |_| act.clone()).await;
    let failure = failure(setup(&pki, stub.address, "SAE-A", "SAE-B")).await;
    assert!(failure.reason == Reason::WrongSize && failure.text.contains("128 bits, expected 256"), "{failure:?}");
    let act = Act::Answer(http(400, "", "{\"message\":\"size\"}"));
    let stub = Stub::start(tls(pki.certified("KME-A"), rustls::DEFAULT_VERSIONS), move |_| act.clone()).await;
    let failure = new_key(&mut source(setup(&pki, stub.address, "SAE-A", "SAE-B"))).await.unwrap_err();
    assert!(failure.text.contains("a size that this KME does not serve"), "{failure:?}");
}

/// A listener whose queue is full drops further calls, as a firewall does.
#[tokio::test]
async fn a_firewall_that_drops_is_suspected() {
    let pki = Pki::new();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let at = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(at)).await
    {
        held.push(stream);
        assert!(held.len() < 20, "the queue of the listener is not full");
    }
    let failure = failure(setup(&pki, at, "SAE-A", "SAE-B")).await;
    assert!(failure.reason == Reason::Unreachable && failure.text.contains("a firewall that drops"), "{failure:?}");
}
