//! F7, the configuration of one interface: pure text in, resolved values or placed errors out.
//!
//! text -> `file` (as written: serde, every value with its place) -> [`parse`] (resolved: defaults, bounds, cross checks)
//! -> [`Config`]. Files that it names are read elsewhere; each keeps its place, so that a missing one is
//! reported at its line.

mod check;
pub mod edit;
mod error;
mod file;
mod model;
mod offload;
mod policy;
mod reader;
mod resolve;
mod sources;
mod value;

pub use error::{ConfigError, ConfigErrors, Place};
pub use model::{
    AuditMode, Backend, CipherChoice, Config, FileRef, HttpMethod, Interface, InterfaceAddress, KmeTls, Mtu, Peer,
    Policy, RouteTable, Source,
};
pub use resolve::{interface_name, parse};

#[cfg(test)]
mod tests;
