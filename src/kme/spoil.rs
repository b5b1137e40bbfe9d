//! Bodies as other KMEs write them, or as none may: the standard's text changed after the rules have made it.

use super::catalogue::Fault;
use super::fault::Faults;
use super::pair::Side;
use crate::types::secret::SecretBytes;

/// Habits of a good body, each a change of its text.
pub fn by_habit(faults: &Faults, side: Side, body: SecretBytes) -> SecretBytes {
    let Ok(text) = std::str::from_utf8(body.expose()) else { return body };
    let has = |fault| faults.has(fault, side);
    let mut text = text.to_owned();
    if has(Fault::TextIntegers) {
        text = quoted_integers(&text);
    }
    if has(Fault::Reordered) {
        text = reordered(&text);
    }
    if has(Fault::Escaped) {
        text = text.replace('/', "\\/").replace('=', "\\u003d");
    }
    if has(Fault::Nulls) {
        let of_whole = if text.contains("\"keys\":") { "key_container_extension" } else { "status_extension" };
        text = text.replace("{\"key_ID\"", "{\"key_ID_extension\":null,\"key_extension\":null,\"key_ID\"");
        text = text.replacen('{', &format!("{{\"{of_whole}\":null,"), 1);
    }
    if has(Fault::ExtraMembers) {
        text = text.replace("{\"key_ID\"", "{\"vendor_quality\":{\"qber\":[0.02]},\"key_ID\"");
        text = text.replacen('{', "{\"vendor_note\":\"x\",", 1);
    }
    if has(Fault::CapitalKeys) {
        text = text.replace("\"keys\":", "\"Keys\":");
    }
    if has(Fault::Pretty) {
        text = text.replace('{', "{\n  ").replace('}', "\n}").replace(",\"", ",\n  \"").replace("\":", "\": ") + "\n";
    }
    SecretBytes::new(text.into_bytes())
}

/// Every whole number of a text as text.
fn quoted_integers(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut is_number = false;
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_digit() && before == ':' {
            out.push('"');
            is_number = true;
        } else if is_number && !c.is_ascii_digit() {
            out.push('"');
            is_number = false;
        }
        out.push(c);
        before = c;
    }
    out
}

/// A container with each key before its id; of a status, the last member first.
fn reordered(text: &str) -> String {
    if let Some(first) = Entry::first(text) {
        let turned = format!("{{\"key\":\"{}\",\"key_ID\":\"{}\"}}", first.key, first.id);
        return text.replacen(&first.whole(), &turned, 1);
    }
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    match inner.and_then(|inner| inner.rsplit_once(',')) {
        Some((front, last)) => format!("{{{last},{front}}}"),
        None => text.to_owned(),
    }
}

/// An error body of another form.
pub fn error_by_habit(faults: &Faults, side: Side, message: &str) -> (String, &'static str) {
    let json = "application/json";
    let habits = [
        (Fault::ErrorDetail, serde_json::json!({ "detail": message }).to_string(), json),
        (Fault::ErrorList, serde_json::json!({ "detail": [{ "loc": ["body"], "msg": message }] }).to_string(), json),
        (
            Fault::ErrorDetails,
            serde_json::json!({ "message": message, "details": [{ "parameter_name": "x", "allowed_values": [1] }] })
                .to_string(),
            json,
        ),
        (Fault::ErrorHtml, format!("<!doctype html>\n<title>Error</title>\n<h1>{message}</h1>\n"), "text/html"),
        (Fault::ErrorText, format!("{message}\n"), "text/plain"),
        (Fault::ErrorEmpty, String::new(), json),
    ];
    let found = habits.into_iter().find(|(fault, ..)| faults.has(*fault, side));
    let plain = || (crate::etsi014::v1::error::error_json(message), json);
    found.map_or_else(plain, |(_, body, kind)| (body, kind))
}

/// The first key of a container, as our own writer writes it.
struct Entry<'t> {
    id: &'t str,
    key: &'t str,
}

impl<'t> Entry<'t> {
    fn first(text: &'t str) -> Option<Self> {
        let (_, rest) = text.split_once("{\"key_ID\":\"")?;
        let (id, rest) = rest.split_once("\",\"key\":\"")?;
        let (key, _) = rest.split_once('"')?;
        Some(Self { id, key })
    }

