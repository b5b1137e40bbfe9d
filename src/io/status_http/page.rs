//! The page of `/`: one text with its style and its script in it, and the policy that lets a browser run no other.

use base64ct::{Base64, Encoding};
use hyper::body::Bytes;
use hyper::header::HeaderValue;

use crate::crypto::digest::sha256;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Where the style goes in the text.
const STYLE_PLACE: &str = "/*style*/";
/// Where the script goes in the text.
const SCRIPT_PLACE: &str = "/*script*/";

/// Made once.
pub(super) struct Page {
    html: Bytes,
    policy: HeaderValue,
}

impl Page {
    /// Puts it together.
    pub(super) fn new() -> Self {
        let html = HTML.replace(STYLE_PLACE, STYLE).replace(SCRIPT_PLACE, SCRIPT);
        // Nothing but exactly this style and this script, and answers of this listener (CSP Level 3).
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        // Base64 and the words above are characters of a header.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { html: html.into(), policy }
    }

    /// The text.
    pub(super) fn html(&self) -> Bytes {
        self.html.clone()
    }

    /// `Content-Security-Policy`.
    pub(super) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }
}

fn hash(text: &str) -> String {
    format!("sha256-{}", Base64::encode_string(&sha256(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_text_and_names_nothing_outside() {
        let page = Page::new();
        let html = std::str::from_utf8(&page.html).unwrap();
        assert_eq!((html.matches("<style>").count(), html.matches("<script>").count()), (1, 1));
        assert!(
            html.contains(&format!("<style>{STYLE}</style>")) && html.contains(&format!("<script>{SCRIPT}</script>"))
        );
        for outside in ["http://", "https://", "//cdn", "@import", "url(", "src=", "innerHTML", "eval("] {
            let own = "http://www.w3.org/2000/svg";
            assert!(!html.replace(own, "").contains(outside), "{outside}");
        }
        let policy = page.policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }
}
