//! The initiator's waiting states before it knows the peer: for R0, and for R1 (PROTOCOL 2.4, 2.5).
//!
//! [`AwaitCookie`] → [`AwaitR1`] → [`AwaitKeys`] → [`AwaitR2`]. A state keeps the datagrams it made, for verbatim
//! resends; a refused message leaves it as it was.

use super::cookie::Cookie;
pub use super::initiator_keys::{AwaitKeys, AwaitR2, R2Outcome, RatchetUse};
use super::mac::{Mac1Key, check_mac2, check_no_mac2};
use super::parts::Parts;
use super::refusal::Refusal;
use super::settled::Settled;
use super::terms::{LocalTerms, PeerKeys, PeerTerms, RatchetId, Role, Stated, agree, ratchet_is_required};
use crate::crypto::dh::{self, Scalar};
use crate::crypto::kdf::HASH_BYTES;
use crate::crypto::kem::{KemKeyPair, SEED_BYTES, SHARED_BYTES};
use crate::identity::Identity;
use crate::schedule::stages::{AfterI1, R1Secrets, Start};
use crate::types::id::SessionIndex;
use crate::types::limits::R1_IN_PARTS_MAX;
use crate::types::policy::{Cipher, RatchetPolicy};
use crate::types::random::Randomness;
use crate::types::secret::{Secret, SecretBytes, tags_equal};
use crate::wire::bodies::{self, I1, R1};
use crate::wire::handshake::{HandshakeDatagram, Header, MessageType};
use crate::wire::terms::{parse_payload2, write_payload1};

/// I0 was made; the responder's cookie is awaited.
pub struct AwaitCookie {
    mac1: Mac1Key,
    sender_index: SessionIndex,
    message_id: u32,
    n_i: [u8; 32],
    datagram: Vec<u8>,
}

impl AwaitCookie {
    /// Makes I0. `sender_index` stays the same for the whole attempt: the cookie binds it.
    pub fn start(peer: &PeerKeys<'_>, sender_index: SessionIndex, rng: &mut dyn Randomness) -> Self {
        let mac1 = Mac1Key::new(peer.public.fp());
        let mut n_i = [0; 32];
        rng.public("n_i", &mut n_i);
        let message_id = rng.public_u32("message_id_I0");
        let header = Header { kind: MessageType::I0, sender: sender_index.value(), receiver: 0, message_id };
        let datagram = mac1.finish(&header, &bodies::write_i0(&n_i), None).concat();
        Self { mac1, sender_index, message_id, n_i, datagram }
    }

    /// I0, for sending and resending.
    pub fn datagram(&self) -> &[u8] {
        &self.datagram
    }

    /// The attempt's handshake index.
    pub fn sender_index(&self) -> SessionIndex {
        self.sender_index
    }

    /// Takes the cookie from an R0 that answers this I0.
    pub fn accept_r0(&self, r0: &HandshakeDatagram<'_>) -> Result<Cookie, Refusal> {
        check_r0(r0, &self.mac1, self.sender_index, self.message_id, &self.n_i)
    }
}

fn check_r0(
    r0: &HandshakeDatagram<'_>,
    mac1: &Mac1Key,
    sender_index: SessionIndex,
    message_id: u32,
    echo: &[u8; 32],
) -> Result<Cookie, Refusal> {
    if r0.kind != MessageType::R0 {
        return Err(Refusal::Unexpected);
    }
    if r0.receiver != sender_index.value() {
        return Err(Refusal::Index);
    }
    mac1.check(r0)?;
    check_no_mac2(r0)?;
    let (echoed, cookie) = bodies::parse_r0(r0.body)?;
    if r0.message_id != message_id || !tags_equal(echoed, echo) {
        return Err(Refusal::Echo);
    }
    Ok(Cookie(*cookie))
}

/// An R1 of which not every part has come.
struct UnfinishedR1 {
    message_id: u32,
    responder_index: SessionIndex,
    parts: Parts,
}

/// I1 was made; R1 is awaited.
pub struct AwaitR1 {
    mac1: Mac1Key,
    sender_index: SessionIndex,
    message_id: u32,
    datagrams: Vec<Vec<u8>>,
    stage: AfterI1,
    fragment_key: Secret<HASH_BYTES>,
    e_i_secret: Secret<32>,
    e_i: [u8; 32],
    dk: SecretBytes,
    terms: LocalTerms,
    offered: Vec<RatchetId>,
    data_index: SessionIndex,
    psk_used: bool,
    kept_cookie: Option<Cookie>,
    unfinished: Vec<UnfinishedR1>,
}

/// The initiator's ephemerals of one I1.
struct Ephemerals {
    e_i_secret: Secret<32>,
    pair: KemKeyPair,
    m: Secret<SHARED_BYTES>,
}

