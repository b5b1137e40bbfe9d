//! To the keys process, which alone speaks to KMEs: plain data in a form of our own, whose parsers are total.
//!
//! `handover` is what its keeper gives it: sources, and the files of TLS as bytes. `frames` is what it and the packet process say to
//! each other: a request, and what came of it. `text` is how words stand in both. Neither end trusts the other: what was not
//! asked for is not taken, and what is asked for is bounded by the sources that the keeper gave.

pub mod frames;
pub mod handover;
mod text;
