//! Every habit and every fault of the catalogue, at our own KMEs: the client works with each habit, and refuses each fault by its class.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the catalogue is long, and each rule here is about a few of its rows"
)]

use std::time::Duration;

use plait::config::HttpMethod;
use plait::io::kme_server::PairServer;
use plait::io::source::{Etsi014Source, KeySource, SourceSetup};
use plait::keys::request::{KeyRequestKind, SourceFailure};
use plait::kme::catalogue::{Fault, Scope};
use plait::kme::fault::Times;
use plait::kme::order::Order;
use plait::types::id::KeyId;
use plait::types::policy::Reason;

use crate::pki::Pki;
use crate::world::{Opened, STILL, fetch, key_by_id, new_key, no_key_by_id, serve, site, source};

fn order(server: &PairServer, fault: Fault, times: Times) {
    server.order(Order::Fault { fault, times, kme: None });
}

fn of(scope: Scope) -> impl Iterator<Item = Fault> {
    Fault::ALL.iter().copied().filter(move |fault| fault.scope() == scope)
}

/// What must stand in the configuration for a KME with this habit, beside nothing.
fn as_documented(habit: Fault, setup: SourceSetup) -> SourceSetup {
    if habit == Fault::GetOnly { SourceSetup { method: HttpMethod::Get, ..setup } } else { setup }
}

/// Asks for the status and for a key at one end, and for that key at the other.
async fn works(habit: Fault, master: &mut Etsi014Source, slave: &mut Etsi014Source) -> Result<(), SourceFailure> {
    if habit == Fault::StatusFails {
        master.status().await.result.expect_err("the status fails");
    } else {
        master.status().await.result?;
    }
    let key = new_key(master).await?;
    assert_eq!(key_by_id(slave, &key.0).await?, key, "{habit}");
    let bytes = match habit {
        Fault::LongSize => 64,
        Fault::SizeInBytes => 256,
        _ => 32,
    };
    assert_eq!(key.1.len(), bytes, "{habit}");
    Ok(())
}

#[tokio::test]
async fn the_client_works_with_every_habit_by_default_or_as_documented() {
    let pki = Pki::new();
    let server = serve(&pki, "key_rate = 0\nblock_bits = 256\nstock_start = 5000\nstock_max = 5000", "").await;
    for habit in of(Scope::Habit) {
        order(&server, habit, Times::Always);
        let setups = [0, 1].map(|side| as_documented(habit, site(&pki, &server, side)));
        let [mut a, mut b] = setups.map(source);
        for _ in 0..2 {
            works(habit, &mut a, &mut b).await.unwrap_or_else(|failure| panic!("{habit}: {failure:?}"));
            works(habit, &mut b, &mut a).await.unwrap_or_else(|failure| panic!("{habit}, turned: {failure:?}"));
        }
        server.order(Order::NoFaults);
    }
}

#[tokio::test]
async fn what_a_kme_with_a_habit_does_not_have_gets_the_class_that_it_is() {
    let pki = Pki::new();
    let of_ids: Vec<Fault> = of(Scope::Habit).filter(|habit| habit.name().starts_with("not-found")).collect();
    let of_stock: Vec<Fault> = of(Scope::Habit).filter(|habit| habit.name().starts_with("empty")).collect();
    assert!(of_ids.len() >= 7 && of_stock.len() >= 4);
    let unknown = KeyId::new(b"5b0e3a1c-0000-4000-8000-000000000000").unwrap();
    let asked = of_ids.into_iter().map(async |habit| {
        let server = serve(&pki, STILL, "").await;
        order(&server, habit, Times::Always);
        let failure = no_key_by_id(&mut source(site(&pki, &server, 1)), &unknown).await.unwrap_err();
        let expected = if habit == Fault::NotFound401 { Reason::Refused } else { Reason::UnknownKeyId };
        assert_eq!(failure.reason, expected, "{habit}: {failure:?}");
    });
    futures_util::future::join_all(asked).await;
    let server = serve(&pki, "key_rate = 0\nblock_bits = 256\nstock_start = 0", "").await;
    for habit in of_stock.into_iter().chain([Fault::Partial]) {
        order(&server, habit, Times::Always);
        let failure = new_key(&mut source(site(&pki, &server, 0))).await.unwrap_err();
        assert_eq!(failure.reason, Reason::NoKeyNow, "{habit}: {failure:?}");
        server.order(Order::NoFaults);
    }
}

