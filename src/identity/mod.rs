//! F2, identities: who an end is, how people exchange that, and the checks at load (PROTOCOL 2.2).
//!
//! text of a file -> [`armour`] -> [`read_secret`] / [`read_public`] / [`read_psk`] -> [`Identity`] / [`PublicIdentity`]
//! -> [`check_distinct`] over all of one interface.

pub mod armour;
mod distinct;
mod error;
mod files;
mod fingerprint;
mod own;
mod public;

pub use distinct::{Shared, check_distinct};
pub use error::IdentityError;
pub use files::{psk_from_bytes, read_psk, read_public, read_secret, write_psk, write_public, write_secret};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use own::Identity;
pub use public::PublicIdentity;
