//! Addresses, MTU and routes of the interface: planned as a list of steps, then taken through netlink.
//!
//! Everything that is set here hangs on the interface and vanishes with it.

pub mod netlink;
pub mod plan;
pub mod routes;
