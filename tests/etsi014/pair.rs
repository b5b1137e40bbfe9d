//! Our client against our pair: keys reach both sites, and every refusal has its reason.

use std::time::Duration;

use plait::config::HttpMethod;
use plait::etsi014::v1::request::NewKeys;
use plait::io::source::{KeySource, SourceFigures, SourceState};
use plait::keys::request::KeyRequestKind;
use plait::kme::catalogue::Fault;
use plait::kme::fault::Times;
use plait::kme::order::Order;
use plait::types::id::{KeyId, SaeId};
use plait::types::policy::Reason;

use crate::pki::Pki;
use crate::world::{STILL, client, fetch, key_by_id, new_key, no_key_by_id, serve, site, source};

#[tokio::test]
async fn a_key_reaches_both_sites_once() {
    let pki = Pki::new();
    for method in [HttpMethod::Post, HttpMethod::Get] {
        let server = serve(&pki, STILL, "").await;
        let mut a = source(plait::io::source::SourceSetup { method, ..site(&pki, &server, 0) });
        let mut b = source(plait::io::source::SourceSetup { method, ..site(&pki, &server, 1) });
        let key = new_key(&mut a).await.unwrap();
        assert_eq!(key.1.len(), 32);
        assert_eq!(key_by_id(&mut b, &key.0).await.unwrap(), key);
        assert_eq!(no_key_by_id(&mut b, &key.0).await.unwrap_err().reason, Reason::UnknownKeyId);
        let back = new_key(&mut b).await.unwrap();
        assert_eq!(key_by_id(&mut a, &back.0).await.unwrap(), back);
        assert_ne!(back, key);
        server.stop().await;
    }
}

#[tokio::test]
async fn an_id_in_another_case_keeps_the_initiators_spelling() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let key = new_key(&mut source(site(&pki, &server, 0))).await.unwrap();
    let upper = KeyId::new(key.0.as_str().to_uppercase().as_bytes()).unwrap();
    let fetched = key_by_id(&mut source(site(&pki, &server, 1)), &upper).await.unwrap();
    assert_eq!(fetched, (upper, key.1));
}

#[tokio::test]
async fn the_figures_show_what_happened() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut a = source(site(&pki, &server, 0));
    let mut figures = SourceFigures::new("fibre-1", "etsi014", None);
    assert_eq!(figures.snapshot().state, SourceState::Unknown);
    figures.note_status(&a.status().await);
    let deadline = Duration::from_secs(10);
    figures.note_key(&a.fetch(&KeyRequestKind::New { bits: 256 }, deadline).await);
    let shown = figures.snapshot();
    assert_eq!((shown.name.as_str(), shown.kind, shown.state), ("fibre-1", "etsi014", SourceState::Ok));
    assert_eq!((shown.stored_keys.unwrap().0, shown.keys_used, shown.requests_ok), (100, 1, 2));
    assert_eq!(shown.tls.as_deref(), Some("TLSv1.3 X25519MLKEM768"));
    assert!(shown.last_error.is_none());
    let unknown = KeyId::new(b"unknown").unwrap();
    figures.note_key(&a.fetch(&KeyRequestKind::ById { key_id: unknown }, Duration::from_secs(1)).await);
    let shown = figures.snapshot();
    assert_eq!((shown.state, shown.requests_failed), (SourceState::Failing, 1));
    assert!(shown.last_error.unwrap().0.contains("unknown key_ID"));
}

#[tokio::test]
async fn every_refusal_has_its_class_and_its_words() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let good = site(&pki, &server, 0);
    let second = Duration::from_secs(1);
    let ask = |number, size| {
        let client = client(good.clone());
        async move { client.enc_keys(second, NewKeys { number, size }).await.result.map(|keys| keys.len()).unwrap_err() }
    };
    for (number, size, words) in [(1, 257, "multiple of 8"), (129, 256, "max_key_per_request"), (0, 256, "number")] {
        let failure = ask(number, size).await;
        assert!(failure.reason == Reason::NoKeyNow && failure.text.contains(words), "{failure:?}");
        assert!(failure.text.contains("enc_keys answered 400"), "{failure:?}");
    }
    let failure = ask(101, 256).await;
    assert!(failure.reason == Reason::NoKeyNow && failure.text.contains("503"), "{failure:?}");

    let mut stranger = good.clone();
    (stranger.reach.cert_file, stranger.reach.key_file) = (pki.file("SAE-X.pem"), pki.file("SAE-X.key"));
    let failure = new_key(&mut source(stranger.clone())).await.unwrap_err();
    assert!(
        failure.reason == Reason::Refused && failure.text.contains("CN is SAE-X, local_sae is SAE-A"),
        "{failure:?}"
    );
    let failure = source(stranger).status().await.result.unwrap_err();
    assert_eq!(failure.reason, Reason::Refused);

    let mut swapped = good.clone();
    swapped.remote_sae = SaeId::new("SAE-A").unwrap();
    let failure = new_key(&mut source(swapped)).await.unwrap_err();
    assert!(failure.text.contains("swapped"), "{failure:?}");

    let mut elsewhere = good.clone();
    elsewhere.reach.url = plait::etsi014::v1::url::BaseUrl::parse(&format!("{}/prefix", good.reach.url)).unwrap();
    let failure = new_key(&mut source(elsewhere)).await.unwrap_err();
    assert!(failure.text.contains("404") && failure.text.contains("another path"), "{failure:?}");
    assert_eq!(server.order(Order::Status).stored_keys, [100]);
}

