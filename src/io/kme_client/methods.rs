//! The three methods of a KME, asked with deadlines; `dec_keys` again and again while the key may be on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::classify::judge;
use crate::config::HttpMethod;
use crate::etsi014::v1::container::{self, ContainerKey, container_bytes_max};
use crate::etsi014::v1::json::Malformed;
use crate::etsi014::v1::path::{self, Method};
use crate::etsi014::v1::request::{NewKeys, key_ids_json};
use crate::etsi014::v1::status::Status;
use crate::io::entropy::OsEntropy;
use crate::io::https::{Answer, Call, Fault, HttpsClient};
use crate::keys::request::SourceFailure;
use crate::types::id::SaeId;
use crate::types::limits::{DEC_KEYS_DEADLINE, ENC_KEYS_DEADLINE, QKD_KEY_BYTES_MAX};
use crate::types::policy::Reason;
use crate::types::random::Entropy;

/// Bytes of a status: eleven members and vendor extensions.
const STATUS_BYTES_MAX: usize = 64 * 1024;
/// Pause before the first retry of `dec_keys`, doubled each time; up to as much again is added at random.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause without its random part: a key that took seconds is fetched within one more.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(800);

/// A KME towards one remote SAE.
pub struct KmeClient {
    /// The connection.
    pub https: Arc<HttpsClient>,
    /// This site's SAE: named in hints only, the KME knows it by its certificate.
    pub local_sae: SaeId,
    /// The other site's SAE, in every path.
    pub remote_sae: SaeId,
    /// POST or GET.
    pub method: HttpMethod,
}

/// What came of one call, and over which TLS.
pub struct Outcome<T> {
    /// The value, or why there is none.
    pub result: Result<T, SourceFailure>,
    /// TLS version and key exchange, if a connection stood.
    pub tls: Option<String>,
}

impl KmeClient {
    /// Method 1, get status.
    pub async fn status(&self, timeout: Duration) -> Outcome<Status> {
        let call = self.call(Method::Status, None, None, STATUS_BYTES_MAX);
        let (answered, tls) = self.once(timeout.min(ENC_KEYS_DEADLINE), &call).await;
        let result = answered.and_then(|answer| {
            self.accept(Method::Status, &answer)?;
            Status::read(&answer.body).map_err(|error| malformed(Method::Status, &error))
        });
        Outcome { result, tls }
    }

    /// Method 2, get key. Asked once: each further request would cost a further key.
    pub async fn enc_keys(&self, timeout: Duration, asked: NewKeys) -> Outcome<Vec<ContainerKey>> {
        let (query, body) = match self.method {
            HttpMethod::Post => (None, Some(asked.to_json())),
            HttpMethod::Get => (Some(path::enc_keys_query(asked.number, asked.size)), None),
        };
        let bytes_max = container_bytes_max(asked.number.into(), asked.size.into());
        let call = self.call(Method::EncKeys, query, body, bytes_max);
        let (answered, tls) = self.once(timeout.min(ENC_KEYS_DEADLINE), &call).await;
        Outcome { result: answered.and_then(|answer| self.container(Method::EncKeys, answer)), tls }
    }

    /// Method 3, get key with key ids. Asked again while the keys may be on their way to this KME.
    pub async fn dec_keys(&self, timeout: Duration, ids: &[String]) -> Outcome<Vec<ContainerKey>> {
        let (query, body) = match (self.method, ids) {
            (HttpMethod::Get, [id]) => (Some(path::dec_keys_query(id)), None),
            (HttpMethod::Get | HttpMethod::Post, _) => (None, Some(key_ids_json(ids.iter().map(String::as_str)))),
        };
        // Of any length, because the other site may have asked for one.
        let bytes_max = container_bytes_max(ids.len() as u64, QKD_KEY_BYTES_MAX as u64 * 8);
        let call = self.call(Method::DecKeys, query, body, bytes_max);
        let mut turn = self.https.turn().await;
        let until = Instant::now() + timeout.min(DEC_KEYS_DEADLINE);
        let mut pause = RETRY_PAUSE_MIN;
        let mut tries = 1;
        let mut said: Option<SourceFailure> = None;
        loop {
            let answered = turn.call(until, &call).await;
            let tls = turn.tls().map(str::to_owned);
            drop(turn);
            let (failure, is_passing) = match self.dec_answer(answered) {
                Ok(keys) => return Outcome { result: Ok(keys), tls },
                // What the KME said before is the reason; that the last try had no time left is none.
                Err((late, _)) if late.reason == Reason::Deadline && said.is_some() => (said.unwrap_or(late), false),
                Err(failed) => failed,
            };
            said = Some(failure.clone());
            let next = Instant::now() + spread(pause, chance());
            let given_up = |tries| Outcome { result: Err(after(tries, failure.clone())), tls: tls.clone() };
            if !is_passing || next >= until {
                return given_up(tries);
            }
            sleep(next - Instant::now()).await;
            turn = match timeout_at(until, self.https.turn()).await {
                Ok(turn) => turn,
                Err(_) => return given_up(tries),
            };
            pause = RETRY_PAUSE_MAX.min(pause * 2);
            tries += 1;
        }
    }

