//! What a handshake has besides messages: terms, how they are agreed, the session that comes out (PROTOCOL 2.5).

pub use crate::keys::offer::{SlotAnswer, SlotOffer};
pub use crate::types::terms::{Agreed, Role};
pub use crate::wire::terms::{LocalTerms, PeerTerms, RatchetId};

use crate::crypto::kdf::{HASH_BYTES, hash};
use crate::identity::PublicIdentity;
use crate::keys::policy::WaiverKind;
use crate::schedule::labels;
use crate::types::id::{KeyId, SessionIndex, SourceId, SourceMask};
use crate::types::limits::QKD_SOURCES_MAX;
use crate::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Reason};
use crate::types::secret::Secret;
use crate::types::time::UnixTime;

/// What an end brings to one handshake besides its keys.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// Its terms.
    pub terms: &'a LocalTerms,
    /// Where it will receive the new session's data packets.
    pub data_index: SessionIndex,
    /// For the peer's log only.
    pub unix: UnixTime,
}

/// What an end knows about the peer of one handshake.
#[derive(Clone, Copy)]
pub struct PeerKeys<'a> {
    /// Its public file.
    pub public: &'a PublicIdentity,
    /// The PSK; zero if there is none.
    pub psk: &'a Secret<32>,
}

/// A ratchet entry that a completed handshake leaves behind (PROTOCOL 2.7).
pub struct RatchetSecret {
    /// `H("PLAIT1 rsid" || rs)[0..8]`.
    pub id: RatchetId,
    /// The secret that a later handshake mixes.
    pub rs: Secret<32>,
}

impl RatchetSecret {
    /// Names the secret.
    pub fn new(rs: Secret<32>) -> Self {
        let digest = hash(&[labels::RATCHET_ID, rs.expose()]);
        let mut id = RatchetId::default();
        id.iter_mut().zip(digest).for_each(|(out, byte)| *out = byte);
        Self { id, rs }
    }
}

/// What a completed handshake gives: made once, consumed by the session.
pub struct NewSession {
    /// Our side.
    pub role: Role,
    /// Session id; log only its first 8 bytes.
    pub hs: [u8; HASH_BYTES],
    /// Traffic key from initiator to responder.
    pub t_i2r: Secret<32>,
    /// Traffic key from responder to initiator.
    pub t_r2i: Secret<32>,
    /// Root of the first fast rekey.
    pub root: Secret<HASH_BYTES>,
    /// The next ratchet entry, to be stored as PROTOCOL 2.7 says.
    pub rs: RatchetSecret,
    /// The QKD keys in it, ascending by source.
    pub mixed: Vec<(SourceId, KeyId)>,
    /// The terms of the session.
    pub agreed: Agreed,
    /// Where we receive its data packets.
    pub local_data_index: SessionIndex,
    /// Where the peer receives them.
    pub remote_data_index: SessionIndex,
    /// Whether a PSK was mixed.
    pub psk_used: bool,
    /// Which ratchet entry was mixed.
    pub ratchet_used: Option<RatchetId>,
    /// Why it was allowed to have fewer QKD keys than the policy needs.
    pub waiver: Option<WaiverKind>,
    /// By source: why an asked source was not mixed.
    pub reasons: [Option<Reason>; QKD_SOURCES_MAX],
    /// What the peer stated.
    pub peer_terms: PeerTerms,
}

/// The terms that follow from ours, the peer's, and the cipher that the responder chose: the same at both ends.
pub fn agree(own: &LocalTerms, peer: &PeerTerms, cipher: Cipher) -> Agreed {
    let policy = own.qkd_policy.max(peer.qkd_policy);
    let asked = own.source_mask.and(peer.source_mask);
    Agreed {
        policy,
        need: own.min_sources.max(peer.min_sources),
        asked: if policy == QkdPolicy::Off { SourceMask::EMPTY } else { asked },
        cipher,
        features: own.features & peer.features,
        inner_mtu: own.inner_mtu.min(peer.inner_mtu),
        hold_last: own.hold_last.min(peer.hold_last),
        degrade_for: own.degrade_for.min(peer.degrade_for),
        clock: tighter_clock(own.clock, peer.clock),
    }
}

