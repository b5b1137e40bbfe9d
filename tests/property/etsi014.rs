//! ETSI GS QKD 014: bodies survive the round trip, any bytes are read or refused, and a pair conserves its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plait::etsi014::v1::container::{self, ContainerKey};
use plait::etsi014::v1::json::{Malformed, NESTING_MAX, unescape_in_place};
use plait::etsi014::v1::path::{self, Method};
use plait::etsi014::v1::request::{EncKeys, NewKeys, key_ids_json, read_key_ids};
use plait::etsi014::v1::status::Status;
use plait::etsi014::v1::url::BaseUrl;
use plait::etsi014::v1::{error, pin};
use plait::kme::api::{ApiRequest, Verb, answer};
use plait::kme::file;
use plait::kme::link::LinkModel;
use plait::kme::pair::{Kme, Pair, PairSetup, Side};
use plait::types::id::{KeyId, SaeId};
use plait::types::random::Entropy;
use plait::types::secret::SecretBytes;
use plait::types::time::Instant;
use proptest::prelude::*;
use proptest::sample::Index;
use zeroize::Zeroizing;

fn read(body: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
    let keys = container::read(Zeroizing::new(body.to_vec()))?;
    Ok(keys.iter().map(|key| (key.key_id.as_str().to_owned(), key.material.expose().to_vec())).collect())
}

fn written(keys: &[(String, Vec<u8>)]) -> Vec<u8> {
    let keys: Vec<ContainerKey> = keys
        .iter()
        .map(|(id, material)| ContainerKey {
            key_id: KeyId::new(id.as_bytes()).unwrap(),
            material: SecretBytes::new(material.clone()),
        })
        .collect();
    container::write(&keys).expose().to_vec()
}

fn keys() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let material = proptest::collection::vec(any::<u8>(), 1..200);
    proptest::collection::btree_map("[!-~]{1,64}", material, 0..5).prop_map(|keys| keys.into_iter().collect())
}

/// Each character as it is, as `\u00XX`, or by its short escape.
fn escaped(text: &str, how: &[u8]) -> String {
    let mut out = String::from("\"");
    for (at, letter) in text.chars().enumerate() {
        let way = how.get(at % how.len().max(1)).copied().unwrap_or(0) % 3;
        match (letter, way) {
            ('/', 1) => out.push_str("\\/"),
            ('"' | '\\', 0 | 1) => out.extend(['\\', letter]),
            (letter, 2) if u32::from(letter) < 0x80 => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            (letter, _) if letter.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            (letter, _) => out.push(letter),
        }
    }
    out + "\""
}

