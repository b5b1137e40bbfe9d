//! Properties that hold for every input, with inputs drawn by proptest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "moods and events that a test does not look at")]

#[path = "../pair/config.rs"]
mod config;
#[path = "../handshake/ends.rs"]
mod ends;
mod engine;
mod etsi014;
mod fast_rekey;
#[path = "../handshake/fixture.rs"]
mod fixture;
mod handshake;
mod identity;
mod keys;
#[path = "../pair/kme.rs"]
mod kme;
#[path = "../link/link.rs"]
mod link;
#[path = "../handshake/pair.rs"]
#[expect(dead_code, reason = "only other tests rotate cookies and build I1 anew")]
mod pair;
mod path;
mod ratchet;
mod ratchet_model;
mod records;
mod replay;
mod routes;
mod segments;
mod supers;
mod wire;
#[path = "../pair/world.rs"]
#[expect(dead_code, reason = "the tests of single rules look at more of it")]
mod world;
