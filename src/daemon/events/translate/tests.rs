//! What the engine tells, as events: names, changes of class once, reasons of a state, key_IDs by their ends.

use super::*;
use crate::control::event::Event as Told;
use crate::types::time::UnixMillis;

const PEER: PeerId = PeerId(0);

fn source(number: u8) -> SourceId {
    SourceId::new(number).unwrap()
}

fn translator() -> Translator {
    let sources = vec![(source(0), "fibre-1".to_owned()), (source(3), "sat".to_owned())];
    Translator::new([(PEER, PeerNames { name: "dc".to_owned(), sources })].into())
}

fn told(translator: &mut Translator, what: Engine) -> Vec<Told> {
    let happenings = translator.translate(&Event { peer: PEER, what });
    happenings.into_iter().map(|happening| happening.draft.numbered(1, UnixMillis(0))).collect()
}

fn failed(reason: Reason) -> Engine {
    Engine::SourceFailed { source: source(0), reason, text: "connection refused".to_owned() }
}

fn epoch(number: u64) -> Engine {
    let id = KeyId::new(b"4f1c6f7e-0000-4000-8000-0123456789e2").unwrap();
    Engine::Epoch { number, full: false, sources: vec![(source(0), id)] }
}

#[test]
fn every_change_of_state_is_an_event_with_both_words() {
    let all =
        [State::Hybrid, State::Off, State::Holdover, State::Degraded, State::Holding, State::Blocked, State::Down];
    for from in all {
        for to in all.into_iter().filter(|to| *to != from) {
            let happenings = translator().translate(&Event { peer: PEER, what: Engine::State { from, to } });
            assert!(happenings.iter().all(|happening| happening.topic.is_none()), "never held back");
            let events = told(&mut translator(), Engine::State { from, to });
            let change = events.last().unwrap();
            assert_eq!((change.kind, change.peer.as_deref()), (EventKind::State, Some("dc")));
            assert_eq!(change.from.as_deref().zip(change.to.as_deref()), Some((from.as_str(), to.as_str())));
            assert_eq!(events.len(), if to == State::Down { 2 } else { 1 });
        }
    }
    let down = told(&mut translator(), Engine::State { from: State::Hybrid, to: State::Down });
    assert_eq!((down[0].kind, down[0].text.contains("25 s")), (EventKind::PeerTimeout, true));
}

#[test]
fn of_a_source_only_changes_of_class_are_told() {
    let mut translator = translator();
    assert_eq!(told(&mut translator, epoch(1)).len(), 1, "well from the start: only the rekey");
    let first = told(&mut translator, failed(Reason::Unreachable));
    assert_eq!((first[0].kind, first[0].source.as_deref()), (EventKind::Kme, Some("fibre-1")));
    assert_eq!((first[0].from.as_deref(), first[0].to.as_deref()), (Some("ok"), Some("unreachable")));
    assert!(first[0].text.contains("connection refused"), "{}", first[0].text);
    assert!(told(&mut translator, failed(Reason::Unreachable)).is_empty(), "the same class again");
    assert!(told(&mut translator, failed(Reason::NotAsked)).is_empty(), "says nothing of the KME");
    let second = told(&mut translator, failed(Reason::NoKeyNow));
    assert_eq!((second[0].from.as_deref(), second[0].to.as_deref()), (Some("unreachable"), Some("no key now")));
    let well = told(&mut translator, epoch(2));
    assert_eq!((well[0].from.as_deref(), well[0].to.as_deref()), (Some("no key now"), Some("ok")));
    assert_eq!(well[1].kind, EventKind::Rekey);
}

#[test]
fn a_state_says_which_source_is_the_reason() {
    let mut translator = translator();
    told(&mut translator, failed(Reason::NoKeyNow));
    let change = |to| Engine::State { from: State::Hybrid, to };
    for to in [State::Holdover, State::Degraded, State::Blocked, State::Holding] {
        let events = told(&mut translator, change(to));
        assert!(events[0].text.contains("(fibre-1: no key now)"), "{}", events[0].text);
    }
    told(&mut translator, epoch(3));
    assert!(!told(&mut translator, change(State::Holding))[0].text.contains("fibre-1"));
}

#[test]
fn a_key_id_is_shown_by_its_ends_alone() {
    let events = told(&mut translator(), epoch(44));
    assert_eq!(events[0].text, "fast rekey: epoch 44 is in use with fibre-1 (key_ID 4f1c...e2)");
    let id = KeyId::new(b"4f1c6f7e-0000-4000-8000-0123456789e2");
    let mismatch = Alarm::QkdMismatch { keys: vec![(source(3), id), (source(0), None)] };
    let events = told(&mut translator(), Engine::Alarm(mismatch));
    assert!(events[0].text.ends_with("sat (key_ID 4f1c...e2), fibre-1 (key_ID ?)"), "{}", events[0].text);
}

#[test]
fn failures_are_of_two_kinds_and_unknown_names_do_no_harm() {
    assert!(told(&mut translator(), Engine::ExchangeFailed { full: true })[0].text.contains("full handshake"));
    assert!(told(&mut translator(), Engine::ExchangeFailed { full: false })[0].text.contains("fast rekey"));
    let nobody = Event { peer: PeerId(9), what: Engine::PolicyDiffers };
    let event = translator().translate(&nobody).remove(0).draft.numbered(1, UnixMillis(0));
    assert_eq!((event.peer.as_deref(), event.kind), (Some("?"), EventKind::PolicyDiffers));
}
