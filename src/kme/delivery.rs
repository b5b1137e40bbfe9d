//! The way of an answer: with which code and fields it goes, or which bytes go in its place.

use std::time::Duration;

use super::api::ApiResponse;
use super::catalogue::Fault;
use super::fault::Faults;
use super::pair::Side;
use super::spoil;
use crate::etsi014::v1::path::Method;
use crate::types::secret::SecretBytes;

/// Pause between the bytes of a dripping answer.
pub const DRIP_PAUSE: Duration = Duration::from_millis(200);
/// How late a slow answer is: within every deadline.
const SLOW: Duration = Duration::from_secs(2);
/// How late a late answer is: beyond every deadline.
const LATE: Duration = Duration::from_secs(12);

/// What goes onto the connection.
pub enum Step {
    /// These bytes.
    Write(SecretBytes),
    /// These bytes, one by one.
    Drip(SecretBytes),
    /// Nothing for so long.
    Pause(Duration),
    /// These bytes again and again.
    Forever(Vec<u8>),
    /// Nothing more, and the connection stays.
    Hang,
    /// TLS says goodbye.
    Close,
    /// TCP ends without it.
    Cut,
}

/// An answer as it leaves.
pub enum Delivery {
    /// A proper one.
    Proper {
        /// HTTP status code.
        code: u16,
        /// Header fields besides the length.
        fields: Vec<(&'static str, &'static str)>,
        /// The body.
        body: SecretBytes,
    },
    /// Other bytes; without a last step that ends it, the connection goes on.
    Scripted(Vec<Step>),
}

/// Faults of the code.
const CODES: &[(Fault, u16)] = &[
    (Fault::Redirect, 301),
    (Fault::Answers202, 202),
    (Fault::Answers204, 204),
    (Fault::Answers400, 400),
    (Fault::Answers401, 401),
    (Fault::Answers403, 403),
    (Fault::Answers404, 404),
    (Fault::Answers408, 408),
    (Fault::Answers409, 409),
    (Fault::Answers412, 412),
    (Fault::Answers413, 413),
    (Fault::Answers429, 429),
    (Fault::Answers500, 500),
    (Fault::Answers502, 502),
    (Fault::Answers503, 503),
    (Fault::Answers504, 504),
];

/// Faults and habits of the way, in the order in which they are tried.
const WAYS: &[Fault] = &[
    Fault::Hang,
    Fault::HangInHead,
    Fault::HangInBody,
    Fault::Drip,
    Fault::SlowAnswer,
    Fault::LateAnswer,
    Fault::CutInHead,
    Fault::CutInBody,
    Fault::CloseInBody,
    Fault::ShortLength,
    Fault::LongLength,
    Fault::HugeLength,
    Fault::NegativeLength,
    Fault::EndlessHead,
    Fault::EndlessBody,
    Fault::EndlessChunks,
    Fault::ManyHeaders,
    Fault::NotHttp,
    Fault::Http2,
    Fault::DoubleAnswer,
    Fault::OldHttp,
    Fault::Chunked,
    Fault::ToTheEnd,
    Fault::Continue100,
];

/// Dresses an answer of the rules. `method` is what was asked, if it was anything that a KME knows.
pub fn deliver(
    faults: &mut Faults,
    earlier: &mut Option<SecretBytes>,
    side: Side,
    method: Option<Method>,
    answered: ApiResponse,
) -> Delivery {
    let is_of_keys = matches!(method, Some(Method::EncKeys | Method::DecKeys));
    let ApiResponse { mut code, mut body } = answered;
    let mut fields = vec![("content-type", content_type(faults, side))];
    if code == 200 {
        body = spoil::by_habit(faults, side, body);
        if is_of_keys {
            body = spoiled_body(faults, earlier, side, &mut fields, body);
        }
    } else {
        let (text, kind) = spoil::error_by_habit(faults, side, &message(&body));
        body = SecretBytes::new(text.into_bytes());
        fields = vec![("content-type", kind)];
    }
    if faults.has(Fault::NoContentType, side) {
        fields.clear();
    }
    let of_code = CODES.iter().find(|(fault, _)| is_of_keys && faults.take(*fault, side));
    if let Some((fault, other)) = of_code {
        code = *other;
        body = SecretBytes::new(if code == 204 { Vec::new() } else { b"<h1>no</h1>".to_vec() });
        fields = vec![("content-type", "text/html")];
        if *fault == Fault::Redirect {
            fields.push(("location", "https://127.0.0.1:9/elsewhere"));
        }
    }
    if code == 429 {
        fields.push(("retry-after", "3600"));
    }
    if faults.has(Fault::WrongDate, side) {
        fields.push(("date", "Sun, 06 Nov 1994 08:49:37 GMT"));
    }
    if faults.has(Fault::ClosesEach, side) {
        fields.push(("connection", "close"));
    }
    let way = WAYS.iter().find(|way| (is_of_keys || way.is_habit()) && faults.take(**way, side));
    match way {
        Some(way) => Delivery::Scripted(script(*way, code, &fields, body)),
        None => Delivery::Proper { code, fields, body },
    }
}

