//! F5, packets: pure functions over a published snapshot (PROTOCOL 2.9).
//!
//! Out: `seal::seal_packet` looks the destination up in `routes`, takes a counter of the caller's lane and seals one record.
//! In: `open::open_datagram` finds the epoch by its index, checks the replay window, opens, and lets a packet pass only if
//! its inner source belongs to the peer. What the engine must learn leaves as a `report::PumpEvent`.
//! `segment` and `bundle` are the plaintexts of the records that carry a super-packet or a burst.

pub mod bundle;
pub mod open;
pub mod report;
pub mod routes;
pub mod seal;
pub mod segment;
pub mod snapshot;
pub mod traffic;

#[cfg(test)]
mod tests;