    fn whole(&self) -> String {
        entry(self.id, self.key)
    }
}

fn entry(id: &str, key: &str) -> String {
    format!("{{\"key_ID\":\"{id}\",\"key\":\"{key}\"}}")
}

/// Faults of a container's body, in the order in which they are tried.
pub const OF_BODIES: &[Fault] = &[
    Fault::TwinEntry,
    Fault::EmptyBody,
    Fault::HtmlBody,
    Fault::ErrorIn200,
    Fault::CutJson,
    Fault::DeepJson,
    Fault::NullKeys,
    Fault::NoKeys,
    Fault::NoKeyId,
    Fault::NoMaterial,
    Fault::WrongTypes,
    Fault::DoubleMember,
    Fault::BadUtf8,
    Fault::ByteOrderMark,
    Fault::NotANumber,
    Fault::BadBase64,
    Fault::SpacedBase64,
    Fault::UnpaddedBase64,
    Fault::UrlBase64,
    Fault::LooseBase64,
    Fault::LongId,
    Fault::EmptyId,
    Fault::LineFeedId,
    Fault::NulId,
    Fault::OtherId,
    Fault::HugeBody,
];

/// The body with this fault.
pub fn by_fault(fault: Fault, body: SecretBytes) -> SecretBytes {
    let text = String::from_utf8_lossy(body.expose()).into_owned();
    let Some(first) = Entry::first(&text) else { return body };
    let spoiled = whole_body(fault, &text, &first).or_else(|| {
        let (id, key) = one_member(fault, &first)?;
        Some(text.replacen(&first.whole(), &entry(&id, &key), 1))
    });
    match spoiled {
        Some(text) if fault == Fault::BadUtf8 => {
            let bytes = text.into_bytes();
            SecretBytes::new(bytes.iter().map(|byte| if *byte == 1 { 0xff } else { *byte }).collect())
        }
        Some(text) => SecretBytes::new(text.into_bytes()),
        None => body,
    }
}

/// Faults of the text around the keys.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other faults do not concern the whole body")]
fn whole_body(fault: Fault, text: &str, first: &Entry<'_>) -> Option<String> {
    let (id, key) = (first.id, first.key);
    Some(match fault {
        Fault::TwinEntry => text.replacen(&first.whole(), &format!("{0},{0}", first.whole()), 1),
        Fault::EmptyBody => String::new(),
        Fault::HtmlBody => "<!doctype html><title>KME</title><h1>200</h1>".to_owned(),
        Fault::ErrorIn200 => crate::etsi014::v1::error::error_json("key data access error"),
        Fault::CutJson => text.get(..text.len() / 2)?.to_owned(),
        Fault::DeepJson => format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
        Fault::NullKeys => "{\"keys\":null}".to_owned(),
        Fault::NoKeys => "{\"key_container_extension\":{}}".to_owned(),
        Fault::NoKeyId => format!("{{\"keys\":[{{\"key\":\"{key}\"}}]}}"),
        Fault::NoMaterial => format!("{{\"keys\":[{{\"key_ID\":\"{id}\"}}]}}"),
        Fault::WrongTypes => "{\"keys\":{\"key_ID\":1,\"key\":2}}".to_owned(),
        Fault::DoubleMember => format!("{{\"keys\":[],{}", text.strip_prefix('{')?),
        Fault::ByteOrderMark => format!("\u{feff}{text}"),
        Fault::NotANumber => "{\"keys\":NaN}".to_owned(),
        Fault::HugeBody => format!("{{\"x\":\"{}\",{}", "y".repeat(1 << 20), text.strip_prefix('{')?),
        _ => return None,
    })
}

