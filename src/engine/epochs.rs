//! Epochs come and go: install, switch, confirm, expire, and the small packets that make it hitless (PROTOCOL 2.9).

use std::sync::Arc;

use super::chain::{Chain, ChainDates, EpochFacts, Layers};
use super::course::EpochMark;
use super::desk::Desk;
use super::output::{EventKind, Now};
use super::peer::{Confirming, Peer};
use super::rekey::fr1_pause;
use crate::dataplane::seal::seal_record;
use crate::dataplane::snapshot::Endpoint;
use crate::handshake::terms::NewSession;
use crate::session::epoch::{EpochTag, OpenEpoch, RecordTerms, SealEpoch};
use crate::session::fast_rekey::{EpochRoot, NewEpoch};
use crate::session::keyring::{KeptEpoch, Standing};
use crate::types::id::SessionIndex;
use crate::types::limits::{
    CONTROL_LANE, EMPTY_INTERVAL, FULL_JITTER, FULL_TURN, PLEASE_REKEY_INTERVAL, REJECT_AFTER_FAST, REJECT_AFTER_FULL,
};
use crate::types::policy::QkdPolicy;
use crate::types::secret::Secret;
use crate::types::terms::{Agreed, Role};
use crate::types::time::Instant;
use crate::wire::control;
use crate::wire::transport::RecordKind;

/// The keys of one epoch, both directions, by role.
struct EpochKeys {
    role: Role,
    t_i2r: Secret<32>,
    t_r2i: Secret<32>,
    local: SessionIndex,
    remote: SessionIndex,
}

impl Peer {
    /// A session of our own making, of either role: its epoch 0 can receive from now on. Returns its number.
    pub(super) fn install_session(&mut self, now: Now, session: Box<NewSession>, desk: &mut Desk) -> u32 {
        let session = *session;
        let number = desk.next_session();
        // What remains at the peer is of this handshake; it is no limit of a clock that starts later (PROTOCOL 2.8a).
        let agreed = Agreed { clock: 0, ..session.agreed };
        let facts = EpochFacts {
            full: true,
            short: session.waiver.is_some_and(|kind| kind != crate::keys::policy::WaiverKind::Off),
            cipher: agreed.cipher,
            hs: session.hs,
            mixed: session.mixed,
        };
        let holding_over = self.keys.clock.is_running() && agreed.policy == QkdPolicy::Required;
        let turn = match session.role {
            Role::Initiator => std::time::Duration::ZERO,
            Role::Responder => FULL_TURN,
        };
        let jitter = FULL_JITTER.mul_f64(f64::from(desk.jitter()) / 256.0);
        let dates = ChainDates {
            born: now.at,
            full_at: now.at + self.setup.policy.full + turn + jitter,
            ends_at: (!holding_over).then(|| now.at + self.setup.policy.full + REJECT_AFTER_FULL),
            last_qkd: (!facts.mixed.is_empty()).then_some(now.at),
            confirmed: false,
            condemned: false,
        };
        let rs_id = self.uses_ratchet().then_some(session.rs.id);
        let keys = EpochKeys {
            role: session.role,
            t_i2r: session.t_i2r,
            t_r2i: session.t_r2i,
            local: session.local_data_index,
            remote: session.remote_data_index,
        };
        let tag = EpochTag { peer: self.id, session: number, number: 0 };
        self.keys.chains.push(Chain {
            session: number,
            role: session.role,
            epoch: 0,
            root: EpochRoot { hs: session.hs, root: session.root },
            next: None,
            dates,
            layers: Layers { psk: session.psk_used, ratchet: session.ratchet_used.is_some(), rs_id },
            agreed: agreed.clone(),
        });
        self.add_epoch(now, tag, keys, &agreed, facts, desk);
        self.pace.full_due = None;
        self.drop_displaced_sessions(now, desk);
        number
    }

    /// Our own fast rekey is through: the chain moves on and we seal under the new epoch at once.
    pub(super) fn install_epoch(&mut self, now: Now, epoch: NewEpoch, desk: &mut Desk) {
        let Some(chain) = self.chain_mut() else { return desk.free_index(epoch.local_data_index) };
        let (session, agreed) = (chain.session, chain.agreed.clone());
        chain.epoch = epoch.number;
        chain.root = EpochRoot { hs: epoch.hs, root: epoch.root };
        if !epoch.mixed.is_empty() {
            chain.dates.last_qkd = Some(now.at);
        }
        let tag = EpochTag { peer: self.id, session, number: epoch.number };
        let facts = EpochFacts {
            full: false,
            short: epoch.waiver.is_some_and(|kind| kind != crate::keys::policy::WaiverKind::Off),
            cipher: agreed.cipher,
            hs: epoch.hs,
            mixed: epoch.mixed,
        };
        let keys = EpochKeys {
            role: Role::Initiator,
            t_i2r: epoch.t_i2r,
            t_r2i: epoch.t_r2i,
            local: epoch.local_data_index,
            remote: epoch.remote_data_index,
        };
        self.add_epoch(now, tag, keys, &agreed, facts, desk);
    }

