//! `handshake-*.json`: whole handshakes, every datagram, every traced state and the result (PROTOCOL 2.4, 2.5).

use plait::crypto::aead::{AeadBackend, DataKey};
use plait::handshake::initiator::R2Outcome;
use plait::handshake::terms::{Agreed, NewSession, Role};
use plait::keys::policy::WaiverKind;
use plait::schedule::trace::Step;
use plait::wire::terms::{write_payload1, write_payload2};
use serde_json::Value;

use super::folder;
use super::hex::{array, bytes};
use super::pair::{Event, Initiator, Pair, Responder, source_numbers};
use super::read;

#[test]
fn every_handshake() {
    for (name, vector) in folder::load_all("handshake-") {
        println!("{name}: {}", vector["what"]);
        let pair = replay(&vector);
        check_traces(&pair, &vector);
        check_result(&pair, &vector);
    }
}

/// Sends every datagram of the vector in its order, after comparing it with what the sender made; gives the end.
pub(crate) fn replay(vector: &Value) -> Pair {
    let mut pair = read::pair(vector);
    let mut outbox = vec![pair.i0()];
    let datagrams = vector["datagrams"].as_array().unwrap();
    let mut last = Event::Silence;
    for (position, datagram) in datagrams.iter().enumerate() {
        let message = datagram["message"].as_str().unwrap();
        if message == "keepalive" {
            continue;
        }
        if message == "I1" {
            pair.from = read::from(vector, "source_port_of_I1");
        }
        let expected = bytes(&datagram["bytes"]);
        assert!(!outbox.is_empty(), "{message} at {position} was not made");
        assert_eq!(outbox.remove(0), expected, "{message} at {position}");
        last = pair.deliver(&expected);
        match &mut last {
            Event::Drop(refusal) => panic!("{message} at {position} dropped: {refusal}"),
            Event::Send(more) => {
                // The sender of a refused part 0 gives up the other parts: its cookie has expired.
                if message == "I1" && datagrams[position + 1]["message"] == "R0" {
                    outbox.clear();
                }
                outbox.append(more);
            }
            Event::Silence | Event::Established | Event::NoSession(_) => {}
        }
        if message == "R0" && last == Event::Silence {
            let Event::Send(again) = pair.resend_i1() else { panic!("no I1") };
            outbox = again;
        }
        if message == "R0" && vector["r0_cookie_secret"] == 1 {
            pair.rotate();
        }
    }
    assert!(outbox.is_empty(), "{} datagrams were made that the vector does not have", outbox.len());
    let error = vector["error"].as_str().unwrap();
    match last {
        Event::Established => assert_eq!(error, ""),
        Event::NoSession(why) => assert_eq!(error, why),
        other => panic!("ended with {other:?}"),
    }
    pair
}

/// Where one end seals the other opens; the states are the same.
fn compare(steps: &[Step], expected: &[Value], of: &str) {
    for (step, expected) in steps.iter().zip(expected) {
        let (op, label) = (expected["op"].as_str().unwrap(), expected["label"].as_str().unwrap());
        assert_eq!(step.label, label, "{of}");
        let is_same_op = step.op == op || (step.op == "Open" && op == "Seal");
        assert!(is_same_op, "{of}: {} {label} instead of {op}", step.op);
        assert_eq!(step.h, bytes(&expected["h"]), "{of}: h after {op} {label}");
        assert_eq!(step.ck, bytes(&expected["ck"]), "{of}: ck after {op} {label}");
        assert_eq!(step.k, bytes(&expected["k"]), "{of}: k after {op} {label}");
    }
}

fn check_traces(pair: &Pair, vector: &Value) {
    let expected = vector["trace"].as_array().unwrap();
    compare(&pair.initiator_trace, expected, "initiator");
    assert_eq!(pair.initiator_trace.len(), expected.len(), "initiator's steps");
    // Where the KMEs gave different keys the two ends part after p4.
    let until_p4 = expected.iter().position(|step| step["label"] == "p4").map_or(expected.len(), |at| at + 1);
    let is_mismatch = vector["error"].as_str().unwrap().starts_with("QKD_MISMATCH");
    let shared = if is_mismatch { &expected[..until_p4] } else { expected };
    compare(&pair.responder_trace, shared, "responder");
    assert!(pair.responder_trace.len() >= shared.len(), "responder's steps");
    assert!(is_mismatch || pair.responder_trace.len() == expected.len(), "responder's steps");
    check_inputs(pair, vector, expected);
}

