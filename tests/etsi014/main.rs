//! ETSI GS QKD 014 over mutual TLS on loopback: our client against our KMEs, against scripted ones, and foreign requests at ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, also in its helpers; the command line is run as a process"
)]

mod answers;
mod bad_replies;
mod broken_http;
mod broken_json;
mod certificates;
mod cli;
mod dialects;
mod doctor;
mod exactly_once;
mod files;
mod keys_process;
mod kme_test;
mod mistakes;
mod pair;
mod pkcs12;
mod pki;
mod raw;
mod refused_late;
mod requests;
mod sites;
mod stub;
mod timing;
mod trust;
#[path = "../views/validator.rs"]
mod validator;
mod world;
