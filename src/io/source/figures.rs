//! What a source shows of itself: counters and last words.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::asked::{Asked, Stock};
use crate::keys::request::DeliveredKey;
use crate::types::histogram::Histogram;
use crate::types::time::UnixTime;

/// How a source does, by its last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SourceState {
    /// Nothing asked yet.
    #[default]
    Unknown,
    /// The last request was answered as asked.
    Ok,
    /// The last request failed.
    Failing,
}

impl SourceState {
    /// The word in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Failing => "failing",
        }
    }
}

/// The figures of a source at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SourceSnapshot {
    /// The source's name.
    pub name: String,
    /// `etsi014`, ..: the `type` of its section.
    pub kind: &'static str,
    /// By the last request.
    pub state: SourceState,
    /// Keys the KME says it stores, and how long ago it said so.
    pub stored_keys: Option<(u64, Duration)>,
    /// TLS version and key exchange of the last connection, as `TLSv1.3 X25519MLKEM768`.
    pub tls: Option<String>,
    /// Keys delivered to the engine.
    pub keys_used: u64,
    /// Key and status requests answered as asked.
    pub requests_ok: u64,
    /// Key and status requests that failed.
    pub requests_failed: u64,
    /// The last failure, with its age.
    pub last_error: Option<(String, Duration)>,
    /// When our own certificate ends.
    pub certificate_expiry: Option<UnixTime>,
    /// Requests by method and what came of them.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// How long requests took by method, whatever came of them; the wait for one's turn at the KME included.
    pub took: BTreeMap<&'static str, Histogram>,
}

/// The figures of one source as they grow.
#[derive(Default)]
pub struct SourceFigures {
    shown: SourceSnapshot,
    status_at: Option<Instant>,
    error_at: Option<Instant>,
}

impl SourceFigures {
    /// Of a source that has not been asked yet.
    pub fn new(name: &str, kind: &'static str, certificate_expiry: Option<UnixTime>) -> Self {
        let shown = SourceSnapshot { name: name.to_owned(), kind, certificate_expiry, ..SourceSnapshot::default() };
        Self { shown, ..Self::default() }
    }

    /// The same source goes on with another certificate.
    pub fn renew(&mut self, certificate_expiry: Option<UnixTime>) {
        self.shown.certificate_expiry = certificate_expiry;
    }

    /// The figures of this moment.
    pub fn snapshot(&self) -> SourceSnapshot {
        let mut shown = self.shown.clone();
        let age = |at: Option<Instant>| at.map(|at| at.elapsed()).unwrap_or_default();
        shown.stored_keys = shown.stored_keys.map(|(keys, _)| (keys, age(self.status_at)));
        shown.last_error = shown.last_error.map(|(text, _)| (text, age(self.error_at)));
        shown
    }

    /// A key was asked for.
    pub fn note_key(&mut self, asked: &Asked<DeliveredKey>) {
        self.note(asked);
        self.shown.state = if asked.result.is_ok() { SourceState::Ok } else { SourceState::Failing };
        self.shown.keys_used += u64::from(asked.result.is_ok());
    }

    /// The status was asked for.
    pub fn note_status(&mut self, asked: &Asked<Stock>) {
        self.note(asked);
        if let Ok(stock) = &asked.result {
            self.shown.stored_keys = stock.stored_keys.map(|keys| (keys, Duration::ZERO));
            self.status_at = Some(Instant::now());
        }
    }

    fn note<T>(&mut self, asked: &Asked<T>) {
        let result = asked.result.as_ref().map_or_else(|failure| failure.reason.as_str(), |_| "ok");
        *self.shown.requests.entry((asked.method.as_str(), result)).or_default() += 1;
        self.shown.took.entry(asked.method.as_str()).or_default().note(asked.took);
        if let Some(tls) = &asked.tls {
            self.shown.tls = Some(tls.clone());
        }
        match &asked.result {
            Ok(_) => self.shown.requests_ok += 1,
            Err(failure) => {
                self.shown.requests_failed += 1;
                let text = format!("{}: {}", failure.reason.as_str(), failure.text);
                self.shown.last_error = Some((text, Duration::ZERO));
                self.error_at = Some(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etsi014::v1::path::Method;
    use crate::keys::request::SourceFailure;
    use crate::types::policy::Reason;

    fn asked<T>(result: Result<T, SourceFailure>) -> Asked<T> {
        Asked { method: Method::Status, took: Duration::from_millis(7), tls: None, result }
    }

    #[test]
    fn each_request_counts_once_as_it_ended() {
        let mut figures = SourceFigures::new("fibre-1", "etsi014", Some(UnixTime(1)));
        for _ in 0..2 {
            figures.note_status(&asked(Ok(Stock { stored_keys: Some(9) })));
            figures.note_status(&asked(Err(SourceFailure { reason: Reason::Deadline, text: "late".to_owned() })));
            figures.note_status(&asked(Err(SourceFailure { reason: Reason::Deadline, text: "late".to_owned() })));
        }
        figures.renew(Some(UnixTime(2)));
        let shown = figures.snapshot();
        assert_eq!((shown.requests_ok, shown.requests_failed, shown.keys_used), (2, 4, 0));
        assert_eq!(shown.requests, BTreeMap::from([(("status", "ok"), 2), (("status", Reason::Deadline.as_str()), 4)]));
        assert_eq!((shown.stored_keys.unwrap().0, shown.certificate_expiry), (9, Some(UnixTime(2))));
        assert!(shown.last_error.unwrap().0.ends_with("late"));
    }

    #[test]
    fn the_words_of_a_source_are_those_of_its_status() {
        let states = [SourceState::Unknown, SourceState::Ok, SourceState::Failing];
        assert_eq!(states.map(SourceState::as_str), ["unknown", "ok", "failing"]);
    }
}
