//! Reads both ends of a handshake from a vector.

use std::net::{IpAddr, SocketAddr};

use plait::crypto::kem::default_backend;
use plait::handshake::terms::{LocalTerms, RatchetSecret, Role};
use plait::identity::Identity;
use plait::keys::ratchet::{RatchetEntry, RatchetStore};
use plait::types::id::{SessionIndex, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Reason, Suite};
use plait::types::secret::Secret;
use plait::types::time::UnixTime;
use serde_json::Value;

use super::ends::{End, Ends, KmeAnswer, Source};
use super::hex::{array, bytes};
use super::pair::Pair;
use super::scripted::Scripted;

/// Both ends before I0 is sent; the responder's gate has the secret that makes R0.
pub(crate) fn pair(vector: &Value) -> Pair {
    let mut pair = Pair::new(ends(vector), Box::new(Scripted::new(vector)));
    if vector["r0_cookie_secret"] == 0 {
        pair.rotate();
    }
    pair
}

fn ends(vector: &Value) -> Ends {
    let mut sources: [Source; 6] = Default::default();
    for qkd in vector["qkd"].as_array().unwrap() {
        sources[number(&qkd["source"]) as usize] = source(qkd);
    }
    let psk = match vector["static"]["psk"].as_str() {
        None | Some("") => Secret::zero(),
        Some(_) => Secret::take(&mut array(&vector["static"]["psk"])),
    };
    let (initiator, responder) = (end(vector, "initiator"), end(vector, "responder"));
    Ends { initiator, responder, psk, sources, from: from(vector, "source_port") }
}

/// The initiator's address with the port that this member names.
pub(crate) fn from(vector: &Value, port: &str) -> SocketAddr {
    SocketAddr::new(address(&vector["source_ip"]), number(&vector[port]) as u16)
}

fn end(vector: &Value, role: &str) -> End {
    let suite = Suite::from_number(number(&vector["suite"]) as u16).unwrap();
    let secret = &vector["static"][format!("secret_{role}")];
    let me = Identity::from_secret(default_backend(), suite, Secret::take(&mut array(secret))).unwrap();
    assert_eq!(me.fp().as_bytes(), &array(&vector["static"][format!("fp_{role}")]));
    let index = |name: &str| {
        let value = u32::from_be_bytes(array(&vector["random"][format!("{role}_{name}")]));
        SessionIndex::new(value).unwrap()
    };
    End {
        me,
        terms: local_terms(&vector["local"][role]),
        ratchet: ratchet_store(&vector["ratchet"][role]),
        unix: UnixTime(number(&vector["unix_time"][role])),
        index: index("index"),
        data_index: index("data_index"),
    }
}

fn source(qkd: &Value) -> Source {
    let key_id = || qkd["key_id"].as_str().unwrap().to_owned();
    let initiator: KmeAnswer = match number(&qkd["state"]) {
        1 => Ok((key_id(), bytes(&qkd["initiator_key"]))),
        2 => Err(reason(&qkd["initiator_reason"])),
        other => panic!("state {other}"),
    };
    let responder: Option<KmeAnswer> = match (qkd["responder_asked"] == true, qkd["responder_key"] == "") {
        (false, _) => None,
        (true, true) => Some(Err(reason(&qkd["responder_reason"]))),
        (true, false) => Some(Ok((key_id(), bytes(&qkd["responder_key"])))),
    };
    Source { initiator: Some(initiator), responder }
}

fn reason(value: &Value) -> Reason {
    Reason::from_byte(number(value) as u8).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn address(value: &Value) -> IpAddr {
    match bytes(value).as_slice() {
        ip if ip.len() == 4 => IpAddr::from(<[u8; 4]>::try_from(ip).unwrap()),
        ip => IpAddr::from(<[u8; 16]>::try_from(ip).unwrap()),
    }
}

fn local_terms(local: &Value) -> LocalTerms {
    let byte = |name: &str| u8::try_from(number(&local[name])).unwrap();
    let seconds = |name: &str| u32::try_from(number(&local[name])).unwrap();
    let ciphers = local["ciphers"].as_array().unwrap().iter();
    LocalTerms {
        qkd_policy: QkdPolicy::from_byte(byte("qkd_policy")).unwrap(),
        min_sources: byte("min_sources"),
        source_mask: SourceMask::from_bits(byte("source_mask")).unwrap(),
        ratchet_policy: RatchetPolicy::from_byte(byte("ratchet_policy")).unwrap(),
        ciphers: ciphers.map(|cipher| Cipher::from_bit(number(cipher) as u8).unwrap()).collect(),
        features: byte("features"),
        inner_mtu: u16::try_from(number(&local["inner_mtu"])).unwrap(),
        hold_last: seconds("hold_last"),
        degrade_for: seconds("degrade_for"),
        clock: u16::try_from(number(&local["clock"])).unwrap(),
    }
}

fn ratchet_store(before: &Value) -> RatchetStore {
    let mut store = RatchetStore::absent();
    let entry = |value: &Value| {
        let named = RatchetSecret::new(Secret::take(&mut array(value)));
        RatchetEntry { id: named.id, rs: named.rs, when: UnixTime(0), role: Role::Initiator }
    };
    if before["confirmed"] != "" {
        let confirmed = entry(&before["confirmed"]);
        let id = confirmed.id;
        store.store(confirmed);
        store.confirm(id);
    }
    for value in before["unconfirmed"].as_array().unwrap() {
        store.store(entry(value));
    }
    store
}
