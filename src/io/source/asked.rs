//! What a question to a KME came to, with what `status` tells of it.

use std::time::Duration;

use crate::etsi014::v1::path::Method;
use crate::keys::request::SourceFailure;

/// One question that has come to its end.
pub struct Asked<T> {
    /// Which of the three.
    pub method: Method,
    /// From the question to its end, the wait for one's turn at the KME included.
    pub took: Duration,
    /// TLS version and key exchange, if a connection stood.
    pub tls: Option<String>,
    /// The value, or why there is none.
    pub result: Result<T, SourceFailure>,
}

/// What of a KME's status is used: how many keys it says it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// `None` if it does not say.
    pub stored_keys: Option<u64>,
}
