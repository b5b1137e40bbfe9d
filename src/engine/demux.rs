//! Finds whose datagram, key or command it is; strangers are met at the door (PROTOCOL 2.4).

use super::chain::Chain;
use super::desk::{Desk, IndexUse};
use super::gather::Gather;
use super::interface::Engine;
use super::output::{Alarm, EventKind, Now};
use super::peer::{Exchanges, Peer};
use crate::dataplane::report::PumpEvent;
use crate::dataplane::snapshot::Endpoint;
use crate::handshake::cookie::CookieFault;
use crate::handshake::refusal::Refusal;
use crate::handshake::responder::open_i1;
use crate::keys::request::KeyDelivery;
use crate::session::epoch::EpochTag;
use crate::types::id::PeerId;
use crate::types::terms::Role;
use crate::wire::control::Control;
use crate::wire::handshake::{HandshakeDatagram, MessageType};
use crate::wire::ip::InnerPacket;

impl Engine {
    pub(super) fn on_pump(&mut self, now: Now, event: PumpEvent) {
        match event {
            PumpEvent::Handshake { from, local, bytes } => {
                self.on_handshake(now, Endpoint { to: from, from: local }, &bytes);
            }
            PumpEvent::Control { tag, from, local, bytes } => {
                let from = Endpoint { to: from, from: local };
                self.with_peer(tag.peer, |peer, desk| peer.on_control(now, tag, from, &bytes, desk));
            }
            PumpEvent::FirstOpened { tag, from, local } => {
                let from = Endpoint { to: from, from: local };
                self.with_peer(tag.peer, |peer, desk| {
                    peer.note_authentic(now);
                    peer.on_first_opened(now, tag, from, desk);
                });
            }
            PumpEvent::Roamed { tag, from, local } => {
                let from = Endpoint { to: from, from: local };
                self.with_peer(tag.peer, |peer, desk| peer.on_roamed(tag, from, desk));
            }
            PumpEvent::OldEpoch { tag } => {
                self.with_peer(tag.peer, |peer, desk| peer.send_empty(now, desk));
            }
            PumpEvent::Empty { tag } => {
                self.with_peer(tag.peer, |peer, desk| peer.on_empty(now, tag, desk));
            }
            PumpEvent::NoEpoch { peer, packet } => {
                // Between the look of the packet thread and this one the prefix may have become another's.
                let to =
                    InnerPacket::parse(&packet).ok().and_then(|inner| self.common.routes.owner(inner.destination()));
                if to != Some(peer) {
                    return;
                }
                self.with_peer(peer, |peer, desk| peer.stage(now, packet, desk));
            }
        }
    }

    fn with_peer(&mut self, id: PeerId, act: impl FnOnce(&mut Peer, &mut Desk)) {
        if let Some(peer) = self.peers.touch(id) {
            act(peer, &mut self.desk);
        }
    }

    fn on_handshake(&mut self, now: Now, from: Endpoint, bytes: &[u8]) {
        let Ok(datagram) = HandshakeDatagram::parse(bytes) else { return self.door.count("malformed") };
        match datagram.kind {
            MessageType::I0 => match self.door.gate.answer_i0(from.to, &datagram) {
                Ok(r0) => self.desk.transmit(from, r0),
                Err(refusal) => self.door.count(refusal.counter()),
            },
            MessageType::I1 => self.on_i1(now, from, &datagram),
            MessageType::R0 | MessageType::R1 | MessageType::R2 => match self.desk.index_use(datagram.receiver) {
                Some(IndexUse::Attempt(id)) => {
                    self.with_peer(id, |peer, desk| peer.on_reply(now, from, &datagram, desk));
                }
                Some(IndexUse::Pending(_) | IndexUse::Data(_)) | None => self.door.count("unknown index"),
            },
            MessageType::I2 => match self.desk.index_use(datagram.receiver) {
                Some(IndexUse::Pending(id)) => {
                    self.with_peer(id, |peer, desk| peer.on_i2(now, from, &datagram, desk));
                }
                Some(IndexUse::Attempt(_) | IndexUse::Data(_)) | None => self.door.count("unknown index"),
            },
        }
    }

    /// A fragment of an I1: cookie, cached answer, reassembly, work limit, and only then the first private key operation.
    fn on_i1(&mut self, now: Now, from: Endpoint, datagram: &HandshakeDatagram<'_>) {
        let cookie = match self.door.gate.check_i1(from.to, datagram) {
            Ok(cookie) => cookie,
            Err(CookieFault::AnswerR0(r0)) => return self.desk.transmit(from, r0),
            Err(CookieFault::Refused(refusal)) => return self.door.count(refusal.counter()),
        };
        if let Some(cached) = self.peers.as_slice().iter().find_map(|peer| peer.cached_r1(from, datagram)) {
            if let Some(fragment) = cached {
                self.desk.transmit(from, fragment);
            }
            return;
        }
        let known = self.peers.as_slice().iter().any(|peer| peer.is_known_address(from.to.ip()));
        let whole = match self.door.reassembly.insert(now.at, from.to, known, datagram, cookie) {
            Ok(Some(whole)) => whole,
            Ok(None) => return,
            Err(refusal) => return self.door.count(refusal.counter()),
        };
        if !self.door.work.allow(now.at, from.to, known) {
            return self.door.count("over the work limit");
        }
        let peers = self.peers.as_slice();
        let eks: Vec<&[u8]> = peers.iter().map(|peer| peer.setup.public.ek()).collect();
        let find = |fp: &_| peers.iter().find(|peer| peer.setup.public.fp() == fp).map(Peer::peer_keys);
        match open_i1(&self.desk.me, &eks, &find, &whole) {
            Ok(opened) => {
                let fp = *opened.fp();
                if let Some(peer) = self.peers.touch_where(|peer| *peer.setup.public.fp() == fp) {
                    peer.answer_i1(now, from, opened, &mut self.desk);
                }
            }
            Err(refusal) => self.on_refused_i1(now, &refusal),
        }
    }

