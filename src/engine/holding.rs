//! The policy of one peer at work: the clock, the waiver, BLOCKED, and the state that is shown (PROTOCOL 2.8a).

use std::time::Duration;

use super::chain::{Chain, EpochFacts};
use super::course::StateMark;
use super::desk::Desk;
use super::output::{Alarm, EventKind, Now, State, StateFile};
use super::peer::Peer;
use super::replies::is_short;
use super::setup::PolicySetup;
use crate::dataplane::seal::seal_record;
use crate::handshake::terms::LocalTerms;
use crate::keys::clock::{from_clock_field, limit};
use crate::keys::policy::{Exchange, LeftSeconds, QkdWaiver, waive};
use crate::session::epoch::EpochTag;
use crate::session::keyring::{KeptEpoch, Standing};
use crate::types::id::{KeyId, SourceId, SourceMask};
use crate::types::limits::{CLOSE_COPIES, CLOSE_INTERVAL, CONTROL_LANE, REJECT_AFTER_FULL, SESSION_AFTER_HOLDOVER};
use crate::types::policy::{QkdPolicy, Reason};
use crate::types::terms::Agreed;
use crate::types::time::Instant;
use crate::wire::control;
use crate::wire::slots::Slot;
use crate::wire::transport::RecordKind;

/// The deadline spares only an epoch that is not short and not yet confirmed: it is the way back (PROTOCOL 2.8a).
fn survives_deadline(epoch: &KeptEpoch<EpochFacts>) -> bool {
    epoch.standing == Standing::Unconfirmed && !epoch.facts.short
}

