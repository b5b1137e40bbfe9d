//! F3, the key schedule: every secret goes in under a label, and stages that lack one are another type.

pub mod confirm;
pub mod fast_stages;
pub mod labels;
pub mod qkd;
pub mod stages;
pub mod trace;
pub mod transcript;