#[tokio::test]
async fn an_empty_stock_fills_again_when_the_link_is_repaired() {
    let pki = Pki::new();
    let server = serve(&pki, "key_rate = 1000000000\nblock_bits = 256\nstock_start = 1", "").await;
    server.order(Order::Down);
    let mut a = source(site(&pki, &server, 0));
    let stored = server.order(Order::Status).stored_keys[0];
    let drained = client(site(&pki, &server, 0));
    let mut left = stored;
    while left > 0 {
        let number = left.min(100) as u32;
        drained.enc_keys(Duration::from_secs(5), NewKeys { number, size: 256 }).await.result.map(|_| ()).unwrap();
        left -= u64::from(number);
    }
    assert_eq!(new_key(&mut a).await.unwrap_err().reason, Reason::NoKeyNow);
    server.order(Order::Up);
    tokio::time::sleep(Duration::from_millis(5)).await;
    new_key(&mut a).await.unwrap();
}

#[tokio::test]
async fn a_split_stock_starves_one_direction_only() {
    let pki = Pki::new();
    let server = serve(&pki, "key_rate = 0\nstock_start = 2\nsplit = true", "").await;
    let (mut a, mut b) = (source(site(&pki, &server, 0)), source(site(&pki, &server, 1)));
    new_key(&mut a).await.unwrap();
    assert_eq!(new_key(&mut a).await.unwrap_err().reason, Reason::NoKeyNow);
    let key = new_key(&mut b).await.unwrap();
    assert_eq!(key_by_id(&mut a, &key.0).await.unwrap(), key);
}

#[tokio::test]
async fn a_key_that_arrives_late_is_fetched_within_the_deadline_and_no_new_one_is_burnt() {
    let pki = Pki::new();
    let server = serve(&pki, &format!("{STILL}\ndec_delay = \"400ms\""), "").await;
    let (mut a, mut b) = (source(site(&pki, &server, 0)), source(site(&pki, &server, 1)));
    let key = new_key(&mut a).await.unwrap();
    let by_id = KeyRequestKind::ById { key_id: key.0.clone() };
    assert_eq!(fetch(&mut b, by_id, Duration::from_secs(5)).await.unwrap(), key);
    assert_eq!(server.order(Order::Status).keys_issued, 1);
}

#[tokio::test]
async fn ordered_faults_spoil_the_next_keys_and_no_others() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let (mut a, mut b) = (source(site(&pki, &server, 0)), source(site(&pki, &server, 1)));
    let before = new_key(&mut a).await.unwrap();
    server.order(Order::Fault { fault: Fault::WrongKey, times: Times::Next(1), kme: None });
    let wrong = new_key(&mut a).await.unwrap();
    let other = key_by_id(&mut b, &wrong.0).await.unwrap();
    let differing: u32 = wrong.1.iter().zip(&other.1).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!((&other.0, differing), (&wrong.0, 1));
    server.order(Order::Fault { fault: Fault::LostKey, times: Times::Next(1), kme: None });
    let lost = new_key(&mut a).await.unwrap();
    assert_eq!(no_key_by_id(&mut b, &lost.0).await.unwrap_err().reason, Reason::UnknownKeyId);
    server.order(Order::Fault { fault: Fault::RepeatedKey, times: Times::Next(1), kme: None });
    let repeated = new_key(&mut a).await.unwrap();
    assert!(repeated.1 == lost.1 && repeated.0 != lost.0);
    server.order(Order::Fault { fault: Fault::ConstantKey, times: Times::Next(1), kme: None });
    assert_eq!(new_key(&mut a).await.unwrap().1, [0; 32]);
    assert_eq!(key_by_id(&mut b, &before.0).await.unwrap(), before);
    let after = new_key(&mut a).await.unwrap();
    assert_eq!(key_by_id(&mut b, &after.0).await.unwrap(), after);
}

#[tokio::test]
async fn a_kme_that_was_gone_is_used_again_without_a_new_source() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let mut a = source(site(&pki, &server, 0));
    new_key(&mut a).await.unwrap();
    let at = server.addresses()[0][0];
    server.stop().await;
    let failure = new_key(&mut a).await.unwrap_err();
    assert!(failure.reason == Reason::Unreachable && failure.text.contains("nothing listens"), "{failure:?}");
    let text = crate::world::pair_text(pki.dir(), STILL, "").replacen("127.0.0.1:0", &at.to_string(), 1);
    let file = plait::kme::file::read(&text, std::path::Path::new("/")).unwrap();
    let _server = plait::io::kme_server::PairServer::start(file, None).await.unwrap();
    new_key(&mut a).await.unwrap();
}
