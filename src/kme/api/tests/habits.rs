//! Every habit of a KME acts: each changes an answer, and the rules' own ones as their names say.

use super::*;
use crate::kme::catalogue::Scope;
use crate::kme::delivery::Step;
use crate::kme::fault::Times;

/// Path of `SAE-A`'s keys with `SAE-B`, at the method that follows.
const TO_B: &str = "/api/v1/keys/SAE-B/";

/// A world in which both KMEs have that habit.
fn with(habit: Fault, setup: PairSetup) -> World {
    let mut world = world(setup);
    world.pair.faults().order(habit, None, Times::Always);
    world
}

fn of(habit: Fault) -> World {
    with(habit, setup())
}

fn starved(habit: Fault) -> World {
    with(habit, PairSetup { stock_start: 0, ..setup() })
}

/// How many keys an answer holds.
fn keys((code, body): &(u16, serde_json::Value)) -> (u16, usize) {
    (*code, body["keys"].as_array().map_or(0, Vec::len))
}

/// Bytes of the first key of an answer.
fn key_bytes((_, body): &(u16, serde_json::Value)) -> usize {
    body["keys"][0]["key"].as_str().unwrap().trim_end_matches('=').len() * 3 / 4
}

/// A request for keys by GET.
fn by_get(world: &mut World, query: &str) -> (u16, serde_json::Value) {
    world.ask(Side::A, "SAE-A", Verb::Get, &format!("{TO_B}enc_keys{query}"), "")
}

/// The status as `SAE-A` sees it.
fn status_of(world: &mut World) -> (u16, serde_json::Value) {
    world.ask(Side::A, "SAE-A", Verb::Get, &format!("{TO_B}status"), "")
}

#[test]
fn an_unknown_key_is_answered_as_the_habit_says() {
    for (habit, code) in NOT_FOUND {
        refused(of(*habit).dec(&["unknown"]), *code, KEYS_NOT_FOUND);
    }
    assert_eq!(keys(&of(Fault::NotFoundEmpty).dec(&["unknown"])), (200, 0));
}

