//! A KME that refuses our certificate after our side of the handshake: the reason is told however the moments fall.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use plait::io::https::{Call, Stage};
use plait::io::tls::server::server_tls;
use plait::kme::file::{KmeServing, ServedTls};
use plait::types::policy::Reason;
use rustls::ServerConnection;
use tokio::time::Instant;

use crate::pki::Pki;
use crate::world::{client, setup};

/// How the server ends the connection after its alert.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// As it comes: what was not read makes a reset of it.
    Plain,
    /// A reset at once.
    Reset,
}

/// A server that trusts another CA than ours, on a thread of its own: tells when it has refused, says so when it is told to.
struct Refuser {
    at: std::net::SocketAddr,
    refused: tokio::sync::oneshot::Receiver<()>,
    speak: mpsc::Sender<()>,
    spoken: mpsc::Receiver<()>,
}

fn refuser(pki: &Pki, end: End) -> Refuser {
    let other = Pki::new();
    let serving = KmeServing {
        listen: Vec::new(),
        cert_file: pki.file("KME-A.pem"),
        key_file: pki.file("KME-A.key"),
        ca_file: other.file("ca.pem"),
        tls: ServedTls::Any,
    };
    let tls = server_tls(&serving).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (tell, refused) = tokio::sync::oneshot::channel();
    let ((speak, told), (say, spoken)) = (mpsc::channel(), mpsc::channel());
    std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(tls).unwrap();
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut tcp).unwrap();
            }
            assert!(tls.read_tls(&mut tcp).unwrap() > 0, "the client left before it was refused");
            if tls.process_new_packets().is_err() {
                break;
            }
        }
        tell.send(()).unwrap();
        told.recv().unwrap();
        tls.write_tls(&mut tcp).unwrap();
        tcp.flush().unwrap();
        if end == End::Reset {
            socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(tcp);
        say.send(()).unwrap();
    });
    Refuser { at, refused, speak, spoken }
}

fn status() -> Call {
    Call { body: None, target: "/api/v1/keys/SAE-B/status".to_owned(), body_bytes_max: 1024 }
}

#[tokio::test]
async fn the_alert_is_read_whether_or_not_a_reset_overtakes_the_request() {
    let pki = Pki::new();
    for round in 0..20 {
        let end = if round % 2 == 0 { End::Plain } else { End::Reset };
        let refuser = refuser(&pki, end);
        refuser.speak.send(()).unwrap();
        let kme = client(setup(&pki, refuser.at, "SAE-A", "SAE-B"));
        let until = Instant::now() + Duration::from_secs(60);
        let fault = kme.https.turn().await.call(until, &status()).await.map(|answer| answer.code).unwrap_err();
        assert!(fault.reason == Reason::Refused && fault.text.contains("does not know the CA"), "{round}: {fault:?}");
        assert_eq!(fault.stage, Stage::OwnCertificate);
    }
}

/// The only thread of the client stands still until its deadline is over; the refusal came meanwhile.
#[tokio::test]
async fn a_machine_that_stood_still_over_its_deadline_still_tells_the_refusal() {
    let pki = Pki::new();
    let Refuser { at, refused, speak, spoken } = refuser(&pki, End::Plain);
    let kme = client(setup(&pki, at, "SAE-A", "SAE-B"));
    let until = Instant::now() + Duration::from_secs(3);
    let stall = tokio::spawn(async move {
        refused.await.unwrap();
        speak.send(()).unwrap();
        spoken.recv().unwrap();
        std::thread::sleep(until.saturating_duration_since(Instant::now()) + Duration::from_millis(20));
    });
    let fault = kme.https.turn().await.call(until, &status()).await.map(|answer| answer.code).unwrap_err();
    assert!(fault.reason == Reason::Refused && fault.text.contains("does not know the CA"), "{fault:?}");
    stall.await.unwrap();
}
