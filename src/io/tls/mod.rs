//! TLS towards KMEs, both ends: files read and judged, certificates checked by name or pin, failures put into words.
//!
//! `files` are bytes by path; `leaf` reads what a certificate says; `material` loads PEM files and names the usual mistakes; `verify` decides whether
//! a KME's certificate is the expected one; `client` and `server` make the configurations; `explain` words what failed.

pub mod client;
pub mod explain;
pub mod files;
pub mod leaf;
pub mod material;
mod pkcs12;
pub mod server;
pub mod verify;
