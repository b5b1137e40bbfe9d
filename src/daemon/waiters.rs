//! Callers of `rekey --wait`: answered when every peer asked has another epoch than before, or when time is up.

use std::collections::BTreeMap;

use tokio::sync::oneshot::Sender;
use tokio::time::Instant;

use super::limits::{REKEY_WAIT, WAITERS_MAX};
use super::start::Running;
use crate::control::request::Answer;
use crate::types::id::PeerId;

/// Each peer asked, with the number of confirmed epochs it had.
type Before = Vec<(PeerId, u64)>;

struct Waiter {
    before: Before,
    until: Instant,
    answer: Sender<Answer>,
}

/// All who wait.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    /// The confirmed epochs of the peers asked, at this moment.
    pub(super) fn epochs(&self, running: &Running, which: Option<PeerId>) -> Before {
        confirmed(running).into_iter().filter(|(peer, _)| which.is_none_or(|asked| asked == *peer)).collect()
    }

    /// One more caller; turned away if there are too many.
    pub(super) fn add(&mut self, before: Before, answer: Sender<Answer>) {
        if self.0.len() >= WAITERS_MAX {
            let error = format!("{WAITERS_MAX} callers wait for new keys already");
            drop(answer.send(Answer::Refused { error }));
            return;
        }
        self.0.push(Waiter { before, until: Instant::now() + REKEY_WAIT, answer });
    }

    /// Answers those who have waited long enough.
    pub(super) fn look(&mut self, running: &Running) {
        if self.0.is_empty() {
            return;
        }
        let (now, epochs) = (Instant::now(), confirmed(running));
        // A peer that has gone keeps nobody waiting.
        let is_new = |(peer, before): &(PeerId, u64)| epochs.get(peer).is_none_or(|epoch| epoch > before);
        for waiter in self.0.extract_if(.., |waiter| waiter.before.iter().all(is_new) || waiter.until <= now) {
            let answer = if waiter.before.iter().all(is_new) {
                Answer::Done { text: "new keys are in use".to_owned() }
            } else {
                let error = format!("no new keys within {} s: see `plait status`", REKEY_WAIT.as_secs());
                Answer::Refused { error }
            };
            // A caller who has gone needs no answer.
            drop(waiter.answer.send(answer));
        }
    }
}

fn confirmed(running: &Running) -> BTreeMap<PeerId, u64> {
    let status = running.engine.status(running.now());
    status.iter().map(|peer| (peer.id, peer.handshakes.full + peer.handshakes.fast)).collect()
}
