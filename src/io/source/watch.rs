//! What a source shows of itself: counters and last words, readable at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::etsi014::v1::path::Method;
use crate::etsi014::v1::status::Status;
use crate::keys::request::SourceFailure;
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

#[derive(Default)]
struct Figures {
    shown: SourceSnapshot,
    status_at: Option<Instant>,
    error_at: Option<Instant>,
}

/// A handle on the figures of one source.
#[derive(Clone, Default)]
pub struct SourceWatch(Arc<Mutex<Figures>>);

impl SourceWatch {
    /// The figures of a source that has not been asked yet.
    pub fn new(name: &str, kind: &'static str, certificate_expiry: Option<UnixTime>) -> Self {
        let watch = Self::default();
        watch.change(|figures| {
            figures.shown.name = name.to_owned();
            figures.shown.kind = kind;
            figures.shown.certificate_expiry = certificate_expiry;
        });
        watch
    }

    /// Another source with the same name goes on with these figures, and with this certificate.
    pub(super) fn renew(&self, certificate_expiry: Option<UnixTime>) {
        self.change(|figures| figures.shown.certificate_expiry = certificate_expiry);
    }

    /// The figures of this moment.
    pub fn snapshot(&self) -> SourceSnapshot {
        let figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = figures.shown.clone();
        let age = |at: Option<Instant>| at.map(|at| at.elapsed()).unwrap_or_default();
        shown.stored_keys = shown.stored_keys.map(|(keys, _)| (keys, age(figures.status_at)));
        shown.last_error = shown.last_error.map(|(text, _)| (text, age(figures.error_at)));
        shown
    }

    /// A request of this method has come to an end after so long.
    pub(super) fn asked<T>(&self, method: Method, took: Duration, result: &Result<T, SourceFailure>) {
        let result = result.as_ref().map_or_else(|failure| failure.reason.as_str(), |_| "ok");
        self.change(|figures| {
            *figures.shown.requests.entry((method.as_str(), result)).or_default() += 1;
            figures.shown.took.entry(method.as_str()).or_default().note(took);
        });
    }

    pub(super) fn connected(&self, tls: &str) {
        self.change(|figures| figures.shown.tls = Some(tls.to_owned()));
    }

    pub(super) fn status_came(&self, status: &Status) {
        self.change(|figures| {
            figures.shown.stored_keys = status.stored_key_count.map(|keys| (keys, Duration::ZERO));
            figures.status_at = Some(Instant::now());
            figures.shown.requests_ok += 1;
        });
    }

    pub(super) fn key_came(&self) {
        self.change(|figures| {
            figures.shown.state = SourceState::Ok;
            figures.shown.keys_used += 1;
            figures.shown.requests_ok += 1;
        });
    }

    pub(super) fn key_failed(&self, failure: &SourceFailure) {
        self.change(|figures| figures.shown.state = SourceState::Failing);
        self.status_failed(failure);
    }

    pub(super) fn status_failed(&self, failure: &SourceFailure) {
        self.change(|figures| {
            figures.shown.requests_failed += 1;
            figures.shown.last_error = Some((format!("{}: {}", failure.reason.as_str(), failure.text), Duration::ZERO));
            figures.error_at = Some(Instant::now());
        });
    }

    fn change(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