    /// The other end's fast rekey is answered: the next epoch can receive; its root waits for the first packet.
    pub(super) fn install_next_epoch(&mut self, now: Now, epoch: NewEpoch, desk: &mut Desk) {
        let Some(chain) = self.chain_mut() else { return desk.free_index(epoch.local_data_index) };
        let (session, agreed) = (chain.session, chain.agreed.clone());
        chain.next = Some((epoch.number, EpochRoot { hs: epoch.hs, root: epoch.root }));
        let tag = EpochTag { peer: self.id, session, number: epoch.number };
        let facts = EpochFacts {
            full: false,
            short: epoch.waiver.is_some_and(|kind| kind != crate::keys::policy::WaiverKind::Off),
            cipher: agreed.cipher,
            hs: epoch.hs,
            mixed: epoch.mixed,
        };
        let keys = EpochKeys {
            role: Role::Responder,
            t_i2r: epoch.t_i2r,
            t_r2i: epoch.t_r2i,
            local: epoch.local_data_index,
            remote: epoch.remote_data_index,
        };
        self.add_epoch(now, tag, keys, &agreed, facts, desk);
    }

    fn add_epoch(
        &mut self,
        now: Now,
        tag: EpochTag,
        keys: EpochKeys,
        agreed: &Agreed,
        facts: EpochFacts,
        desk: &mut Desk,
    ) {
        let (sealing, opening) = match keys.role {
            Role::Initiator => (&keys.t_i2r, &keys.t_r2i),
            Role::Responder => (&keys.t_r2i, &keys.t_i2r),
        };
        let terms = RecordTerms { cipher: agreed.cipher, inner_mtu: agreed.inner_mtu, features: agreed.features };
        let seal = SealEpoch::new(tag, keys.remote, sealing, desk.aead, terms);
        let open = OpenEpoch::new(tag, keys.local, opening, desk.aead, terms);
        let reject_at = now.at + self.setup.policy.rekey + REJECT_AFTER_FAST;
        let epoch = KeptEpoch::new(keys.local, Arc::new(open), Arc::new(seal), now.at, reject_at, facts);
        let displaced = self.keys.ring.add(epoch);
        self.forget_epochs(displaced, desk);
        self.settle_chains();
        if keys.role == Role::Initiator {
            // The initiator switches first and says so until it is answered (PROTOCOL 2.9 "Hitless").
            self.keys.ring.switch(now.at, tag);
            self.link.confirming = Some(Confirming { tag, sent: 0, began: now.at, next: now.at });
            self.send_confirming(now, desk);
        }
        desk.changed = true;
    }

    /// The first packet under an epoch opened: the other end has its keys.
    pub(super) fn on_first_opened(&mut self, now: Now, tag: EpochTag, from: Endpoint, desk: &mut Desk) {
        let Some(chain) = self.keys.chains.iter_mut().find(|chain| chain.session == tag.session) else { return };
        if !self.keys.ring.confirm(now.at, tag) {
            return;
        }
        let first_of_session = !std::mem::replace(&mut chain.dates.confirmed, true);
        if let Some((number, root)) = chain.next.take_if(|(number, _)| *number == tag.number) {
            chain.epoch = number;
            chain.root = root;
        }
        let (role, rs_id) = (chain.role, chain.layers.rs_id);
        self.note_confirmed(now, tag, first_of_session, desk);
        if first_of_session {
            self.end_older_sessions(tag.session, desk);
            if let Some(id) = rs_id {
                self.ratchet_confirmed(now, id, desk);
            }
        }
        self.end_rekey_answer_up_to(tag.session, tag.number);
        self.end_rekey_of_other_sessions(tag.session, desk);
        if self.link.confirming.as_ref().is_some_and(|confirming| confirming.tag <= tag) {
            self.link.confirming = None;
        }
        self.move_endpoint(from, desk);
        if role == Role::Responder {
            self.send_empty(now, desk);
        }
        self.clear_clock_if_kept(now, tag, desk);
        self.flush_staged(now, desk);
        self.pace.missed_since = None;
        self.pace.please_rekey = None;
        desk.changed = true;
    }