/// Faults of one key_ID or one key.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other faults do not concern one member")]
fn one_member(fault: Fault, first: &Entry<'_>) -> Option<(String, String)> {
    let (id, key) = (first.id.to_owned(), first.key.to_owned());
    let bare = key.trim_end_matches('=');
    let rest = |from: usize| key.get(from..).unwrap_or_default();
    Some(match fault {
        Fault::BadUtf8 => (format!("{id}\u{1}"), key),
        Fault::BadBase64 => (id, format!("!{}", rest(1))),
        Fault::SpacedBase64 => (id, format!(" {key}")),
        Fault::UnpaddedBase64 => (id, bare.to_owned()),
        Fault::UrlBase64 => (id, format!("-_{}", rest(2))),
        // Two bits beyond the last byte: "E" to "F" sets one of them, whatever the key is.
        Fault::LooseBase64 => (id, format!("{}F=", bare.get(..bare.len().checked_sub(1)?)?)),
        Fault::LongId => ("k".repeat(10_000), key),
        Fault::EmptyId => (String::new(), key),
        Fault::LineFeedId => (format!("{id}\\r\\nx: y"), key),
        Fault::NulId => (format!("{id}\\u0000"), key),
        Fault::OtherId => (format!("{id}0"), key),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::etsi014::v1::container;
    use crate::etsi014::v1::json::Malformed;
    use crate::etsi014::v1::status::Status;
    use crate::kme::fault::Times;

    const BODY: &str = "{\"keys\":[{\"key_ID\":\"a-0\",\"key\":\"/w+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]}";
    const STATUS: &str = "{\"source_KME_ID\":\"A\",\"key_size\":256,\"stored_key_count\":3}";

    fn with(fault: Fault) -> Faults {
        let mut faults = Faults::default();
        faults.order(fault, None, Times::Always);
        faults
    }

    fn text(body: &SecretBytes) -> String {
        String::from_utf8_lossy(body.expose()).into_owned()
    }

    fn keys(body: &SecretBytes) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let keys = container::read(Zeroizing::new(body.expose().to_vec()))?;
        Ok(keys.iter().map(|key| (key.key_id.as_str().to_owned(), key.material.expose().to_vec())).collect())
    }

    #[test]
    fn habits_change_the_text_and_not_what_it_says() {
        let body = || SecretBytes::new(BODY.as_bytes().to_vec());
        let status = || SecretBytes::new(STATUS.as_bytes().to_vec());
        let plain = keys(&body()).unwrap();
        for fault in
            [Fault::Nulls, Fault::ExtraMembers, Fault::Reordered, Fault::Pretty, Fault::CapitalKeys, Fault::Escaped]
        {
            let changed = by_habit(&with(fault), Side::A, body());
            assert_ne!(text(&changed), BODY, "{fault}");
            assert_eq!(keys(&changed).unwrap(), plain, "{fault}: {}", text(&changed));
        }
        for fault in [Fault::Nulls, Fault::ExtraMembers, Fault::Reordered, Fault::Pretty, Fault::TextIntegers] {
            let changed = by_habit(&with(fault), Side::A, status());
            assert_ne!(text(&changed), STATUS, "{fault}");
            let read = Status::read(changed.expose()).unwrap_or_else(|error| panic!("{fault}: {error}"));
            assert_eq!(read, Status::read(STATUS.as_bytes()).unwrap(), "{fault}");
        }
        assert_eq!(text(&by_habit(&Faults::default(), Side::A, body())), BODY);
    }

    #[test]
    fn no_fault_of_a_body_leaves_a_key_that_can_be_read_as_it_was() {
        let plain = keys(&SecretBytes::new(BODY.as_bytes().to_vec())).unwrap();
        for fault in OF_BODIES {
            let body = by_fault(*fault, SecretBytes::new(BODY.as_bytes().to_vec()));
            assert_ne!(text(&body), BODY, "{fault}");
            // The bound of a body is not the reader's: whoever reads it from a connection has one.
            if *fault != Fault::HugeBody {
                assert_ne!(keys(&body).ok(), Some(plain.clone()), "{fault}: {}", text(&body));
            }
        }
    }

    #[test]
    fn errors_keep_their_words_in_every_form() {
        for fault in [Fault::ErrorDetail, Fault::ErrorList, Fault::ErrorDetails, Fault::ErrorHtml, Fault::ErrorText] {
            let (body, _) = error_by_habit(&with(fault), Side::A, "no key");
            assert!(body.contains("no key") && body != crate::etsi014::v1::error::error_json("no key"), "{fault}");
        }
        assert_eq!(error_by_habit(&with(Fault::ErrorEmpty), Side::A, "no key").0, "");
        assert_eq!(error_by_habit(&Faults::default(), Side::A, "x").0, "{\"message\":\"x\"}");
    }
}
