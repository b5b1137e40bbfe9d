//! F0, words: plain values that every floor shares. Nothing here decides anything.

pub mod bucket;
pub mod histogram;
pub mod id;
pub mod limits;
pub mod nearest;
pub mod offload;
pub mod policy;
pub mod prefix;
pub mod random;
pub mod secret;
pub mod secret_slab;
pub mod terms;
pub mod time;