proptest! {
    #[test]
    fn a_container_comes_back_as_it_was_written(keys in keys()) {
        let body = written(&keys);
        prop_assert_eq!(read(&body).unwrap(), keys.clone());
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(value["keys"].as_array().unwrap().len(), keys.len());
    }

    #[test]
    fn a_damaged_container_is_read_or_refused(keys in keys(), at in any::<Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut body = written(&keys);
        let at = at.index(body.len());
        if cut {
            body.truncate(at);
            prop_assert!(read(&body).is_err());
        } else {
            body[at] = byte;
            if let Ok(back) = read(&body) {
                prop_assert!(back.iter().all(|(id, key)| id.len() <= 64 && (1..=2048).contains(&key.len())));
                prop_assert!(back.len() <= keys.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = (read(&body), Status::read(&body), EncKeys::read(&body), read_key_ids(&body));
        if let Some(words) = error::explain(&body) {
            prop_assert!(words.chars().count() <= 203 && !words.chars().any(char::is_control));
        }
        let text = String::from_utf8_lossy(&body);
        let _ = (BaseUrl::parse(&text), pin::parse(&text), path::parse(&text), path::query_value(&text, "size"));
        let _ = file::read(&text, std::path::Path::new("/"));
    }

    #[test]
    fn json_of_any_shape_is_read_or_refused(body in "[\\[\\]{}\":,0-9a-zA-Z_\\\\ .eE+-]{0,300}") {
        let _ = (read(body.as_bytes()), Status::read(body.as_bytes()), EncKeys::read(body.as_bytes()));
        let _ = (read_key_ids(body.as_bytes()), error::explain(body.as_bytes()));
    }

    #[test]
    fn nesting_beyond_the_bound_is_refused_before_it_is_parsed(
        levels in NESTING_MAX + 1..40_000,
        kinds in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let deep: String = (0..levels).map(|at| if kinds[at % kinds.len()] { "[" } else { "{\"a\":" }).collect();
        prop_assert_eq!(read(deep.as_bytes()), Err(Malformed::Nesting));
        prop_assert_eq!(Status::read(deep.as_bytes()), Err(Malformed::Nesting));
    }

    #[test]
    fn undoing_escapes_never_changes_what_a_text_means(
        text in any::<String>(),
        how in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut bytes = escaped(&text, &how).into_bytes();
        let before: String = serde_json::from_slice(&bytes).unwrap();
        unescape_in_place(&mut bytes);
        prop_assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), before.clone());
        prop_assert_eq!(before, text);
    }

    #[test]
    fn requests_come_back_as_they_were_written(
        number in any::<u32>(), size in any::<u32>(), ids in proptest::collection::vec("[!-~]{1,64}", 0..8),
    ) {
        let asked = EncKeys::read(NewKeys { number, size }.to_json().as_bytes()).unwrap();
        prop_assert_eq!((asked.number, asked.size), (Some(number.into()), Some(size.into())));
        let named = read_key_ids(key_ids_json(ids.iter().map(String::as_str)).as_bytes()).unwrap();
        prop_assert_eq!(named, ids.clone());
        for id in &ids {
            let query = path::dec_keys_query(id);
            let found = path::query_value(&query, "key_ID");
            prop_assert_eq!(found.as_deref(), Some(id.as_str()));
        }
    }

    #[test]
    fn any_sae_id_is_one_segment_of_a_path(text in "\\PC{1,40}") {
        if let Some(sae) = SaeId::new(&text) {
            for method in [Method::Status, Method::EncKeys, Method::DecKeys] {
                let path = path::path("", &sae, method);
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()) && path.matches('/').count() == 5);
                prop_assert_eq!(path::parse(&path), Some((sae.clone(), method)));
            }
        }
    }

    #[test]
    fn a_base_url_comes_back_as_it_is_shown(host in "[a-z0-9.-]{1,20}", port in 1_u16.., prefix in "(/[a-z0-9%]{1,8}){0,3}/?") {
        let url = BaseUrl::parse(&format!("https://{host}:{port}{prefix}")).unwrap();
        prop_assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url));
    }
}

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

#[derive(Clone, Debug)]
enum Step {
    /// `enc_keys` at side A or B.
    Enc { at_b: bool, number: u64 },
    /// `dec_keys` at side A or B of these of the known ids, and of one unknown id or not.
    Dec { at_b: bool, ids: Vec<Index>, unknown: bool },
    /// Time passes.
    Wait { ms: u64 },
    /// The link is cut or repaired.
    Link { up: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let ids = proptest::collection::vec(any::<Index>(), 1..4);
    prop_oneof![
        (any::<bool>(), 0..6_u64).prop_map(|(at_b, number)| Step::Enc { at_b, number }),
        (any::<bool>(), ids, proptest::bool::weighted(0.2)).prop_map(|(at_b, ids, unknown)| Step::Dec {
            at_b,
            ids,
            unknown
        }),
        (0..500_u64).prop_map(|ms| Step::Wait { ms }),
        any::<bool>().prop_map(|up| Step::Link { up }),
    ]
}

/// A pair, and what an onlooker knows of its keys.
struct World {
    pair: Pair,
    entropy: Counter,
    now: Instant,
    /// By id: the side whose master got it, and the key as text.
    issued: BTreeMap<String, (bool, String)>,
    fetched: BTreeSet<String>,
}

const RATE: u64 = 4096;
const START: u64 = 6;

impl World {
    fn new(split: bool) -> Self {
        let kme = |id: &str, sae: &str| Kme { id: id.to_owned(), saes: vec![SaeId::new(sae).unwrap()] };
        let setup = PairSetup {
            kmes: [kme("A", "a"), kme("B", "b")],
            model: LinkModel::Constant { key_rate: RATE },
            block_bits: 1024,
            stock_start: START,
            stock_max: 12,
            split,
            dec_delay: Duration::from_millis(30),
        };
        let pair = Pair::new(setup, Instant::ZERO);
        Self { pair, entropy: Counter(0), now: Instant::ZERO, issued: BTreeMap::new(), fetched: BTreeSet::new() }
    }

