//! The responder: opens a whole I1, states its own terms in R1, answers I2 with R2 (PROTOCOL 2.5).
//!
//! [`open_i1`] → [`OpenedI1`] → [`AwaitI2`] → [`OpenedI2`] → [`R2Made`]. A state keeps the datagrams it made, as cached
//! answers; a refused message leaves it as it was.

use std::sync::Arc;

use super::mac::Mac1Key;
use super::reassembly::WholeI1;
use super::refusal::Refusal;
use super::settled::Settled;
use super::terms::{
    Agreed, LocalTerms, NewSession, PeerKeys, PeerTerms, RatchetId, Role, SlotAnswer, Stated, agree,
    ratchet_is_required,
};
use crate::crypto::dh::Scalar;
use crate::identity::{Fingerprint, Identity};
use crate::keys::policy::QkdWaiver;
use crate::schedule::confirm::{BeforeQkd, REFUSAL_OK};
use crate::schedule::qkd::{self, MixableKey};
use crate::schedule::stages::{AfterI1, AfterP3, BeforeP3, R1Secrets, Start};
use crate::types::id::SessionIndex;
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::policy::{Cipher, RatchetPolicy, Reason};
use crate::types::random::Randomness;
use crate::types::secret::Secret;
use crate::types::terms::FEATURE_AES_HARDWARE;
use crate::wire::bodies::{I1, R1, parse_payload3};
use crate::wire::handshake::{HandshakeDatagram, MessageType, P3_BYTES};
use crate::wire::slots::{self, Slot};
use crate::wire::status::{STATUS_BYTES, Status};
use crate::wire::terms::{parse_payload1, write_payload2};

/// An authentic I1: it was made with the static keys and the PSK of this peer, for us, within the life of its cookie.
pub struct OpenedI1 {
    fp: Fingerprint,
    sender_index: SessionIndex,
    message_id: u32,
    e_i: [u8; 32],
    ek: Vec<u8>,
    terms: PeerTerms,
    stage: AfterI1,
}

/// Opens a whole I1. `static_eks`: the encapsulation key of every peer, none of which may serve as an ephemeral one.
/// `find`: the peer with a fingerprint.
pub fn open_i1<'p>(
    me: &Identity,
    static_eks: &[&[u8]],
    find: &dyn Fn(&Fingerprint) -> Option<PeerKeys<'p>>,
    whole: &WholeI1,
) -> Result<OpenedI1, Refusal> {
    let sender_index = SessionIndex::new(whole.sender).ok_or(Refusal::Index)?;
    let i1 = I1::parse(&whole.body, me.suite())?;
    let mine = Scalar::load(me.dh_secret());
    let es = mine.shared(i1.e_i).ok_or(Refusal::SmallOrder)?;
    if !me.kem().is_valid_ek(me.suite(), i1.ek) {
        return Err(Refusal::EphemeralKey);
    }
    if i1.ek == me.public().ek() || static_eks.contains(&i1.ek) {
        return Err(Refusal::StaticAsEphemeral);
    }
    let skem_r = me.kem().decapsulate(me.suite(), me.dk(), i1.ct_r).ok_or(Refusal::Ciphertext)?;
    let start = Start::new(me.public(), &whole.cookie.0);
    let opened = start.mix_ephemerals(i1.e_i, &es, (i1.ek, i1.ct_r), &skem_r).open(i1.id);
    let (fp, stage) = opened.ok_or(Refusal::Unopened("id"))?;
    let fp = Fingerprint::from_bytes(<[u8; 32]>::try_from(fp).map_err(|_| Refusal::Unopened("id"))?);
    if fp == *me.fp() {
        return Err(Refusal::OwnIdentity);
    }
    let peer = find(&fp).ok_or(Refusal::UnknownPeer)?;
    let ss = mine.shared(peer.public.s()).ok_or(Refusal::SmallOrder)?;
    let opened = stage.mix_statics(peer.public, &ss, peer.psk).open(i1.p1);
    let (payload, stage) = opened.ok_or(Refusal::PskOrIdentity(fp))?;
    let terms = parse_payload1(&payload)?;
    let (e_i, ek) = (*i1.e_i, i1.ek.to_vec());
    Ok(OpenedI1 { fp, sender_index, message_id: whole.message_id, e_i, ek, terms, stage })
}

impl OpenedI1 {
    /// Which peer it is.
    pub fn fp(&self) -> &Fingerprint {
        &self.fp
    }

    /// What it states, with the ratchet ids it offers.
    pub fn terms(&self) -> &PeerTerms {
        &self.terms
    }

