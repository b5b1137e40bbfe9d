//! What every key source can do.

use std::future::Future;
use std::time::Duration;

use super::watch::SourceWatch;
use crate::keys::request::{DeliveredKey, KeyRequest, SourceFailure};

/// How often the daemon asks a source for its status: slow, because it is advisory and the KME has better to do.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// Anything that yields QKD keys.
pub trait KeySource: Send {
    /// Answers one request: a key, or why there is none. Takes no longer than the request's deadline once it is sent;
    /// a key that would come later is thrown away.
    fn fetch(&mut self, request: &KeyRequest) -> impl Future<Output = Result<DeliveredKey, SourceFailure>> + Send;

    /// Asks the KME for its status and keeps it for [`KeySource::watch`]. Advisory: no request is decided by it.
    fn status(&mut self) -> impl Future<Output = Result<(), SourceFailure>> + Send;

    /// A handle that shows the source's figures while a fetch runs.
    fn watch(&self) -> SourceWatch;
}
