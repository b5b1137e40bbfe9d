//! F1, ETSI GS QKD 014: the formats, one module per edition of the standard; used by client and server.
//!
//! A later edition is added beside `v1`, never patched into it: its paths, members and roles differ.

pub mod v1;
