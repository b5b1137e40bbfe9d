//! Replays the published vectors of the protocol, byte for byte, intermediate values too (PROTOCOL 2.11).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod fast_rekey;
mod hex;
mod keys;
mod symmetric;
