//! Bad bodies, made from good ones: wrong values at every place, members lost or doubled, bytes changed, keys and ids unfit.

use plait::types::policy::Reason;
use serde_json::{Value, json};

use crate::bad_replies::{Asked, Bad};

pub(crate) const KEY_ID: &str = "k-0";
const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
/// What else a body without its key may be called.
const UNFIT: &[Reason] = &[Reason::Malformed, Reason::WrongSize, Reason::NoKeyNow, Reason::UnknownKeyId];
const MALFORMED: &[Reason] = &[Reason::Malformed];

fn container() -> String {
    format!("{{\"keys\":[{{\"key_ID\":\"{KEY_ID}\",\"key\":\"{KEY}\"}}]}}")
}

fn status() -> String {
    let text = r#"{"source_KME_ID":"KME-A","target_KME_ID":"KME-B","master_SAE_ID":"SAE-A","slave_SAE_ID":"SAE-B","key_size":256,"stored_key_count":5,"max_key_count":9,"max_key_per_request":1,"max_key_size":512,"min_key_size":128,"max_SAE_ID_count":0}"#;
    text.to_owned()
}

fn body_of(asked: Asked) -> String {
    match asked {
        Asked::Status => status(),
        Asked::New | Asked::ById => container(),
    }
}

fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn good(asked: Asked) -> Vec<u8> {
    answer(body_of(asked).as_bytes())
}

fn bad(asked: Asked, body: impl AsRef<[u8]>, reasons: &'static [Reason]) -> Bad {
    Bad { asked, bytes: answer(body.as_ref()), is_last: false, reasons }
}

/// All of them.
pub(crate) fn all() -> Vec<Bad> {
    let mut all = Vec::new();
    for asked in [Asked::New, Asked::ById] {
        all.extend(wrong_values(asked));
        all.extend(unfit_keys(asked));
        all.extend(unfit_ids(asked));
        all.extend(texts(asked));
    }
    all.extend(wrong_status_values());
    for asked in [Asked::New, Asked::ById, Asked::Status] {
        all.extend(changed_bytes(asked));
    }
    all
}

/// Each place of a container with each value that it must not have; each member missing, doubled or under another name.
fn wrong_values(asked: Asked) -> Vec<Bad> {
    let values = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(""),
        json!([]),
        json!({}),
        json!([[]]),
        json!([null]),
        json!({"a": 1}),
        json!([{}]),
    ];
    let mut made = Vec::new();
    for place in ["", "/keys", "/keys/0", "/keys/0/key_ID", "/keys/0/key"] {
        for value in &values {
            let mut root: Value = serde_json::from_str(&container()).unwrap();
            *root.pointer_mut(place).unwrap() = value.clone();
            made.push(bad(asked, root.to_string(), UNFIT));
        }
    }
    let text = container();
    for (from, to) in [
        ("\"keys\":", "\"key\":"),
        ("\"keys\":", "\"KEYS\":"),
        ("\"keys\":", "\"keys\":[],\"keys\":"),
        ("\"keys\":", "\"Keys\":[],\"keys\":"),
        ("\"key_ID\":", "\"key_id\":"),
        ("\"key_ID\":", "\"key_ID\":\"k-1\",\"key_ID\":"),
        ("\"key\":", "\"Key\":"),
        ("\"key\":", "\"key\":\"\",\"key\":"),
        ("\"key\":", "\"key_extension\":{,\"key\":"),
        ("\"key_ID\":\"k-0\",", ""),
        ("}]}", "},]}"),
        ("}]}", "}]]}"),
        ("}]}", "}]}}"),
        ("}]}", "}]"),
        ("{\"keys\"", "{{\"keys\""),
        ("{\"keys\"", "{'keys'"),
        ("{\"keys\"", "{keys"),
        ("{\"keys\"", "[{\"keys\""),
    ] {
        assert!(text.contains(from), "{from}");
        made.push(bad(asked, text.replacen(from, to, 1), MALFORMED));
    }
    made
}

/// Keys of every unfit length, more keys than one, base64 that is none.
fn unfit_keys(asked: Asked) -> Vec<Bad> {
    let with = |key: &str| container().replace(KEY, key);
    let base64 = |bytes: usize| {
        let text = plait::etsi014::v1::base64::encode(&vec![7; bytes]);
        String::from_utf8(text.expose().to_vec()).unwrap()
    };
    let mut made: Vec<Bad> = (1..32).map(|bytes| bad(asked, with(&base64(bytes)), &[Reason::WrongSize])).collect();
    made.extend([2049, 2050, 4096, 16_384].map(|bytes| bad(asked, with(&base64(bytes)), MALFORMED)));
    for at in 0..KEY.len() {
        for strange in ["-", "_", " ", "\\n", "\u{e9}"] {
            let changed = [&KEY[..at], strange, &KEY[at + 1..]].concat();
            made.push(bad(asked, with(&changed), MALFORMED));
        }
        made.push(bad(asked, with(&KEY[..at]), UNFIT));
    }
    made.extend(
        ["B=", "C=", "D=", "A", "A==", "A=A", "A=\\u0000"]
            .map(|end| bad(asked, with(&KEY.replace("A=", end)), MALFORMED)),
    );
    for number in [2, 3, 16, 128] {
        let keys: Vec<String> = (0..number).map(|n| format!("{{\"key_ID\":\"k-{n}\",\"key\":\"{KEY}\"}}")).collect();
        made.push(bad(asked, format!("{{\"keys\":[{}]}}", keys.join(",")), MALFORMED));
        let twice = vec![keys[0].clone(); number];
        made.push(bad(asked, format!("{{\"keys\":[{}]}}", twice.join(",")), MALFORMED));
    }
    made
}

