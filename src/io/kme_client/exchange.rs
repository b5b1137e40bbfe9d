//! One exchange with a KME and everything it showed: for tests of the KME, where the code of an answer is what counts.

use std::time::Duration;

use tokio::time::Instant;

use super::methods::KmeClient;
use crate::config::HttpMethod;
use crate::etsi014::v1::container::container_bytes_max;
use crate::etsi014::v1::path::{self, Method};
use crate::etsi014::v1::request::{NewKeys, key_ids_json};
use crate::io::https::{Answer, Call, Fault, Seen};
use crate::types::id::SaeId;
use crate::types::limits::{QKD_KEY_BITS, QKD_KEY_BYTES_MAX};

/// Keys that an answer may hold: more than are ever asked for here, so that a KME that gives too many is heard out.
const KEYS_MAX: u64 = 4;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Question<'q> {
    /// Method 1.
    Status,
    /// Method 2: one key of 256 bits.
    New,
    /// Method 3.
    ByIds(&'q [&'q str]),
}

impl Question<'_> {
    /// Its method.
    pub fn method(self) -> Method {
        match self {
            Self::Status => Method::Status,
            Self::New => Method::EncKeys,
            Self::ByIds(_) => Method::DecKeys,
        }
    }
}

/// What came of it.
pub struct Asked {
    /// The answer, of any code, or why there is none.
    pub answer: Result<Answer, Fault>,
    /// The connection's facts, if one stood at the end.
    pub seen: Option<Seen>,
    /// From the request, with a connection if one had to be made, to the end of the answer.
    pub took: Duration,
}

impl KmeClient {
    /// Asks once, for the other SAE `sae`.
    pub async fn ask(&self, timeout: Duration, sae: &SaeId, question: Question<'_>) -> Asked {
        let (query, body) = self.written(question);
        let mut target = path::path(self.https.url().prefix(), sae, question.method());
        if let Some(query) = query {
            target = format!("{target}?{query}");
        }
        let body_bytes_max = container_bytes_max(KEYS_MAX, QKD_KEY_BYTES_MAX as u64 * 8);
        let mut turn = self.https.turn().await;
        let begun = Instant::now();
        let answer = turn.call(begun + timeout, &Call { body, target, body_bytes_max }).await;
        Asked { answer, seen: turn.seen().cloned(), took: begun.elapsed() }
    }

    /// Query and body, as the configured method has them.
    fn written(&self, question: Question<'_>) -> (Option<String>, Option<String>) {
        let one = NewKeys { number: 1, size: QKD_KEY_BITS.into() };
        match (question, self.method) {
            (Question::Status, _) => (None, None),
            (Question::New, HttpMethod::Post) => (None, Some(one.to_json())),
            (Question::New, HttpMethod::Get) => (Some(path::enc_keys_query(one.number, one.size)), None),
            (Question::ByIds([id]), HttpMethod::Get) => (Some(path::dec_keys_query(id)), None),
            (Question::ByIds(ids), _) => (None, Some(key_ids_json(ids.iter().copied()))),
        }
    }
}