fn content_type(faults: &Faults, side: Side) -> &'static str {
    if faults.has(Fault::Charset, side) {
        "application/json; charset=utf-8"
    } else if faults.has(Fault::HtmlType, side) {
        "text/html"
    } else {
        "application/json"
    }
}

/// The words of our own error body.
fn message(body: &SecretBytes) -> String {
    let text: Option<serde_json::Value> = serde_json::from_slice(body.expose()).ok();
    let message = text.as_ref().and_then(|text| text.get("message")).and_then(serde_json::Value::as_str);
    message.unwrap_or_default().to_owned()
}

fn spoiled_body(
    faults: &mut Faults,
    earlier: &mut Option<SecretBytes>,
    side: Side,
    fields: &mut Vec<(&'static str, &'static str)>,
    mut body: SecretBytes,
) -> SecretBytes {
    for fault in spoil::OF_BODIES {
        if faults.take(*fault, side) {
            body = spoil::by_fault(*fault, body);
        }
    }
    if faults.take(Fault::GzipBody, side) {
        fields.push(("content-encoding", "gzip"));
        body = SecretBytes::new(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03bomb".to_vec());
    }
    let kept = SecretBytes::new(body.expose().to_vec());
    match earlier.replace(kept) {
        Some(before) if faults.take(Fault::EarlierAnswer, side) => before,
        Some(_) | None => body,
    }
}

fn head(version: &str, code: u16, fields: &[(&'static str, &'static str)], length: Option<&str>) -> String {
    let mut head = format!("{version} {code} X\r\n");
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length {
        head += &format!("content-length: {length}\r\n");
    }
    head + "\r\n"
}

fn joined(head: &str, body: &[u8]) -> SecretBytes {
    SecretBytes::new([head.as_bytes(), body].concat())
}

/// What goes over the connection in place of a proper answer.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only the faults of WAYS come here, the others leave the answer whole"
)]
fn script(way: Fault, code: u16, fields: &[(&'static str, &'static str)], body: SecretBytes) -> Vec<Step> {
    let text = body.expose();
    let length = text.len().to_string();
    let plain = head("HTTP/1.1", code, fields, Some(&length));
    let whole = joined(&plain, text);
    let part = |bytes: usize| {
        let end = bytes.min(whole.len());
        Step::Write(SecretBytes::new(whole.expose().get(..end).unwrap_or_default().to_vec()))
    };
    let (in_head, in_body) = (part(20), part(plain.len() + 5));
    let lying =
        |length: &str| vec![Step::Write(joined(&head("HTTP/1.1", code, fields, Some(length)), text)), Step::Close];
    let open = |more: &[(&'static str, &'static str)]| {
        let fields = [fields, more].concat();
        SecretBytes::new(head("HTTP/1.1", code, &fields, None).into_bytes())
    };
    match way {
        Fault::Hang => vec![Step::Hang],
        Fault::HangInHead => vec![in_head, Step::Hang],
        Fault::HangInBody => vec![in_body, Step::Hang],
        Fault::Drip => vec![Step::Drip(whole)],
        Fault::SlowAnswer => vec![Step::Pause(SLOW), Step::Write(whole)],
        Fault::LateAnswer => vec![Step::Pause(LATE), Step::Write(whole)],
        Fault::CutInHead => vec![in_head, Step::Cut],
        Fault::CutInBody => vec![in_body, Step::Cut],
        Fault::CloseInBody => vec![in_body, Step::Close],
        Fault::ShortLength => lying(&text.len().saturating_sub(5).to_string()),
        Fault::LongLength => lying(&(text.len() + 5).to_string()),
        Fault::HugeLength => lying("1000000000"),
        Fault::NegativeLength => lying("-1"),
        Fault::EndlessHead => {
            vec![Step::Write(SecretBytes::new(b"HTTP/1.1 200 OK\r\n".to_vec())), Step::Forever(b"x: y\r\n".repeat(64))]
        }
        Fault::EndlessBody => vec![Step::Write(open(&[])), Step::Forever(vec![b' '; 4096])],
        Fault::EndlessChunks => {
            let chunk = [b"1000\r\n".as_slice(), &[b' '; 4096], b"\r\n"].concat();
            vec![Step::Write(open(&[("transfer-encoding", "chunked")])), Step::Forever(chunk)]
        }
        Fault::ManyHeaders => {
            let many = format!("HTTP/1.1 {code} X\r\n{}content-length: {length}\r\n\r\n", "x: y\r\n".repeat(10_000));
            vec![Step::Write(joined(&many, text))]
        }
        Fault::NotHttp => vec![Step::Write(SecretBytes::new(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())), Step::Close],
        Fault::Http2 => vec![Step::Write(joined(&head("HTTP/2", code, fields, Some(&length)), text)), Step::Close],
        Fault::DoubleAnswer => vec![Step::Write(SecretBytes::new(whole.expose().repeat(2)))],
        Fault::OldHttp => vec![Step::Write(joined(&head("HTTP/1.0", code, fields, Some(&length)), text)), Step::Close],
        Fault::Chunked => vec![Step::Write(open(&[("transfer-encoding", "chunked")])), Step::Write(chunks(text))],
        Fault::ToTheEnd => vec![Step::Write(open(&[("connection", "close")])), Step::Write(body), Step::Close],
        Fault::Continue100 => vec![Step::Write(joined("HTTP/1.1 100 Continue\r\n\r\n", whole.expose()))],
        _ => vec![Step::Write(whole)],
    }
}