    fn dec_answer(&self, answered: Result<Answer, Fault>) -> Result<Vec<ContainerKey>, (SourceFailure, bool)> {
        let answer = answered.map_err(|fault| {
            let is_passing = fault.is_passing;
            (self.failure(fault.reason, fault.text), is_passing)
        })?;
        match judge(Method::DecKeys, answer.code, &answer.body) {
            Ok(()) => self.container(Method::DecKeys, answer).map_err(|failure| (failure, false)),
            Err(refusal) => Err((self.failure(refusal.reason, refusal.text), refusal.is_passing)),
        }
    }

    fn call(&self, method: Method, query: Option<String>, body: Option<String>, body_bytes_max: usize) -> Call {
        let mut target = path::path(self.https.url().prefix(), &self.remote_sae, method);
        if let Some(query) = query {
            target = format!("{target}?{query}");
        }
        Call { body, target, body_bytes_max }
    }

    /// One try, its time counted from when the KME is free.
    async fn once(&self, timeout: Duration, call: &Call) -> (Result<Answer, SourceFailure>, Option<String>) {
        let mut turn = self.https.turn().await;
        let answered = turn.call(Instant::now() + timeout, call).await;
        let answered = answered.map_err(|fault| self.failure(fault.reason, fault.text));
        (answered, turn.tls().map(str::to_owned))
    }

    fn accept(&self, method: Method, answer: &Answer) -> Result<(), SourceFailure> {
        judge(method, answer.code, &answer.body).map_err(|refusal| self.failure(refusal.reason, refusal.text))
    }

    fn container(&self, method: Method, answer: Answer) -> Result<Vec<ContainerKey>, SourceFailure> {
        self.accept(method, &answer)?;
        container::read(answer.body).map_err(|error| malformed(method, &error))
    }

    /// Where the KME refuses us, the certificate that names another SAE than the configuration is the first suspect.
    fn failure(&self, reason: Reason, text: String) -> SourceFailure {
        let came_to_an_answer = matches!(reason, Reason::Refused | Reason::NoKeyNow | Reason::UnknownKeyId);
        let Some(cn) = self.https.own().common_name.as_deref().filter(|cn| *cn != self.local_sae.as_str()) else {
            return SourceFailure { reason, text };
        };
        let shown = format!("our certificate's CN is {}", cn.escape_debug());
        let text = if came_to_an_answer && cn == self.remote_sae.as_str() {
            format!("{text}; {shown}, which is remote_sae here: local_sae and remote_sae are swapped")
        } else if reason == Reason::Refused {
            format!("{text}; {shown}, local_sae is {}", self.local_sae)
        } else {
            text
        };
        SourceFailure { reason, text }
    }
}

fn malformed(method: Method, error: &Malformed) -> SourceFailure {
    SourceFailure { reason: Reason::Malformed, text: format!("the answer to {}: {error}", method.as_str()) }
}

fn after(tries: u32, failure: SourceFailure) -> SourceFailure {
    let text = if tries == 1 { failure.text } else { format!("{} (asked {tries} times)", failure.text) };
    SourceFailure { text, ..failure }
}

/// From the pause itself, by chance 0, to twice of it, by chance 1.
fn spread(pause: Duration, chance: f64) -> Duration {
    pause + pause.mul_f64(chance)
}

/// Between 0 and 1: two sites that fail together must not ask together again.
fn chance() -> f64 {
    let mut bytes = [0; 2];
    if let Ok(mut entropy) = OsEntropy::open() {
        entropy.fill(&mut bytes);
    }
    f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_lie_between_0_and_1_and_are_not_the_same() {
        let drawn: Vec<f64> = (0..64).map(|_| chance()).collect();
        assert!(drawn.iter().all(|chance| (0.0..=1.0).contains(chance)), "{drawn:?}");
        assert!(drawn.iter().any(|chance| *chance < 0.5) && drawn.iter().any(|chance| *chance > 0.5), "{drawn:?}");
    }

    #[test]
    fn a_pause_is_never_shorter_and_at_most_twice_as_long() {
        let spread = |chance| spread(RETRY_PAUSE_MIN, chance);
        assert_eq!([0.0, 0.5, 1.0].map(spread), [50, 75, 100].map(Duration::from_millis));
    }
}