impl Ephemerals {
    fn draw(me: &Identity, rng: &mut dyn Randomness) -> Self {
        let e_i_secret = Secret::filled(|out| rng.secret("e_i", out));
        let seed = Secret::<SEED_BYTES>::filled(|out| rng.secret("ek", out));
        let m = Secret::filled(|out| rng.secret("ct_r", out));
        Self { e_i_secret, pair: me.kem().generate(me.suite(), &seed), m }
    }
}

impl AwaitR1 {
    /// Makes I1 with fresh ephemerals. `offers`: the ratchet entries we have, newest first; none are offered if our
    /// ratchet policy is off.
    pub fn create(
        me: &Identity,
        peer: &PeerKeys<'_>,
        sender_index: SessionIndex,
        cookie: &Cookie,
        stated: &Stated<'_>,
        offers: &[(RatchetId, &Secret<32>)],
        rng: &mut dyn Randomness,
    ) -> Result<Self, Refusal> {
        let Ephemerals { e_i_secret, pair, m } = Ephemerals::draw(me, rng);
        let loaded = Scalar::load(&e_i_secret);
        let e_i = loaded.public();
        let es = loaded.shared(peer.public.s()).ok_or(Refusal::SmallOrder)?;
        let ss = dh::shared(me.dh_secret(), peer.public.s()).ok_or(Refusal::SmallOrder)?;
        let encapsulated = me.kem().encapsulate(me.suite(), peer.public.ek(), &m);
        let (ct_r, skem_r) = encapsulated.ok_or(Refusal::EphemeralKey)?;

        let is_off = stated.terms.ratchet_policy == RatchetPolicy::Off;
        let offered: Vec<RatchetId> = offers.iter().filter(|_| !is_off).map(|(id, _)| *id).collect();
        let payload = write_payload1(stated.terms, &offered, stated.data_index, stated.unix);
        let start = Start::new(peer.public, &cookie.0);
        let (id, stage) = start.mix_ephemerals(&e_i, &es, (&pair.ek, &ct_r), &skem_r).seal(me.fp().as_bytes());
        let (p1, stage) = stage.mix_statics(me.public(), &ss, peer.psk).seal(&payload);
        let body = I1 { suite: me.suite(), e_i: &e_i, ek: &pair.ek, ct_r: &ct_r, id: &id, p1: &p1 }.write();

        let mac1 = Mac1Key::new(peer.public.fp());
        let message_id = rng.public_u32("message_id_I1");
        let header = Header { kind: MessageType::I1, sender: sender_index.value(), receiver: 0, message_id };
        Ok(Self {
            datagrams: mac1.finish(&header, &body, Some(&cookie.0)),
            mac1,
            sender_index,
            message_id,
            fragment_key: stage.fragment_key(),
            stage,
            e_i_secret,
            e_i,
            dk: pair.dk,
            terms: stated.terms.clone(),
            offered,
            data_index: stated.data_index,
            psk_used: !peer.psk.is_zero(),
            kept_cookie: None,
            unfinished: Vec::new(),
        })
    }

    /// I1 in parts, for sending and resending.
    pub fn datagrams(&self) -> &[Vec<u8>] {
        &self.datagrams
    }

    /// The attempt's handshake index.
    pub fn sender_index(&self) -> SessionIndex {
        self.sender_index
    }

    /// Keeps the cookie of the first R0 that answers this I1. It is used at the next resend time, for a new I1, only if
    /// R1 is not whole by then: an observer who can inject but not drop kills nothing.
    pub fn accept_r0(&mut self, r0: &HandshakeDatagram<'_>) -> Result<(), Refusal> {
        let cookie = check_r0(r0, &self.mac1, self.sender_index, self.message_id, &self.e_i)?;
        if self.kept_cookie.is_some() {
            return Err(Refusal::CookieKept);
        }
        self.kept_cookie = Some(cookie);
        Ok(())
    }

    /// The cookie that [`accept_r0`](Self::accept_r0) kept.
    pub fn kept_cookie(&self) -> Option<Cookie> {
        self.kept_cookie
    }

    /// Takes a part of R1; with the last one R1 is opened. `offers`: as for [`create`](Self::create), at this moment.
    pub fn accept_r1(
        &mut self,
        me: &Identity,
        offers: &[(RatchetId, &Secret<32>)],
        part: &HandshakeDatagram<'_>,
    ) -> Result<Option<AwaitKeys>, Refusal> {
        let Some((responder_index, body)) = self.insert(me, part)? else { return Ok(None) };
        self.open_r1(me, offers, responder_index, &body).map(Some)
    }

