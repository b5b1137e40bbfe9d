//! The session responder's side of a fast rekey: FR1 to FR2, each try once (PROTOCOL 2.8).

use super::answer::Pending;
use super::desk::{Desk, IndexUse};
use super::gather::Gather;
use super::output::Now;
use super::peer::{Exchanges, Peer};
use super::replies::is_short;
use crate::keys::policy::{Exchange, WaiverKind};
use crate::session::fast_rekey::{Fr1Course, OpenedFr1, course, open_fr1};
use crate::types::limits::FR1_TRY_AFTER;
use crate::types::policy::Reason;
use crate::types::terms::Role;
use crate::types::time::Instant;
use crate::wire::slots::Slot;

/// What became of the latest FR1.
pub(super) struct RekeyAnswer {
    stage: Stage,
    session: u32,
    epoch: u32,
    try_number: u8,
    began: Instant,
}

enum Stage {
    Keys {
        state: Box<OpenedFr1>,
        gather: Box<Gather>,
    },
    Answered(Vec<u8>),
    /// Only while the state is taken out to be consumed.
    Spent,
}

impl RekeyAnswer {
    fn is_fetching(&self) -> bool {
        matches!(self.stage, Stage::Keys { .. })
    }

    fn is_asking(&self) -> bool {
        matches!(&self.stage, Stage::Keys { gather, .. } if gather.is_asking())
    }
}

impl Exchanges {
    /// The gather of an FR1 in progress, for a delivery.
    pub(super) fn rekey_answer_gather(&mut self) -> Option<&mut Gather> {
        match &mut self.rekey_answer {
            Some(RekeyAnswer { stage: Stage::Keys { gather, .. }, .. }) => Some(&mut **gather),
            Some(RekeyAnswer { stage: Stage::Answered(_) | Stage::Spent, .. }) | None => None,
        }
    }
}

impl Peer {
    /// An FR1 of the newest confirmed session.
    pub(super) fn on_fr1(&mut self, now: Now, session: u32, plaintext: &[u8], desk: &mut Desk) {
        let Some(chain) = self.chain().filter(|c| c.session == session && c.role == Role::Responder) else { return };
        if !self.pace.admits {
            return self.count("not admitted");
        }
        let opened = match open_fr1(&chain.root, &chain.agreed, plaintext) {
            Ok(opened) => opened,
            Err(refusal) => return self.count(refusal.counter()),
        };
        match course(chain.epoch, self.answered_try(session, opened.epoch()), opened.epoch(), opened.try_number()) {
            Err(refusal) => self.count(refusal.counter()),
            Ok(Fr1Course::Repeat) => self.repeat_fr2(now, desk),
            Ok(Fr1Course::Answer | Fr1Course::Remake) if self.undecided_until().is_some_and(|until| now.at < until) => {
                self.count("FR1 while an I2 is undecided");
            }
            Ok(Fr1Course::Answer | Fr1Course::Remake) => self.accept_fr1(now, session, opened, desk),
        }
    }

    /// Which try for this epoch has been answered, or is being.
    fn answered_try(&self, session: u32, epoch: u32) -> Option<u8> {
        let answer = self.exchanges.rekey_answer.as_ref()?;
        (answer.session == session && answer.epoch == epoch).then_some(answer.try_number)
    }

    fn repeat_fr2(&mut self, now: Now, desk: &mut Desk) {
        if let Some(RekeyAnswer { stage: Stage::Answered(fr2), .. }) = &self.exchanges.rekey_answer {
            let fr2 = fr2.clone();
            self.send_control(now, &fr2, desk);
        }
    }

    fn accept_fr1(&mut self, now: Now, session: u32, opened: OpenedFr1, desk: &mut Desk) {
        let Some(agreed) = self.chain().map(|chain| chain.agreed.clone()) else { return };
        self.pace.please_rekey = None;
        self.drop_next_epoch(session, desk);
        if matches!(opened.waiver(), Some(WaiverKind::Holdover | WaiverKind::Degraded)) {
            self.start_clock(now, &agreed, desk);
            self.tighten_clock(now, opened.left(), desk);
        }
        let dry = |slot: &Slot| matches!(slot, Slot::Failed(Reason::Refused | Reason::NoKeyNow));
        if opened.slots().iter().any(dry) && self.keys.rules.may_probe(now.at) {
            // Pools may be per direction: this end draws the keys itself (PROTOCOL 2.8a).
            self.pace.full_due.get_or_insert(now.at);
        }
        self.tell_named_failures(opened.slots(), desk);
        let hopeless = agreed.is_short(opened.named()) && self.waiver(now.at, &agreed, Exchange::FastRekey).is_none();
        let rules = &self.keys.rules;
        let gather = Gather::by_ids(self.id, opened.slots(), |source, key_id| match hopeless {
            true => Some(Reason::NotAsked),
            false => rules.has_seen(source, key_id).then_some(Reason::SeenBefore),
        });
        let (epoch, try_number) = (opened.epoch(), opened.try_number());
        let stage = Stage::Keys { state: Box::new(opened), gather: Box::new(gather) };
        self.exchanges.rekey_answer = Some(RekeyAnswer { stage, session, epoch, try_number, began: now.at });
        self.go_on_with_rekey_answer(now, desk);
    }

