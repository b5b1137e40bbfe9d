//! F5, packets: pure functions over a published snapshot (PROTOCOL 2.9).
//!
//! Out: `frame` reads what a TUN queue gave, `pack` looks its destination up in `routes`, cuts (`segment`) or gathers
//! (`bundling`) it, takes counters of the caller's lane and seals records into a `train` of equal datagrams.
//! In: `open` finds the epoch by its index, checks the replay window, opens, and lets a packet pass only if its inner
//! source belongs to the peer; `join` makes super-packets again. What the engine must learn leaves as a
//! `report::PumpEvent`. `segment` and `bundle` are the plaintexts of the records that carry a super-packet or a burst.

pub mod bundle;
mod bundling;
pub mod frame;
pub mod join;
pub mod open;
pub mod pack;
pub mod report;
pub mod routes;
pub mod seal;
pub mod segment;
pub mod single;
pub mod snapshot;
pub mod traffic;
pub mod train;

#[cfg(test)]
mod tests;
