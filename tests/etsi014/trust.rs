//! Which certificates are accepted at either end, what a refusal says, and which TLS is good enough.

use std::sync::Arc;
use std::time::Duration;

use plait::io::kme_client::registry::Reach;
use plait::io::source::{KeySource, SourceSetup};
use plait::keys::request::{KeyRequestKind, SourceFailure};
use plait::types::policy::Reason;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::pki::{Odd, Pki};
use crate::stub::{Act, Stub, http, keys, tls};
use crate::world::{STILL, new_key, serve, setup, site, source};

/// A stub that shows `NAME.pem` and answers everything with one key.
async fn shows(pki: &Pki, name: &str) -> Stub {
    let act = Act::Answer(http(200, "", &keys(&["k-0"])));
    Stub::start(tls(pki.certified(name), rustls::DEFAULT_VERSIONS), move |_| act.clone()).await
}

async fn ask(pki: &Pki, stub: &Stub, change: impl FnOnce(&mut Reach)) -> Result<(), SourceFailure> {
    let mut setup = setup(pki, stub.address, "SAE-A", "SAE-B");
    change(&mut setup.reach);
    new_key(&mut source(setup)).await.map(|_| ())
}

#[track_caller]
fn refused(outcome: Result<(), SourceFailure>, words: &str) {
    let failure = outcome.unwrap_err();
    assert!(failure.reason == Reason::Unreachable && failure.text.contains(words), "{failure:?}");
}

#[tokio::test]
async fn bad_certificates_are_refused_with_what_was_expected() {
    let pki = Pki::new();
    let other = Pki::new();
    pki.issue("expired", &Odd { valid: (-30, -1), ..Odd::default() });
    pki.issue("future", &Odd { valid: (2, 30), ..Odd::default() });
    pki.issue("client", &Odd { purpose: ExtendedKeyUsagePurpose::ClientAuth, ..Odd::default() });
    pki.issue("elsewhere", &Odd { cn: "KME-Z", san: &["10.9.9.9", "kme-z.example"], ..Odd::default() });
    pki.issue("only-cn", &Odd { cn: "127.0.0.1", san: &[], ..Odd::default() });
    pki.self_sign("self", &Odd::default());
    pki.version_1("v1");
    for (name, words) in [
        ("expired", "has expired"),
        ("future", "not valid yet"),
        ("client", "serverAuth"),
        ("elsewhere", "expected \"127.0.0.1\""),
        ("only-cn", "expected \"127.0.0.1\""),
        ("self", "ca_file must hold that issuer"),
        ("v1", "X.509 v1"),
    ] {
        let stub = shows(&pki, name).await;
        refused(ask(&pki, &stub, |_| {}).await, words);
        assert!(stub.requests().is_empty(), "{name}: a request was sent");
    }
    let foreign = shows(&other, "KME-A").await;
    refused(ask(&pki, &foreign, |_| {}).await, "was not issued by a CA of ca_file");
    let copy = Pki::new();
    copy.write("ca.key", &std::fs::read(other.file("ca.key")).unwrap());
    copy.write("ca.pem", &std::fs::read(pki.file("ca.pem")).unwrap());
    copy.issue("impostor", &Odd::default());
    refused(ask(&pki, &shows(&copy, "impostor").await, |_| {}).await, "was the CA made anew?");
    let shown = ask(&pki, &shows(&pki, "elsewhere").await, |_| {}).await.unwrap_err();
    assert!(shown.text.contains("CN KME-Z, SAN 10.9.9.9, SAN kme-z.example"), "{shown:?}");
}

#[tokio::test]
async fn a_name_is_found_in_san_or_cn_and_nowhere_else() {
    let pki = Pki::new();
    pki.issue("elsewhere", &Odd { cn: "KME-Z", san: &["kme-z.example"], ..Odd::default() });
    let stub = shows(&pki, "elsewhere").await;
    let named = |name: &str| {
        let name = name.to_owned();
        move |reach: &mut Reach| reach.server_name = Some(name)
    };
    ask(&pki, &stub, named("KME-Z")).await.unwrap();
    ask(&pki, &stub, named("kme-z.EXAMPLE")).await.unwrap();
    for wrong in ["KME-A", "127.0.0.1", "example", "KME", ""] {
        refused(ask(&pki, &stub, named(wrong)).await, "expected server_name");
    }
    let other = Pki::new();
    other.issue("elsewhere", &Odd { cn: "KME-Z", ..Odd::default() });
    refused(ask(&pki, &shows(&other, "elsewhere").await, named("KME-Z")).await, "was not issued by");
    pki.issue("expired", &Odd { cn: "KME-Z", valid: (-30, -1), ..Odd::default() });
    refused(ask(&pki, &shows(&pki, "expired").await, named("KME-Z")).await, "has expired");
}

