//! The keys process's side of its two sockets, against true KMEs: what comes of a request, a handover, and of what is neither.

use std::os::fd::OwnedFd;
use std::time::Duration;

use plait::control::sandbox::{Measure, Sandbox};
use plait::daemon::keys_process::serve;
use plait::io::keys_link::frames::{FRAME_BYTES_MAX, KeyAsk, SourcePlace, Told};
use plait::io::keys_link::handover::Handover;
use plait::io::keys_process::meeting;
use plait::io::kme_client::registry::KmeClients;
use plait::io::source::{Etsi014Source, SourceSetup};
use plait::io::tls::files::TlsFiles;
use plait::keys::request::{KeyRequestKind, RequestId};
use plait::types::id::KeyId;
use plait::types::policy::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::pki::Pki;
use crate::world::{STILL, key_by_id, serve as serve_kmes, setup, site, source};

const HANGS: Duration = Duration::from_secs(20);

/// The other ends of both sockets.
struct Keys {
    keeper: UnixStream,
    packets: UnixDatagram,
    served: JoinHandle<std::io::Result<()>>,
}

impl Keys {
    fn start() -> Self {
        let (keeper, its) = std::os::unix::net::UnixStream::pair().unwrap();
        let (packets, its_packets) = meeting().unwrap();
        let served = tokio::spawn(async move { serve(its.into(), its_packets, &sandbox()).await });
        keeper.set_nonblocking(true).unwrap();
        Self { keeper: UnixStream::from_std(keeper).unwrap(), packets: datagrams(packets), served }
    }

    /// Hands over and waits for the answer.
    async fn hand_over(&mut self, generation: u32, sources: Vec<SourceSetup>) {
        self.send(&handover(generation, sources)).await;
    }

    async fn send(&mut self, handover: &[u8]) {
        self.keeper.write_u32(handover.len() as u32).await.unwrap();
        self.keeper.write_all(handover).await.unwrap();
        let length = timeout(HANGS, self.keeper.read_u32()).await.unwrap().unwrap();
        let mut answer = vec![0; length as usize];
        self.keeper.read_exact(&mut answer).await.unwrap();
        assert_eq!(serde_json::from_slice::<Sandbox>(&answer).unwrap(), sandbox());
    }

    async fn ask(&self, source: SourcePlace, request: u64, kind: KeyRequestKind) {
        let ask = KeyAsk { source, request: RequestId(request), kind, deadline: Duration::from_secs(3) };
        self.packets.send(&ask.to_bytes()).await.unwrap();
    }

    async fn told(&self) -> Told {
        let mut frame = [0; FRAME_BYTES_MAX];
        let length = timeout(HANGS, self.packets.recv(&mut frame)).await.unwrap().unwrap();
        Told::parse(&frame[..length]).unwrap()
    }

    /// The next answer to a request; what is told of the status is passed over.
    async fn answered(&self) -> (u64, Result<(KeyId, Vec<u8>), Reason>) {
        loop {
            if let Told::Answer { request, asked } = self.told().await {
                let result = asked.result.map(|key| (key.key_id, key.material.expose().to_vec()));
                return (request.0, result.map_err(|failure| failure.reason));
            }
        }
    }
}

fn sandbox() -> Sandbox {
    let measure = Measure::default;
    Sandbox {
        capabilities: measure(),
        no_new_privileges: measure(),
        system_calls: measure(),
        files: measure(),
        memory: measure(),
        secrets: measure(),
    }
}

fn datagrams(socket: OwnedFd) -> UnixDatagram {
    let socket = std::os::unix::net::UnixDatagram::from(socket);
    socket.set_nonblocking(true).unwrap();
    UnixDatagram::from_std(socket).unwrap()
}

/// With what the sources' files hold now.
fn handover(generation: u32, sources: Vec<SourceSetup>) -> Vec<u8> {
    let mut files = TlsFiles::default();
    for source in &sources {
        let reach = &source.reach;
        files.public(&reach.ca_file, 1 << 20).unwrap();
        files.public(&reach.cert_file, 1 << 20).unwrap();
        files.secret(&reach.key_file, 1 << 20).unwrap();
    }
    Handover { generation, sources, files }.to_bytes().unwrap().expose().to_vec()
}

fn place(generation: u32, place: u32) -> SourcePlace {
    SourcePlace { generation, place }
}

const NEW: KeyRequestKind = KeyRequestKind::New { bits: 256 };