    /// Asks the KMEs for an FR1 and answers when all keys are here.
    pub(super) fn go_on_with_rekey_answer(&mut self, now: Now, desk: &mut Desk) {
        let Some(RekeyAnswer { stage: Stage::Keys { gather, .. }, .. }) = &mut self.exchanges.rekey_answer else {
            return;
        };
        // One exchange of the peer at a time (PROTOCOL 2.5).
        if !self.exchanges.answers.iter().any(Pending::is_asking) {
            gather.ask(now.at, &mut self.keys.rules, desk);
        }
        if gather.is_whole() {
            self.make_fr2(now, desk);
        }
    }

    /// Whether a KME has been asked for the keys of an FR1 and has not answered.
    pub(super) fn is_fetching_for_rekey(&self) -> bool {
        self.exchanges.rekey_answer.as_ref().is_some_and(RekeyAnswer::is_asking)
    }

    fn make_fr2(&mut self, now: Now, desk: &mut Desk) {
        let Some(agreed) = self.chain().map(|chain| chain.agreed.clone()) else { return };
        let Some(answer) = &mut self.exchanges.rekey_answer else { return };
        let Stage::Keys { state, gather } = std::mem::replace(&mut answer.stage, Stage::Spent) else { return };
        let failures = gather.failures();
        if is_short(&agreed, gather.keys()) {
            self.start_clock(now, &agreed, desk);
        }
        self.tell_failures(&failures, desk);
        let permit = self.waiver(now.at, &agreed, Exchange::FastRekey);
        let data_index = desk.take_index("fr_responder_data_index", IndexUse::Data(self.id));
        let made = state.create_fr2(data_index, gather.into_answers(), permit, desk.rng.as_mut());
        match made.outcome {
            Some(epoch) => self.install_next_epoch(now, *epoch, desk),
            None => desk.free_index(data_index),
        }
        if let Some(answer) = &mut self.exchanges.rekey_answer {
            answer.stage = Stage::Answered(made.plaintext.clone());
        }
        self.send_control(now, &made.plaintext, desk);
        self.block_if_run_out(now, desk);
    }

    pub(super) fn next_rekey_answer_deadline(&self, now: Instant) -> Option<Instant> {
        match &self.exchanges.rekey_answer {
            Some(RekeyAnswer { stage: Stage::Keys { gather, .. }, began, .. }) => {
                let busy = self.exchanges.answers.iter().any(Pending::is_asking);
                let token = (gather.waits_for_budget() && !busy).then(|| self.keys.rules.next_token(now));
                Some(token.unwrap_or(Instant::FAR_FUTURE).min(*began + FR1_TRY_AFTER))
            }
            Some(RekeyAnswer { stage: Stage::Answered(_) | Stage::Spent, .. }) | None => None,
        }
    }

    pub(super) fn on_rekey_answer_time(&mut self, now: Now, desk: &mut Desk) {
        let late = self
            .exchanges
            .rekey_answer
            .as_ref()
            .is_some_and(|answer| answer.is_fetching() && now.at.since(answer.began) >= FR1_TRY_AFTER);
        if late {
            self.exchanges.rekey_answer = None;
        }
        self.go_on_with_rekey_answer(now, desk);
    }

    /// An answer to an epoch that is confirmed, or of a session that is not the newest, is of no more use.
    pub(super) fn end_rekey_answer_up_to(&mut self, session: u32, epoch: u32) {
        let ended = |answer: &RekeyAnswer| answer.session != session || answer.epoch <= epoch;
        if self.exchanges.rekey_answer.as_ref().is_some_and(ended) {
            self.exchanges.rekey_answer = None;
        }
    }
}