    fn ask(&mut self, at_b: bool, method: Method, body: &str) -> (u16, Vec<(String, String)>) {
        let (side, own, other) = if at_b { (Side::B, "b", "a") } else { (Side::A, "a", "b") };
        let caller = SaeId::new(own).unwrap();
        let path = path::path("", &SaeId::new(other).unwrap(), method);
        let request = ApiRequest { caller: &caller, verb: Verb::Post, path: &path, query: "", body: body.as_bytes() };
        let answered = answer(&mut self.pair, self.now, side, &request, &mut self.entropy);
        let value: serde_json::Value = serde_json::from_slice(answered.body.expose()).unwrap();
        let keys = value["keys"].as_array().cloned().unwrap_or_default();
        let text = |key: &serde_json::Value, member: &str| key[member].as_str().unwrap().to_owned();
        (answered.code, keys.iter().map(|key| (text(key, "key_ID"), text(key, "key"))).collect())
    }

    fn enc(&mut self, at_b: bool, number: u64) -> Result<(), TestCaseError> {
        let (code, keys) = self.ask(at_b, Method::EncKeys, &format!("{{\"number\":{number}}}"));
        prop_assert_eq!(keys.len() as u64, if code == 200 { number } else { 0 });
        for (id, key) in keys {
            prop_assert!(self.issued.values().all(|(_, known)| *known != key), "a key was issued twice");
            prop_assert!(self.issued.insert(id, (at_b, key)).is_none(), "an id was issued twice");
        }
        Ok(())
    }

    fn dec(&mut self, at_b: bool, ids: &[Index], unknown: bool) -> Result<(), TestCaseError> {
        let known: Vec<&String> = self.issued.keys().collect();
        let mut asked: BTreeSet<String> = BTreeSet::new();
        if !known.is_empty() {
            asked.extend(ids.iter().map(|at| known[at.index(known.len())].clone()));
        }
        if unknown {
            asked.insert("unknown".to_owned());
        }
        let (code, keys) = self.ask(at_b, Method::DecKeys, &key_ids_json(asked.iter().map(String::as_str)));
        prop_assert_eq!(keys.len(), if code == 200 { asked.len() } else { 0 }, "all or none");
        for (id, key) in keys {
            let Some((issued_at_b, issued)) = self.issued.get(&id) else {
                return Err(TestCaseError::fail("unknown id"));
            };
            prop_assert!(*issued_at_b != at_b, "the master fetched its own key");
            prop_assert_eq!(issued, &key);
            prop_assert!(self.fetched.insert(id), "a key was handed to the slave twice");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_key_goes_at_most_once_to_each_side_and_none_comes_from_nowhere(
        split in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(split);
        let mut link_ms = 0;
        let mut up = true;
        for step in steps {
            match step {
                Step::Enc { at_b, number } => world.enc(at_b, number)?,
                Step::Dec { at_b, ids, unknown } => world.dec(at_b, &ids, unknown)?,
                Step::Wait { ms } => {
                    world.now = world.now + Duration::from_millis(ms);
                    link_ms += if up { ms } else { 0 };
                }
                Step::Link { up: now_up } => {
                    up = now_up;
                    world.pair.set_link_up(world.now, up);
                }
            }
            let made_bits = START * 256 + link_ms * RATE / 1000;
            prop_assert!(world.issued.len() as u64 * 256 <= made_bits, "more key was issued than made");
            let status = world.pair.status(world.now);
            let waiting = world.issued.len() - world.fetched.len();
            prop_assert_eq!((status.keys_issued, status.keys_waiting), (world.issued.len() as u64, waiting as u64));
        }
    }
}
