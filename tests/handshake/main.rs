//! The handshake's states as an engine drives them: what each refuses, and what it keeps (PROTOCOL 2.4, 2.5, 2.7).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, also in its helpers"
)]

mod ends;
mod fixture;
mod outcomes;
mod pair;
mod refusals;
