//! F4, the handshake: I0 to R2 as states that are consumed (PROTOCOL 2.4, 2.5).
//!
//! ```text
//! initiator                                        responder
//! AwaitCookie  ── I0 ──────────────────────────►   CookieGate::answer_i0        keeps nothing
//!              ◄────────────────────────── R0 ──
//! AwaitR1      ── I1 (3 parts) ────────────────►   CookieGate::check_i1, I1Reassembly, WorkLimit, open_i1
//!              ◄──────────────── R1 (3 parts) ──   OpenedI1 → AwaitI2           knows the peer by ss, skem_r, psk
//! AwaitKeys    knows the peer: asks its KMEs
//! AwaitR2      ── I2 ──────────────────────────►   OpenedI2                     knows the peer: asks its KMEs
//!              ◄────────────────────────── R2 ──   R2Made
//! NewSession                                       NewSession
//! ```
//!
//! Each state keeps the datagrams it made, for verbatim resends and cached answers. A message that is refused leaves
//! the state as it was: it is opened on a fork, and the next state exists only if it opened. Timers, resends and
//! the number of states kept are the engine's.

pub mod cookie;
pub mod initiator;
mod initiator_keys;
pub mod mac;
mod parts;
pub mod reassembly;
pub mod refusal;
pub mod responder;
mod settled;
mod source;
pub mod terms;
pub mod work;
