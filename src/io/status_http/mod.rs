//! The status page's listener: one request a connection, everything about it bounded, nothing but looking possible.
//!
//! `bound` accepts and bounds, `door` says which requests are let in, `shelf` keeps one moment for all who ask,
//! `page` is what a browser gets.

mod bound;
mod door;
mod page;
mod shelf;

pub use self::bound::{CONNECTION_DEADLINE, CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_DEADLINE, StatusListener};
pub use self::shelf::Ask;
