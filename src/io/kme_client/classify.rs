//! What an answer means: by method and class of code, never by exact code or words, which no two KMEs share.

use crate::etsi014::v1::error::explain;
use crate::etsi014::v1::path::Method;
use crate::types::policy::Reason;

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class.
    pub reason: Reason,
    /// For a person, with the KME's own words.
    pub text: String,
    /// Whether a key that is on its way may answer the same `dec_keys` in a moment.
    pub is_passing: bool,
}

/// Judges the code of an answer; its body is read only for its words.
///
/// # Errors
/// [`Refusal`] for every code but 200.
pub fn judge(method: Method, code: u16, body: &[u8]) -> Result<(), Refusal> {
    if code == 200 {
        return Ok(());
    }
    let said = explain(body).map(|words| format!(": {words}")).unwrap_or_default();
    let text = format!("{} answered {code}{said}{}", method.as_str(), hint(method, code));
    let (reason, is_passing) = match (method, code) {
        (_, ..=199 | 201..=399) => (Reason::Malformed, false),
        // Seen for "not yet" as well as for "not you": worth the retries, and told as what the standard means by it.
        (Method::DecKeys, 401) => (Reason::Refused, true),
        // Seen for "expired": only a new key helps.
        (Method::DecKeys, 403) => (Reason::UnknownKeyId, false),
        (Method::DecKeys, _) => (Reason::UnknownKeyId, true),
        (Method::EncKeys | Method::Status, 401 | 403 | 407) => (Reason::Refused, false),
        (Method::EncKeys | Method::Status, _) => (Reason::NoKeyNow, false),
    };
    Err(Refusal { reason, text, is_passing })
}

/// The usual mistake behind a code.
fn hint(method: Method, code: u16) -> &'static str {
    match (method, code) {
        (_, 300..=399) => " (redirects are never followed: the url must be the KME's own)",
        (_, ..=199 | 201..=299) => " (expected 200 with a body)",
        (Method::DecKeys, 400..=499) => {
            " (not there yet, used, expired or lost; if it is always so: are local_sae and remote_sae swapped at one site?)"
        }
        (_, 401 | 403) => " (is the certificate that of local_sae, are local_sae and remote_sae swapped?)",
        (_, 404) => " (no key in stock, an unknown remote_sae, or a url with another path)",
        (_, 400 | 422) => " (no key in stock, an unknown remote_sae, or a size that this KME does not serve)",
        (_, _) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_class_by_method() {
        use Method::{DecKeys, EncKeys, Status};
        for (method, code, reason, is_passing) in [
            (EncKeys, 503, Reason::NoKeyNow, false),
            (EncKeys, 400, Reason::NoKeyNow, false),
            (EncKeys, 404, Reason::NoKeyNow, false),
            (EncKeys, 429, Reason::NoKeyNow, false),
            (EncKeys, 500, Reason::NoKeyNow, false),
            (EncKeys, 401, Reason::Refused, false),
            (EncKeys, 403, Reason::Refused, false),
            (EncKeys, 301, Reason::Malformed, false),
            (EncKeys, 204, Reason::Malformed, false),
            (EncKeys, 101, Reason::Malformed, false),
            (DecKeys, 400, Reason::UnknownKeyId, true),
            (DecKeys, 404, Reason::UnknownKeyId, true),
            (DecKeys, 503, Reason::UnknownKeyId, true),
            (DecKeys, 403, Reason::UnknownKeyId, false),
            (DecKeys, 401, Reason::Refused, true),
            (DecKeys, 302, Reason::Malformed, false),
            (Status, 401, Reason::Refused, false),
            (Status, 404, Reason::NoKeyNow, false),
        ] {
            let refusal = judge(method, code, b"{\"message\":\"words\"}").unwrap_err();
            assert_eq!((refusal.reason, refusal.is_passing), (reason, is_passing), "{method:?} {code}");
            assert!(refusal.text.contains("words") && refusal.text.contains(&code.to_string()));
        }
        assert_eq!(judge(EncKeys, 200, b""), Ok(()));
    }
}