#[tokio::test]
async fn keys_come_without_a_file_being_opened_and_both_sites_get_the_same() {
    let pki = Pki::new();
    let server = serve_kmes(&pki, STILL, "").await;
    let mut keys = Keys::start();
    // What is asked before there are sources waits for them.
    keys.ask(place(1, 0), 7, NEW).await;
    let sources = vec![site(&pki, &server, 0), site(&pki, &server, 1)];
    let bytes = handover(1, sources.clone());
    // From here on there are no files.
    for name in ["SAE-A.key", "SAE-B.key", "SAE-A.pem", "SAE-B.pem"] {
        std::fs::rename(pki.file(name), pki.file(&format!("{name}.away"))).unwrap();
    }
    keys.send(&bytes).await;
    assert!(matches!(keys.told().await, Told::Began));
    let (request, key) = keys.answered().await;
    let (key_id, material) = key.unwrap();
    assert_eq!((request, material.len()), (7, 32));
    keys.ask(place(1, 1), 8, KeyRequestKind::ById { key_id: key_id.clone() }).await;
    assert_eq!(keys.answered().await, (8, Ok((key_id, material))));
    assert!(Etsi014Source::new(sources[0].clone(), &mut KmeClients::default()).is_err(), "the files are away");
}

#[tokio::test]
async fn another_handover_takes_the_place_of_the_first_and_only_its_sources_are_asked() {
    let pki = Pki::new();
    let server = serve_kmes(&pki, STILL, "").await;
    let mut keys = Keys::start();
    keys.hand_over(1, vec![site(&pki, &server, 0)]).await;
    keys.hand_over(2, vec![site(&pki, &server, 1), site(&pki, &server, 0)]).await;
    for (number, source) in [(1, place(1, 0)), (2, place(2, 2)), (3, place(3, 0))] {
        keys.ask(source, number, NEW).await;
        assert_eq!(keys.answered().await, (number, Err(Reason::NotConfigured)));
    }
    keys.ask(place(2, 1), 4, NEW).await;
    let (key_id, material) = keys.answered().await.1.unwrap();
    let mut b = source(site(&pki, &server, 1));
    assert_eq!(key_by_id(&mut b, &key_id).await.unwrap(), (key_id, material));
}

#[tokio::test]
async fn a_kme_that_is_away_is_told_as_such_with_its_status() {
    let pki = Pki::new();
    let mut keys = Keys::start();
    keys.hand_over(1, vec![setup(&pki, ([127, 0, 0, 1], 9).into(), "SAE-A", "SAE-B")]).await;
    keys.ask(place(1, 0), 1, NEW).await;
    let (mut status, mut answer) = (None, None);
    while status.is_none() || answer.is_none() {
        match keys.told().await {
            Told::Began => {}
            Told::Answer { asked, .. } => answer = asked.result.err(),
            Told::Status { source, asked } => {
                assert_eq!(source, place(1, 0));
                status = asked.result.err();
            }
        }
    }
    assert_eq!((status.unwrap().reason, answer.unwrap().reason), (Reason::Unreachable, Reason::Unreachable));
}

#[tokio::test]
async fn what_is_no_request_is_passed_over_and_what_is_no_handover_ends_it() {
    let pki = Pki::new();
    let server = serve_kmes(&pki, STILL, "").await;
    let mut keys = Keys::start();
    keys.hand_over(1, vec![site(&pki, &server, 0)]).await;
    for frame in [&[0xff; 30][..], &[1], &[2]] {
        keys.packets.send(frame).await.unwrap();
    }
    keys.ask(place(1, 0), 5, NEW).await;
    assert!(keys.answered().await.1.is_ok());
    keys.keeper.write_all(&[0, 0, 0, 3, 1, 2, 3]).await.unwrap();
    assert!(timeout(HANGS, keys.served).await.unwrap().unwrap().is_err());
    let mut keys = Keys::start();
    keys.keeper.write_all(&[0xff; 4]).await.unwrap();
    assert!(timeout(HANGS, keys.served).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn it_ends_with_its_keeper() {
    let Keys { keeper, packets: _packets, served } = Keys::start();
    drop(keeper);
    timeout(HANGS, served).await.unwrap().unwrap().unwrap();
}

/// A socket whose other end has gone is readable for ever.
#[tokio::test]
async fn it_ends_with_the_packet_process_too() {
    let pki = Pki::new();
    let mut keys = Keys::start();
    keys.hand_over(1, vec![setup(&pki, "127.0.0.1:1".parse().unwrap(), "SAE-A", "SAE-B")]).await;
    assert!(matches!(keys.told().await, Told::Began));
    drop(keys.packets);
    timeout(HANGS, keys.served).await.expect("it goes on").unwrap().unwrap();
}