    fn on_refused_i1(&mut self, now: Now, refusal: &Refusal) {
        self.door.count(refusal.counter());
        if let Refusal::PskOrIdentity(fp) = refusal
            && let Some(peer) = self.peers.touch_where(|peer| peer.setup.public.fp() == fp)
        {
            peer.alarm(now, Alarm::PskOrIdentity, &mut self.desk);
        }
    }
}

impl Peer {
    /// Whether handshakes from this address have a reserved share: the configured or last authenticated one.
    pub(super) fn is_known_address(&self, address: std::net::IpAddr) -> bool {
        let places = [self.link.endpoint, self.configured()];
        places.into_iter().flatten().any(|place| place.to.ip() == address)
    }

    /// A control message that opened under one of the peer's epochs.
    fn on_control(&mut self, now: Now, tag: EpochTag, from: Endpoint, bytes: &[u8], desk: &mut Desk) {
        self.note_authentic(now);
        // A control packet confirms its epoch as any other packet does.
        self.on_first_opened(now, tag, from, desk);
        match Control::parse(bytes) {
            Ok(Control::Fr1(fr1)) => self.on_fr1(now, tag.session, fr1, desk),
            Ok(Control::Fr2(fr2)) => self.on_fr2(now, tag.session, fr2, desk),
            Ok(Control::PleaseRekey) => self.on_please_rekey(now, tag),
            Ok(Control::Close) => self.on_close(now, tag, desk),
            Ok(Control::Unknown(_)) => self.count("unknown control message"),
            Err(_) => self.count("malformed control message"),
        }
    }

    /// The responder's limits are reached. One that was asked for under an epoch that has been replaced has been heeded.
    fn on_please_rekey(&mut self, now: Now, tag: EpochTag) {
        let in_use =
            |chain: &Chain| chain.role == Role::Initiator && (chain.session, chain.epoch) == (tag.session, tag.number);
        if self.exchanges.rekey.is_none() && self.chain().is_some_and(in_use) {
            self.pace.rekey_due = Some(now.at);
        }
    }

    /// An inner packet without an epoch: it waits, bounded, unless the policy has stopped the traffic.
    fn stage(&mut self, now: Now, packet: Vec<u8>, desk: &mut Desk) {
        if self.is_blocked(now.at) {
            return self.count("blocked");
        }
        for _ in 0..self.link.staged.push(now.at, packet) {
            self.count("staging full");
        }
        self.flush_staged(now, desk);
    }

    /// A key source answered one of this peer's exchanges; an answer that nobody waits for is thrown away.
    pub(super) fn on_delivery(&mut self, now: Now, delivery: KeyDelivery, desk: &mut Desk) {
        let source = delivery.source;
        let mut rest = Some(delivery);
        let mut failure = None;
        let gathers: [fn(&mut Exchanges) -> Option<&mut Gather>; 4] = [
            Exchanges::attempt_gather,
            Exchanges::answer_gather,
            Exchanges::rekey_gather,
            Exchanges::rekey_answer_gather,
        ];
        for which in gathers {
            let Some(delivery) = rest.take() else { break };
            let Some(gather) = which(&mut self.exchanges) else {
                rest = Some(delivery);
                continue;
            };
            match gather.deliver(delivery, &mut self.keys.rules, desk) {
                Ok(failed) => failure = failed,
                Err(delivery) => rest = Some(delivery),
            }
        }
        if let Some(failed) = failure {
            desk.tell(self.id, EventKind::SourceFailed { source, reason: failed.reason, text: failed.text });
        }
        self.go_on_with_keys(now, desk);
        self.go_on_with_rekey(now, desk);
        self.go_on_with_rekey_answer(now, desk);
        self.go_on_with_answers(now, desk);
    }

    /// An operator wants fresh keys now.
    pub(super) fn rekey_now(&mut self, now: Now) {
        match self.chain().map(|chain| chain.role).filter(|_| self.has_session()) {
            Some(Role::Initiator) => self.pace.rekey_due = Some(now.at),
            Some(Role::Responder) => self.pace.please_rekey = Some(now.at),
            None => self.pace.full_due = Some(now.at),
        }
    }

    /// From now on sessions and epochs are made, or none; exchanges under way end then.
    pub(super) fn admit(&mut self, admits: bool, desk: &mut Desk) {
        self.pace.admits = admits;
        if admits {
            return;
        }
        self.abandon_attempt(desk);
        self.end_rekey(desk);
        self.exchanges.rekey_answer = None;
        for answer in self.exchanges.answers.drain(..) {
            answer.free(desk);
        }
    }

    /// An orderly stop: the other end is told at once, and the clock is written exactly (PROTOCOL 2.8a).
    pub(super) fn stop(&mut self, now: Now, desk: &mut Desk) {
        self.seal_close(now);
        for (_, to, bytes) in self.link.leaving.drain(..) {
            desk.transmit(to, bytes);
        }
        self.write_clock_exactly(now, desk);
        let gone = self.keys.ring.take_if(|_| true);
        self.forget_epochs(gone, desk);
        self.keys.chains.clear();
        self.exchanges = Default::default();
    }
}