    /// Its handshake index.
    pub fn sender_index(&self) -> SessionIndex {
        self.sender_index
    }

    /// Of its I1.
    pub fn message_id(&self) -> u32 {
        self.message_id
    }

    /// Makes R1. `ratchet`: our newest entry that is offered; none if our ratchet policy is off.
    pub fn create_r1(
        self,
        me: &Identity,
        peer: &PeerKeys<'_>,
        stated: &Stated<'_>,
        ratchet: Option<(RatchetId, &Secret<32>)>,
        responder_index: SessionIndex,
        rng: &mut dyn Randomness,
    ) -> Result<AwaitI2, Refusal> {
        let cipher = self.choose_cipher(stated)?;
        let e_r_secret = Scalar::load(&Secret::filled(|out| rng.secret("e_r", out)));
        let e_r = e_r_secret.public();
        let m_e = Secret::filled(|out| rng.secret("ct_e", out));
        let m_i = Secret::filled(|out| rng.secret("ct_i", out));
        let (ct_e, ekem) = me.kem().encapsulate(me.suite(), &self.ek, &m_e).ok_or(Refusal::EphemeralKey)?;
        let (ct_i, skem_i) = me.kem().encapsulate(me.suite(), peer.public.ek(), &m_i).ok_or(Refusal::EphemeralKey)?;
        let ee = e_r_secret.shared(&self.e_i).ok_or(Refusal::SmallOrder)?;
        let se = e_r_secret.shared(peer.public.s()).ok_or(Refusal::SmallOrder)?;

        let is_off = stated.terms.ratchet_policy == RatchetPolicy::Off;
        let ratchet = ratchet.filter(|(id, _)| !is_off && self.terms.ratchet_ids.contains(id));
        let ratchet_used = ratchet.map(|(id, _)| id);
        let payload = write_payload2(stated.terms, cipher, ratchet_used, stated.data_index, stated.unix);
        let fragment_key = self.stage.fragment_key();
        let publics = R1 { e_r: &e_r, ct_e: &ct_e, ct_i: &ct_i, p2: &[] };
        let (p2, stage) = self.stage.mix_r1(&publics, &R1Secrets { ee, se, ekem, skem_i }).seal(&payload);
        let stage = stage.mix_ratchet(ratchet.map(|(_, rs)| rs));
        let is_ratchet_lost =
            ratchet.is_none() && ratchet_is_required(stated.terms.ratchet_policy, self.terms.ratchet_policy);

        let settled = Settled {
            role: Role::Responder,
            mac1: Mac1Key::new(me.fp()),
            fragment_key,
            local_index: responder_index,
            remote_index: self.sender_index,
            local_data_index: stated.data_index,
            agreed: agree(stated.terms, &self.terms, cipher),
            peer_terms: self.terms,
            psk_used: !peer.psk.is_zero(),
            ratchet_used,
        };
        let body = R1 { p2: &p2, ..publics }.write();
        let datagrams = settled.finish(MessageType::R1, rng.public_u32("message_id_R1"), &body);
        let (settled, i1_message_id) = (Arc::new(settled), self.message_id);
        Ok(AwaitI2 { settled, stage, i1_message_id, is_ratchet_lost, datagrams })
    }

    /// The first of our own order that is offered. If only we have AES in hardware, it goes last: the slower end decides
    /// how fast both are (PROTOCOL 2.1).
    fn choose_cipher(&self, stated: &Stated<'_>) -> Result<Cipher, Refusal> {
        let LocalTerms { ciphers, features, .. } = stated.terms;
        let only_ours = features & !self.terms.features & FEATURE_AES_HARDWARE != 0;
        let mut common = ciphers.iter().copied().filter(|cipher| self.terms.ciphers.contains(cipher));
        let first = common.next().ok_or(Refusal::NoCommonCipher)?;
        let yields = only_ours && first == Cipher::Aes256Gcm;
        Ok(common.next().filter(|_| yields).unwrap_or(first))
    }
}

/// R1 was made; I2 is awaited. Nothing has been asked of a KME.
pub struct AwaitI2 {
    settled: Arc<Settled>,
    stage: BeforeP3,
    i1_message_id: u32,
    is_ratchet_lost: bool,
    datagrams: Vec<Vec<u8>>,
}

impl AwaitI2 {
    /// R1 in parts.
    pub fn datagrams(&self) -> &[Vec<u8>] {
        &self.datagrams
    }

