//! `data.json`: packets of types 16 to 19 in both ciphers, what must not open, padding, replay (PROTOCOL 2.9).

use plait::crypto::aead::AeadBackend;
use plait::dataplane::seal::write_record;
use plait::session::epoch::{EpochTag, OpenEpoch, RecordTerms, SealEpoch};
use plait::session::replay::ReplayWindow;
use plait::types::id::{PeerId, SessionIndex};
use plait::types::policy::Cipher;
use plait::types::secret::Secret;
use plait::wire::ip::InnerPacket;
use plait::wire::transport::{Counter, DataHeader, RecordKind};
use serde_json::Value;

use super::folder::{self, cases};
use super::hex::{array, bytes};

const TAG: EpochTag = EpochTag { peer: PeerId(0), session: 0, number: 0 };
const BACKENDS: [AeadBackend; 2] = [AeadBackend::AwsLc, AeadBackend::Reference];

fn vectors() -> Option<Value> {
    folder::load("data.json")
}

fn cipher(case: &Value) -> Cipher {
    Cipher::from_bit(case["cipher"].as_u64().unwrap() as u8).unwrap()
}

fn index(case: &Value) -> SessionIndex {
    SessionIndex::new(u32::from_be_bytes(array(&case["receiver_index"]))).unwrap()
}

fn terms(case: &Value) -> RecordTerms {
    RecordTerms { cipher: cipher(case), inner_mtu: inner_mtu(case), features: 0 }
}

fn inner_mtu(case: &Value) -> u16 {
    case["inner_mtu"].as_u64().map_or(1420, |mtu| mtu as u16)
}

fn seal_epoch(case: &Value, backend: AeadBackend) -> SealEpoch {
    SealEpoch::new(TAG, index(case), &Secret::take(&mut array(&case["key"])), backend, terms(case))
}

fn open_epoch(case: &Value, backend: AeadBackend) -> OpenEpoch {
    OpenEpoch::new(TAG, index(case), &Secret::take(&mut array(&case["key"])), backend, terms(case))
}

/// Opens a datagram as the packet threads do: the index must be that of the epoch.
fn open(epoch: &OpenEpoch, datagram: &[u8]) -> Option<(DataHeader, Vec<u8>)> {
    let header = DataHeader::parse(datagram).ok().filter(|header| header.receiver == epoch.local())?;
    let mut datagram = datagram.to_vec();
    epoch.open(header, &mut datagram).ok().map(|(text, _)| (header, text.to_vec()))
}

#[test]
fn no_section_is_left_out() {
    let Some(vectors) = vectors() else { return };
    let mut sections: Vec<_> = vectors.as_object().unwrap().keys().map(String::as_str).collect();
    sections.sort_unstable();
    assert_eq!(sections, ["packets", "refused", "replay", "trim"]);
}

#[test]
fn packets_are_sealed_and_opened_byte_for_byte() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "packets", 20) {
        let (what, packet, plaintext) = (&case["what"], bytes(&case["packet"]), bytes(&case["plaintext"]));
        let kind = RecordKind::from_byte(case["type"].as_u64().unwrap() as u8).unwrap();
        let number = case["number"].as_u64().unwrap();
        let counter = Counter::new(case["lane"].as_u64().unwrap() as u8, number).unwrap();
        for backend in BACKENDS {
            let mut datagram = Vec::new();
            write_record(&seal_epoch(case, backend), counter, kind, &packet, &mut datagram);
            assert_eq!(datagram, bytes(&case["datagram"]), "{what}");
            let epoch = open_epoch(case, backend);
            let (header, text) = open(&epoch, &datagram).unwrap_or_else(|| panic!("{what}: does not open"));
            assert_eq!((header.kind, header.counter), (kind, counter), "{what}");
            assert_eq!(text, plaintext, "{what}");
            assert!(open(&epoch, &datagram).is_none(), "{what}: opened twice");
            if kind == RecordKind::Data && !packet.is_empty() {
                assert_eq!(InnerPacket::parse(&text).unwrap().bytes(), packet, "{what}");
            }
        }
    }
}

#[test]
fn what_must_not_open_does_not() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "refused", 26) {
        for backend in BACKENDS {
            assert!(open(&open_epoch(case, backend), &bytes(&case["datagram"])).is_none(), "{}", case["what"]);
        }
    }
}

#[test]
fn padding_is_trimmed_by_the_ip_length() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "trim", 7) {
        let plaintext = bytes(&case["plaintext"]);
        // An empty plaintext is a keepalive and never looked at as a packet.
        let trimmed =
            if plaintext.is_empty() { Ok(&[][..]) } else { InnerPacket::parse(&plaintext).map(|p| p.bytes()) };
        assert_eq!(trimmed.is_ok(), case["ok"].as_bool().unwrap(), "{case}");
        assert_eq!(trimmed.unwrap_or_default(), bytes(&case["packet"]), "{case}");
    }
}

#[test]
fn the_replay_window_accepts_what_it_must() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "replay", 7) {
        let mut window = ReplayWindow::new();
        let counters = case["counters"].as_array().unwrap();
        let accepted = counters.iter().map(|number| window.accept(number.as_u64().unwrap()).is_some());
        let accepted: Vec<Value> = accepted.map(Value::Bool).collect();
        assert_eq!(&accepted, case["accepted"].as_array().unwrap(), "{}", case["what"]);
    }
}
