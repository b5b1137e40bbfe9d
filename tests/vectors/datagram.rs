//! `datagram.json`: mac1, cookies, messages cut into datagrams, reassembly of I1 (PROTOCOL 2.4).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use plait::handshake::cookie::{Cookie, CookieFault, CookieGate};
use plait::handshake::reassembly::{I1Reassembly, WholeI1};
use plait::identity::Fingerprint;
use plait::types::policy::Suite;
use plait::types::random::Randomness;
use plait::types::time::Instant;
use plait::wire::handshake::{HandshakeDatagram, Header, MessageType, cut};
use serde_json::Value;

use super::folder;
use super::hex::{array, bytes};

/// Gives one cookie secret and nothing else.
struct CookieSecret([u8; 32]);

impl Randomness for CookieSecret {
    fn secret(&mut self, label: &'static str, _: &mut [u8]) {
        panic!("a gate draws no {label}");
    }

    fn public(&mut self, name: &'static str, out: &mut [u8]) {
        assert_eq!(name, "cookie_secret");
        out.copy_from_slice(&self.0);
    }
}

fn gate(secret: &Value, fp_r: &Value) -> CookieGate {
    let fp_r = Fingerprint::from_bytes(array(fp_r));
    CookieGate::new(Instant::ZERO, &mut CookieSecret(array(secret)), &fp_r)
}

fn source(of: &Value) -> SocketAddr {
    let ip = match bytes(&of["ip"]).as_slice() {
        ip if ip.len() == 4 => IpAddr::from(<[u8; 4]>::try_from(ip).unwrap()),
        ip => IpAddr::from(<[u8; 16]>::try_from(ip).unwrap()),
    };
    SocketAddr::new(ip, of["port"].as_u64().unwrap() as u16)
}

fn hmac_16(key: &[u8], text: &[u8]) -> [u8; 16] {
    plait::crypto::kdf::hmac_tag(key, &[text])
}

fn messages(vectors: &Value) -> &[Value] {
    vectors["messages"].as_array().unwrap()
}

fn i0(vectors: &Value) -> Vec<u8> {
    let i0 = messages(vectors).iter().find(|message| message["message"] == "I0").unwrap();
    bytes(&i0["datagrams"][0])
}

/// Three addresses, one cookie each; an IPv4-mapped address gets the one of its IPv4 address.
#[test]
fn cookies() {
    let Some(vectors) = folder::load("datagram.json") else { return };
    for case in folder::cases(&vectors, "cookie", 3) {
        let i0 = i0(&vectors);
        let i0 = HandshakeDatagram::parse(&i0).unwrap();
        assert_eq!(i0.sender.to_be_bytes(), array(&case["sender_index"]));
        let r0 = gate(&case["secret"], &vectors["fp_r"]).answer_i0(source(case), &i0).unwrap();
        let r0 = HandshakeDatagram::parse(&r0).unwrap();
        assert_eq!(r0.body[32..], bytes(&case["out"]), "{}", case["family"]);
        assert_eq!(r0.body[..32], i0.body[..32], "the echo");
    }
}

/// Every message of a run: its parts read, both MACs found again, and the same parts cut from the body.
#[test]
fn messages_in_datagrams() {
    let Some(vectors) = folder::load("datagram.json") else { return };
    let mac1_key = bytes(&vectors["mac1_key"]);
    for message in messages(&vectors) {
        let (all, mut body) = (message["datagrams"].as_array().unwrap(), Vec::new());
        let mut header = None;
        for datagram in all {
            let datagram = bytes(datagram);
            let read = HandshakeDatagram::parse(&datagram).unwrap();
            assert_eq!(format!("{:?}", read.kind), message["message"].as_str().unwrap());
            assert_eq!(*read.mac1(), hmac_16(&mac1_key, read.mac1_input()), "mac1 of {:?}", read.kind);
            let mac2 = match bytes(&message["mac2_key"]).as_slice() {
                [] => [0; 16],
                key => hmac_16(key, read.mac2_input()),
            };
            assert_eq!(*read.mac2(), mac2, "mac2 of {:?}", read.kind);
            body.extend_from_slice(read.body);
            let (kind, sender, receiver, message_id) = (read.kind, read.sender, read.receiver, read.message_id);
            header = Some(Header { kind, sender, receiver, message_id });
        }
        let header = header.unwrap();
        assert_eq!(body.len(), header.kind.body_bytes(Suite::MlKem1024));
        for (ours, theirs) in cut(&header, &body).iter().zip(all) {
            let theirs = bytes(theirs);
            assert_eq!(*ours, theirs[..theirs.len() - 32]);
        }
    }
}

/// Fragments in every order, twice, forged, of another message, late.
#[test]
fn reassembly() {
    let Some(vectors) = folder::load("datagram.json") else { return };
    let of = &vectors["reassembly"];
    let gate = gate(&of["cookie_secret"], &vectors["fp_r"]);
    let datagrams: Vec<Vec<u8>> = of["datagrams"].as_array().unwrap().iter().map(bytes).collect();
    for script in folder::cases(of, "scripts", 11) {
        let mut table = I1Reassembly::new(Suite::MlKem1024);
        let mut whole_after = None;
        for (fed, step) in script["feed"].as_array().unwrap().iter().enumerate() {
            let now = Instant::ZERO + Duration::from_secs_f64(step[0].as_f64().unwrap());
            let index = usize::try_from(step[1].as_u64().unwrap()).unwrap();
            let whole = feed(&gate, &mut table, now, source(&of["source"]), &datagrams[index]);
            if let Some(whole) = whole {
                assert_eq!(whole.body, bytes(&of["body"]), "{}", script["what"]);
                whole_after = Some(fed + 1);
            }
        }
        let expected = script["whole_after"].as_u64().filter(|count| *count > 0);
        assert_eq!(whole_after.map(|count| count as u64), expected, "{}", script["what"]);
    }
}

/// As the engine does: nothing enters the table without a good cookie.
fn feed(gate: &CookieGate, table: &mut I1Reassembly, now: Instant, from: SocketAddr, bytes: &[u8]) -> Option<WholeI1> {
    let datagram = HandshakeDatagram::parse(bytes).unwrap();
    assert_eq!(datagram.kind, MessageType::I1);
    let cookie: Result<Cookie, CookieFault> = gate.check_i1(from, &datagram);
    cookie.ok().and_then(|cookie| table.insert(now, from, false, &datagram, cookie).unwrap())
}