    fn note_confirmed(&mut self, now: Now, tag: EpochTag, first_of_session: bool, desk: &mut Desk) {
        self.tally.confirmed_epochs += 1;
        let Some(epoch) = self.keys.ring.find(tag) else { return };
        match first_of_session && epoch.facts.full {
            true => self.tally.full += 1,
            false => self.tally.fast += 1,
        }
        let (full, sources) = (epoch.facts.full, epoch.facts.mixed.clone());
        if !sources.is_empty()
            && let Some(chain) = self.keys.chains.iter_mut().find(|chain| chain.session == tag.session)
        {
            chain.dates.last_qkd = chain.dates.last_qkd.max(Some(now.at));
        }
        let (number, qkd_keys) = (self.tally.confirmed_epochs, sources.len() as u8);
        self.tally.course.note_epoch(EpochMark { number, at: now.at, full, qkd_keys });
        desk.tell(self.id, EventKind::Epoch { number, full, sources });
    }

    /// A confirmed session ends the exchanges of older ones; their epochs go on opening for a while.
    fn end_older_sessions(&mut self, session: u32, desk: &mut Desk) {
        self.keys.chains.retain(|chain| chain.session >= session);
        for answered in self.exchanges.answers.extract_if(.., |pending| pending.is_of_session(session)) {
            answered.free(desk);
        }
        if self.exchanges.attempt.as_ref().is_some_and(super::attempt::Attempt::is_parking) {
            self.abandon_attempt(desk);
        }
    }

    /// Drops an epoch made by an earlier try of the same fast rekey.
    pub(super) fn drop_next_epoch(&mut self, session: u32, desk: &mut Desk) {
        let Some(chain) = self.keys.chains.iter_mut().find(|chain| chain.session == session) else { return };
        let Some((number, _)) = chain.next.take() else { return };
        let dropped = self.keys.ring.take_if(|epoch| epoch.tag.session == session && epoch.tag.number == number);
        self.forget_epochs(dropped, desk);
    }

    pub(super) fn forget_epochs(&mut self, epochs: Vec<KeptEpoch<EpochFacts>>, desk: &mut Desk) {
        for epoch in epochs {
            desk.free_index(epoch.index);
            desk.changed = true;
        }
    }

    /// Roots go with their epochs: a session without any epoch left cannot rekey, and one that has only its next epoch
    /// left goes on from there.
    pub(super) fn settle_chains(&mut self) {
        let ring = &self.keys.ring;
        self.keys.chains.retain(|chain| ring.iter().any(|epoch| epoch.tag.session == chain.session));
        for chain in &mut self.keys.chains {
            let has =
                |number| ring.iter().any(|epoch| epoch.tag.session == chain.session && epoch.tag.number == number);
            if !has(chain.epoch)
                && let Some((number, root)) = chain.next.take_if(|(number, _)| has(*number))
            {
                chain.epoch = number;
                chain.root = root;
            }
        }
    }

    pub(super) fn expire_epochs(&mut self, now: Now, desk: &mut Desk) {
        let has_ended = |chain: &mut Chain| chain.dates.ends_at.is_some_and(|end| end <= now.at);
        if self.keys.chains.iter().any(|chain| chain.dates.condemned) {
            // The other end does not know of this end; it would go on to seal.
            self.seal_close_under_condemned(now);
        }
        let ended: Vec<u32> = self.keys.chains.extract_if(.., has_ended).map(|chain| chain.session).collect();
        let mut gone = self.keys.ring.expire(now.at);
        gone.extend(self.keys.ring.take_if(|epoch| ended.contains(&epoch.tag.session)));
        if !gone.is_empty() {
            self.forget_epochs(gone, desk);
            self.settle_chains();
            self.after_loss(now, desk);
        }
    }

    pub(super) fn next_chain_end(&self) -> Option<Instant> {
        self.keys.chains.iter().filter_map(|chain| chain.dates.ends_at).min()
    }

    /// If nothing seals any more: exchanges inside the session end, and the next attempt is due.
    pub(super) fn after_loss(&mut self, now: Now, desk: &mut Desk) {
        if self.has_session() {
            return;
        }
        self.end_rekey(desk);
        self.exchanges.rekey_answer = None;
        self.link.confirming = None;
        self.pace.please_rekey = None;
        self.pace.missed_since.get_or_insert(now.at);
    }

    /// CLOSE came: the epoch it came under, all older ones and every short one of its session go (PROTOCOL 2.8a).
    pub(super) fn on_close(&mut self, now: Now, tag: EpochTag, desk: &mut Desk) {
        let ends =
            |epoch: &KeptEpoch<EpochFacts>| epoch.tag <= tag || (epoch.tag.session == tag.session && epoch.facts.short);
        let gone = self.keys.ring.take_if(ends);
        self.forget_epochs(gone, desk);
        self.settle_chains();
        self.after_loss(now, desk);
    }

    /// A packet of the newest confirmed epoch came from elsewhere; a report may be older than the epoch in use.
    pub(super) fn on_roamed(&mut self, tag: EpochTag, from: Endpoint, desk: &mut Desk) {
        if self.keys.ring.find(tag).is_some_and(|epoch| epoch.standing == Standing::Current) {
            self.move_endpoint(from, desk);
        }
    }

