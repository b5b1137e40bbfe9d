//! Bad heads and framing, made from good answers: every code, every cut, lengths and chunks that lie, and what is no HTTP.

use plait::types::policy::Reason;

use crate::bad_replies::{Asked, Bad};
use crate::broken_json::good;

const BROKEN: &[Reason] = &[Reason::Malformed, Reason::Unreachable];
const MALFORMED: &[Reason] = &[Reason::Malformed];

fn last(asked: Asked, bytes: impl AsRef<[u8]>) -> Bad {
    Bad { asked, bytes: bytes.as_ref().to_vec(), is_last: true, reasons: BROKEN }
}

fn body() -> String {
    let whole = String::from_utf8(good(Asked::New)).unwrap();
    whole.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// All of them.
pub(crate) fn all() -> Vec<Bad> {
    let mut all = codes();
    all.extend(cuts());
    all.extend(heads());
    all.extend(chunks());
    all.extend(noise());
    all
}

/// The good body under every code but 200.
fn codes() -> Vec<Bad> {
    let whole = String::from_utf8(good(Asked::New)).unwrap();
    let mut made = Vec::new();
    for code in (201..600).chain([600, 700, 999]) {
        let reasons: &[Reason] = match code {
            401 | 403 | 407 => &[Reason::Refused],
            201..=399 => MALFORMED,
            _ => &[Reason::NoKeyNow],
        };
        let bytes = whole.replacen("200 OK", &format!("{code} OK"), 1).into_bytes();
        // A body that must not be there would be taken for the beginning of the next answer.
        made.push(Bad { asked: Asked::New, bytes, is_last: matches!(code, 204 | 304), reasons });
    }
    made
}

/// Good answers that end anywhere before their end, and heads with a NUL anywhere.
fn cuts() -> Vec<Bad> {
    let mut made = Vec::new();
    let whole = good(Asked::New);
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    made.extend((0..whole.len()).step_by(2).map(|at| last(Asked::New, &whole[..at])));
    let status = good(Asked::Status);
    made.extend((1..status.len()).step_by(9).map(|at| last(Asked::Status, &status[..at])));
    for at in 0..head {
        let mut changed = whole.clone();
        changed[at] = 0;
        made.push(last(Asked::New, changed));
    }
    made
}

fn heads() -> Vec<Bad> {
    let body = body();
    let length = body.len();
    let versions = [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/2",
        "HTTP/2.0",
        "HTTP/3",
        "http/1.1",
        "HTTP/11",
        "HTTPS/1.1",
        " HTTP/1.1",
        "HTTP 1.1",
        "ICY",
    ];
    let mut made: Vec<Bad> = versions
        .map(|version| last(Asked::New, format!("{version} 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")))
        .into();
    let codes = ["", "2", "20", "2000", "abc", "-200", "0x200", "2 0", "\u{e9}00"];
    made.extend(
        codes.map(|code| last(Asked::New, format!("HTTP/1.1 {code} OK\r\nContent-Length: {length}\r\n\r\n{body}"))),
    );
    let lengths = [
        "-1",
        "+5",
        "0x10",
        "1e3",
        "5, 6",
        "5 6",
        "x",
        "",
        " ",
        "18446744073709551616",
        &"9".repeat(40),
        "1.5",
        "0",
        "1",
        "7;8",
    ];
    made.extend(
        lengths.map(|length| last(Asked::New, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"))),
    );
    let more = length + 1;
    let fields = [
        format!("Content-Length: {length}\r\nContent-Length: {more}\r\n"),
        format!("Content-Length: {more}\r\n"),
        "Content-Length: 1000000000\r\n".to_owned(),
        format!("Content-Length: {length}\r\nno colon\r\n"),
        format!("Content-Length: {length}\r\n: no name\r\n"),
        format!("Content-Length: {length}\r\nna me: x\r\n"),
        format!("Content-Length: {length}\r\nx: a\0b\r\n"),
        format!("Content-Length: {length}\r\nx: \x7f\r\n"),
        format!("Content-Length: {length}\r\n{}", "x: y\r\n".repeat(65)),
        format!("Content-Length: {length}\r\n{}", "x: y\r\n".repeat(2000)),
        format!("Content-Length: {length}\r\nx: {}\r\n", "y".repeat(200_000)),
        format!("Content-Length: {length}\r\n{}: y\r\n", "x".repeat(200_000)),
    ];
    made.extend(fields.map(|fields| last(Asked::New, format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}"))));
    made
}

fn chunks() -> Vec<Bad> {
    let body = body();
    let length = body.len();
    [
        format!("zz\r\n{body}\r\n0\r\n\r\n"),
        format!("-{length:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("\r\n{body}\r\n0\r\n\r\n"),
        format!("{length:x}{body}\r\n0\r\n\r\n"),
        format!("{length:x}\r\n{body}0\r\n\r\n"),
        format!("{length:x}\r\n{body}\r\n"),
        format!("{length:x}\r\n{body}\r\n0\r"),
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", length + 5),
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", length - 1),
        format!("ffffffffffffffff\r\n{body}"),
        format!("fffffffffffffffff\r\n{body}"),
        format!("7fffffff\r\n{body}"),
        format!("{length:x};{}\r\n{body}\r\n0\r\n\r\n", "e".repeat(100_000)),
        format!("0\r\n\r\n{body}"),
        format!("1\r\n{{\r\n0\r\n\r\n{body}"),
        format!("{length:x}\r\n{body}\r\n0\r\n{}\r\n", "t: y\r\n".repeat(100_000)),
    ]
    .map(|chunks| last(Asked::New, format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")))
    .into()
}

/// Other protocols, other services, and bytes of no meaning from a fixed rule.
fn noise() -> Vec<Bad> {
    let body = body();
    let mut made: Vec<Bad> = [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "220 mail.example ESMTP\r\n",
        "* OK IMAP4rev1\r\n",
        "RFB 003.008\n",
        "+PONG\r\n",
        "<html>\r\n\r\n</html>",
        "\r\n\r\n\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: kme\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello",
        &body,
    ]
    .map(|bytes| last(Asked::New, bytes))
    .into();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in 1..120 {
        let mut bytes = Vec::new();
        for _ in 0..length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push((state >> 56) as u8 | 0x80);
        }
        made.push(last(if length % 2 == 0 { Asked::New } else { Asked::Status }, bytes));
    }
    made
}
