//! F7, the simulator: whole endpoints, their KMEs and a network that fail in every way, on one virtual clock, out of one seed.
//!
//! ```text
//! seed ─▶ plan (what may happen, how often) ─▶ world (what happens) ─▶ oracle, model (what must never happen)
//!                                                │ hosts, link, key sources, faults
//!                                                └▶ trace (the same seed, the same hash), life (a picture of it)
//! ```
//! Two phases: safety, in which the faults of the plan come and go, then liveness: they end, and traffic must flow again.
//! Feature `sim`: a release does not contain it. `docs/ARCHITECTURE.md` says how it is run.

#![allow(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "sites, pairs and sources are numbered by the plan, and a simulator that is wrong should stop"
)]

mod deliver;
mod disk;
pub mod draw;
mod faults;
mod host;
pub mod kem_double;
mod key_pair;
pub mod life;
mod model;
mod oracle;
pub mod plan;
mod setup;
mod trace;
mod world;

pub use self::world::{Outcome, simulate};
