//! The session initiator's fast rekey: FR1 with its resends and tries, until FR2 (PROTOCOL 2.8).

use std::time::Duration;

use super::chain::Chain;
use super::desk::{Desk, IndexUse};
use super::gather::Gather;
use super::output::Now;
use super::peer::{Exchanges, Peer};
use super::replies::{excused, is_short};
use crate::keys::policy::Exchange;
use crate::session::fast_rekey::{AwaitFr2, FastTry, Fr2Outcome, NewEpoch, create_fr1};
use crate::types::id::{SessionIndex, SourceMask};
use crate::types::limits::{FR1_FULL_AFTER, FR1_TRY_AFTER, GATHER_DEADLINE};
use crate::types::policy::QkdPolicy;
use crate::types::terms::{Agreed, Role};
use crate::types::time::Instant;

/// One fast rekey.
pub(super) struct Rekey {
    stage: Stage,
    session: u32,
    epoch: u32,
    try_number: u8,
    data_index: SessionIndex,
    began: Instant,
}

enum Stage {
    Keys {
        gather: Box<Gather>,
        deadline: Instant,
    },
    Sent {
        state: Box<AwaitFr2>,
        first_sent: Instant,
        next_send: Instant,
        resends: u32,
        full_asked: bool,
    },
    /// Only while the state is taken out to be consumed.
    Spent,
}

/// The pause after resend number `resends` of an FR1 or confirming packet: 0.5, 1, 2, 4, then every 5 s (PROTOCOL 2.8).
pub(super) fn fr1_pause(resends: u32) -> Duration {
    match resends {
        0..=3 => Duration::from_millis(500 << resends),
        _ => Duration::from_secs(5),
    }
}

impl Exchanges {
    /// The gather of a fast rekey in progress, for a delivery.
    pub(super) fn rekey_gather(&mut self) -> Option<&mut Gather> {
        match &mut self.rekey {
            Some(Rekey { stage: Stage::Keys { gather, .. }, .. }) => Some(&mut **gather),
            Some(Rekey { stage: Stage::Sent { .. } | Stage::Spent, .. }) | None => None,
        }
    }
}

impl Peer {
    /// When the next fast rekey of ours is due; `None` if none can start now.
    fn rekey_due(&self, now: Instant) -> Option<Instant> {
        let chain = self.chain().filter(|chain| chain.role == Role::Initiator)?;
        if self.has_run_out_for(now, chain.agreed.policy) || !self.pace.admits {
            // An epoch that survived the deadline waits to be confirmed; nothing can be made from it before.
            return None;
        }
        let sealing = self.keys.ring.sealing()?;
        if self.exchanges.rekey.is_some() || sealing.tag.session != chain.session || sealing.tag.number != chain.epoch {
            return None;
        }
        let regular = match sealing.seal.needs_rekey() {
            true => sealing.born,
            false => sealing.born + self.pace.interval,
        };
        // While short, failed sources are probed by a fast rekey when their time comes (PROTOCOL 2.8a).
        let probe = self.keys.clock.is_running().then(|| self.keys.rules.probes.next()).flatten();
        let probe = probe.filter(|probe| *probe < chain.dates.full_at);
        let due = [Some(regular), probe, self.pace.rekey_due].into_iter().flatten().min()?;
        let undecided = self.undecided_until();
        Some(due.max(self.pace.rekey_not_before).max(undecided.unwrap_or(Instant::ZERO)))
    }

    /// The chain that the rekey under way belongs to; without it the rekey has no use.
    fn chain_of_rekey(&self) -> Option<&Chain> {
        let session = self.exchanges.rekey.as_ref()?.session;
        self.chain().filter(|chain| chain.session == session)
    }

    /// No fast rekey starts while an I2 of this peer is undecided, for a while (PROTOCOL 2.8).
    pub(super) fn undecided_until(&self) -> Option<Instant> {
        let own = self.exchanges.attempt.as_ref().and_then(super::attempt::Attempt::undecided_until);
        let other = self.exchanges.answers.iter().filter_map(super::answer::Pending::undecided_until).max();
        own.max(other)
    }