#[tokio::test]
async fn a_key_that_is_gone_at_the_other_kme_is_unknown_and_the_next_one_is_not() {
    let pki = Pki::new();
    for fault in [Fault::LostKey, Fault::VoidedKey, Fault::ForgetsKeys, Fault::LosesUnfetched] {
        let server = serve(&pki, STILL, "").await;
        let [mut a, mut b] = [0, 1].map(|side| source(site(&pki, &server, side)));
        order(&server, fault, if fault.is_habit() { Times::Always } else { Times::Next(1) });
        let gone = new_key(&mut a).await.unwrap();
        let next = new_key(&mut a).await.unwrap();
        let failure = no_key_by_id(&mut b, &gone.0).await.unwrap_err();
        assert_eq!(failure.reason, Reason::UnknownKeyId, "{fault}: {failure:?}");
        // A restarted KME forgets all that waited, also the one after.
        if fault != Fault::ForgetsKeys {
            assert_eq!(key_by_id(&mut b, &next.0).await.unwrap(), next, "{fault}");
        }
        let last = new_key(&mut a).await.unwrap();
        assert_eq!(key_by_id(&mut b, &last.0).await.unwrap(), last, "{fault}");
    }
}

#[tokio::test]
async fn faults_of_keys_are_refused_by_size_or_reach_both_sites_as_ordered() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let [mut a, mut b] = [0, 1].map(|side| source(site(&pki, &server, side)));
    let before = new_key(&mut a).await.unwrap();
    for fault in of(Scope::Key).filter(|fault| *fault != Fault::LostKey) {
        order(&server, fault, Times::Next(1));
        let came = new_key(&mut a).await;
        match fault {
            Fault::ShortKey | Fault::HalfKey => assert_eq!(came.unwrap_err().reason, Reason::WrongSize, "{fault}"),
            Fault::EmptyKey => assert_eq!(came.unwrap_err().reason, Reason::Malformed, "{fault}"),
            _ => reached(fault, &came.unwrap(), &mut b).await,
        }
    }
    assert_eq!(key_by_id(&mut b, &before.0).await.unwrap(), before);
}

/// What the slave gets of a key that the master has taken.
async fn reached(fault: Fault, key: &(KeyId, Vec<u8>), slave: &mut Etsi014Source) {
    let other = key_by_id(slave, &key.0).await.unwrap_or_else(|failure| panic!("{fault}: {failure:?}"));
    let differing = key.1.iter().zip(&other.1).filter(|(ours, theirs)| ours != theirs).count();
    let expected = match fault {
        Fault::WrongKey => 1,
        Fault::OtherKey => 32,
        _ => 0,
    };
    assert_eq!((differing, other.1.len()), (expected, key.1.len()), "{fault}");
    match fault {
        Fault::ConstantKey => assert_eq!(key.1, [0; 32]),
        Fault::OnesKey => assert_eq!(key.1, [0xff; 32]),
        Fault::TextKey => assert!(key.1.starts_with(b"testtest")),
        Fault::LongKey => assert_eq!(key.1.len(), 33),
        _ => {}
    }
}

