//! What every key source can do.

use std::future::Future;
use std::time::Duration;

use super::asked::{Asked, Stock};
use crate::keys::request::{DeliveredKey, KeyRequestKind};

/// How often a source is asked for its status: slow, because it is advisory and the KME has better to do.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// Anything that yields QKD keys.
pub trait KeySource: Send {
    /// Answers one request: a key, or why there is none. Takes no longer than `deadline` once it is sent; a key that would
    /// come later is thrown away.
    fn fetch(&mut self, kind: &KeyRequestKind, deadline: Duration) -> impl Future<Output = Asked<DeliveredKey>> + Send;

    /// Asks the KME for its status. Advisory: no request is decided by it.
    fn status(&mut self) -> impl Future<Output = Asked<Stock>> + Send;
}
