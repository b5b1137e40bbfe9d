//! What the keys process may do to the packet process: answer what was asked, once, and nothing else.

use super::*;
use crate::config::HttpMethod;
use crate::etsi014::v1::path::Method;
use crate::etsi014::v1::url::BaseUrl;
use crate::io::keys_process::meeting;
use crate::io::kme_client::registry::Reach;
use crate::io::source::{Asked, SourceState, Stock};
use crate::keys::request::{DeliveredKey, KeyRequestKind};
use crate::types::id::{KeyId, SaeId};
use crate::types::secret::SecretBytes;

fn read_source(peer: u16, name: &str) -> ReadSource {
    let reach = Reach {
        url: BaseUrl::parse("https://kme.example").unwrap(),
        ca_file: "ca".into(),
        cert_file: "cert".into(),
        key_file: "key".into(),
        key_password_file: None,
        server_name: None,
        pin_sha256: None,
        is_pq_only: false,
    };
    let sae = |name: &str| SaeId::new(name).unwrap();
    let setup = SourceSetup {
        name: name.to_owned(),
        reach,
        local_sae: sae("A"),
        remote_sae: sae("B"),
        timeout: Duration::from_secs(2),
        method: HttpMethod::Post,
    };
    let files = HeldFiles { own: [1; 32], own_ends: Some(1), ca: None };
    ReadSource { peer: PeerId(peer), source: number(), setup, files }
}

fn number() -> SourceId {
    SourceId::new(0).unwrap()
}

fn request(id: u64, peer: u16) -> KeyRequest {
    let kind = KeyRequestKind::New { bits: 256 };
    KeyRequest { id: RequestId(id), peer: PeerId(peer), source: number(), kind, deadline: Duration::from_secs(2) }
}

fn answer(id: u64) -> Told {
    let key = DeliveredKey { key_id: KeyId::new(b"k").unwrap(), material: SecretBytes::new(vec![7; 32]) };
    let asked = Asked { method: Method::EncKeys, took: Duration::ZERO, tls: None, result: Ok(key) };
    Told::Answer { request: RequestId(id), asked }
}

fn status(generation: u32, place: u32, keys: u64) -> Told {
    let stock = Stock { stored_keys: Some(keys) };
    let asked = Asked { method: Method::Status, took: Duration::ZERO, tls: None, result: Ok(stock) };
    Told::Status { source: SourcePlace { generation, place }, asked }
}

/// Two sources, and the other end of the meeting.
fn start() -> (Fetchers, Receiver<Told>, StdDatagram) {
    let (ours, its) = meeting().unwrap();
    let sources = vec![read_source(0, "fibre-1"), read_source(1, "fibre-2")];
    let (fetchers, told) = Fetchers::start(ours, 1, sources).unwrap();
    (fetchers, told, StdDatagram::from(its))
}

fn figures(fetchers: &Fetchers, peer: u16) -> SourceSnapshot {
    fetchers.figures().find(|(id, ..)| *id == PeerId(peer)).unwrap().2
}

