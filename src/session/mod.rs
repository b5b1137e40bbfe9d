//! F4, what a session holds: epochs, counters, replay windows, fast rekey (PROTOCOL 2.8, 2.9).

pub mod epoch;
pub mod fast_rekey;
pub mod keyring;
pub mod replay;
