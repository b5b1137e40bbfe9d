//! What both ends hold from R1 on: the frame that I2 and R2 travel in, and the facts that the session will carry.

use super::mac::{Mac1Key, check_mac2};
use super::refusal::Refusal;
use super::terms::{Agreed, NewSession, PeerTerms, RatchetId, RatchetSecret, Role};
use crate::crypto::kdf::HASH_BYTES;
use crate::schedule::confirm::Confirmed;
use crate::types::id::SessionIndex;
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::policy::Reason;
use crate::types::secret::Secret;
use crate::wire::handshake::{HandshakeDatagram, Header, MessageType};

/// Fixed from R1 on; shared by the states that follow.
pub(super) struct Settled {
    pub(super) role: Role,
    pub(super) mac1: Mac1Key,
    pub(super) fragment_key: Secret<HASH_BYTES>,
    pub(super) local_index: SessionIndex,
    pub(super) remote_index: SessionIndex,
    pub(super) local_data_index: SessionIndex,
    pub(super) agreed: Agreed,
    pub(super) peer_terms: PeerTerms,
    pub(super) psk_used: bool,
    pub(super) ratchet_used: Option<RatchetId>,
}

impl Settled {
    /// Checks type, both indices and both MACs of a message of one part.
    pub(super) fn check(&self, kind: MessageType, datagram: &HandshakeDatagram<'_>) -> Result<(), Refusal> {
        if datagram.kind != kind {
            return Err(Refusal::Unexpected);
        }
        if (datagram.sender, datagram.receiver) != (self.remote_index.value(), self.local_index.value()) {
            return Err(Refusal::Index);
        }
        self.mac1.check(datagram)?;
        check_mac2(datagram, self.fragment_key.expose())
    }

    /// Makes the datagrams of a message.
    pub(super) fn finish(&self, kind: MessageType, message_id: u32, body: &[u8]) -> Vec<Vec<u8>> {
        let (sender, receiver) = (self.local_index.value(), self.remote_index.value());
        let header = Header { kind, sender, receiver, message_id };
        self.mac1.finish(&header, body, Some(self.fragment_key.expose()))
    }

    /// The session that the handshake made.
    pub(super) fn session(&self, confirmed: Confirmed, reasons: [Option<Reason>; QKD_SOURCES_MAX]) -> NewSession {
        let rs = RatchetSecret::new(confirmed.ratchet_secret());
        let epoch = confirmed.split();
        NewSession {
            role: self.role,
            hs: epoch.hs,
            t_i2r: epoch.t_i2r,
            t_r2i: epoch.t_r2i,
            root: epoch.root,
            rs,
            mixed: epoch.mixed,
            agreed: self.agreed.clone(),
            local_data_index: self.local_data_index,
            remote_data_index: self.peer_terms.data_index,
            psk_used: self.psk_used,
            ratchet_used: self.ratchet_used,
            waiver: epoch.waiver,
            reasons,
            peer_terms: self.peer_terms.clone(),
        }
    }
}
