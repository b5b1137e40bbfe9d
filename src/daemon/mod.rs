//! F9, what drives the engine: the control loop and the packet threads.
//!
//! `load` reads, `start` sets up, `run` is the loop; `effects` carries out what the engine wants, `fetch` asks the key
//! sources, `pump` moves the packets, `journal` tells people at once, `events` later; `reload` changes what runs; `kill_switch` stays when
//! all of it has ended.

pub mod ask;
mod audit;
pub mod certificates;
mod damage;
mod effects;
mod events;
mod fetch;
mod journal;
pub mod keeper;
pub mod keys_process;
pub mod kill_switch;
pub mod limits;
mod live;
pub mod load;
mod mtu;
mod overrides;
mod pacing;
pub mod pump;
mod refused;
mod reload;
mod repair;
pub mod report;
pub mod run;
pub mod setup;
pub mod start;
mod waiters;
