//! TUN, netlink, UDP and the packet threads on a real kernel, each test in a network namespace of its own.
//!
//! Needs root and /dev/net/tun; without them a test prints "skipped" and why. A namespace lives as long as its thread
//! and what was opened in it, so nothing is left behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, also in its helpers, and makes its own sockets and processes"
)]

#[path = "../../src/io/doubles.rs"]
mod doubles;
mod header;
mod interface;
mod namespace;
mod packet;
mod pump;
mod queues;
mod source;
mod trials;

// The doubles are written for the crate that they double.
use plait::{dataplane, io};
