//! Replays the published vectors of the protocol, byte for byte, intermediate values too (PROTOCOL 2.11).
//!
//! `$PLAIT_VECTORS` names another folder of files in the same form; it may hold only some kinds, but at least one
//! `handshake-*.json`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, also in its helpers"
)]

mod check_words;
mod data;
mod datagram;
#[path = "../handshake/ends.rs"]
mod ends;
mod fast_rekey;
mod folder;
mod handshake;
mod hex;
mod keys;
#[path = "../link/link.rs"]
mod link;
mod negative;
#[path = "../handshake/pair.rs"]
mod pair;
mod read;
mod records;
mod scripted;
mod symmetric;