    /// A pinned endpoint is the configured one, or else the first one that was authenticated.
    fn may_move_to(&self, to: Endpoint) -> bool {
        let pinned = self.configured().or(self.link.endpoint).filter(|_| self.setup.pin_endpoint);
        pinned.is_none_or(|pinned| pinned.to == to.to)
    }

    /// Follows the peer to another address, unless pinned.
    pub(super) fn move_endpoint(&mut self, from: Endpoint, desk: &mut Desk) {
        if self.link.endpoint == Some(from) || !self.may_move_to(from) {
            return;
        }
        if self.link.endpoint.map(|endpoint| endpoint.to) != Some(from.to) {
            desk.tell(self.id, EventKind::Roamed(from));
        }
        self.link.endpoint = Some(from);
        desk.changed = true;
    }

    /// Empty packets under the new epoch, until the other end answers under it.
    pub(super) fn send_confirming(&mut self, now: Now, desk: &mut Desk) {
        let Some(confirming) = self.link.confirming.as_mut().filter(|confirming| confirming.next <= now.at) else {
            return;
        };
        confirming.next = now.at + confirm_pause(confirming.sent);
        confirming.sent += 1;
        self.send_empty(now, desk);
    }

    /// An empty packet under the epoch in use may ask whether this end is there. The session responder answers, unless it
    /// has just sealed something: else its one first answer, lost, would leave the initiator unconfirmed (PROTOCOL 2.9).
    pub(super) fn on_empty(&mut self, now: Now, tag: EpochTag, desk: &mut Desk) {
        let is_responder = |chain: &Chain| chain.session == tag.session && chain.role == Role::Responder;
        let sent = self.link.traffic.last_seal.when().max(self.link.last_sent);
        let is_quiet = sent.is_none_or(|sent| now.at.since(sent) >= EMPTY_INTERVAL);
        let in_use = self.keys.ring.sealing().is_some_and(|epoch| epoch.tag == tag);
        if in_use && is_quiet && self.keys.chains.iter().any(is_responder) {
            self.send_empty(now, desk);
        }
    }

    /// PLEASE_REKEY at the responder's own limits, repeated until an FR1 opens (PROTOCOL 2.8).
    pub(super) fn send_please_rekey(&mut self, now: Now, desk: &mut Desk) {
        if self.pace.please_rekey.is_some_and(|due| due <= now.at) {
            self.pace.please_rekey = Some(now.at + PLEASE_REKEY_INTERVAL);
            self.send_control(now, &[control::PLEASE_REKEY], desk);
        }
    }

    /// One empty packet under the epoch that seals: keepalive, confirmation, or a hint that a newer epoch is in use.
    pub(super) fn send_empty(&mut self, now: Now, desk: &mut Desk) {
        self.send_record(now, RecordKind::Data, &[], desk);
    }

    /// One control message under the epoch that seals.
    pub(super) fn send_control(&mut self, now: Now, plaintext: &[u8], desk: &mut Desk) {
        self.send_record(now, RecordKind::Control, plaintext, desk);
    }

    fn send_record(&mut self, now: Now, kind: RecordKind, plaintext: &[u8], desk: &mut Desk) {
        let (Some(to), Some(epoch)) = (self.link.endpoint, self.keys.ring.sealing()) else { return };
        // A refusing FR2 may still say that the time has come; a packet may not.
        if kind == RecordKind::Data && self.until(epoch) <= now.at {
            return;
        }
        match seal_record(&epoch.seal, CONTROL_LANE, kind, plaintext) {
            Ok(bytes) => {
                self.link.last_sent = Some(now.at);
                desk.transmit(to, bytes);
            }
            Err(_) => self.count("counter exhausted"),
        }
    }

    /// Packets that waited for the session.
    pub(super) fn flush_staged(&mut self, now: Now, desk: &mut Desk) {
        let Some(mtu) = self.keys.ring.sealing().map(|epoch| epoch.seal.inner_mtu()) else { return };
        if self.is_blocked(now.at) {
            return;
        }
        for packet in self.link.staged.take(now.at) {
            if packet.len() > usize::from(mtu) {
                self.link.traffic.drops.too_big.add(1);
                continue;
            }
            self.send_record(now, RecordKind::Data, &packet, desk);
            self.link.traffic.note_sealed(now.at, 1, packet.len() as u64);
        }
    }
}

/// The pause after confirming packet number `sent`: 0.25, 0.5, 1, 2, 4, then every 5 s (PROTOCOL 2.9).
fn confirm_pause(sent: u32) -> std::time::Duration {
    match sent {
        0 => std::time::Duration::from_millis(250),
        sent => fr1_pause(sent - 1),
    }
}