/// What went in is shown where it is short: payloads as this end writes them.
fn check_inputs(pair: &Pair, vector: &Value, expected: &[Value]) {
    let input = |label: &str| {
        let step = expected.iter().find(|step| step["label"] == label);
        bytes(&step.unwrap_or_else(|| panic!("no step {label}"))["in"])
    };
    let (i, r) = (&pair.ends.initiator, &pair.ends.responder);
    let (stated, offered) = (i.stated(), i.ratchet.offers());
    let ids: Vec<_> = offered.iter().map(|(id, _)| *id).collect();
    let payload1 = write_payload1(stated.terms, &ids, stated.data_index, stated.unix);
    assert_eq!(payload1, bytes(&vector["payloads"]["payload1"]));
    assert_eq!(payload1, input("p1"));
    let stated = r.stated();
    let cipher = *r.terms.ciphers.iter().find(|cipher| i.terms.ciphers.contains(cipher)).unwrap();
    let selected = r.ratchet.select(&ids).map(|(id, _)| id);
    let payload2 = write_payload2(stated.terms, cipher, selected, stated.data_index, stated.unix);
    assert_eq!(payload2, bytes(&vector["payloads"]["payload2"]));
    assert_eq!(payload2, input("p2"));
    if let Responder::Done(done) = &pair.responder {
        let mut status = Vec::new();
        done.1.status.write(&mut status);
        assert_eq!(status, bytes(&vector["payloads"]["status"]));
        assert_eq!(status, input("p4"));
    }
}

fn check_result(pair: &Pair, vector: &Value) {
    if vector["error"] != "" {
        // An end that refuses has no session either; one whose KME gave another key cannot know.
        let made = matches!(&pair.responder, Responder::Done(done) if done.1.outcome.is_some());
        assert_eq!(made, vector["error"].as_str().unwrap().starts_with("QKD_MISMATCH"));
        return;
    }
    let Initiator::Done(outcome) = &pair.initiator else { panic!("the initiator waits") };
    let R2Outcome::Established(ours) = outcome.as_ref() else { panic!("no session") };
    let Responder::Done(done) = &pair.responder else { panic!("the responder waits") };
    let theirs = done.1.outcome.as_ref().unwrap();
    check_session(ours, &vector["result"]);
    check_session(theirs, &vector["result"]);
    assert_eq!((ours.role, theirs.role), (Role::Initiator, Role::Responder));
    assert_eq!(ours.local_data_index, theirs.remote_data_index);
    assert_eq!(ours.remote_data_index, theirs.local_data_index);
    assert_eq!(ours.reasons, theirs.reasons);
    let psk = vector["static"]["psk"].as_str().unwrap_or_default();
    let has_psk = psk.bytes().any(|digit| digit != b'0');
    assert_eq!((ours.psk_used, theirs.psk_used), (has_psk, has_psk));
    let selected = vector["ratchet"]["selected"] != "";
    assert_eq!((ours.ratchet_used.is_some(), ours.ratchet_used), (selected, theirs.ratchet_used));
    let last = vector["datagrams"].as_array().unwrap().last().unwrap();
    assert_eq!(keepalive(ours), bytes(&last["bytes"]), "the first packet under the new keys");
}

fn check_session(session: &NewSession, result: &Value) {
    assert_eq!(session.hs, array(&result["hs"]));
    assert_eq!(session.t_i2r.expose(), &array(&result["T_i2r"]));
    assert_eq!(session.t_r2i.expose(), &array(&result["T_r2i"]));
    assert_eq!(session.root.expose(), &array(&result["root"]));
    assert_eq!(session.rs.rs.expose(), &array(&result["rs"]));
    assert_eq!(session.rs.id, array(&result["rs_id"]));
    let mixed: Vec<u8> = source_numbers(session.mixed.iter().map(|(source, _)| *source));
    assert_eq!(Value::from(mixed), result["mixed_sources"]);
    let state = match session.waiver {
        None => "HYBRID",
        Some(WaiverKind::Degraded) => "DEGRADED",
        Some(WaiverKind::Off) => "OFF",
        Some(WaiverKind::Holdover) => panic!("a full handshake does not hold over"),
    };
    assert_eq!(result["state"], state);
    check_terms(&session.agreed, &result["terms"]);
}

fn check_terms(agreed: &Agreed, terms: &Value) {
    let ours = serde_json::json!({
        "policy": agreed.policy as u8,
        "need": agreed.need,
        "sources": agreed.asked.bits(),
        "cipher": agreed.cipher as u8,
        "features": agreed.features,
        "inner_mtu": agreed.inner_mtu,
        "hold_last": agreed.hold_last,
        "degrade_for": agreed.degrade_for,
        "clock": agreed.clock,
    });
    assert_eq!(&ours, terms);
}

/// An empty data packet with counter 0 in lane 0, by hand (PROTOCOL 2.9).
fn keepalive(session: &NewSession) -> Vec<u8> {
    let mut packet = vec![16, 1, 0, 0];
    packet.extend_from_slice(&session.remote_data_index.to_bytes());
    packet.extend_from_slice(&[0; 8]);
    let key = DataKey::new(session.agreed.cipher, AeadBackend::AwsLc, &session.t_i2r);
    let tag = key.seal([0; 12], &packet, &mut []);
    packet.extend_from_slice(&tag);
    packet
}