#[tokio::test]
async fn a_pin_replaces_chain_name_and_dates_and_nothing_else_passes() {
    let pki = Pki::new();
    pki.self_sign("self", &Odd { cn: "x", san: &[], valid: (-30, -1), ..Odd::default() });
    pki.version_1("v1");
    for name in ["self", "v1"] {
        let leaf = pki.leaf(name);
        for versions in [&[&TLS12][..], &[&TLS13][..]] {
            let act = Act::Answer(http(200, "", &keys(&["k-0"])));
            let stub = Stub::start(tls(pki.certified(name), versions), move |_| act.clone()).await;
            for pin in [leaf.sha256, leaf.public_key_sha256] {
                ask(&pki, &stub, |reach| reach.pin_sha256 = Some(pin)).await.unwrap();
            }
            let asked = stub.requests().len();
            let mut near = leaf.sha256;
            near[31] ^= 1;
            refused(ask(&pki, &stub, |reach| reach.pin_sha256 = Some(near)).await, "is not the pinned one");
            assert_eq!(stub.requests().len(), asked);
        }
    }
    let good = shows(&pki, "KME-A").await;
    let pin = pki.leaf("self").sha256;
    refused(ask(&pki, &good, |reach| reach.pin_sha256 = Some(pin)).await, "is not the pinned one");
}

#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_refused() {
    let pki = Pki::new();
    pki.version_1("v1");
    pki.self_sign("self", &Odd::default());
    for name in ["v1", "self"] {
        let (shown, other) = (pki.certified(name), pki.certified("KME-B"));
        let thief = Arc::new(rustls::sign::CertifiedKey::new(shown.cert.clone(), Arc::clone(&other.key)));
        for versions in [&[&TLS12][..], &[&TLS13][..]] {
            let stub = Stub::start(tls(Arc::clone(&thief), versions), |_| Act::Hang).await;
            let pin = pki.leaf(name).sha256;
            let failure = ask(&pki, &stub, |reach| reach.pin_sha256 = Some(pin)).await.unwrap_err();
            assert!(failure.text.contains("refused"), "{failure:?}");
            assert!(stub.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_and_shown() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "tls = \"1.2\"").await;
    let mut a = source(site(&pki, &server, 0));
    let asked = a.fetch(&KeyRequestKind::New { bits: 256 }, Duration::from_secs(10)).await;
    assert!(asked.result.is_ok());
    assert_eq!(asked.tls.as_deref(), Some("TLSv1.2 X25519"));
}

#[tokio::test]
async fn kme_tls_pq_refuses_less_before_any_request() {
    let pki = Pki::new();
    for (served, is_pq) in [("", true), ("tls = \"classical\"", false), ("tls = \"1.2\"", false)] {
        let server = serve(&pki, STILL, served).await;
        let mut setup = site(&pki, &server, 0);
        setup.reach.is_pq_only = true;
        let outcome = new_key(&mut source(setup)).await.map(|_| ());
        if is_pq {
            outcome.unwrap();
        } else {
            refused(outcome, "kme_tls = \"pq\"");
            assert_eq!(server.order(plait::kme::order::Order::Status).keys_issued, 0);
        }
    }
}

#[tokio::test]
async fn our_own_certificate_refused_by_the_kme_is_said_to_be_ours() {
    let pki = Pki::new();
    let other = Pki::new();
    pki.issue("late", &Odd { cn: "SAE-A", san: &[], purpose: ExtendedKeyUsagePurpose::ClientAuth, valid: (-9, -1) });
    for tls in ["", "tls = \"1.2\""] {
        let server = serve(&pki, STILL, tls).await;
        let with = |cert, key| {
            let mut setup = site(&pki, &server, 0);
            (setup.reach.cert_file, setup.reach.key_file) = (cert, key);
            setup
        };
        let ask = async |setup: SourceSetup| new_key(&mut source(setup)).await.unwrap_err();
        let failure = ask(with(other.file("SAE-A.pem"), other.file("SAE-A.key"))).await;
        assert!(failure.reason == Reason::Refused && failure.text.contains("our certificate"), "{failure:?}");
        let failure = ask(with(pki.file("late.pem"), pki.file("late.key"))).await;
        assert!(failure.reason == Reason::Refused && failure.text.contains("it has expired"), "{failure:?}");
        let failure = ask(with(pki.file("KME-B.pem"), pki.file("KME-B.key"))).await;
        assert!(failure.reason == Reason::Refused, "a server's certificate is no client's: {failure:?}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_gets_no_answer() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut roots = RootCertStore::empty();
    roots.add(pki.certified("ca").cert[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let tcp = TcpStream::connect(server.addresses()[0][0]).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
    let request = b"GET /api/v1/keys/SAE-B/status HTTP/1.1\r\nhost: kme\r\n\r\n";
    let sent = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    assert!((sent.is_err() || read.is_err()) && answer.is_empty());
    assert!(read.unwrap_err().to_string().contains("CertificateRequired"));
}

#[tokio::test]
async fn what_is_no_tls_is_said_to_be_none() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(stream.read(&mut [0; 512]).await);
    });
    let failure = new_key(&mut source(setup(&pki, address, "SAE-A", "SAE-B"))).await.unwrap_err();
    assert!(failure.text.contains("does not speak TLS"), "{failure:?}");
    plain.await.unwrap();
    let failure = new_key(&mut source(setup(&pki, address, "SAE-A", "SAE-B"))).await.unwrap_err();
    assert!(failure.text.contains("nothing listens"), "{failure:?}");
}
