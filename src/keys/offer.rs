//! What each end brings to an exchange for each source: a key, or why there is none (PROTOCOL 2.5, 2.8).

use super::request::DeliveredKey;
use crate::types::policy::Reason;

/// The initiator's side of one slot.
pub enum SlotOffer {
    /// The source is outside the asked set.
    NotAsked,
    /// Its KME delivered this key.
    Key(DeliveredKey),
    /// It has no key.
    Failed(Reason),
}

/// The responder's side of one slot.
pub enum SlotAnswer {
    /// The slot names no key, or the key was not fetched because no session could come of it.
    NotNeeded,
    /// Its KME delivered this key.
    Key(DeliveredKey),
    /// Its KME gave no key.
    Failed(Reason),
}
