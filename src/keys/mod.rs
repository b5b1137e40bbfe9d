//! F2, rules about keys: what is asked, what is accepted, what the policy allows.
//!
//! A key's way: `budget` and `probe` say whether a source is asked, `request` carries question and answer, `seen` and
//! `fitness` judge what came, `policy` and `clock` decide what happens without it, `ratchet` keeps what sessions leave behind.

pub mod budget;
pub mod clock;
pub mod estimate;
pub mod fitness;
pub mod offer;
pub mod pacer;
pub mod policy;
pub mod probe;
pub mod ratchet;
pub mod request;
pub mod seen;
pub mod state_file;
