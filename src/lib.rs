//! plait: a point-to-point site tunnel whose keys mix QKD (ETSI GS QKD 014), ML-KEM-1024, X25519 and a PSK.
//!
//! Modules stand in floor order; imports go strictly downward (`tests/tidy.rs`, `docs/ARCHITECTURE.md`).
//! Above the purity line nothing reads a clock, draws randomness, blocks, or names a runtime.

// F0 words
pub mod types;
// F1 formats and primitives
pub mod crypto;
pub mod etsi014;
pub mod wire;
// F2 rules about keys
pub mod identity;
pub mod keys;
pub mod kme;
// F3 the key schedule
pub mod schedule;
// F4 two-party machines
pub mod handshake;
pub mod session;
// F5 packets
pub mod dataplane;
// F6 the engine
pub mod engine;
// F7 what operators write and read; what drives the engine through simulated years
pub mod config;
pub mod control;
#[cfg(feature = "sim")]
pub mod sim;
// ---- the purity line: nothing above reads a clock, entropy, files or sockets ----
// F8 the machine's edges
pub mod io;
// F9 what drives the engine
pub mod daemon;
// F10 the command line
pub mod cli;
