//! Every rule of the three methods, on a pair without network.

use std::time::Duration;

use super::*;
use crate::kme::link::LinkModel;
use crate::kme::pair::{Kme, PairSetup};

mod habits;

/// Bytes that never repeat.
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 += 1;
            chunk.copy_from_slice(&self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[..chunk.len()]);
        }
    }
}

struct World {
    pair: Pair,
    entropy: Counter,
    now: Instant,
}

fn sae(id: &str) -> SaeId {
    SaeId::new(id).unwrap()
}

fn setup() -> PairSetup {
    let kme = |id: &str, saes: &[&str]| Kme { id: id.to_owned(), saes: saes.iter().map(|id| sae(id)).collect() };
    PairSetup {
        kmes: [kme("KME-A", &["SAE-A", "SAE-C"]), kme("KME-B", &["SAE-B", "SAE-D"])],
        model: LinkModel::Constant { key_rate: 2560 },
        block_bits: 2560,
        stock_start: 20,
        stock_max: 100,
        split: false,
        dec_delay: Duration::ZERO,
    }
}

fn world(setup: PairSetup) -> World {
    World { pair: Pair::new(setup, Instant::ZERO), entropy: Counter(0), now: Instant::ZERO }
}

impl World {
    fn ask(&mut self, side: Side, caller: &str, verb: Verb, target: &str, body: &str) -> (u16, serde_json::Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let caller = sae(caller);
        let request = ApiRequest { caller: &caller, verb, path, query, body: body.as_bytes() };
        let response = answer(&mut self.pair, self.now, side, &request, &mut self.entropy);
        (response.code, serde_json::from_slice(response.body.expose()).unwrap())
    }

    fn enc(&mut self, body: &str) -> (u16, serde_json::Value) {
        self.ask(Side::A, "SAE-A", Verb::Post, "/api/v1/keys/SAE-B/enc_keys", body)
    }

    fn dec(&mut self, ids: &[&str]) -> (u16, serde_json::Value) {
        let body = crate::etsi014::v1::request::key_ids_json(ids.iter().copied());
        self.ask(Side::B, "SAE-B", Verb::Post, "/api/v1/keys/SAE-A/dec_keys", &body)
    }

    fn one_id(&mut self) -> String {
        let (code, keys) = self.enc("{}");
        assert_eq!(code, 200);
        keys["keys"][0]["key_ID"].as_str().unwrap().to_owned()
    }
}

#[track_caller]
fn refused(answer: (u16, serde_json::Value), code: u16, words: &str) {
    let message = answer.1["message"].as_str().unwrap_or_default();
    assert!(answer.0 == code && message.contains(words), "{answer:?}");
}

