//! Runs the binary: stdout, stderr, exit code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, also in its helpers, and runs the product as a process"
)]

mod bench;
mod check;
mod daemon;
mod huge;
mod init;
mod keys;
mod records;
mod report;
mod run;
mod schemas;
mod site;
#[path = "../views/validator.rs"]
mod validator;
