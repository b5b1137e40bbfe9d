//! What a wrong KME answers, and which reason it gets; nothing hangs, nothing panics, nothing is followed.

use std::time::Duration;

use plait::etsi014::v1::container::container_bytes_max;
use plait::io::kme_client::exchange::Question;
use plait::keys::request::KeyRequestKind;
use plait::types::id::{KeyId, SaeId};
use plait::types::policy::Reason;

use crate::pki::Pki;
use crate::stub::{Act, Stub, http, keys, tls};
use crate::world::{Opened, client, fetch, setup, source};

async fn stub(pki: &Pki, act: Act) -> Stub {
    Stub::start(tls(pki.certified("KME-A"), rustls::DEFAULT_VERSIONS), move |_| act.clone()).await
}

/// New keys are asked for once, keys by id until the deadline: that one is short.
async fn ask(pki: &Pki, act: Act, kind: KeyRequestKind) -> Opened {
    let seconds = if kind == new() { 10 } else { 2 };
    let stub = stub(pki, act).await;
    fetch(&mut source(setup(pki, stub.address, "SAE-A", "SAE-B")), kind, Duration::from_secs(seconds)).await
}

fn new() -> KeyRequestKind {
    KeyRequestKind::New { bits: 256 }
}

fn by_id(id: &str) -> KeyRequestKind {
    KeyRequestKind::ById { key_id: KeyId::new(id.as_bytes()).unwrap() }
}

#[tokio::test]
async fn what_the_field_answers_is_taken() {
    let pki = Pki::new();
    let plain = keys(&["k-0"]);
    for act in [
        http(200, "Content-Type: application/json; charset=utf-8\r\n", &plain),
        http(200, "", &plain.replace("\"keys\"", "\"Keys\"")),
        http(200, "", &plain.replace("\"key\"", "\"key_ID_extension\":null,\"vendor_x\":{\"a\":[1]},\"key\"")),
        [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), http(200, "", &plain)].concat(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{plain}\r\n0\r\n\r\n", plain.len())
            .into_bytes(),
        format!("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n{plain}").into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&act).into_owned();
        let key = ask(&pki, Act::Last(act), new()).await.unwrap_or_else(|failure| panic!("{shown}: {failure:?}"));
        assert_eq!((key.0.as_str(), key.1), ("k-0", vec![0; 32]));
    }
    let long = plain.replace(&"A".repeat(8), "AAAAAAAA");
    assert!(ask(&pki, Act::Answer(http(200, "", &long)), by_id("K-0")).await.is_ok());
}

