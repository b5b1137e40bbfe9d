//! The real binary in network namespaces: sites, a wan between them, KMEs; needs root and /dev/net/tun, says SKIPPED without.
//!
//! ```text
//!   site a --10.1.1.0/24, fd01:1::/64-- wan --10.1.2.0/24, fd01:2::/64-- site b     outer addresses; `wan` forwards
//!      \___ 10.3.1.0/24 ___ kme ___ 10.3.2.0/24 ___/                               each site reaches its own KME
//!   inner: 10.99.0.1 and fd99::1 at a, 10.99.0.2 and fd99::2 at b
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, runs programs and waits, also in its helpers"
)]

// The harness.
mod blocks;
mod capture;
mod config;
mod flood;
mod forge;
mod hub;
mod kme;
mod load;
mod process;
mod relay;
mod site;
mod streams;
mod terminal;
mod topology;
mod traffic;
mod vitals;
mod world;

// The tests.
mod attacks;
mod backends;
mod bench;
mod boots;
mod canary;
mod clear;
mod clocks;
mod confinement;
mod connections;
mod demo;
mod dialects;
mod doctor;
mod documents;
mod faults;
mod floods;
mod harness;
mod headers;
mod huge;
mod impairment;
mod kills;
mod leftovers;
mod life;
mod membership;
mod mtu;
mod offloads;
mod outages;
mod overrides;
mod peers;
mod policies;
mod processes;
mod queues;
mod ratchet;
mod records;
mod rekeys;
mod reload;
mod reports;
mod restarts;
mod roaming;
mod shortage;
mod sources;
mod steady;
mod stops;
mod too_big;
mod transports;
#[path = "../views/validator.rs"]
mod validator;
mod verbs;
mod views;
mod walk;
mod wrong;
