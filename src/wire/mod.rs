//! F1, formats: bytes from the network become values that cannot be wrong, or a [`field::Malformed`].
//!
//! `handshake` reads a datagram of types 1 to 6, `bodies` the whole message, `terms`, `slots` and `status` what is
//! sealed in it. `ip`, `layers`, `ecn` and `checksum` look at inner packets, `vnet` at what the kernel left to be done to
//! them, `icmp` answers one that does not fit.

pub mod bodies;
pub mod checksum;
pub mod control;
pub mod ecn;
pub mod field;
pub mod handshake;
pub mod icmp;
pub mod ip;
pub mod layers;
pub mod slots;
pub mod status;
pub mod terms;
pub mod transport;
pub mod vnet;
