//! The status page as those meet it who ask for it: scrapers, browsers, strangers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, runs programs and waits, also in its helpers"
)]

mod browser;
mod door;
mod hostile;
mod monitors;
mod pages;
mod sample;
mod schema;
mod server;
mod validator;
