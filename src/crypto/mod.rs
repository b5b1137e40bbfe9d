//! F1, primitives: the only module that names a cipher crate. Bytes in, bytes out; no protocol.

pub mod aead;
pub mod check_words;
pub mod dh;
pub mod digest;
pub mod entropy;
pub mod kdf;
pub mod kem;
pub mod self_test;
