//! The ratchet of one peer at work: what is offered, stored before it is relied on, and confirmed (PROTOCOL 2.7).

use super::desk::Desk;
use super::output::{Alarm, Now, StateFile, StoreId};
use super::peer::Peer;
use crate::handshake::terms::{NewSession, RatchetId};
use crate::keys::ratchet::{RatchetEntry, RatchetStore};
use crate::types::policy::RatchetPolicy;
use crate::types::secret::Secret;
use crate::types::terms::Role;

/// Everything there is, newest first; nothing if the ratchet is off.
pub(super) fn offers_of(store: &RatchetStore, policy: RatchetPolicy) -> Vec<(RatchetId, &Secret<32>)> {
    if policy == RatchetPolicy::Off { Vec::new() } else { store.offers() }
}

impl Peer {
    pub(super) fn uses_ratchet(&self) -> bool {
        self.setup.ratchet != RatchetPolicy::Off
    }

    /// What an I1 offers.
    pub(super) fn ratchet_offers(&self) -> Vec<(RatchetId, &Secret<32>)> {
        offers_of(&self.keys.ratchet, self.setup.ratchet)
    }

    /// Stores the secret of a new session, if the ratchet is used; the session waits for the write.
    pub(super) fn keep_ratchet_of(&mut self, now: Now, session: &NewSession, desk: &mut Desk) -> Option<StoreId> {
        if !self.uses_ratchet() {
            return None;
        }
        match session.ratchet_used {
            Some(id) => drop(self.keys.ratchet.seeded_with(id)),
            None => self.alarm_if_lost(now, session, desk),
        }
        let (id, rs) = (session.rs.id, session.rs.rs.duplicate());
        drop(self.keys.ratchet.store_unwritten(RatchetEntry { id, rs, when: now.unix, role: session.role }));
        self.drop_displaced_sessions(now, desk);
        let write = self.write_ratchet(desk);
        let ratchet = &self.keys.ratchet;
        // A disk that hangs ends none of them: only those are kept whose entry still waits, at most as many as the store holds.
        self.keys.ratchet_writes.retain(|(_, id)| ratchet.is_unwritten(*id));
        self.keys.ratchet_writes.push((write, id));
        Some(write)
    }

    /// A write of the ratchet is done, and what waited for it goes on already, or not: its entry can be relied on now, or
    /// is forgotten.
    pub(super) fn on_ratchet_stored(&mut self, stored: StoreId, ok: bool) {
        let Some(at) = self.keys.ratchet_writes.iter().position(|(write, _)| *write == stored) else { return };
        let (_, id) = self.keys.ratchet_writes.remove(at);
        if ok {
            self.keys.ratchet.wrote(id);
        } else if self.keys.ratchet.is_unwritten(id) {
            self.keys.ratchet.forget(id);
        }
    }

    /// Under `prefer` a session without a common entry goes on, visibly; the first one ever, before which neither end
    /// has an entry, is no loss.
    fn alarm_if_lost(&mut self, now: Now, session: &NewSession, desk: &mut Desk) {
        let other_uses_it = session.peer_terms.ratchet_policy != RatchetPolicy::Off;
        let other_offers = session.role == Role::Responder && !session.peer_terms.ratchet_ids.is_empty();
        if other_uses_it && (other_offers || !self.keys.ratchet.is_empty()) {
            self.alarm(now, Alarm::RatchetLost, desk);
        }
    }

    /// The handshake was seeded with this entry: it is common to both ends.
    pub(super) fn ratchet_seeded(&mut self, now: Now, id: [u8; 8], desk: &mut Desk) {
        drop(self.keys.ratchet.seeded_with(id));
        self.write_ratchet(desk);
        self.drop_displaced_sessions(now, desk);
    }

    /// The session's own entry is common to both ends: its first packet opened.
    pub(super) fn ratchet_confirmed(&mut self, now: Now, id: [u8; 8], desk: &mut Desk) {
        drop(self.keys.ratchet.confirm(id));
        self.write_ratchet(desk);
        self.drop_displaced_sessions(now, desk);
    }

    fn write_ratchet(&mut self, desk: &mut Desk) -> StoreId {
        desk.store(self.id, StateFile::Ratchet, self.keys.ratchet.to_bytes())
    }

    /// The file could not be written: `require` stops, `prefer` goes on with an alarm.
    pub(super) fn may_go_on_unwritten(&mut self, now: Now, session: &NewSession, desk: &mut Desk) -> bool {
        self.alarm(now, Alarm::RatchetNotWritten, desk);
        let strict = |policy| matches!(policy, RatchetPolicy::Require | RatchetPolicy::RequireOpen);
        let may_go_on = !strict(self.setup.ratchet) && !strict(session.peer_terms.ratchet_policy);
        if !may_go_on {
            // What only memory has must seed nothing: a restart would leave this end without a common entry.
            self.keys.ratchet.forget(session.rs.id);
        } else {
            self.keys.ratchet.wrote(session.rs.id);
        }
        may_go_on
    }

    /// An unconfirmed session whose ratchet entry has been displaced goes with it.
    pub(super) fn drop_displaced_sessions(&mut self, now: Now, desk: &mut Desk) {
        let ratchet = &self.keys.ratchet;
        let lost = |id: &Option<[u8; 8]>| id.is_some_and(|id| !ratchet.has(id));
        let chains = &mut self.keys.chains;
        let dropped: Vec<u32> = chains
            .extract_if(.., |chain| !chain.dates.confirmed && lost(&chain.layers.rs_id))
            .map(|chain| chain.session)
            .collect();
        if !dropped.is_empty() {
            let gone = self.keys.ring.take_if(|epoch| dropped.contains(&epoch.tag.session));
            self.forget_epochs(gone, desk);
            self.after_loss(now, desk);
        }
    }
}