/// A body in pieces of 16 bytes.
fn chunks(body: &[u8]) -> SecretBytes {
    let mut out = Vec::with_capacity(body.len() * 2 + 16);
    for piece in body.chunks(16) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    SecretBytes::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kme::catalogue::Scope;
    use crate::kme::fault::Times;

    fn good() -> ApiResponse {
        let body = "{\"keys\":[{\"key_ID\":\"a-0\",\"key\":\"/w+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]}";
        ApiResponse { code: 200, body: SecretBytes::new(body.as_bytes().to_vec()) }
    }

    /// The answer as one text; steps that are no bytes by their names.
    fn shown(delivery: &Delivery) -> String {
        let text = |bytes: &SecretBytes| String::from_utf8_lossy(bytes.expose()).into_owned();
        match delivery {
            Delivery::Proper { code, fields, body } => format!("{code} {fields:?} {}", text(body)),
            Delivery::Scripted(steps) => steps
                .iter()
                .map(|step| match step {
                    Step::Write(bytes) => text(bytes),
                    Step::Drip(bytes) => format!("[drip]{}", text(bytes)),
                    Step::Pause(pause) => format!("[{pause:?}]"),
                    Step::Forever(_) => "[forever]".to_owned(),
                    Step::Hang => "[hang]".to_owned(),
                    Step::Close => "[close]".to_owned(),
                    Step::Cut => "[cut]".to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn every_fault_of_an_answer_changes_it_once_and_spares_the_status() {
        let mut seen = std::collections::BTreeSet::new();
        let of_rules = [Fault::ExtraKey, Fault::MissingKey];
        for fault in Fault::ALL.iter().filter(|fault| fault.scope() == Scope::Answer && !of_rules.contains(fault)) {
            let (mut faults, mut earlier) = (Faults::default(), Some(SecretBytes::new(b"{\"keys\":[]}".to_vec())));
            let plain = shown(&deliver(&mut faults, &mut None, Side::A, Some(Method::EncKeys), good()));
            faults.order(*fault, None, Times::Next(1));
            let status = shown(&deliver(&mut faults, &mut earlier, Side::A, Some(Method::Status), good()));
            assert_eq!(status, plain, "{fault}");
            let first = shown(&deliver(&mut faults, &mut earlier, Side::A, Some(Method::EncKeys), good()));
            let second = shown(&deliver(&mut faults, &mut earlier, Side::A, Some(Method::EncKeys), good()));
            assert!(first != plain && second == plain, "{fault}: {first:.200} {second:.200}");
            assert!(seen.insert(first), "{fault} does what another does");
        }
    }

    #[test]
    fn habits_of_the_way_keep_code_and_body() {
        for (habit, words) in [
            (Fault::OldHttp, "HTTP/1.0 200 X\r\n"),
            (Fault::Chunked, "\r\n10\r\n{\"keys\":[{\"key_I\r\n"),
            (Fault::ToTheEnd, "connection: close\r\n\r\n{\"keys\""),
            (Fault::Continue100, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"),
            (Fault::ClosesEach, "(\"connection\", \"close\")"),
            (Fault::WrongDate, "1994"),
            (Fault::Charset, "charset=utf-8"),
            (Fault::HtmlType, "text/html"),
        ] {
            let mut faults = Faults::default();
            faults.order(habit, Some(Side::B), Times::Always);
            for method in [Method::Status, Method::EncKeys] {
                let came = shown(&deliver(&mut faults, &mut None, Side::B, Some(method), good()));
                assert!(came.contains(words), "{habit}: {came}");
            }
            let other = shown(&deliver(&mut faults, &mut None, Side::A, Some(Method::Status), good()));
            assert!(!other.contains(words), "{habit} at the other KME: {other}");
        }
    }

    #[test]
    fn an_error_keeps_its_code_and_its_words() {
        let mut faults = Faults::default();
        faults.order(Fault::ErrorHtml, None, Times::Always);
        let refused = ApiResponse { code: 503, body: SecretBytes::new(b"{\"message\":\"empty\"}".to_vec()) };
        let came = shown(&deliver(&mut faults, &mut None, Side::A, Some(Method::EncKeys), refused));
        assert!(
            came.starts_with("503 [(\"content-type\", \"text/html\")]") && came.contains("<h1>empty</h1>"),
            "{came}"
        );
    }
}