    fn start_rekey(&mut self, now: Now, try_number: u8, began: Instant, desk: &mut Desk) {
        let Some(chain) = self.chain() else { return };
        let (session, epoch, asked) = (chain.session, chain.epoch.wrapping_add(1), chain.agreed.asked);
        self.pace.rekey_due = None;
        let data_index = desk.take_index("fr_initiator_data_index", IndexUse::Data(self.id));
        let probes = &self.keys.rules.probes;
        let gather = Gather::new_keys(self.id, asked, |source| excused(probes, now.at, source));
        let stage = Stage::Keys { gather: Box::new(gather), deadline: now.at + GATHER_DEADLINE };
        self.exchanges.rekey = Some(Rekey { stage, session, epoch, try_number, data_index, began });
        self.go_on_with_rekey(now, desk);
    }

    /// Asks the KMEs and sends FR1 when all have answered or time is up.
    pub(super) fn go_on_with_rekey(&mut self, now: Now, desk: &mut Desk) {
        let Some(Rekey { stage: Stage::Keys { gather, deadline }, .. }) = &mut self.exchanges.rekey else { return };
        gather.ask(now.at, &mut self.keys.rules, desk);
        if gather.is_whole() || *deadline <= now.at {
            self.send_fr1(now, desk);
        }
    }

    fn send_fr1(&mut self, now: Now, desk: &mut Desk) {
        let Some(agreed) = self.chain_of_rekey().map(|chain| chain.agreed.clone()) else { return self.end_rekey(desk) };
        let Some(rekey) = self.exchanges.rekey.as_mut() else { return };
        let mut gather = match std::mem::replace(&mut rekey.stage, Stage::Spent) {
            Stage::Keys { gather, .. } => gather,
            other @ (Stage::Sent { .. } | Stage::Spent) => {
                rekey.stage = other;
                return;
            }
        };
        gather.close();
        let failures = gather.failures();
        let needs_waiver = is_short(&agreed, gather.keys()) || agreed.policy == QkdPolicy::Off;
        self.note_failures(now, &failures, desk);
        self.start_clock_if_short(now, &agreed, gather.keys(), desk);
        let waiver = needs_waiver.then(|| self.waiver(now.at, &agreed, Exchange::FastRekey)).flatten();
        if needs_waiver && waiver.is_none() {
            // No FR1 is sent without time left (PROTOCOL 2.8a).
            return self.block_instead(now, desk);
        }
        let Some(rekey) = self.exchanges.rekey.as_mut() else { return };
        let Some(chain) = self.keys.chains.iter().rfind(|chain| chain.dates.confirmed) else { return };
        let attempt = FastTry { epoch: rekey.epoch, number: rekey.try_number, data_index: rekey.data_index };
        let made = create_fr1(&chain.root, &agreed, attempt, gather.into_offers(), waiver.as_ref(), desk.rng.as_mut());
        let Ok(state) = made else { return self.end_rekey(desk) };
        let plaintext = state.plaintext().to_vec();
        let next_send = now.at + fr1_pause(0);
        let state = Box::new(state);
        rekey.stage = Stage::Sent { state, first_sent: now.at, next_send, resends: 0, full_asked: false };
        self.send_control(now, &plaintext, desk);
    }

    fn block_instead(&mut self, now: Now, desk: &mut Desk) {
        self.end_rekey(desk);
        self.block(now, desk);
    }

    /// An FR2 of the newest confirmed session.
    pub(super) fn on_fr2(&mut self, now: Now, session: u32, plaintext: &[u8], desk: &mut Desk) {
        let Some(chain) = self.chain_of_rekey().filter(|chain| chain.session == session) else { return };
        let agreed = chain.agreed.clone();
        let permit = self.waiver(now.at, &agreed, Exchange::FastRekey);
        let Some(Rekey { stage: Stage::Sent { state, .. }, try_number, .. }) = &self.exchanges.rekey else { return };
        let (try_number, named) = (*try_number, state.named());
        let outcome = state.accept_fr2(plaintext, &agreed, permit);
        match outcome {
            Err(refusal) => self.count(refusal.counter()),
            Ok(Fr2Outcome::Established(epoch)) => self.on_new_epoch(now, *epoch, &agreed, named, desk),
            Ok(Fr2Outcome::Mismatch { sources, key_ids }) => {
                self.note_mismatch(now, sources, &key_ids, desk);
                self.next_try(now, try_number, desk);
            }
            Ok(Fr2Outcome::Refused { status, .. }) => {
                self.note_reasons(now, &status.reasons, named, desk);
                self.start_clock(now, &agreed, desk);
                self.note_failed_exchange(false, desk);
                self.end_rekey(desk);
                self.pace.rekey_not_before = now.at + self.pace.interval;
            }
        }
    }

