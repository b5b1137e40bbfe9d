//! Both ends of a handshake vector: who they are, what they are configured with, what their KMEs answer.

use std::net::{IpAddr, SocketAddr};

use plait::crypto::kem::default_backend;
use plait::handshake::terms::{Agreed, LocalTerms, PeerKeys, Role, SlotAnswer, SlotOffer, Stated};
use plait::identity::{Fingerprint, Identity};
use plait::keys::policy::{Exchange, LeftSeconds, QkdWaiver, waive};
use plait::keys::ratchet::{RatchetEntry, RatchetStore};
use plait::keys::request::DeliveredKey;
use plait::types::id::{KeyId, SessionIndex, SourceId, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Reason, Suite};
use plait::types::secret::{Secret, SecretBytes};
use plait::types::time::UnixTime;
use serde_json::Value;

use super::hex::{array, bytes};

/// One end.
pub(crate) struct End {
    pub(crate) me: Identity,
    pub(crate) terms: LocalTerms,
    pub(crate) ratchet: RatchetStore,
    unix: UnixTime,
    data_index: SessionIndex,
}

impl End {
    fn new(vector: &Value, role: &str) -> Self {
        let suite = Suite::from_number(number(&vector["suite"]) as u16).unwrap();
        let secret = &vector["static"][format!("secret_{role}")];
        let me = Identity::from_secret(default_backend(), suite, Secret::take(&mut array(secret))).unwrap();
        assert_eq!(me.fp().as_bytes(), &array(&vector["static"][format!("fp_{role}")]));
        let data_index = array(&vector["random"][format!("{role}_data_index")]);
        Self {
            me,
            terms: local_terms(&vector["local"][role]),
            ratchet: ratchet_store(&vector["ratchet"][role]),
            unix: UnixTime(number(&vector["unix_time"][role])),
            data_index: SessionIndex::new(u32::from_be_bytes(data_index)).unwrap(),
        }
    }

    pub(crate) fn stated(&self) -> Stated<'_> {
        Stated { terms: &self.terms, data_index: self.data_index, unix: self.unix }
    }

    /// The permission of this end's policy, with its own clock: what remains when it has run out or not yet started.
    pub(crate) fn waiver(&self, agreed: &Agreed) -> Option<QkdWaiver> {
        let left = match agreed.clock {
            0 => agreed.degrade_for,
            u16::MAX => u32::MAX,
            clock => u32::from(clock) - 1,
        };
        waive(agreed.policy, Exchange::Handshake, LeftSeconds(left))
    }
}

/// Both ends of one vector.
pub(crate) struct Ends {
    pub(crate) initiator: End,
    pub(crate) responder: End,
    psk: Secret<32>,
    qkd: Vec<Value>,
    source: IpAddr,
}

impl Ends {
    pub(crate) fn new(vector: &Value) -> Self {
        let (initiator, responder) = (End::new(vector, "initiator"), End::new(vector, "responder"));
        let psk = match vector["static"]["psk"].as_str() {
            None | Some("") => Secret::zero(),
            Some(_) => Secret::take(&mut array(&vector["static"]["psk"])),
        };
        let source = address(&vector["source_ip"]);
        Self { initiator, responder, psk, qkd: vector["qkd"].as_array().unwrap().clone(), source }
    }

    /// The responder, as the initiator knows it.
    pub(crate) fn responder_keys(&self) -> PeerKeys<'_> {
        PeerKeys { public: self.responder.me.public(), psk: &self.psk }
    }

    /// The initiator, as the responder knows it; nobody else is a peer.
    pub(crate) fn find_initiator(&self, fp: &Fingerprint) -> Option<PeerKeys<'_>> {
        let public = self.initiator.me.public();
        (public.fp() == fp).then_some(PeerKeys { public, psk: &self.psk })
    }

    /// The initiator's address with this port.
    pub(crate) fn source(&self, port: &Value) -> SocketAddr {
        SocketAddr::new(self.source, number(port) as u16)
    }

    pub(crate) fn offers(&self) -> [SlotOffer; 6] {
        std::array::from_fn(|number| self.of(number).map_or(SlotOffer::NotAsked, offer))
    }

    pub(crate) fn answers(&self) -> [SlotAnswer; 6] {
        std::array::from_fn(|number| self.of(number).map_or(SlotAnswer::NotNeeded, answer))
    }

    fn of(&self, source: usize) -> Option<&Value> {
        self.qkd.iter().find(|qkd| number(&qkd["source"]) == source as u64)
    }
}

fn offer(qkd: &Value) -> SlotOffer {
    match number(&qkd["state"]) {
        1 => SlotOffer::Key(delivered(qkd, "initiator_key")),
        2 => SlotOffer::Failed(reason(&qkd["initiator_reason"])),
        other => panic!("state {other}"),
    }
}

fn answer(qkd: &Value) -> SlotAnswer {
    match (qkd["responder_asked"].as_bool().unwrap(), qkd["responder_key"].as_str().unwrap()) {
        (false, _) => SlotAnswer::NotNeeded,
        (true, "") => SlotAnswer::Failed(reason(&qkd["responder_reason"])),
        (true, _) => SlotAnswer::Key(delivered(qkd, "responder_key")),
    }
}

fn delivered(qkd: &Value, member: &str) -> DeliveredKey {
    let key_id = KeyId::new(qkd["key_id"].as_str().unwrap().as_bytes()).unwrap();
    DeliveredKey { key_id, material: SecretBytes::new(bytes(&qkd[member])) }
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
        let named = plait::handshake::terms::RatchetSecret::new(Secret::take(&mut array(value)));
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

/// Numbers of sources, as vectors list them.
pub(crate) fn source_numbers(sources: impl Iterator<Item = SourceId>) -> Vec<u8> {
    sources.map(SourceId::number).collect()
}