/// Which classes an answer with this fault gets; none: the answer is good in the end.
fn classes(fault: Fault) -> &'static [Reason] {
    use Fault as F;
    match fault {
        F::SlowAnswer | F::DoubleAnswer | F::EarlierAnswer | F::OtherId => &[],
        F::Hang | F::HangInHead | F::HangInBody | F::Drip | F::LateAnswer => &[Reason::Deadline],
        F::CutInHead | F::CutInBody | F::CloseInBody | F::LongLength | F::HugeLength => &[Reason::Unreachable],
        F::Answers401 | F::Answers403 => &[Reason::Refused],
        F::MissingKey
        | F::Answers400
        | F::Answers404
        | F::Answers408
        | F::Answers409
        | F::Answers412
        | F::Answers413
        | F::Answers429
        | F::Answers500
        | F::Answers502
        | F::Answers503
        | F::Answers504 => &[Reason::NoKeyNow],
        _ => &[Reason::Malformed],
    }
}

#[tokio::test]
async fn faults_of_answers_get_their_class_and_the_next_answer_is_good() {
    let pki = Pki::new();
    let server = serve(&pki, "key_rate = 0\nblock_bits = 256\nstock_start = 5000\nstock_max = 5000", "").await;
    let mut a = source(site(&pki, &server, 0));
    for fault in of(Scope::Answer) {
        // Always, because the second try on a new connection after a kept one broke would find a good answer.
        order(&server, fault, Times::Always);
        let expected = classes(fault);
        let deadline = Duration::from_millis(if expected == [Reason::Deadline] { 300 } else { 10_000 });
        let came = fetch(&mut a, KeyRequestKind::New { bits: 256 }, deadline).await;
        match &came {
            Ok(_) => assert!(expected.is_empty(), "{fault} was taken"),
            Err(failure) => assert!(expected.contains(&failure.reason), "{fault}: {failure:?}"),
        }
        server.order(Order::NoFaults);
        let next = new_key(&mut a).await.unwrap_or_else(|failure| panic!("after {fault}: {failure:?}"));
        // An answer that came twice, or again, is never taken for the next one.
        assert_ne!(came.ok(), Some(next), "after {fault}");
    }
}

#[tokio::test]
async fn a_key_by_id_under_another_id_or_from_an_earlier_answer_is_refused() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    let [mut a, mut b] = [0, 1].map(|side| source(site(&pki, &server, side)));
    let mut refused: Vec<(Fault, Opened)> = Vec::new();
    let first = new_key(&mut a).await.unwrap();
    key_by_id(&mut b, &first.0).await.unwrap();
    for fault in [Fault::OtherId, Fault::EarlierAnswer] {
        let key = new_key(&mut a).await.unwrap();
        order(&server, fault, Times::Next(1));
        refused.push((fault, key_by_id(&mut b, &key.0).await));
    }
    for (fault, came) in refused {
        let failure = came.unwrap_err();
        assert!(failure.reason == Reason::Malformed && failure.text.contains("another key_ID"), "{fault}: {failure:?}");
    }
}

#[tokio::test]
async fn faults_of_connections_say_what_broke_and_the_next_connection_is_good() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "").await;
    for (fault, words) in [
        (Fault::ResetConnection, "closed the connection"),
        (Fault::HangInHandshake, "no TLS handshake"),
        (Fault::PlainText, "does not speak TLS"),
    ] {
        order(&server, fault, Times::Next(1));
        let mut a = source(site(&pki, &server, 0));
        let failure = new_key(&mut a).await.unwrap_err();
        assert!(failure.reason == Reason::Unreachable && failure.text.contains(words), "{fault}: {failure:?}");
        new_key(&mut a).await.unwrap();
    }
}

#[tokio::test]
async fn a_fault_at_one_kme_is_none_of_the_other() {
    let pki = Pki::new();
    let server = serve(&pki, STILL, "[kme.fault]\nanswers-500 = true").await;
    let [mut a, mut b] = [0, 1].map(|side| source(site(&pki, &server, side)));
    assert_eq!(new_key(&mut a).await.unwrap_err().reason, Reason::NoKeyNow);
    new_key(&mut b).await.unwrap();
}
