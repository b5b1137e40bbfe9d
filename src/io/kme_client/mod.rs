//! A client of KMEs: the three methods of ETSI GS QKD 014 over HTTPS, with their deadlines, retries and reasons.
//!
//! `registry` gives sections with one url one connection; `methods` asks; `classify` turns codes and bodies into reasons;
//! `exchange` asks one thing once, for tests of the KME.

pub mod classify;
pub mod exchange;
pub mod methods;
pub mod registry;
