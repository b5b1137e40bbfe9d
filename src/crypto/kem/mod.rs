//! ML-KEM: one trait, the implementations behind it, and which of them is the default.

mod api;
mod aws_lc;
mod libcrux;
mod modulus;
#[cfg(feature = "kem-pqcrypto")]
mod pqcrypto;
mod rustcrypto;
mod stack;

pub use api::{Kem, KemKeyPair, SEED_BYTES, SHARED_BYTES};

/// What the daemon uses: libcrux, the only fast backend that takes seed and `m` (PROTOCOL 2.2).
pub fn default_backend() -> &'static dyn Kem {
    &libcrux::LibcruxKem
}

/// The ml-kem crate: what the others are compared with.
pub fn reference() -> &'static dyn Kem {
    &rustcrypto::RustCryptoKem
}

/// aws-lc-rs; draws its own `m`.
pub fn aws_lc() -> &'static dyn Kem {
    &aws_lc::AwsLcKem
}

/// pqcrypto-kyber; draws its own `m`.
#[cfg(feature = "kem-pqcrypto")]
pub fn pqcrypto() -> &'static dyn Kem {
    &pqcrypto::PqcryptoKem
}

/// Every backend built in, the default first: for `plait version` and for tests that compare them.
pub fn all() -> Vec<&'static dyn Kem> {
    vec![
        default_backend(),
        reference(),
        aws_lc(),
        #[cfg(feature = "kem-pqcrypto")]
        pqcrypto(),
    ]
}

#[cfg(test)]
mod tests;
