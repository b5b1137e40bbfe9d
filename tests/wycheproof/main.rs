//! Wycheproof vectors of every primitive, on every backend of this build; each test says how many cases it ran at least.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod aead;
mod hkdf;
mod mlkem;
mod xdh;