    /// Puts the part in its place; gives the whole body and forgets its parts, so that a message that does not open
    /// makes room for the true one.
    fn insert(
        &mut self,
        me: &Identity,
        part: &HandshakeDatagram<'_>,
    ) -> Result<Option<(SessionIndex, Vec<u8>)>, Refusal> {
        if part.kind != MessageType::R1 {
            return Err(Refusal::Unexpected);
        }
        let responder_index = SessionIndex::new(part.sender).ok_or(Refusal::Index)?;
        if part.receiver != self.sender_index.value() {
            return Err(Refusal::Index);
        }
        self.mac1.check(part)?;
        check_mac2(part, self.fragment_key.expose())?;
        if !part.fits(me.suite()) {
            return Err(Refusal::Suite);
        }
        let names = (part.message_id, responder_index);
        let known = self.unfinished.iter().position(|r1| (r1.message_id, r1.responder_index) == names);
        let at = match known {
            Some(at) => at,
            None if self.unfinished.len() >= R1_IN_PARTS_MAX => return Err(Refusal::TooManyParts),
            None => {
                let (message_id, parts) = (part.message_id, Parts::new(part));
                self.unfinished.push(UnfinishedR1 { message_id, responder_index, parts });
                self.unfinished.len() - 1
            }
        };
        let Some(r1) = self.unfinished.get_mut(at) else { return Ok(None) };
        r1.parts.insert(part);
        let Some(body) = r1.parts.whole() else { return Ok(None) };
        self.unfinished.remove(at);
        Ok(Some((responder_index, body)))
    }

    fn open_r1(
        &self,
        me: &Identity,
        offers: &[(RatchetId, &Secret<32>)],
        responder_index: SessionIndex,
        body: &[u8],
    ) -> Result<AwaitKeys, Refusal> {
        let r1 = R1::parse(body, me.suite())?;
        let secrets = R1Secrets {
            ee: dh::shared(&self.e_i_secret, r1.e_r).ok_or(Refusal::SmallOrder)?,
            se: dh::shared(me.dh_secret(), r1.e_r).ok_or(Refusal::SmallOrder)?,
            ekem: me.kem().decapsulate(me.suite(), &self.dk, r1.ct_e).ok_or(Refusal::Ciphertext)?,
            skem_i: me.kem().decapsulate(me.suite(), me.dk(), r1.ct_i).ok_or(Refusal::Ciphertext)?,
        };
        let opened = self.stage.fork().mix_r1(&r1, &secrets).open(r1.p2);
        let (payload, stage) = opened.ok_or(Refusal::Unopened("p2"))?;
        let peer_terms = parse_payload2(&payload)?;
        let cipher = chosen_cipher(&self.terms.ciphers, &peer_terms.ciphers)?;
        let selected = self.selected(&peer_terms, offers)?;
        let stage = stage.mix_ratchet(selected.map(|(_, rs)| rs));
        let ratchet_used = selected.map(|(id, _)| id);
        let ratchet = match ratchet_used {
            Some(id) => RatchetUse::Seeded(id),
            None if ratchet_is_required(self.terms.ratchet_policy, peer_terms.ratchet_policy) => {
                RatchetUse::RequiredLost
            }
            None => RatchetUse::None,
        };
        let settled = Settled {
            role: Role::Initiator,
            mac1: self.mac1.clone(),
            fragment_key: self.fragment_key.duplicate(),
            local_index: self.sender_index,
            remote_index: responder_index,
            local_data_index: self.data_index,
            agreed: agree(&self.terms, &peer_terms, cipher),
            peer_terms,
            psk_used: self.psk_used,
            ratchet_used,
        };
        Ok(AwaitKeys::new(settled, stage, ratchet))
    }

    /// The entry that the responder selected, which must be one that this I1 offered and that we still have.
    fn selected<'s>(
        &self,
        peer_terms: &PeerTerms,
        offers: &[(RatchetId, &'s Secret<32>)],
    ) -> Result<Option<(RatchetId, &'s Secret<32>)>, Refusal> {
        let Some(id) = peer_terms.ratchet_ids.first() else { return Ok(None) };
        let entry = offers.iter().find(|(offer, _)| offer == id && self.offered.contains(id));
        entry.map(|entry| Some(*entry)).ok_or(Refusal::RatchetNotOffered)
    }
}

/// The one cipher that the responder chose, which must be one that this I1 offered.
fn chosen_cipher(offered: &[Cipher], chosen: &[Cipher]) -> Result<Cipher, Refusal> {
    match chosen {
        [cipher] if offered.contains(cipher) => Ok(*cipher),
        _ => Err(Refusal::CipherNotOffered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_responder_chooses_one_cipher_of_those_offered() {
        use Cipher::{Aes256Gcm, ChaCha20Poly1305};
        let both = [ChaCha20Poly1305, Aes256Gcm];
        assert_eq!(chosen_cipher(&both, &[Aes256Gcm]), Ok(Aes256Gcm));
        assert_eq!(chosen_cipher(&[ChaCha20Poly1305], &[Aes256Gcm]), Err(Refusal::CipherNotOffered));
        assert_eq!(chosen_cipher(&both, &both), Err(Refusal::CipherNotOffered));
        assert_eq!(chosen_cipher(&both, &[]), Err(Refusal::CipherNotOffered));
    }
}