#[test]
fn a_key_reaches_both_sides_once() {
    let mut world = world(setup());
    let (code, masters) = world.enc(r#"{"number":2,"size":512}"#);
    assert_eq!(code, 200);
    let ids: Vec<&str> = (0..2).map(|at| masters["keys"][at]["key_ID"].as_str().unwrap()).collect();
    let (code, slaves) = world.dec(&ids);
    assert_eq!(code, 200);
    assert_eq!(masters, slaves);
    assert_eq!(masters["keys"][0]["key"].as_str().unwrap().len(), 88);
    assert_ne!(masters["keys"][0], masters["keys"][1]);
    refused(world.dec(&ids), 400, KEYS_NOT_FOUND);
    let status = world.pair.status(world.now);
    assert_eq!((status.keys_issued, status.keys_fetched, status.keys_waiting), (2, 2, 0));
    assert_eq!(status.stored_keys, [16]);
}

#[test]
fn simple_requests_by_get_are_served() {
    let mut world = world(setup());
    let (code, keys) = world.ask(Side::B, "SAE-B", Verb::Get, "/api/v1/keys/SAE-A/enc_keys?number=2&size=128", "");
    assert_eq!((code, keys["keys"].as_array().unwrap().len()), (200, 2));
    let id = keys["keys"][1]["key_ID"].as_str().unwrap().to_uppercase();
    let target = format!("/api/v1/keys/SAE-B/dec_keys?key_ID={id}");
    let (code, back) = world.ask(Side::A, "SAE-A", Verb::Get, &target, "");
    assert_eq!((code, &back["keys"][0]["key"]), (200, &keys["keys"][1]["key"]));
    let (code, keys) = world.ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-B/enc_keys", "");
    assert_eq!((code, keys["keys"].as_array().unwrap().len()), (200, 1));
    refused(world.ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-B/enc_keys?number=x", ""), 400, "number");
    refused(world.ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-B/dec_keys", ""), 400, "key_IDs");
}

#[test]
fn the_status_has_all_eleven_members() {
    let mut world = world(setup());
    let (code, status) = world.ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-B/status", "");
    assert_eq!((code, status.as_object().unwrap().len()), (200, 11));
    assert_eq!((&status["source_KME_ID"], &status["target_KME_ID"]), (&"KME-A".into(), &"KME-B".into()));
    assert_eq!((&status["stored_key_count"], &status["max_key_count"]), (&20.into(), &100.into()));
}

#[test]
fn the_wrong_caller_is_told_so() {
    let mut world = world(setup());
    let path = "/api/v1/keys/SAE-B/status";
    refused(world.ask(Side::A, "SAE-X", Verb::Get, path, ""), 401, "not registered");
    refused(world.ask(Side::B, "SAE-A", Verb::Get, path, ""), 401, "not registered");
    refused(world.ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-A/status", ""), 400, "swapped");
    refused(world.ask(Side::A, "SAE-A", Verb::Get, "/api/v1/keys/SAE-Z/enc_keys", ""), 400, "SAE-Z");
    let id = world.one_id();
    let body = crate::etsi014::v1::request::key_ids_json([id.as_str()].into_iter());
    refused(world.ask(Side::B, "SAE-D", Verb::Post, "/api/v1/keys/SAE-A/dec_keys", &body), 401, "not made for");
    refused(world.ask(Side::B, "SAE-B", Verb::Post, "/api/v1/keys/SAE-C/dec_keys", &body), 400, KEYS_NOT_FOUND);
    assert_eq!(world.dec(&[&id]).0, 200);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let mut world = world(setup());
    refused(world.ask(Side::A, "SAE-A", Verb::Get, "/", ""), 404, "method");
    refused(world.ask(Side::A, "SAE-A", Verb::Post, "/api/v1/keys/SAE-B/status", "{}"), 405, "status");
    refused(world.ask(Side::A, "SAE-A", Verb::Other, "/api/v1/keys/SAE-B/enc_keys", ""), 405, "enc_keys");
}

#[test]
fn requests_out_of_bounds_are_refused_and_cost_nothing() {
    let mut world = world(setup());
    refused(world.enc(r#"{"size":257}"#), 400, SIZE_NOT_MULTIPLE_OF_8);
    refused(world.enc(r#"{"size":56}"#), 400, "64 to 1024");
    refused(world.enc(r#"{"size":1032}"#), 400, "64 to 1024");
    refused(world.enc(r#"{"number":0}"#), 400, "number");
    refused(world.enc(r#"{"number":129}"#), 400, "max_key_per_request");
    refused(world.enc(r#"{"number":18446744073709551615}"#), 400, "number");
    refused(world.enc(r#"{"extension_mandatory":[{"v_x":1}]}"#), 400, MANDATORY_NOT_SUPPORTED);
    refused(world.enc(r#"{"additional_slave_SAE_IDs":["SAE-D"]}"#), 400, "max_SAE_ID_count");
    refused(world.enc("{"), 400, "middle");
    refused(world.enc("[]"), 400, "body");
    refused(world.dec(&[]), 400, "key_IDs");
    refused(world.dec(&["a"; 129]), 400, "key_IDs");
    let id = world.one_id();
    refused(world.dec(&[&id, &id.to_uppercase()]), 400, "twice");
    refused(world.dec(&[&id, "unknown"]), 400, KEYS_NOT_FOUND);
    assert_eq!(world.pair.status(world.now).stored_keys, [19]);
    assert_eq!(world.dec(&[&id]).0, 200);
}

#[test]
fn an_empty_stock_answers_503_until_the_next_block() {
    let mut world = world(setup());
    assert_eq!(world.enc(r#"{"number":20}"#).0, 200);
    refused(world.enc("{}"), 503, "not enough");
    world.now = Instant::ZERO + Duration::from_millis(999);
    refused(world.enc("{}"), 503, "not enough");
    world.now = Instant::ZERO + Duration::from_secs(1);
    refused(world.enc(r#"{"number":11}"#), 503, "not enough");
    assert_eq!(world.enc(r#"{"number":10}"#).0, 200);
}

#[test]
fn a_cut_link_starves_both_sides_and_a_repaired_one_feeds_them() {
    let mut world = world(PairSetup { stock_start: 0, ..setup() });
    world.pair.set_link_up(world.now, false);
    world.now = Instant::ZERO + Duration::from_secs(60);
    refused(world.enc("{}"), 503, "not enough");
    assert!(!world.pair.status(world.now).up);
    world.pair.set_link_up(world.now, true);
    world.pair.set_link_rate(world.now, 25_600);
    world.now = world.now + Duration::from_secs(1);
    assert_eq!(world.pair.status(world.now).stored_keys, [100]);
    assert_eq!(world.enc("{}").0, 200);
}

#[test]
fn a_split_pair_has_a_stock_for_each_direction() {
    let mut world = world(PairSetup { split: true, ..setup() });
    assert_eq!(world.enc(r#"{"number":10}"#).0, 200);
    refused(world.enc("{}"), 503, "not enough");
    let (code, _) = world.ask(Side::B, "SAE-B", Verb::Post, "/api/v1/keys/SAE-A/enc_keys", r#"{"number":10}"#);
    assert_eq!(code, 200);
    assert_eq!(world.pair.status(world.now).stored_keys, [0, 0]);
    world.now = Instant::ZERO + Duration::from_secs(1);
    assert_eq!(world.pair.status(world.now).stored_keys, [5, 5]);
}

#[test]
fn one_stock_is_known_to_both_kmes() {
    let mut world = world(setup());
    world.one_id();
    let (_, status) = world.ask(Side::B, "SAE-B", Verb::Get, "/api/v1/keys/SAE-A/status", "");
    assert_eq!(status["stored_key_count"], 19);
}

#[test]
fn a_key_is_unknown_at_the_other_kme_until_it_arrives() {
    let mut world = world(PairSetup { dec_delay: Duration::from_millis(300), ..setup() });
    let id = world.one_id();
    refused(world.dec(&[&id]), 400, KEYS_NOT_FOUND);
    world.now = Instant::ZERO + Duration::from_millis(300);
    assert_eq!(world.dec(&[&id]).0, 200);
}
