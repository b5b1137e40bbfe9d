//! Replays `fast-rekey.json`: both ends get the inputs; every message, datagram, traced state and key must be equal.
//!
//! The chains go on below the policy: after a refusal a real end has blocked, and after a mismatch it waits.

use plait::crypto::aead::{AeadBackend, DataKey};
use plait::keys::offer::{SlotAnswer, SlotOffer};
use plait::keys::policy::{Exchange, LeftSeconds, QkdWaiver, waive};
use plait::keys::request::DeliveredKey;
use plait::schedule::trace::{self, Step};
use plait::session::fast_rekey::{
    AwaitFr2, EpochRoot, FastTry, Fr2Made, Fr2Outcome, NewEpoch, OpenedFr1, create_fr1, open_fr1,
};
use plait::types::id::{KeyId, SessionIndex, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, Reason};
use plait::types::random::Randomness;
use plait::types::secret::{Secret, SecretBytes};
use plait::types::terms::Agreed;
use serde_json::Value;

use crate::folder;
use crate::hex::{array, bytes};

const INITIATOR: usize = 0;
const RESPONDER: usize = 1;

#[test]
fn every_chain_is_equal_byte_for_byte() {
    let Some(file) = folder::load("fast-rekey.json") else { return };
    for chain in folder::cases(&file, "chains", 6) {
        let mut session = Session::of(&chain["session"]);
        for rekey in chain["rekeys"].as_array().unwrap() {
            let what = format!("{}, epoch {}, try {}", chain["what"], rekey["epoch"], rekey["try"]);
            replay(&mut session, rekey, &what);
        }
    }
}

/// The current epoch as both ends hold it; `keys`, `indices` and `counters` by sending end.
struct Session {
    agreed: Agreed,
    root: EpochRoot,
    keys: [DataKey; 2],
    indices: [u32; 2],
    counters: [u64; 2],
}

impl Session {
    fn of(value: &Value) -> Self {
        let agreed = agreed(&value["terms"]);
        let key = |name: &str| data_key(agreed.cipher, &value[name]);
        Self {
            root: EpochRoot { hs: array(&value["hs"]), root: secret(&value["root"]) },
            keys: [key("T_i2r"), key("T_r2i")],
            indices: [u32_of(&value["data_index_initiator"]), u32_of(&value["data_index_responder"])],
            counters: [number(&value["next_counter_initiator"]), number(&value["next_counter_responder"])],
            agreed,
        }
    }

    /// Type 17 or 16 from one end, under its next counter in lane 0.
    fn seal(&mut self, from: usize, kind: u8, plaintext: &[u8]) -> Vec<u8> {
        let counter = self.counters[from].to_le_bytes();
        self.counters[from] += 1;
        let header = [[kind, 1, 0, 0].as_slice(), &self.indices[1 - from].to_be_bytes(), &counter].concat();
        let nonce = [[0; 4].as_slice(), &counter].concat().try_into().unwrap();
        let mut text = plaintext.to_vec();
        let tag = self.keys[from].seal(nonce, &header, &mut text);
        [header, text, tag.to_vec()].concat()
    }

    fn advance(&mut self, epoch: &NewEpoch) {
        let cipher = self.agreed.cipher;
        self.root = EpochRoot { hs: epoch.hs, root: epoch.root.duplicate() };
        self.keys = [&epoch.t_i2r, &epoch.t_r2i].map(|key| DataKey::new(cipher, AeadBackend::default(), key));
        self.indices = [epoch.local_data_index.value(), epoch.remote_data_index.value()];
        self.counters = [0; 2];
    }
}

