//! Fast rekey: the next epoch inside a session, by FR1 and FR2 under its traffic keys (PROTOCOL 2.8).
//!
//! ```text
//! session initiator                                        session responder
//! create_fr1 -> AwaitFr2    -- FR1 (slots, e, auth) -->    open_fr1 -> OpenedFr1: only now its KMEs are asked
//! AwaitFr2::accept_fr2      <-- FR2 (status, e', ok) --    OpenedFr1::create_fr2 -> Fr2Made
//! NewEpoch: seals at once   -- first packet, n + 1 -->     NewEpoch: seals after the first packet under it opens
//! ```
//!
//! States and messages only: resends, caches and the time between tries are the engine's. Which course an FR1 takes
//! beside an earlier one is [`course`].

mod course;
mod epoch;
mod initiator;
mod message;
mod responder;
mod stated;
#[cfg(test)]
mod tests;

pub use self::course::{Fr1Course, course};
pub use self::epoch::{FastRefusal, FastTry, NewEpoch};
pub use self::initiator::{AwaitFr2, Fr2Outcome, create_fr1};
pub use self::responder::{Fr2Made, OpenedFr1, open_fr1};
pub use crate::schedule::fast_stages::EpochRoot;