    /// The cached R1 part for a repeated part of the I1 that this state answered; `None` if it is another I1, or has
    /// more parts than R1. That mac1 and cookie are good is the caller's to check.
    pub fn cached_r1(&self, i1: &HandshakeDatagram<'_>) -> Option<&[u8]> {
        let is_same = i1.kind == MessageType::I1
            && i1.sender == self.settled.remote_index.value()
            && i1.message_id == self.i1_message_id;
        let part = self.datagrams.get(usize::from(i1.part)).filter(|_| is_same);
        part.map(Vec::as_slice)
    }

    /// Our handshake index.
    pub fn responder_index(&self) -> SessionIndex {
        self.settled.local_index
    }

    /// The terms of the session to be.
    pub fn agreed(&self) -> &Agreed {
        &self.settled.agreed
    }

    /// What the initiator stated.
    pub fn peer_terms(&self) -> &PeerTerms {
        &self.settled.peer_terms
    }

    /// The ratchet entry that was mixed: it is confirmed when I2 opens (PROTOCOL 2.7).
    pub fn ratchet_used(&self) -> Option<RatchetId> {
        self.settled.ratchet_used
    }

    /// Whether an I2 is accepted at all: not where the ratchet is required and no entry is common.
    pub fn accepts_i2(&self) -> bool {
        !self.is_ratchet_lost
    }

    /// Opens I2: from here on the initiator is authentic, and the KMEs may be asked for the keys it names.
    pub fn accept_i2(&self, i2: &HandshakeDatagram<'_>) -> Result<OpenedI2, Refusal> {
        if self.is_ratchet_lost {
            return Err(Refusal::RatchetRequired);
        }
        self.settled.check(MessageType::I2, i2)?;
        let p3: &[u8; P3_BYTES] = i2.body.try_into().map_err(|_| Refusal::Unopened("p3"))?;
        let (payload, stage) = self.stage.open(p3).ok_or(Refusal::Unopened("p3"))?;
        let slots = slots::parse(parse_payload3(&payload)?, self.settled.agreed.asked)?;
        Ok(OpenedI2 { settled: Arc::clone(&self.settled), stage, slots })
    }
}

/// An authentic I2: our KMEs are asked for the keys it names.
pub struct OpenedI2 {
    settled: Arc<Settled>,
    stage: AfterP3,
    slots: [Slot; QKD_SOURCES_MAX],
}

/// R2, and the session if it made one. The datagram is the cached answer to every repeated I2.
pub struct R2Made {
    /// R2.
    pub datagram: Vec<u8>,
    /// What it says.
    pub status: Status,
    /// `None`: it is a refusal, with 16 zero bytes for `ok`.
    pub outcome: Option<Box<NewSession>>,
}

impl OpenedI2 {
    /// What the initiator has for each source.
    pub fn slots(&self) -> &[Slot; QKD_SOURCES_MAX] {
        &self.slots
    }

    /// The terms of the session to be.
    pub fn agreed(&self) -> &Agreed {
        &self.settled.agreed
    }

    /// Whether the initiator's keys alone leave the exchange short, so that asking our KMEs cannot make it whole.
    pub fn is_short_already(&self) -> bool {
        self.settled.agreed.is_short(slots::sources_with_key(&self.slots))
    }

    /// Makes R2 of what our KMEs gave. `waiver`: our policy's permission for a short session at this moment.
    pub fn create_r2(
        self,
        answers: [SlotAnswer; QKD_SOURCES_MAX],
        waiver: Option<QkdWaiver>,
        rng: &mut dyn Randomness,
    ) -> R2Made {
        let (keys, mut reasons) = qkd::answer(&self.slots, answers);
        let status = qkd::status(self.stage.check_hash(), &keys, reasons);
        let mut payload = Vec::with_capacity(STATUS_BYTES);
        status.write(&mut payload);
        let (mut body, stage) = self.stage.seal(&payload);
        reasons = qkd::reasons(&self.slots, &status);
        let (ok, outcome) = finish(&self.settled, stage, &keys, waiver, reasons);
        body.extend_from_slice(&ok);
        let datagram = self.settled.finish(MessageType::R2, rng.public_u32("message_id_R2"), &body).concat();
        R2Made { datagram, status, outcome }
    }
}

fn finish(
    settled: &Settled,
    stage: BeforeQkd,
    keys: &[MixableKey],
    waiver: Option<QkdWaiver>,
    reasons: [Option<Reason>; QKD_SOURCES_MAX],
) -> (Vec<u8>, Option<Box<NewSession>>) {
    match stage.mix(keys, &settled.agreed, waiver) {
        Ok(keyed) => {
            let (ok, confirmed) = keyed.seal_ok();
            (ok, Some(Box::new(settled.session(confirmed, reasons))))
        }
        Err(_) => (REFUSAL_OK.to_vec(), None),
    }
}
