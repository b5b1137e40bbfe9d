//! Addresses, MTU and routes of the interface: planned as a list of steps, then taken through netlink.
//!
//! Everything that is set here hangs on the interface and vanishes with it, but for the kill switch, whose purpose is to stay.

pub mod blackholes;
pub mod kill_switch;
pub mod netlink;
pub mod plan;
pub mod routes;
pub mod watch;
