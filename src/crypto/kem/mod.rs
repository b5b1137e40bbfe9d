//! ML-KEM: one trait, the implementations behind it, and which of them is the default.

mod api;
mod libcrux;

pub use api::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};

/// What the daemon uses: libcrux, the only fast backend that takes seed and `m` (PROTOCOL 2.2).
pub fn default_backend() -> &'static dyn Kem {
    &libcrux::LibcruxKem
}
