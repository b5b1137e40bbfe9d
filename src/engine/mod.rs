//! F6, the engine: all peers as one value that is fed and drained.
//!
//! ```text
//! pumps ──PumpEvent──▶ handle_pump ┐                        ┌▶ Transmit   a datagram to send
//! KMEs ──KeyDelivery─▶ handle_keys ├▶ peers (attempt,       ├▶ WantKeys   a key source to ask
//! disk ──────────────▶ handle_stored  answer, rekey, clock) ├▶ Store      a file to write
//! people ────────────▶ handle_command                       ├▶ Publish    what the pumps work from
//! time ──────────────▶ handle_timeout ┘                     └▶ Event      something to tell
//! ```
//! After every `handle_*`: drain `poll_output`, then arm one timer for `poll_timeout`.

mod answer;
pub mod arrange;
mod attempt;
mod chain;
mod change;
pub mod course;
mod demux;
mod desk;
mod door;
mod epochs;
mod gather;
mod holding;
mod interface;
pub mod output;
pub mod overriding;
mod pace;
mod peer;
mod peers;
mod publish;
mod ratchet;
mod rekey;
mod rekey_answer;
mod replies;
mod rules;
pub mod setup;
mod staging;
pub mod status;

pub use self::interface::Engine;