/// The smaller of two clocks, of which 0 does not run.
fn tighter_clock(own: u16, peer: u16) -> u16 {
    match (own, peer) {
        (0, clock) | (clock, 0) => clock,
        (own, peer) => own.min(peer),
    }
}

/// Whether two ratchet policies forbid a session that mixes no entry (PROTOCOL 2.7): one end requires, or one end is
/// off against an end that requires or is open.
pub fn ratchet_is_required(own: RatchetPolicy, peer: RatchetPolicy) -> bool {
    use RatchetPolicy::{Off, Prefer, Require, RequireOpen};
    match (own, peer) {
        (Require, _) | (_, Require) | (Off, RequireOpen) | (RequireOpen, Off) => true,
        (Off | Prefer, Off | Prefer) | (Prefer, RequireOpen) | (RequireOpen, Prefer | RequireOpen) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> LocalTerms {
        LocalTerms {
            qkd_policy: QkdPolicy::Preferred,
            min_sources: 1,
            source_mask: SourceMask::from_bits(0b0111).unwrap(),
            ratchet_policy: RatchetPolicy::Prefer,
            ciphers: vec![Cipher::ChaCha20Poly1305],
            features: 3,
            inner_mtu: 1200,
            hold_last: u32::MAX,
            degrade_for: 60,
            clock: 0,
        }
    }

    fn peer() -> PeerTerms {
        PeerTerms {
            qkd_policy: QkdPolicy::Required,
            min_sources: 2,
            source_mask: SourceMask::from_bits(0b1101).unwrap(),
            ratchet_policy: RatchetPolicy::Prefer,
            ciphers: vec![Cipher::ChaCha20Poly1305],
            features: 1,
            unix_time: UnixTime(0),
            ratchet_ids: Vec::new(),
            data_index: SessionIndex::new(9).unwrap(),
            inner_mtu: 1420,
            hold_last: 900,
            degrade_for: u32::MAX,
            clock: 31,
        }
    }

    #[test]
    fn the_stricter_holds() {
        let agreed = agree(&own(), &peer(), Cipher::Aes256Gcm);
        assert_eq!((agreed.policy, agreed.need, agreed.asked.bits()), (QkdPolicy::Required, 2, 0b0101));
        assert_eq!((agreed.features, agreed.inner_mtu), (1, 1200));
        assert_eq!((agreed.hold_last, agreed.degrade_for, agreed.clock), (900, 60, 31));
        assert_eq!(agreed.cipher, Cipher::Aes256Gcm);
    }

    #[test]
    fn off_at_both_ends_asks_nobody() {
        let off = LocalTerms { qkd_policy: QkdPolicy::Off, min_sources: 0, ..own() };
        let peer_off = PeerTerms { qkd_policy: QkdPolicy::Off, min_sources: 0, ..peer() };
        assert!(agree(&off, &peer_off, Cipher::Aes256Gcm).asked.is_empty());
        assert!(!agree(&off, &peer(), Cipher::Aes256Gcm).asked.is_empty());
    }

    #[test]
    fn a_clock_that_does_not_run_tightens_nothing() {
        for (own, peer, both) in [(0, 0, 0), (0, 5, 5), (5, 0, 5), (5, 7, 5), (1, 65535, 1), (65535, 0, 65535)] {
            assert_eq!(tighter_clock(own, peer), both);
        }
    }

    #[test]
    fn the_ratchet_table() {
        use RatchetPolicy::{Off, Prefer, Require, RequireOpen};
        let all = [Off, Prefer, Require, RequireOpen];
        let required: Vec<_> = all.map(|own| all.map(|peer| u8::from(ratchet_is_required(own, peer)))).to_vec();
        assert_eq!(required, [[0, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1], [1, 0, 1, 0]]);
    }
}