/// The limit of a policy as this end has it.
fn own_limit(policy: &PolicySetup) -> LeftSeconds {
    let seconds =
        |span: Option<Duration>| span.map_or(u32::MAX, |span| u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
    limit(policy.qkd, seconds(policy.hold_last), seconds(policy.degrade_for))
}

impl Peer {
    /// What this end says of itself in a handshake.
    pub(super) fn own_terms(&self, now: Instant) -> LocalTerms {
        let ratchet = self.keys.ratchet.wire_policy(self.setup.ratchet);
        self.setup.terms(ratchet, self.keys.clock.to_wire(now))
    }

    /// The waiver for a short epoch, if the policy allows one now.
    pub(super) fn waiver(&self, now: Instant, agreed: &Agreed, exchange: Exchange) -> Option<QkdWaiver> {
        let full = limit(agreed.policy, agreed.hold_last, agreed.degrade_for);
        let left = match self.eases(agreed.policy) {
            true => self.override_left(now).min(full),
            false => self.keys.clock.remaining(now).unwrap_or(full),
        };
        waive(agreed.policy, exchange, left)
    }

    /// Starts the clock if it does not run: the first short handshake or fast rekey. If nothing is left at once, what
    /// is being made here is a refusal, and [`block_if_run_out`](Self::block_if_run_out) follows it.
    pub(super) fn start_clock(&mut self, now: Now, agreed: &Agreed, desk: &mut Desk) {
        if agreed.policy == QkdPolicy::Off || self.keys.clock.is_running() {
            return;
        }
        let whole = match &self.keys.over {
            // The configured policy counts from here, whatever overrides it.
            Some(over) if self.eases(agreed.policy) => own_limit(&over.strict),
            Some(_) | None => limit(agreed.policy, agreed.hold_last, agreed.degrade_for),
        };
        self.keys.clock.start(now.at, whole);
        if let Some(left) = from_clock_field(agreed.clock) {
            self.keys.clock.tighten(now.at, left);
        }
        if agreed.policy == QkdPolicy::Required {
            let holds = |chain: &&mut Chain| chain.agreed.policy == QkdPolicy::Required && !chain.dates.condemned;
            for chain in self.keys.chains.iter_mut().filter(holds) {
                chain.dates.ends_at = None;
            }
        }
        desk.changed = true;
    }

    /// The same, if so many mixed keys are too few.
    pub(super) fn start_clock_if_short(&mut self, now: Now, agreed: &Agreed, keys: u8, desk: &mut Desk) {
        if is_short(agreed, keys) {
            self.start_clock(now, agreed, desk);
        }
    }

    /// What remains at the peer only tightens a running clock.
    pub(super) fn tighten_clock(&mut self, now: Now, left: LeftSeconds, desk: &mut Desk) {
        if self.keys.clock.is_running() {
            self.keys.clock.tighten(now.at, left);
            desk.changed = true;
        }
    }

    /// What an authentic I1 or R1 says of the other end's policy and clock.
    pub(super) fn note_peer_terms(&mut self, now: Now, policy: QkdPolicy, clock: u16, desk: &mut Desk) {
        if policy != self.setup.policy.qkd && self.tally.peer_policy != Some(policy) {
            desk.tell(self.id, EventKind::PolicyDiffers);
        }
        self.tally.peer_policy = Some(policy);
        if let Some(left) = from_clock_field(clock) {
            self.tighten_clock(now, left, desk);
        }
    }

    /// A confirmed epoch with enough keys ends the clock.
    pub(super) fn clear_clock_if_kept(&mut self, now: Now, tag: EpochTag, desk: &mut Desk) {
        let kept = self.keys.ring.find(tag).is_some_and(|epoch| !epoch.facts.short && !self.is_eased(epoch));
        if !kept || !self.keys.clock.is_running() {
            return;
        }
        self.keys.clock.clear();
        self.write_clock(now, desk);
        let full = self.setup.policy.full;
        for chain in &mut self.keys.chains {
            // HOLDOVER deferred the session's end (PROTOCOL 2.8a).
            chain.dates.ends_at.get_or_insert_with(|| {
                (chain.dates.born + full + REJECT_AFTER_FULL).max(now.at + SESSION_AFTER_HOLDOVER)
            });
        }
        desk.changed = true;
    }

    /// Whether nothing more may be made short of keys in sessions of this policy.
    pub(super) fn has_run_out_for(&self, now: Instant, policy: QkdPolicy) -> bool {
        self.keys.clock.is_expired(now) && !self.eases(policy)
    }

    /// The deadline, as soon as it is seen.
    pub(super) fn block_if_run_out(&mut self, now: Now, desk: &mut Desk) {
        let has_ended = |epoch: &&KeptEpoch<EpochFacts>| self.policy_end(epoch).is_some_and(|end| end <= now.at);
        let ended: Vec<EpochTag> = self.keys.ring.iter().filter(has_ended).map(|epoch| epoch.tag).collect();
        if !ended.is_empty() {
            self.end_epochs(now, &ended, desk);
        }
    }

    /// When the policy ends an epoch, if it does.
    fn policy_end(&self, epoch: &KeptEpoch<EpochFacts>) -> Option<Instant> {
        match &self.keys.over {
            Some(over) if self.is_eased(epoch) => Some(over.until),
            Some(_) | None => self.keys.clock.runs_out_at().filter(|_| !survives_deadline(epoch)),
        }
    }

    /// These go; the other end is told by CLOSE, unless what seals has nothing to do with it.
    pub(super) fn end_epochs(&mut self, now: Now, ended: &[EpochTag], desk: &mut Desk) {
        let goes = |epoch: &KeptEpoch<EpochFacts>| ended.contains(&epoch.tag);
        let has_run_out = self.keys.clock.is_expired(now.at);
        let is_told = |epoch: &KeptEpoch<EpochFacts>| {
            goes(epoch) || (has_run_out && survives_deadline(epoch) && !self.is_eased(epoch))
        };
        if !ended.is_empty() && self.keys.ring.sealing().is_some_and(is_told) {
            self.seal_close(now);
        }
        let gone = self.keys.ring.take_if(goes);
        self.forget_epochs(gone, desk);
        self.settle_chains();
        if !self.has_session() {
            self.link.staged.clear();
        }
        self.after_loss(now, desk);
        desk.changed = true;
    }

    /// Fails closed: CLOSE three times, then all keys go but an unconfirmed epoch that is not short (PROTOCOL 2.8a).
    pub(super) fn block(&mut self, now: Now, desk: &mut Desk) {
        let ends = |epoch: &&KeptEpoch<EpochFacts>| !survives_deadline(epoch);
        let ended: Vec<EpochTag> = self.keys.ring.iter().filter(ends).map(|epoch| epoch.tag).collect();
        self.end_epochs(now, &ended, desk);
        self.link.staged.clear();
    }

    /// Seals CLOSE under the epoch that seals, each copy its own counter, to leave one after the other.
    pub(super) fn seal_close(&mut self, now: Now) {
        let (Some(to), Some(epoch)) = (self.link.endpoint, self.keys.ring.sealing()) else { return };
        for copy in 0..CLOSE_COPIES {
            if let Ok(bytes) = seal_record(&epoch.seal, CONTROL_LANE, RecordKind::Control, &[control::CLOSE]) {
                self.link.leaving.push_back((now.at + CLOSE_INTERVAL * copy, to, bytes));
            }
        }
    }

    /// Tells the other end if what seals belongs to a session whose end has come by a stricter policy.
    pub(super) fn seal_close_under_condemned(&mut self, now: Now) {
        let Some(session) = self.keys.ring.sealing().map(|epoch| epoch.tag.session) else { return };
        let ends = |chain: &Chain| {
            chain.session == session && chain.dates.condemned && chain.dates.ends_at.is_some_and(|end| end <= now.at)
        };
        if self.keys.chains.iter().any(ends) {
            self.seal_close(now);
        }
    }

    /// When the clock runs out, or its remaining time is next written.
    pub(super) fn next_policy_deadline(&self) -> Option<Instant> {
        let stops = self.keys.ring.iter().filter_map(|epoch| self.policy_end(epoch)).min();
        let over = self.keys.over.as_ref().map(|over| over.until);
        [stops, over, self.keys.clock.next_write()].into_iter().flatten().min()
    }

    pub(super) fn on_policy_time(&mut self, now: Now, desk: &mut Desk) {
        self.expire_override(now, desk);
        self.block_if_run_out(now, desk);
        if self.keys.clock.next_write().is_some_and(|due| due <= now.at) {
            self.write_clock(now, desk);
        }
    }

    pub(super) fn write_clock(&mut self, now: Now, desk: &mut Desk) {
        let bytes = self.keys.clock.write(now.at);
        desk.store(self.id, StateFile::Clock, bytes);
    }

    /// Before a stop: exactly what remains, if the clock runs or the file still says so.
    pub(super) fn write_clock_exactly(&mut self, now: Now, desk: &mut Desk) {
        if self.keys.clock.is_running() || self.keys.clock.next_write().is_some() {
            let bytes = self.keys.clock.stop_bytes(now.at);
            desk.store(self.id, StateFile::Clock, bytes);
        }
    }

    /// When the epoch under `tag` may seal and open until: its own limit, and the policy's (PROTOCOL 2.8a "Deadline").
    pub(super) fn until(&self, epoch: &KeptEpoch<EpochFacts>) -> Instant {
        let chain = self.keys.chains.iter().find(|chain| chain.session == epoch.tag.session);
        let session = chain.and_then(|chain| chain.dates.ends_at).unwrap_or(Instant::FAR_FUTURE);
        let policy = self.policy_end(epoch).unwrap_or(Instant::FAR_FUTURE);
        epoch.reject_at.min(session).min(policy)
    }

    /// The word that `status` shows.
    pub(super) fn state(&self, now: Instant) -> State {
        if self.is_down(now) { State::Down } else { self.policy_state(now) }
    }

    /// Whether no inner packet may pass: the clock runs, and there is nothing to seal under, or nothing confirmed.
    pub(super) fn is_blocked(&self, now: Instant) -> bool {
        self.policy_state(now) == State::Blocked
    }

    fn policy_state(&self, now: Instant) -> State {
        let clock = self.keys.clock.is_running();
        let policy = self.chain().map(|chain| chain.agreed.policy);
        match (self.keys.ring.sealing(), policy) {
            // Keys that survived the deadline pass packets when the other end has confirmed them.
            (Some(sealing), _) if self.keys.clock.is_expired(now) && !self.is_eased(sealing) => State::Blocked,
            (None, _) if self.keys.clock.is_expired(now) => State::Blocked,
            (Some(_), Some(QkdPolicy::Off)) => State::Off,
            (Some(_), Some(QkdPolicy::Required)) if clock => State::Holdover,
            (Some(_), Some(QkdPolicy::Preferred)) if clock => State::Degraded,
            (Some(_), Some(QkdPolicy::Required | QkdPolicy::Preferred)) => State::Hybrid,
            (Some(_), None) | (None, _) if clock => State::Blocked,
            (Some(_), None) | (None, _) => State::Holding,
        }
    }

    /// Tells of a change of state.
    pub(super) fn tell_state(&mut self, now: Now, desk: &mut Desk) {
        let to = self.state(now.at);
        let from = self.tally.shown.replace(to).unwrap_or(State::Holding);
        if from != to {
            desk.changed = true;
            self.tally.course.note_state(StateMark { at: now.at, from, to });
            desk.tell(self.id, EventKind::State { from, to });
        }
    }

    /// Two KMEs gave different keys: those sources count as failed for a while (PROTOCOL 2.5).
    pub(super) fn note_mismatch(
        &mut self,
        now: Now,
        sources: SourceMask,
        key_ids: &[(SourceId, KeyId)],
        desk: &mut Desk,
    ) {
        for source in sources.iter() {
            self.keys.rules.probes.mismatch(now.at, source);
        }
        let name = |source| (source, key_ids.iter().find(|(of, _)| *of == source).map(|(_, id)| id.clone()));
        let keys = sources.iter().map(name).collect();
        self.alarm(now, Alarm::QkdMismatch { keys }, desk);
    }

    /// Tells of sources that failed at this end.
    pub(super) fn tell_failures(&mut self, failures: &[(SourceId, Reason)], desk: &mut Desk) {
        for (source, reason) in failures {
            desk.tell(self.id, EventKind::SourceFailed { source: *source, reason: *reason, text: String::new() });
        }
    }

    /// Tells of the sources that the other end names as failed in I2 or FR1.
    pub(super) fn tell_named_failures(&mut self, slots: &[Slot], desk: &mut Desk) {
        for (source, slot) in SourceId::all().zip(slots) {
            if let Slot::Failed(reason) = slot {
                desk.tell(self.id, EventKind::SourceFailed { source, reason: *reason, text: String::new() });
            }
        }
    }

    /// What remains, for `status`; `None` while the clock does not run or has no end.
    pub(super) fn deadline(&self, now: Instant) -> Option<Duration> {
        let sealing = self.keys.ring.sealing();
        let end = match sealing.filter(|epoch| self.is_eased(epoch)) {
            Some(eased) => self.policy_end(eased),
            None => self.keys.clock.runs_out_at(),
        };
        end.map(|at| at.since(now))
    }
}