fn replay(session: &mut Session, rekey: &Value, what: &str) {
    let mut rng = Script { values: &rekey["random"], drawn: Vec::new() };
    assert_eq!(session.root.hs.to_vec(), bytes(&rekey["hs_before"]), "{what}: hs_before");
    assert_eq!(session.root.root.expose().to_vec(), bytes(&rekey["root_before"]), "{what}: root_before");

    let waiting = fr1(session, rekey, &mut rng);
    assert_eq!(waiting.plaintext(), bytes(&rekey["fr1"]), "{what}: FR1");
    assert_eq!(session.seal(INITIATOR, 17, waiting.plaintext()), bytes(&rekey["fr1_datagram"]), "{what}: datagram");

    trace::start();
    let opened = open_fr1(&session.root, &session.agreed, waiting.plaintext()).unwrap();
    let made = fr2(session, rekey, opened, &mut rng);
    let steps = trace::stop();
    assert_eq!(made.plaintext, bytes(&rekey["fr2"]), "{what}: FR2");
    assert_eq!(session.seal(RESPONDER, 17, &made.plaintext), bytes(&rekey["fr2_datagram"]), "{what}: datagram");
    if let Some(expected) = rekey.get("trace").and_then(Value::as_array) {
        compare_trace(&steps, expected, what);
    }

    let permit = permit(&session.agreed, &rekey["left_initiator"]);
    let outcome = waiting.accept_fr2(&made.plaintext, &session.agreed, permit).unwrap();
    match (rekey["error"].as_str().unwrap(), outcome) {
        ("", Fr2Outcome::Established(epoch)) => {
            let other = made.outcome.unwrap_or_else(|| panic!("{what}: no epoch at the responder"));
            compare_epochs(&epoch, &other, rekey, what);
            session.advance(&epoch);
            assert_eq!(session.seal(INITIATOR, 16, &[]), bytes(&rekey["confirm"]), "{what}: confirming packet");
        }
        ("BLOCKED", Fr2Outcome::Refused { status, .. }) => {
            assert!(made.outcome.is_none() && status.mixed.is_empty(), "{what}");
        }
        ("QKD_MISMATCH [0]", Fr2Outcome::Mismatch { sources, key_ids }) => {
            assert_eq!(sources.bits(), 1, "{what}");
            let named = rekey["qkd"][0]["key_id"].as_str().unwrap();
            assert_eq!(key_ids.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), [named], "{what}");
        }
        (error, _) => panic!("{what}: expected {error:?}"),
    }
    rng.drawn.extend(["fr_initiator_data_index", "fr_responder_data_index"]);
    let unused = rekey["random"].as_object().unwrap().keys().find(|name| !rng.drawn.contains(&name.as_str()));
    assert_eq!(unused, None, "{what}: a value that was to be drawn");
}

fn fr1(session: &Session, rekey: &Value, rng: &mut Script<'_>) -> AwaitFr2 {
    let attempt = FastTry {
        epoch: number(&rekey["epoch"]) as u32,
        number: number(&rekey["try"]) as u8,
        data_index: SessionIndex::new(u32_of(&rekey["random"]["fr_initiator_data_index"])).unwrap(),
    };
    let mut offers = [const { SlotOffer::NotAsked }; 6];
    for qkd in rekey["qkd"].as_array().unwrap() {
        offers[number(&qkd["source"]) as usize] = match number(&qkd["state"]) {
            1 => SlotOffer::Key(delivered(&qkd["key_id"], &qkd["initiator_key"])),
            _ => SlotOffer::Failed(reason(&qkd["initiator_reason"])),
        };
    }
    let permit = permit(&session.agreed, &rekey["left_initiator"]);
    create_fr1(&session.root, &session.agreed, attempt, offers, permit.as_ref(), rng).unwrap()
}

fn fr2(session: &Session, rekey: &Value, opened: OpenedFr1, rng: &mut Script<'_>) -> Fr2Made {
    // A refusal draws no index: the engine's is not used.
    let drawn = rekey["random"].get("fr_responder_data_index").map_or(1, u32_of);
    let mut answers = [const { SlotAnswer::NotNeeded }; 6];
    for qkd in rekey["qkd"].as_array().unwrap().iter().filter(|qkd| qkd["responder_asked"] == true) {
        answers[number(&qkd["source"]) as usize] = match qkd["responder_key"].as_str().unwrap() {
            "" => SlotAnswer::Failed(reason(&qkd["responder_reason"])),
            _ => SlotAnswer::Key(delivered(&qkd["key_id"], &qkd["responder_key"])),
        };
    }
    let permit = permit(&session.agreed, &rekey["left_responder"]);
    opened.create_fr2(SessionIndex::new(drawn).unwrap(), answers, permit, rng)
}