#[test]
fn an_empty_stock_is_answered_as_the_habit_says() {
    for (habit, code) in [(Fault::Empty400, 400), (Fault::Empty404, 404), (Fault::Empty429, 429)] {
        refused(starved(habit).enc("{}"), code, "not enough");
    }
    assert_eq!(keys(&starved(Fault::EmptyList).enc("{}")), (200, 0));
    assert_eq!(keys(&of(Fault::Partial).enc(r#"{"number":25}"#)), (200, 20));
}

#[test]
fn who_is_unknown_is_told_so_as_the_habit_says() {
    for (habit, code) in [(Fault::Stranger400, 400), (Fault::Stranger404, 404)] {
        let answer = of(habit).ask(Side::A, "SAE-X", Verb::Get, &format!("{TO_B}status"), "");
        refused(answer, code, "not registered");
    }
    for (habit, code) in [(Fault::Unknown404, 404), (Fault::Unknown500, 500)] {
        let answer = of(habit).ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-Z/status", "");
        refused(answer, code, "SAE-Z");
    }
}

#[test]
fn sizes_and_numbers_are_served_as_the_habit_says() {
    assert_eq!(key_bytes(&of(Fault::FixedSize).enc(r#"{"size":512}"#)), 32);
    assert_eq!(key_bytes(&of(Fault::LongSize).enc(r#"{"size":256}"#)), 64);
    assert_eq!(key_bytes(&of(Fault::SizeInBytes).enc(r#"{"size":64}"#)), 64);
    assert_eq!(status_of(&mut of(Fault::SizeInBytes)).1["key_size"], 32);
    refused(of(Fault::OneKey).enc(r#"{"number":2}"#), 400, "max_key_per_request");
    assert_eq!(status_of(&mut of(Fault::OneKey)).1["max_key_per_request"], 1);
    refused(of(Fault::Invalid422).enc(r#"{"size":257}"#), 422, SIZE_NOT_MULTIPLE_OF_8);
    assert_eq!(keys(&of(Fault::IgnoresMandatory).enc(r#"{"extension_mandatory":[{"v_x":1}]}"#)), (200, 1));
}

#[test]
fn verbs_are_taken_as_the_habit_says() {
    refused(of(Fault::GetOnly).enc("{}"), 405, "enc_keys");
    assert_eq!(keys(&by_get(&mut of(Fault::GetOnly), "")), (200, 1));
    refused(by_get(&mut of(Fault::PostOnly), ""), 405, "enc_keys");
    assert_eq!(status_of(&mut of(Fault::PostOnly)).0, 200);
    assert_eq!(keys(&by_get(&mut of(Fault::GetIgnored), "?number=3&size=512")), (200, 1));
    refused(of(Fault::NoEmptyPost).enc(""), 415, "body");
}

#[test]
fn the_status_says_what_the_habit_lets_it() {
    assert_eq!(status_of(&mut of(Fault::StatusFails)).0, 500);
    assert_eq!(of(Fault::StatusFails).enc("{}").0, 200);
    assert_eq!(status_of(&mut of(Fault::StatusPartial)).1.as_object().unwrap().len(), 3);
    for (habit, stored) in [(Fault::StockZero, 0), (Fault::StockCapped, 10), (Fault::StockWaiting, 1)] {
        let mut world = of(habit);
        world.one_id();
        assert_eq!(status_of(&mut world).1["stored_key_count"], stored, "{habit}");
    }
}

#[test]
fn keys_are_kept_and_found_as_the_habit_says() {
    let mut world = of(Fault::GivesAgain);
    let id = world.one_id();
    assert_eq!([world.dec(&[&id]).0, world.dec(&[&id]).0], [200, 200]);
    let mut world = of(Fault::LosesUnfetched);
    let (first, second) = (world.one_id(), world.one_id());
    refused(world.dec(&[&first]), 400, KEYS_NOT_FOUND);
    assert_eq!(world.dec(&[&second]).0, 200);
    let mut world = of(Fault::IdExactCase);
    let id = world.one_id();
    refused(world.dec(&[&id.to_uppercase()]), 400, KEYS_NOT_FOUND);
    assert_eq!(world.dec(&[&id]).0, 200);
}

/// The bytes of an answer as it would leave, without their timing.
fn shown(delivery: &Delivery) -> Vec<u8> {
    match delivery {
        Delivery::Proper { code, fields, body } => [format!("{code} {fields:?}").as_bytes(), body.expose()].concat(),
        Delivery::Scripted(steps) => steps.iter().flat_map(shown_step).collect(),
    }
}

fn shown_step(step: &Step) -> Vec<u8> {
    match step {
        Step::Write(bytes) | Step::Drip(bytes) => bytes.expose().to_vec(),
        Step::Forever(bytes) => bytes.clone(),
        Step::Pause(_) | Step::Hang => Vec::new(),
        Step::Close | Step::Cut => b"end".to_vec(),
    }
}

/// A short life of a pair: every method, good and bad requests, keys fetched twice, late and in another case, an empty stock.
fn life(mut world: World) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mut ask = |world: &mut World, caller: &str, verb: Verb, target: String, body: &str| {
        let side = if caller == "SAE-B" { Side::B } else { Side::A };
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let caller = sae(caller);
        let request = ApiRequest { caller: &caller, verb, path, query, body: body.as_bytes() };
        let delivery = answer_on_the_way(&mut world.pair, world.now, side, &request, &mut world.entropy);
        let bytes = shown(&delivery);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        seen.extend(bytes);
        // The key_ID, however it is written: what stands between the quotes after the member's name.
        text.split("\"key_ID\"").nth(1).and_then(|rest| rest.split('"').nth(1)).map(str::to_owned)
    };
    let enc = format!("{TO_B}enc_keys");
    ask(&mut world, "SAE-X", Verb::Get, format!("{TO_B}status"), "");
    ask(&mut world, "SAE-A", Verb::Get, "/api/v1/keys/SAE-Z/status".to_owned(), "");
    for body in
        ["{}", "{}", r#"{"number":2,"size":512}"#, r#"{"size":257}"#, r#"{"extension_mandatory":[{"v":1}]}"#, ""]
    {
        ids.extend(ask(&mut world, "SAE-A", Verb::Post, enc.clone(), body));
        ask(&mut world, "SAE-A", Verb::Get, format!("{TO_B}status"), "");
    }
    ids.extend(ask(&mut world, "SAE-A", Verb::Get, format!("{enc}?number=2"), ""));
    for id in ids.iter().flat_map(|id| [id.to_uppercase(), id.clone(), id.clone()]) {
        let body = crate::etsi014::v1::request::key_ids_json([id.as_str()].into_iter());
        ask(&mut world, "SAE-B", Verb::Post, "/api/v1/keys/SAE-A/dec_keys".to_owned(), &body);
    }
    ask(&mut world, "SAE-A", Verb::Post, enc.clone(), r#"{"number":25}"#);
    seen
}

#[test]
fn no_habit_is_a_name_alone() {
    let usual = life(world(setup()));
    assert_eq!(usual, life(world(setup())), "the same life twice");
    for habit in Fault::ALL.iter().copied().filter(|fault| fault.scope() == Scope::Habit) {
        assert_ne!(life(of(habit)), usual, "{habit} changes nothing");
    }
}
