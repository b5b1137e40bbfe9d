//! `negative.json`: what must be dropped, what raises an alarm, which cached answer must come (PROTOCOL 2.4, 2.5).

use plait::handshake::refusal::Refusal;
use serde_json::Value;

use super::folder;
use super::hex::bytes;
use super::pair::{Event, Initiator, Pair, Responder};
use super::read;

/// The true datagrams of a message in the base run.
fn true_datagrams(base: &Value, message: &str) -> Vec<Vec<u8>> {
    let all = base["datagrams"].as_array().unwrap().iter();
    all.filter(|datagram| datagram["message"] == message).map(|datagram| bytes(&datagram["bytes"])).collect()
}

const MESSAGES: [&str; 6] = ["I0", "R0", "I1", "R1", "I2", "R2"];

/// Delivers the true run up to, but without, a message.
fn run_until(base: &Value, message: &str) -> Pair {
    let mut pair = read::pair(base);
    for before in MESSAGES.iter().take_while(|before| **before != message) {
        deliver_true(&mut pair, base, before);
    }
    pair
}

/// The answer to the last part that had one. A part that comes when its message was complete without it is left over.
fn deliver_true(pair: &mut Pair, base: &Value, message: &str) -> Event {
    let mut answer = Event::Silence;
    for datagram in true_datagrams(base, message) {
        match pair.deliver(&datagram) {
            Event::Drop(Refusal::Unexpected) if answer != Event::Silence => {}
            Event::Silence => {}
            event @ (Event::Drop(_) | Event::NoSession(_)) => panic!("the true {message}: {event:?}"),
            event @ (Event::Send(_) | Event::Established) => answer = event,
        }
    }
    assert_ne!(answer, Event::Silence, "the true {message} had no effect");
    answer
}

/// The rest of the run with the true messages must end as if nothing had happened.
fn finish(pair: &mut Pair, base: &Value, from: &str) {
    let mut last = Event::Silence;
    for message in MESSAGES.iter().skip_while(|message| **message != from) {
        last = deliver_true(pair, base, message);
    }
    assert_eq!(last, Event::Established);
    let Responder::Done(done) = &pair.responder else { panic!("no R2") };
    assert_eq!(done.1.outcome.as_ref().unwrap().hs.to_vec(), bytes(&base["result"]["hs"]));
}

/// Why the last datagram of a case that is dropped is dropped; `none`: its parts are kept and never become whole.
fn expected_counter(what: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| what.contains(word));
    match what {
        "fragment 2 with another message id" => "none",
        "payload2: ratchet id that was not offered" => "ratchet_not_offered",
        "sender index 0" | "receiver index not 0" => "malformed",
        "echo differs" | "R0 replayed after I1 was sent" => "echo",
        "R1 again after I2 was sent" => "unexpected",
        "from an identity that is no peer" => "unknown_peer",
        "from the responder's own identity" => "own_identity",
        "one bit of p1" | "the initiator uses a PSK, the responder none" => "psk_or_identity",
        "ek fails the modulus check; all else consistent" => "ephemeral_key",
        "one bit of suite" | "one bit of zero" => "malformed",
        _ if says(&["payload", "status", "type", "version", "fragment count", "fragment index", "byte", "marked"]) => {
            "malformed"
        }
        _ if says(&["padding"]) => "malformed",
        _ if says(&["mac1"]) => "mac1",
        _ if says(&["mac2"]) => "mac2",
        _ if says(&["index"]) => "index",
        _ if says(&["small order"]) => "small_order",
        _ if says(&["static EK"]) => "static_as_ephemeral",
        _ => "unopened",
    }
}

fn check_drop(pair: &mut Pair, base: &Value, replaces: &str, what: &str, datagrams: &[Vec<u8>]) {
    let events: Vec<Event> = datagrams.iter().map(|datagram| pair.deliver(datagram)).collect();
    let is_quiet = |event: &Event| matches!(event, Event::Drop(_) | Event::Silence);
    assert!(events.iter().all(is_quiet), "not dropped: {events:?}");
    let mut counters = events.iter().filter_map(|event| match event {
        Event::Drop(refusal) => Some(refusal.counter()),
        _ => None,
    });
    let expected = expected_counter(what);
    if folder::is_own() {
        assert_eq!(counters.next_back().unwrap_or("none"), expected, "{what}: {events:?}");
    }
    finish(pair, base, replaces);
}

/// The R0 that comes must be good enough for the initiator: it makes a new I1 with it, and the run goes on.
fn check_r0(pair: &mut Pair, datagrams: &[Vec<u8>]) {
    let Event::Send(r0) = pair.deliver(&datagrams[0]) else { panic!("no R0") };
    assert_eq!(r0.len(), 1);
    assert_eq!(r0[0].len(), 96);
    let e_i = &datagrams[0][16 + 4..16 + 36];
    assert_eq!(&r0[0][16..48], e_i, "the echo");
    assert_eq!(pair.deliver(&r0[0]), Event::Silence);
    let Initiator::AwaitR1(state) = &pair.initiator else { panic!("gave up") };
    assert!(state.kept_cookie().is_some());
}

fn check_cached(pair: &mut Pair, base: &Value, expected: &str, datagrams: &[Vec<u8>]) {
    let cached = true_datagrams(base, expected);
    for (datagram, cached) in datagrams.iter().zip(&cached) {
        assert_eq!(pair.deliver(datagram), Event::Send(vec![cached.clone()]));
    }
    assert_eq!(datagrams.len(), cached.len());
    finish(pair, base, expected);
}

fn check(case: &Value, base: &Value) {
    let replaces = case["replaces"].as_str().unwrap();
    let datagrams: Vec<Vec<u8>> = case["datagrams"].as_array().unwrap().iter().map(bytes).collect();
    let mut pair = run_until(base, replaces);
    match case["expect"].as_str().unwrap() {
        "drop" => check_drop(&mut pair, base, replaces, case["what"].as_str().unwrap(), &datagrams),
        "r0" => check_r0(&mut pair, &datagrams),
        "r1" => check_cached(&mut pair, base, "R1", &datagrams),
        "r2" => check_cached(&mut pair, base, "R2", &datagrams),
        alarm => {
            let Event::NoSession(why) = pair.deliver(&datagrams[0]) else { panic!("no alarm") };
            assert!(why.starts_with(alarm), "{why}");
        }
    }
}

#[test]
fn every_case() {
    let Some(vectors) = folder::load("negative.json") else { return };
    let Some(base) = folder::load(vectors["base"].as_str().unwrap()) else { return };
    for case in folder::cases(&vectors, "cases", 125) {
        println!("{} for {}: {}", case["what"], case["replaces"], case["expect"]);
        check(case, &base);
    }
}
