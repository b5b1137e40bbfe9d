//! Both ends of one handshake in a test: who they are, what they are configured with, what their KMEs answer.

use std::net::SocketAddr;

use plait::handshake::terms::{Agreed, LocalTerms, PeerKeys, SlotAnswer, SlotOffer, Stated};
use plait::identity::{Fingerprint, Identity};
use plait::keys::policy::{Exchange, LeftSeconds, QkdWaiver, waive};
use plait::keys::ratchet::RatchetStore;
use plait::keys::request::DeliveredKey;
use plait::types::id::{KeyId, SessionIndex};
use plait::types::policy::Reason;
use plait::types::secret::{Secret, SecretBytes};
use plait::types::time::UnixTime;

/// One end.
pub(crate) struct End {
    pub(crate) me: Identity,
    pub(crate) terms: LocalTerms,
    pub(crate) ratchet: RatchetStore,
    pub(crate) unix: UnixTime,
    pub(crate) index: SessionIndex,
    pub(crate) data_index: SessionIndex,
}

impl End {
    pub(crate) fn stated(&self) -> Stated<'_> {
        Stated { terms: &self.terms, data_index: self.data_index, unix: self.unix }
    }

    /// The permission of this end's policy: what its clock leaves, or the whole of `degrade_for`.
    pub(crate) fn waiver(&self, agreed: &Agreed) -> Option<QkdWaiver> {
        let left = match agreed.clock {
            0 => agreed.degrade_for,
            u16::MAX => u32::MAX,
            clock => u32::from(clock) - 1,
        };
        waive(agreed.policy, Exchange::Handshake, LeftSeconds(left))
    }
}

/// What a KME gives: a key with its name, or why none.
pub(crate) type KmeAnswer = Result<(String, Vec<u8>), Reason>;

/// The answers of both ends' KMEs of one source; `None`: not asked.
#[derive(Clone, Default)]
pub(crate) struct Source {
    pub(crate) initiator: Option<KmeAnswer>,
    pub(crate) responder: Option<KmeAnswer>,
}

/// Both ends.
pub(crate) struct Ends {
    pub(crate) initiator: End,
    pub(crate) responder: End,
    pub(crate) psk: Secret<32>,
    pub(crate) sources: [Source; 6],
    /// Where the initiator's datagrams come from.
    pub(crate) from: SocketAddr,
}

impl Ends {
    /// The responder, as the initiator knows it.
    pub(crate) fn responder_keys(&self) -> PeerKeys<'_> {
        PeerKeys { public: self.responder.me.public(), psk: &self.psk }
    }

    /// The initiator, as the responder knows it; nobody else is a peer.
    pub(crate) fn find_initiator(&self, fp: &Fingerprint) -> Option<PeerKeys<'_>> {
        let public = self.initiator.me.public();
        (public.fp() == fp).then_some(PeerKeys { public, psk: &self.psk })
    }

    pub(crate) fn offers(&self) -> [SlotOffer; 6] {
        std::array::from_fn(|number| match &self.sources[number].initiator {
            None => SlotOffer::NotAsked,
            Some(Ok(key)) => SlotOffer::Key(delivered(key)),
            Some(Err(reason)) => SlotOffer::Failed(*reason),
        })
    }

    pub(crate) fn answers(&self) -> [SlotAnswer; 6] {
        std::array::from_fn(|number| match &self.sources[number].responder {
            None => SlotAnswer::NotNeeded,
            Some(Ok(key)) => SlotAnswer::Key(delivered(key)),
            Some(Err(reason)) => SlotAnswer::Failed(*reason),
        })
    }
}

fn delivered((key_id, material): &(String, Vec<u8>)) -> DeliveredKey {
    let key_id = KeyId::new(key_id.as_bytes()).unwrap();
    DeliveredKey { key_id, material: SecretBytes::new(material.clone()) }
}
