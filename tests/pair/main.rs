//! Two whole engines against each other on virtual time: loss, duplicates, restarts, KME answers of every kind, every policy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by failing"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "moods and events that a test does not look at")]

mod admit;
mod budget;
mod changes;
mod config;
mod course;
mod deadlines;
mod exchange;
mod kme;
mod kme_faults;
mod lengths;
mod life;
mod losses;
mod overrides;
mod pacing;
mod paths;
mod patterns;
mod policy;
mod probes;
mod rejects;
mod rejects_session;
mod secrets;
mod seeds;
mod starts;
mod storm;
mod strangers;
mod traffic;
mod wall_clock;
mod world;