    fn on_new_epoch(&mut self, now: Now, epoch: NewEpoch, agreed: &Agreed, named: SourceMask, desk: &mut Desk) {
        if let Some(rekey) = self.exchanges.rekey.take() {
            self.tally.course.note_fast(now.at.since(rekey.began));
        }
        self.note_reasons(now, &epoch.reasons, named, desk);
        for (source, _) in &epoch.mixed {
            self.keys.rules.probes.mixed(*source);
        }
        self.start_clock_if_short(now, agreed, epoch.mixed.len() as u8, desk);
        self.tighten_clock(now, epoch.left, desk);
        self.install_epoch(now, epoch, desk);
    }

    /// A fresh try for the same epoch: fresh `e`, fresh keys of the sources that do not count as failed (PROTOCOL 2.8).
    fn next_try(&mut self, now: Now, last: u8, desk: &mut Desk) {
        let Some(rekey) = self.exchanges.rekey.take() else { return };
        desk.free_index(rekey.data_index);
        self.note_failed_exchange(false, desk);
        match last.checked_add(1) {
            Some(next) => self.start_rekey(now, next, rekey.began, desk),
            None => self.pace.full_due = Some(now.at),
        }
    }

    /// Drops the fast rekey under way.
    pub(super) fn end_rekey(&mut self, desk: &mut Desk) {
        if let Some(rekey) = self.exchanges.rekey.take() {
            desk.free_index(rekey.data_index);
        }
    }

    pub(super) fn next_rekey_deadline(&self, now: Instant) -> Option<Instant> {
        match self.exchanges.rekey.as_ref().map(|rekey| &rekey.stage) {
            None => self.rekey_due(now),
            Some(Stage::Keys { gather, deadline }) if gather.waits_for_budget() => {
                Some(self.keys.rules.next_token(now).min(*deadline))
            }
            Some(Stage::Keys { deadline, .. }) => Some(*deadline),
            Some(Stage::Sent { first_sent, next_send, full_asked, .. }) => {
                let full = (!full_asked).then_some(*first_sent + FR1_FULL_AFTER);
                Some((*next_send).min(*first_sent + FR1_TRY_AFTER).min(full.unwrap_or(Instant::FAR_FUTURE)))
            }
            Some(Stage::Spent) => None,
        }
    }

    pub(super) fn on_rekey_time(&mut self, now: Now, desk: &mut Desk) {
        let Some(rekey) = &mut self.exchanges.rekey else {
            if self.rekey_due(now.at).is_some_and(|due| due <= now.at) {
                self.start_rekey(now, 0, now.at, desk);
            }
            return;
        };
        let try_number = rekey.try_number;
        let Stage::Sent { state, first_sent, next_send, resends, full_asked } = &mut rekey.stage else {
            return self.go_on_with_rekey(now, desk);
        };
        if now.at.since(*first_sent) >= FR1_TRY_AFTER {
            return self.next_try(now, try_number, desk);
        }
        if !*full_asked && now.at.since(*first_sent) >= FR1_FULL_AFTER {
            // A full handshake as well, once an FR1 has waited long (PROTOCOL 2.8).
            *full_asked = true;
            self.pace.full_due = Some(now.at);
        }
        if *next_send > now.at {
            return;
        }
        *resends += 1;
        *next_send = now.at + fr1_pause(*resends);
        let plaintext = state.plaintext().to_vec();
        self.send_control(now, &plaintext, desk);
    }

    /// The session the rekey belongs to has ended or been replaced.
    pub(super) fn end_rekey_of_other_sessions(&mut self, session: u32, desk: &mut Desk) {
        if self.exchanges.rekey.as_ref().is_some_and(|rekey| rekey.session != session) {
            self.end_rekey(desk);
        }
    }
}
