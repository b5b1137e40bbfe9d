//! The keys of one I2 or FR1: asked of their sources, checked as they come, handed over as six slots (PROTOCOL 2.5).

use std::time::Duration;

use super::desk::Desk;
use super::rules::KeyRules;
use crate::keys::offer::{SlotAnswer, SlotOffer};
use crate::keys::request::{DeliveredKey, KeyDelivery, KeyRequest, KeyRequestKind, RequestId, SourceFailure};
use crate::types::id::{KeyId, PeerId, SourceId, SourceMask};
use crate::types::limits::{DEC_KEYS_DEADLINE, ENC_KEYS_DEADLINE, QKD_KEY_BITS, QKD_SOURCES_MAX};
use crate::types::policy::Reason;
use crate::types::time::Instant;
use crate::wire::slots::Slot;

/// One source's part.
enum Want {
    /// Outside the asked set.
    Outside,
    /// There will be no key.
    Failed(Reason),
    /// Waits for a token of the request budget.
    Queued(KeyRequestKind),
    /// Asked.
    Asked { id: RequestId, how: Asking },
    /// Here.
    Got(DeliveredKey),
}

/// How a source was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// For a new key.
    New,
    /// For a new key once more, after one whose key_ID was seen before.
    NewAgain,
    /// For the key that the other end named.
    ById,
}

/// The six slots while they fill.
pub(super) struct Gather {
    peer: PeerId,
    wants: [Want; QKD_SOURCES_MAX],
}

impl Gather {
    /// The initiator's side: new keys of the asked set, but of the sources that `excused` gives a reason for.
    pub(super) fn new_keys(peer: PeerId, asked: SourceMask, excused: impl Fn(SourceId) -> Option<Reason>) -> Self {
        let want = |source: SourceId| match (asked.has(source), excused(source)) {
            (false, _) => Want::Outside,
            (true, Some(reason)) => Want::Failed(reason),
            (true, None) => Want::Queued(KeyRequestKind::New { bits: QKD_KEY_BITS }),
        };
        Self { peer, wants: per_source(want) }
    }

    /// The responder's side: the keys that the slots name, but of those that `excused` gives a reason for.
    pub(super) fn by_ids(
        peer: PeerId,
        slots: &[Slot; QKD_SOURCES_MAX],
        excused: impl Fn(SourceId, &KeyId) -> Option<Reason>,
    ) -> Self {
        let mut slots = SourceId::all().zip(slots);
        let want = |_| match slots.next() {
            Some((source, Slot::Key { key_id, .. })) => match excused(source, key_id) {
                Some(reason) => Want::Failed(reason),
                None => Want::Queued(KeyRequestKind::ById { key_id: key_id.clone() }),
            },
            Some((_, Slot::None | Slot::Failed(_))) | None => Want::Outside,
        };
        Self { peer, wants: per_source(want) }
    }

    /// Whether a token of the request budget is needed to go on.
    pub(super) fn waits_for_budget(&self) -> bool {
        self.wants.iter().any(|want| matches!(want, Want::Queued(_)))
    }

    /// Whether a source has been asked and has not answered.
    pub(super) fn is_asking(&self) -> bool {
        self.wants.iter().any(|want| matches!(want, Want::Asked { .. }))
    }

    /// Asks every queued source, if the budget gives a token; one token is the whole set.
    pub(super) fn ask(&mut self, now: Instant, rules: &mut KeyRules, desk: &mut Desk) {
        if !self.waits_for_budget() || !rules.take_token(now, self.peer, desk) {
            return;
        }
        for (source, want) in SourceId::all().zip(self.wants.iter_mut()) {
            if let Want::Queued(kind) = want {
                let kind = kind.clone();
                let how = match &kind {
                    KeyRequestKind::New { .. } => Asking::New,
                    KeyRequestKind::ById { key_id } => {
                        if !rules.see(source, key_id, self.peer, desk) {
                            // Another exchange asked for it while this one waited.
                            *want = Want::Failed(Reason::SeenBefore);
                            continue;
                        }
                        Asking::ById
                    }
                };
                let id = send(self.peer, source, kind, desk);
                *want = Want::Asked { id, how };
            }
        }
    }

