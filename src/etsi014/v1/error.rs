//! The error body (V1.1.1, 6.5, table 13), the texts that the standard fixes, and what can be told from any error body.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::json;

/// 6.2: a size that is no multiple of 8.
pub const SIZE_NOT_MULTIPLE_OF_8: &str = "size shall be a multiple of 8";
/// 6.2: an unknown mandatory extension.
pub const MANDATORY_NOT_SUPPORTED: &str = "not all extension_mandatory parameters are supported";
/// 6.4: an id that names no key, or none any more.
pub const KEYS_NOT_FOUND: &str = "one or more keys specified are not found on KME";

/// Characters of a KME's words that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// The JSON text of an error.
pub fn error_json(message: &str) -> String {
    serde_json::json!({ "message": message }).to_string()
}

#[derive(Deserialize)]
struct RawError {
    #[serde(default)]
    message: Option<serde_json::Value>,
    /// What two KMEs of the field send instead.
    #[serde(default)]
    detail: Option<serde_json::Value>,
    #[serde(default)]
    keys: Option<IgnoredAny>,
}

/// What an error body says, fit for a log line: `message`, else `detail`, else its beginning. `None` if it says nothing
/// or carries keys.
pub fn explain(body: &[u8]) -> Option<String> {
    let text = match json::read::<RawError>(body) {
        Ok(RawError { keys: Some(_), .. }) => return None,
        Ok(raw) => {
            let value = raw.message.or(raw.detail)?;
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        }
        Err(_) => String::from_utf8_lossy(body.get(..4 * SHOWN_CHARS_MAX).unwrap_or(body)).into_owned(),
    };
    let shown = one_line(&text);
    (!shown.is_empty()).then_some(shown)
}

/// The text on one line without control characters, cut to a length: a KME must not be able to forge log lines.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_wherever_a_kme_puts_them() {
        let said = |body: &str| explain(body.as_bytes());
        assert_eq!(said(&error_json("pool empty")).as_deref(), Some("pool empty"));
        assert_eq!(said(r#"{"detail":"no"}"#).as_deref(), Some("no"));
        assert_eq!(said(r#"{"detail":[{"loc":1}]}"#).as_deref(), Some(r#"[{"loc":1}]"#));
        assert_eq!(said("<html>\n<h1>401</h1>").as_deref(), Some("<html> <h1>401</h1>"));
        assert_eq!(said(""), None);
        assert_eq!(said("{}"), None);
    }

    #[test]
    fn keys_are_never_shown_and_lines_cannot_be_forged() {
        assert_eq!(explain(br#"{"message":"x","keys":[{"key":"AQI="}]}"#), None);
        assert_eq!(one_line("a\r\n\u{1b}[31mERROR\0b"), "a [31mERROR b");
        assert_eq!(one_line(&"x".repeat(999)).chars().count(), SHOWN_CHARS_MAX + 3);
    }

    #[test]
    fn as_much_is_shown_of_long_letters_as_of_short_ones() {
        let shown = ["x", "é", "\u{1f511}"].map(|letter| explain(letter.repeat(2 * SHOWN_CHARS_MAX).as_bytes()));
        let lengths = shown.map(|text| text.map(|text| text.trim_end_matches('.').chars().count()));
        assert_eq!(lengths, [Some(SHOWN_CHARS_MAX); 3]);
    }
}