/// Key_IDs that are too long or hold what no id may hold; for a key by id also every other id.
fn unfit_ids(asked: Asked) -> Vec<Bad> {
    let with = |id: &str| bad(asked, container().replace(KEY_ID, id), MALFORMED);
    let mut made: Vec<Bad> = [65, 66, 100, 1000, 10_000, 60_000].map(|length| with(&"k".repeat(length))).into();
    made.extend((0..=0x20_u8).chain([0x7f]).map(|byte| with(&format!("k\\u{byte:04x}0"))));
    made.extend((1..0x20_u8).map(|byte| with(&format!("k{}0", char::from(byte)))));
    made.extend(
        ["k\u{a0}0", "\u{202e}0-k", "k-\u{ff10}", "k-\\ud800", "k-\\u00e9", "k\\x0", " k-0", "k-0 "].map(&with),
    );
    if asked == Asked::ById {
        made.extend(
            ["k-1", "k-00", "k-", "0-k", "../../etc/passwd", "%00", "k-0;rm", "00000000-0000-0000-0000-000000000000"]
                .map(with),
        );
    }
    made
}

/// Texts that are no container at all.
fn texts(asked: Asked) -> Vec<Bad> {
    let text = container();
    let deep = |levels: usize| {
        let extension = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        text.replace("}]}", &format!("}}],\"x\":{extension}}}"))
    };
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut made: Vec<Bad> = [
        "<html><body>200</body></html>",
        "key data access error",
        "{\"message\":\"key data access error\"}",
        "{\"detail\":\"no\"}",
        "{\"error\":{\"keys\":[]}}",
        "NaN",
        "1e999",
        "null",
        "\"keys\"",
        "\u{feff}{}",
        " ",
        "\0",
        "keys=k-0",
        "---\nkeys: []",
    ]
    .map(|body| bad(asked, body, MALFORMED))
    .into();
    made.push(bad(asked, "", MALFORMED));
    made.push(bad(asked, utf16, MALFORMED));
    made.push(bad(asked, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", MALFORMED));
    made.push(bad(asked, format!("\u{feff}{text}"), MALFORMED));
    made.push(bad(asked, format!("{text}{text}"), MALFORMED));
    made.push(bad(asked, format!("{text}x"), MALFORMED));
    made.push(bad(asked, format!("){text}"), MALFORMED));
    made.extend([16, 17, 100, 10_000, 30_000].map(|levels| bad(asked, deep(levels), MALFORMED)));
    made.extend((0..text.len()).map(|at| bad(asked, &text[..at], MALFORMED)));
    made.push(bad(asked, format!("{{\"x\":\"{}\",{}", "y".repeat(100_000), &text[1..]), MALFORMED));
    made
}

fn wrong_status_values() -> Vec<Bad> {
    let mut made = Vec::new();
    let root: Value = serde_json::from_str(&status()).unwrap();
    for (name, old) in root.as_object().unwrap() {
        let values = [
            "true",
            "1.5",
            "-1",
            "\"\"",
            "\"x\"",
            "\"-1\"",
            "[]",
            "[1]",
            "{}",
            "1e300",
            "18446744073709551616",
            "NaN",
            "0x10",
            "01",
        ];
        let values = values.iter().filter(|value| old.is_number() || !value.starts_with('"'));
        for value in values {
            let text = status().replace(&format!("\"{name}\":{old}"), &format!("\"{name}\":{value}"));
            assert_ne!(text, status());
            made.push(bad(Asked::Status, text, MALFORMED));
        }
        let doubled = status().replace(&format!("\"{name}\":{old}"), &format!("\"{name}\":{old},\"{name}\":{old}"));
        made.push(bad(Asked::Status, doubled, MALFORMED));
    }
    made
}

/// Every byte of a good body replaced by what JSON has nowhere.
fn changed_bytes(asked: Asked) -> Vec<Bad> {
    let text = body_of(asked);
    let mut made = Vec::new();
    for at in 0..text.len() {
        for byte in [0, 0xff] {
            let mut changed = text.clone().into_bytes();
            changed[at] = byte;
            made.push(bad(asked, changed, UNFIT));
        }
    }
    made
}