#[tokio::test]
async fn a_wrong_body_is_malformed_and_a_short_key_is_the_wrong_size() {
    let pki = Pki::new();
    let plain = keys(&["k-0"]);
    let short = plain.replace(&"A".repeat(40), &"A".repeat(36));
    let long_key = plait::etsi014::v1::base64::encode(&[7; 2049]);
    let long_key = format!(r#"{{"keys":[{{"key_ID":"a","key":"{}"}}]}}"#, String::from_utf8_lossy(long_key.expose()));
    for (body, reason, words) in [
        (r#"{"keys":[]}"#, Reason::NoKeyNow, "without a key"),
        (&keys(&["a", "b"]), Reason::Malformed, "2 keys"),
        (&keys(&["a", "a"]), Reason::Malformed, "twice"),
        (&keys(&[&"k".repeat(65)]), Reason::Malformed, "key_ID"),
        (&keys(&["a\\u000d\\u000a"]), Reason::Malformed, "key_ID"),
        (&long_key, Reason::Malformed, "2048"),
        (&short, Reason::WrongSize, "expected 256"),
        ("", Reason::Malformed, "middle"),
        ("<html><body>200</body></html>", Reason::Malformed, "not JSON"),
        (r#"{"keys":null}"#, Reason::Malformed, "keys"),
        (r#"{"message":"key data access error"}"#, Reason::Malformed, "keys"),
        (&"[".repeat(60_000), Reason::Malformed, "nested"),
        (&plain.replace("A=", "A"), Reason::Malformed, "base64"),
        (&plain.replace("AAAA", "AA A"), Reason::Malformed, "base64"),
        (&plain.replace("A=", "B="), Reason::Malformed, "base64"),
        (&plain.replace("AAAA", "AA-_"), Reason::Malformed, "base64"),
    ] {
        let failure = ask(&pki, Act::Answer(http(200, "", body)), new()).await.unwrap_err();
        assert!(failure.reason == reason && failure.text.contains(words), "{body:.100}: {failure:?}");
    }
    let other = ask(&pki, Act::Answer(http(200, "", &plain)), by_id("other")).await.unwrap_err();
    assert!(other.reason == Reason::Malformed && other.text.contains("another key_ID"), "{other:?}");
    let none = ask(&pki, Act::Answer(http(200, "", r#"{"keys":[]}"#)), by_id("k-0")).await.unwrap_err();
    assert_eq!(none.reason, Reason::UnknownKeyId);
}

#[tokio::test]
async fn a_key_never_shows_in_a_failure() {
    let pki = Pki::new();
    let canary = keys(&["k-0"]).replace("AAAAAAAA", "CANARY++");
    for body in [canary.replace("}]}", ",}]}"), canary.replace("\"keys\"", "\"key\""), canary.clone() + "x"] {
        let failure = ask(&pki, Act::Answer(http(200, "", &body)), new()).await.unwrap_err();
        assert!(!failure.text.contains("CANARY"), "{failure:?}");
    }
    let failure = ask(&pki, Act::Answer(http(500, "", &canary)), new()).await.unwrap_err();
    assert!(!failure.text.contains("CANARY"), "{failure:?}");
}

#[tokio::test]
async fn every_status_code_has_its_reason() {
    let pki = Pki::new();
    let codes = [
        (202, Reason::Malformed, Reason::Malformed),
        (204, Reason::Malformed, Reason::Malformed),
        (300, Reason::Malformed, Reason::Malformed),
        (400, Reason::NoKeyNow, Reason::UnknownKeyId),
        (401, Reason::Refused, Reason::Refused),
        (403, Reason::Refused, Reason::UnknownKeyId),
        (404, Reason::NoKeyNow, Reason::UnknownKeyId),
        (408, Reason::NoKeyNow, Reason::UnknownKeyId),
        (413, Reason::NoKeyNow, Reason::UnknownKeyId),
        (429, Reason::NoKeyNow, Reason::UnknownKeyId),
        (500, Reason::NoKeyNow, Reason::UnknownKeyId),
        (503, Reason::NoKeyNow, Reason::UnknownKeyId),
    ];
    let asked = codes.map(async |(code, new_reason, by_id_reason)| {
        let body = if code == 204 { "" } else { "<h1>words</h1>" };
        let act = Act::Answer(http(code, "Retry-After: 3600\r\n", body));
        let failure = ask(&pki, act.clone(), new()).await.unwrap_err();
        assert!(failure.reason == new_reason && failure.text.contains(&code.to_string()), "{failure:?}");
        assert!(code == 204 || failure.text.contains("words"), "{failure:?}");
        assert_eq!(ask(&pki, act, by_id("k-0")).await.unwrap_err().reason, by_id_reason, "{code}");
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let pki = Pki::new();
    let goal = stub(&pki, Act::Answer(http(200, "", &keys(&["k-0"])))).await;
    for code in [301, 302, 303, 307, 308] {
        let location = format!("Location: https://{}/api/v1/keys/SAE-B/enc_keys\r\n", goal.address);
        let failure = ask(&pki, Act::Answer(http(code, &location, "")), new()).await.unwrap_err();
        assert!(failure.reason == Reason::Malformed && failure.text.contains("redirects"), "{failure:?}");
    }
    assert_eq!(goal.connections(), 0);
}

#[tokio::test]
async fn a_body_without_end_is_read_to_its_bound_only() {
    let pki = Pki::new();
    let spaces = vec![b' '; 8192];
    for act in [
        Act::Forever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec(), spaces.clone()),
        Act::Forever(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), spaces.clone()),
        Act::Forever(
            b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            [b"2000\r\n".as_slice(), &spaces, b"\r\n"].concat(),
        ),
    ] {
        let failure = ask(&pki, act, new()).await.unwrap_err();
        assert!(failure.reason == Reason::Malformed && failure.text.contains("longer than"), "{failure:?}");
    }
    let headers = Act::Forever(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(64));
    let failure = ask(&pki, headers, new()).await.unwrap_err();
    assert!(failure.reason == Reason::Malformed && failure.text.contains("HTTP/1.1"), "{failure:?}");
    let hints = Act::Forever(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
    let hints = stub(&pki, hints).await;
    let kind = KeyRequestKind::New { bits: 256 };
    let mut asking = source(setup(&pki, hints.address, "SAE-A", "SAE-B"));
    let failure = fetch(&mut asking, kind, Duration::from_millis(500)).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Deadline, "{failure:?}");
    let compressed = Act::Answer(http(200, "Content-Encoding: gzip\r\n", "\u{1f}\u{8b}bomb"));
    assert_eq!(ask(&pki, compressed, new()).await.unwrap_err().reason, Reason::Malformed);
}

#[tokio::test]
async fn a_broken_answer_is_unreachable_or_malformed_and_never_a_key() {
    let pki = Pki::new();
    let whole = http(200, "", &keys(&["k-0"]));
    for (act, reason) in [
        (Act::Cut(Vec::new()), Reason::Unreachable),
        (Act::Last(Vec::new()), Reason::Unreachable),
        (Act::Cut(whole[..20].to_vec()), Reason::Unreachable),
        (Act::Cut(whole[..whole.len() - 1].to_vec()), Reason::Unreachable),
        (Act::Last(whole[..whole.len() - 1].to_vec()), Reason::Unreachable),
        (Act::Last(b"\x00\xff\x00garbage\r\n\r\n".to_vec()), Reason::Malformed),
        (Act::Last(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Reason::Malformed),
        (Act::Last(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec()), Reason::Malformed),
        (Act::Last(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec()), Reason::Malformed),
        (Act::Last(b"HTTP/2 200\r\n\r\n".to_vec()), Reason::Malformed),
    ] {
        let shown = match &act {
            Act::Cut(bytes) | Act::Last(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Act::Answer(_) | Act::Drip(_) | Act::Hang | Act::CutAfter(_) | Act::Forever(..) => String::new(),
        };
        let failure = ask(&pki, act, new()).await.unwrap_err();
        assert_eq!(failure.reason, reason, "{shown}: {failure:?}");
    }
}

#[tokio::test]
async fn an_answer_may_be_as_long_as_the_longest_keys_need_and_no_longer() {
    let pki = Pki::new();
    let padded = |bytes: usize| {
        let plain = keys(&["k-0"]);
        Act::Answer(http(200, "", &(plain.clone() + &" ".repeat(bytes - plain.len()))))
    };
    let longest = |number| container_bytes_max(number, 2048 * 8);
    assert!(ask(&pki, padded(longest(1)), by_id("k-0")).await.is_ok());
    let failure = ask(&pki, padded(longest(1) + 1), by_id("k-0")).await.unwrap_err();
    assert!(failure.reason == Reason::Malformed && failure.text.contains("longer than"), "{failure:?}");
    // A test of a KME hears out one that gives more keys than were asked for.
    for (bytes, is_read) in [(longest(4), true), (longest(4) + 1, false)] {
        let stub = stub(&pki, padded(bytes)).await;
        let (kme, sae) = (client(setup(&pki, stub.address, "SAE-A", "SAE-B")), SaeId::new("SAE-B").unwrap());
        let asked = kme.ask(Duration::from_secs(10), &sae, Question::ByIds(&["k-0"])).await;
        assert_eq!(asked.answer.is_ok(), is_read, "{bytes}");
    }
}