#[tokio::test]
async fn what_was_asked_is_answered_once_and_what_was_not_is_thrown_away() {
    let (mut fetchers, mut told, keys) = start();
    assert!(fetchers.hear(answer(9)).is_empty(), "nobody asked");
    assert!(fetchers.ask(request(9, 1)).is_ok());
    let mut frame = [0; FRAME_BYTES_MAX];
    let asking = tokio::task::spawn_blocking(move || {
        let length = keys.recv(&mut frame).unwrap();
        let ask = KeyAsk::parse(&frame[..length]).unwrap();
        keys.send(&answer(ask.request.0).to_bytes()).unwrap();
        (ask, keys)
    });
    let (ask, _keys) = asking.await.unwrap();
    assert_eq!((ask.source, ask.request), (SourcePlace { generation: 1, place: 1 }, RequestId(9)));
    let delivered = fetchers.hear(told.recv().await.unwrap());
    assert_eq!((delivered.len(), delivered[0].id, delivered[0].peer), (1, RequestId(9), PeerId(1)));
    assert!(delivered[0].outcome.is_ok() && fetchers.hear(answer(9)).is_empty(), "answered twice");
    let shown = figures(&fetchers, 1);
    assert_eq!((shown.state, shown.keys_used), (SourceState::Ok, 1));
    assert_eq!(figures(&fetchers, 0).keys_used, 0);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_refused_at_once() {
    let (mut fetchers, _told, _keys) = start();
    let refused = fetchers.ask(request(3, 7)).err().unwrap();
    assert_eq!((refused.id, refused.peer), (RequestId(3), PeerId(7)));
    assert_eq!(refused.outcome.err().unwrap().reason, Reason::NotConfigured);
}

#[tokio::test]
async fn another_keys_process_answers_nothing_that_was_asked_of_the_one_before() {
    let (mut fetchers, _told, _keys) = start();
    assert!(fetchers.hear(Told::Began).is_empty());
    assert!(fetchers.ask(request(4, 0)).is_ok());
    assert!(fetchers.ask(request(5, 1)).is_ok());
    let given_up = fetchers.hear(Told::Began);
    assert_eq!(given_up.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [RequestId(4), RequestId(5)]);
    assert!(given_up.iter().all(|delivery| delivery.outcome.is_err()));
    assert_eq!(fetchers.restarts(), 1);
    assert!(fetchers.hear(answer(4)).is_empty(), "given up");
}

#[tokio::test]
async fn what_nobody_answers_is_given_up_one_day() {
    let (mut fetchers, _told, _keys) = start();
    assert!(fetchers.ask(request(6, 0)).is_ok());
    assert!(fetchers.ask(request(7, 0)).is_ok());
    assert!(fetchers.overdue().is_empty());
    let long_ago = Instant::now().checked_sub(KEY_REQUEST_AGE_MAX * 2).unwrap();
    fetchers.open.get_mut(&RequestId(6)).unwrap().since = long_ago;
    assert!(!fetchers.is_silent(), "something came a moment ago");
    let given_up = fetchers.overdue();
    assert_eq!((given_up.len(), given_up[0].id), (1, RequestId(6)));
    assert_eq!(given_up[0].outcome.as_ref().err().unwrap().reason, Reason::Deadline);
}

#[tokio::test]
async fn of_a_keys_process_that_stands_still_everything_is_given_up() {
    let (mut fetchers, _told, _keys) = start();
    let a_while_ago = Instant::now().checked_sub(KEYS_SILENCE_MAX + Duration::from_secs(1)).unwrap();
    fetchers.heard = a_while_ago;
    assert!(!fetchers.is_silent(), "nothing is asked");
    assert!(fetchers.ask(request(6, 0)).is_ok());
    assert!(!fetchers.is_silent(), "it has just been asked");
    fetchers.open.get_mut(&RequestId(6)).unwrap().since = a_while_ago;
    assert!(fetchers.ask(request(7, 1)).is_ok());
    assert!(fetchers.is_silent());
    let given_up = fetchers.overdue();
    assert_eq!(given_up.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [RequestId(6), RequestId(7)]);
    assert_eq!(figures(&fetchers, 1).requests_failed, 1);
    assert!(!fetchers.is_silent() && fetchers.overdue().is_empty());
}

#[tokio::test]
async fn figures_go_on_under_their_name_and_an_earlier_handover_changes_none() {
    let (mut fetchers, _told, _keys) = start();
    fetchers.hear(status(1, 0, 11));
    fetchers.hear(status(1, 1, 12));
    assert!(fetchers.ask(request(8, 1)).is_ok());
    // The peers change places, and the second one's source has another name.
    let sources = vec![read_source(0, "other"), read_source(1, "fibre-1")];
    fetchers.change(2, sources, &[PeerId(1), PeerId(0)]);
    let stored = |fetchers: &Fetchers, peer| figures(fetchers, peer).stored_keys.map(|(keys, _)| keys);
    assert_eq!((stored(&fetchers, 0), stored(&fetchers, 1)), (Some(11), None));
    fetchers.hear(status(1, 0, 99));
    fetchers.hear(status(2, 9, 99));
    assert_eq!((stored(&fetchers, 0), stored(&fetchers, 1)), (Some(11), None));
    fetchers.hear(status(2, 1, 13));
    assert_eq!(stored(&fetchers, 0), Some(13));
    assert_eq!(fetchers.hear(answer(8)).len(), 1, "what was asked before is still answered");
}

#[tokio::test]
async fn what_cannot_be_understood_is_passed_over() {
    let (_fetchers, mut told, keys) = start();
    for frame in [&[9][..], &[3, 0], &Told::Began.to_bytes()] {
        keys.send(frame).unwrap();
    }
    assert!(matches!(told.recv().await, Some(Told::Began)));
}
