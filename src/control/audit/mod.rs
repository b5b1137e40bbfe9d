//! The audit: which traffic, between which times, was protected by which keys; lines that hang together.
//!
//! A line is `HASH BODY`: BODY is a [`record::Record`] as JSON, HASH is SHA-256 over the 64 characters of the line before's
//! HASH and BODY, in lower-case hexadecimal. Before the first line stand 64 zeros. `printf %s%s HASH BODY | sha256sum`
//! checks a line without plait. The [`chain::Head`] holds the last line's number and HASH, so that a cut end is seen.

pub mod chain;
pub mod record;
pub mod table;
pub mod verify;