    /// Takes an answer of one of its requests; `Err` gives it back if it is none of them.
    pub(super) fn deliver(
        &mut self,
        delivery: KeyDelivery,
        rules: &mut KeyRules,
        desk: &mut Desk,
    ) -> Result<Option<SourceFailure>, KeyDelivery> {
        let asked = |want: &Want| match want {
            Want::Asked { id, how } if *id == delivery.id => Some(*how),
            Want::Asked { .. } | Want::Outside | Want::Failed(_) | Want::Queued(_) | Want::Got(_) => None,
        };
        let Some((want, how)) = self.wants.iter_mut().find_map(|want| asked(want).map(|how| (want, how))) else {
            return Err(delivery);
        };
        let source = delivery.source;
        let key = match delivery.outcome {
            Ok(key) => key,
            Err(failure) => {
                *want = Want::Failed(failure.reason);
                return Ok(Some(failure));
            }
        };
        let is_fresh = how == Asking::ById || rules.see(source, &key.key_id, self.peer, desk);
        let admitted = if is_fresh { rules.admit(source, &key) } else { Err(Reason::SeenBefore) };
        match admitted {
            Ok(()) => *want = Want::Got(key),
            // A key_ID that came before is thrown away and asked for once more (PROTOCOL 2.5 "Seen table").
            Err(Reason::SeenBefore) if how == Asking::New => {
                let id = send(self.peer, source, KeyRequestKind::New { bits: QKD_KEY_BITS }, desk);
                *want = Want::Asked { id, how: Asking::NewAgain };
            }
            Err(reason) => {
                *want = Want::Failed(reason);
                let text = format!("key {} of this source was not accepted: {}", key.key_id.prefix(), reason.as_str());
                return Ok(Some(SourceFailure { reason, text }));
            }
        }
        Ok(None)
    }

    /// Whether every source has answered or failed.
    pub(super) fn is_whole(&self) -> bool {
        !self.wants.iter().any(|want| matches!(want, Want::Queued(_) | Want::Asked { .. }))
    }

    /// Ends the waiting: what has not come is late, what was never asked for was over the budget.
    pub(super) fn close(&mut self) {
        for want in &mut self.wants {
            match want {
                Want::Queued(_) => *want = Want::Failed(Reason::OverBudget),
                Want::Asked { .. } => *want = Want::Failed(Reason::Deadline),
                Want::Outside | Want::Failed(_) | Want::Got(_) => {}
            }
        }
    }

    /// How many keys are here.
    pub(super) fn keys(&self) -> u8 {
        self.wants.iter().filter(|want| matches!(want, Want::Got(_))).count() as u8
    }

    /// The failures so far, for the probe times.
    pub(super) fn failures(&self) -> Vec<(SourceId, Reason)> {
        let failure = |(source, want): (SourceId, &Want)| match want {
            Want::Failed(reason) => Some((source, *reason)),
            Want::Outside | Want::Queued(_) | Want::Asked { .. } | Want::Got(_) => None,
        };
        SourceId::all().zip(&self.wants).filter_map(failure).collect()
    }

    /// The initiator's slots.
    pub(super) fn into_offers(mut self) -> [SlotOffer; QKD_SOURCES_MAX] {
        self.close();
        self.wants.map(|want| match want {
            Want::Got(key) => SlotOffer::Key(key),
            Want::Failed(reason) => SlotOffer::Failed(reason),
            Want::Outside | Want::Queued(_) | Want::Asked { .. } => SlotOffer::NotAsked,
        })
    }

    /// The responder's answers.
    pub(super) fn into_answers(mut self) -> [SlotAnswer; QKD_SOURCES_MAX] {
        self.close();
        self.wants.map(|want| match want {
            Want::Got(key) => SlotAnswer::Key(key),
            Want::Failed(reason) => SlotAnswer::Failed(reason),
            Want::Outside | Want::Queued(_) | Want::Asked { .. } => SlotAnswer::NotNeeded,
        })
    }
}

fn per_source(mut want: impl FnMut(SourceId) -> Want) -> [Want; QKD_SOURCES_MAX] {
    let mut sources = SourceId::all();
    std::array::from_fn(|_| sources.next().map_or(Want::Outside, &mut want))
}

fn send(peer: PeerId, source: SourceId, kind: KeyRequestKind, desk: &mut Desk) -> RequestId {
    let id = desk.next_request();
    let deadline: Duration = match kind {
        KeyRequestKind::New { .. } => ENC_KEYS_DEADLINE,
        KeyRequestKind::ById { .. } => DEC_KEYS_DEADLINE,
    };
    desk.want_keys(KeyRequest { id, peer, source, kind, deadline });
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_asked_for_was_over_the_budget() {
        let asked = SourceMask::from_bits(0b101).unwrap();
        let mut gather =
            Gather::new_keys(PeerId(0), asked, |source| (source.number() == 2).then_some(Reason::NotAsked));
        assert!(gather.waits_for_budget() && !gather.is_whole());
        gather.close();
        let failures: Vec<_> =
            gather.failures().into_iter().map(|(source, reason)| (source.number(), reason)).collect();
        assert_eq!(failures, [(0, Reason::OverBudget), (2, Reason::NotAsked)]);
        assert!(gather.is_whole());
        let offers = gather.into_offers();
        assert!(matches!(offers[0], SlotOffer::Failed(Reason::OverBudget)) && matches!(offers[1], SlotOffer::NotAsked));
    }
}