fn compare_epochs(ours: &NewEpoch, theirs: &NewEpoch, rekey: &Value, what: &str) {
    for (end, epoch) in [("initiator", ours), ("responder", theirs)] {
        assert_eq!(epoch.hs.to_vec(), bytes(&rekey["hs"]), "{what}: hs at the {end}");
        for (name, secret) in [("T_i2r", &epoch.t_i2r), ("T_r2i", &epoch.t_r2i)] {
            assert_eq!(secret.expose().to_vec(), bytes(&rekey[name]), "{what}: {name} at the {end}");
        }
        assert_eq!(epoch.root.expose().to_vec(), bytes(&rekey["root"]), "{what}: root at the {end}");
        assert_eq!(u64::from(epoch.number), number(&rekey["epoch"]), "{what}: epoch at the {end}");
    }
    assert_eq!((&ours.mixed, &ours.reasons), (&theirs.mixed, &theirs.reasons), "{what}");
    assert_eq!((ours.waiver, ours.left), (theirs.waiver, theirs.left), "{what}");
    assert_eq!(ours.local_data_index, theirs.remote_data_index, "{what}");
    assert_eq!(ours.remote_data_index, theirs.local_data_index, "{what}");
}

/// The file's first step is the state that the session gave; `Seal` and `Open` are the same step at the two ends.
fn compare_trace(steps: &[Step], expected: &[Value], what: &str) {
    assert_eq!(expected[0]["op"], "FR", "{what}");
    assert_eq!(steps.len(), expected.len() - 1, "{what}: steps");
    for (step, expected) in steps.iter().zip(&expected[1..]) {
        let at = format!("{what}: {} {}", step.op, step.label);
        assert_eq!(
            (step.op, step.label.as_str()),
            (expected["op"].as_str().unwrap(), expected["label"].as_str().unwrap())
        );
        assert_eq!(step.h, bytes(&expected["h"]), "{at}: h");
        assert_eq!(step.ck, bytes(&expected["ck"]), "{at}: ck");
        assert_eq!(step.k, bytes(&expected["k"]), "{at}: k");
    }
}

fn agreed(terms: &Value) -> Agreed {
    Agreed {
        policy: QkdPolicy::from_byte(number(&terms["policy"]) as u8).unwrap(),
        need: number(&terms["need"]) as u8,
        asked: SourceMask::from_bits(number(&terms["sources"]) as u8).unwrap(),
        cipher: Cipher::from_bit(number(&terms["cipher"]) as u8).unwrap(),
        features: number(&terms["features"]) as u8,
        inner_mtu: number(&terms["inner_mtu"]) as u16,
        hold_last: number(&terms["hold_last"]) as u32,
        degrade_for: number(&terms["degrade_for"]) as u32,
        clock: number(&terms["clock"]) as u16,
    }
}

fn permit(agreed: &Agreed, left: &Value) -> Option<QkdWaiver> {
    waive(agreed.policy, Exchange::FastRekey, LeftSeconds(number(left) as u32))
}

fn delivered(key_id: &Value, key: &Value) -> DeliveredKey {
    let key_id = KeyId::new(key_id.as_str().unwrap().as_bytes()).unwrap();
    DeliveredKey { key_id, material: SecretBytes::new(bytes(key)) }
}

fn reason(value: &Value) -> Reason {
    Reason::from_byte(number(value) as u8).unwrap()
}

fn data_key(cipher: Cipher, value: &Value) -> DataKey {
    DataKey::new(cipher, AeadBackend::default(), &secret(value))
}

fn secret<const N: usize>(value: &Value) -> Secret<N> {
    Secret::take(&mut array(value))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn u32_of(value: &Value) -> u32 {
    u32::from_be_bytes(array(value))
}

/// Draws the file's values by name.
struct Script<'a> {
    values: &'a Value,
    drawn: Vec<&'static str>,
}

impl Randomness for Script<'_> {
    fn secret(&mut self, label: &'static str, out: &mut [u8]) {
        assert!(!self.drawn.contains(&label), "{label} is drawn twice");
        out.copy_from_slice(&bytes(&self.values[label]));
        self.drawn.push(label);
    }

    fn public(&mut self, name: &'static str, _out: &mut [u8]) {
        panic!("{name}: a fast rekey itself draws nothing public");
    }
}
