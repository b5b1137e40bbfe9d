//! Payload 1 and payload 2: the terms each end states under seal (PROTOCOL 2.5).
//!
//! ```text
//! both      0 qkd_policy u8   1 min_sources u8   2 source_mask u8   3 ratchet_policy u8   4 zero   5 ciphers u8
//!           6 fast_rekey u8 = 1   7 features u8   8 unix time u64
//! payload1  16 ratchet ids offered 4 x 8, newest first, unused zero
//!           48 data index u32   52 inner MTU u16   54 hold_last u32   58 degrade_for u32   62 clock u16
//! payload2  16 ratchet id selected 8, zero = none   24 zero 8
//!           32 data index u32   36 inner MTU u16   38 hold_last u32   42 degrade_for u32   46 clock u16   48 zero 16
//! ```

use super::field::{Malformed, Reader, put_zero};
use crate::types::id::{SessionIndex, SourceMask};
use crate::types::policy::{Cipher, QkdPolicy, RatchetPolicy};
use crate::types::time::UnixTime;

/// Bytes of either payload.
pub const PAYLOAD_BYTES: usize = 64;
/// Ratchet ids that payload 1 has room for.
pub const RATCHET_OFFERS_MAX: usize = 4;
/// Bytes of a ratchet id.
pub const RATCHET_ID_BYTES: usize = 8;
/// The only fast rekey there is.
const FAST_REKEY: u8 = 1;

/// Name of a ratchet entry; all zero stands for none.
pub type RatchetId = [u8; RATCHET_ID_BYTES];

/// What this end is configured with for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTerms {
    /// The policy.
    pub qkd_policy: QkdPolicy,
    /// Distinct sources that must be mixed; 0 if and only if the policy is off.
    pub min_sources: u8,
    /// The sources configured for this peer.
    pub source_mask: SourceMask,
    /// What the ratchet state on disk and the configuration make of it (PROTOCOL 2.7).
    pub ratchet_policy: RatchetPolicy,
    /// Data ciphers in our own order of preference, at least one.
    pub ciphers: Vec<Cipher>,
    /// Bit 0 segment, bit 1 bundle.
    pub features: u8,
    /// Bytes of the largest inner packet.
    pub inner_mtu: u16,
    /// Seconds; `u32::MAX` is not set or unlimited.
    pub hold_last: u32,
    /// Seconds; `u32::MAX` is not set or unlimited.
    pub degrade_for: u32,
    /// Our policy clock: 0 not running, else 1 + the seconds that remain, rounded up; 65535 is that or more.
    pub clock: u16,
}

/// What the peer stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTerms {
    /// Its policy.
    pub qkd_policy: QkdPolicy,
    /// Its `min_sources`.
    pub min_sources: u8,
    /// Its sources.
    pub source_mask: SourceMask,
    /// Its ratchet policy.
    pub ratchet_policy: RatchetPolicy,
    /// From an initiator those it offers, from a responder the one it chose.
    pub ciphers: Vec<Cipher>,
    /// Its features.
    pub features: u8,
    /// For the log only: no decision rests on it.
    pub unix_time: UnixTime,
    /// From an initiator those it offers, newest first, at most four; from a responder the one it selected, or none.
    pub ratchet_ids: Vec<RatchetId>,
    /// Where it receives the new session's data packets.
    pub data_index: SessionIndex,
    /// Bytes of its largest inner packet.
    pub inner_mtu: u16,
    /// Seconds; `u32::MAX` is not set or unlimited.
    pub hold_last: u32,
    /// Seconds; `u32::MAX` is not set or unlimited.
    pub degrade_for: u32,
    /// Its policy clock, as [`LocalTerms::clock`].
    pub clock: u16,
}

/// Writes payload 1; of more than four ids the first four are offered.
pub fn write_payload1(terms: &LocalTerms, ids: &[RatchetId], data_index: SessionIndex, unix: UnixTime) -> Vec<u8> {
    let mut out = Vec::with_capacity(PAYLOAD_BYTES);
    let offer = terms.ciphers.iter().fold(0, |bits, cipher| bits | *cipher as u8);
    put_head(&mut out, terms, offer, unix);
    let ids = ids.get(..RATCHET_OFFERS_MAX).unwrap_or(ids);
    out.extend(ids.iter().flatten());
    put_zero(&mut out, (RATCHET_OFFERS_MAX - ids.len()) * RATCHET_ID_BYTES);
    put_tail(&mut out, terms, data_index);
    out
}

/// Writes payload 2: one cipher, and the ratchet entry selected if there is one.
pub fn write_payload2(
    terms: &LocalTerms,
    cipher: Cipher,
    selected: Option<RatchetId>,
    data_index: SessionIndex,
    unix: UnixTime,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(PAYLOAD_BYTES);
    put_head(&mut out, terms, cipher as u8, unix);
    out.extend_from_slice(&selected.unwrap_or_default());
    put_zero(&mut out, 8);
    put_tail(&mut out, terms, data_index);
    put_zero(&mut out, 16);
    out
}

fn put_head(out: &mut Vec<u8>, terms: &LocalTerms, ciphers: u8, unix: UnixTime) {
    let ratchet = terms.ratchet_policy as u8;
    let (policy, sources) = (terms.qkd_policy as u8, terms.source_mask.bits());
    out.extend_from_slice(&[policy, terms.min_sources, sources, ratchet, 0, ciphers, FAST_REKEY, terms.features]);
    out.extend_from_slice(&unix.0.to_be_bytes());
}

fn put_tail(out: &mut Vec<u8>, terms: &LocalTerms, data_index: SessionIndex) {
    out.extend_from_slice(&data_index.to_bytes());
    out.extend_from_slice(&terms.inner_mtu.to_be_bytes());
    out.extend_from_slice(&terms.hold_last.to_be_bytes());
    out.extend_from_slice(&terms.degrade_for.to_be_bytes());
    out.extend_from_slice(&terms.clock.to_be_bytes());
}

/// Reads payload 1. Cipher bits this version does not know are passed over, but one that it knows must be there.
pub fn parse_payload1(bytes: &[u8]) -> Result<PeerTerms, Malformed> {
    let mut fields = Reader::new(bytes);
    let head = Head::parse(&mut fields)?;
    let mut ids = Vec::with_capacity(RATCHET_OFFERS_MAX);
    for _ in 0..RATCHET_OFFERS_MAX {
        ids.extend(ratchet_id(&mut fields)?);
    }
    let terms = head.with_tail(&mut fields, ids)?;
    fields.end()?;
    Ok(terms)
}

/// Reads payload 2. Whether cipher and ratchet id were offered is the reader's to check.
pub fn parse_payload2(bytes: &[u8]) -> Result<PeerTerms, Malformed> {
    let mut fields = Reader::new(bytes);
    let head = Head::parse(&mut fields)?;
    Cipher::from_bit(head.cipher_bits).ok_or(Malformed::Value("cipher"))?;
    let ids = ratchet_id(&mut fields)?.into_iter().collect();
    fields.zero(8)?;
    let terms = head.with_tail(&mut fields, ids)?;
    fields.zero(16)?;
    fields.end()?;
    Ok(terms)
}

fn ratchet_id(fields: &mut Reader<'_>) -> Result<Option<RatchetId>, Malformed> {
    let id = *fields.array()?;
    Ok((id != RatchetId::default()).then_some(id))
}

/// The first 16 bytes, which both payloads share.
struct Head {
    qkd_policy: QkdPolicy,
    min_sources: u8,
    source_mask: SourceMask,
    ratchet_policy: RatchetPolicy,
    cipher_bits: u8,
    features: u8,
    unix_time: UnixTime,
}

impl Head {
    fn parse(fields: &mut Reader<'_>) -> Result<Self, Malformed> {
        let qkd_policy = QkdPolicy::from_byte(fields.u8()?).ok_or(Malformed::Value("qkd_policy"))?;
        let min_sources = fields.u8()?;
        if (qkd_policy == QkdPolicy::Off) != (min_sources == 0) {
            return Err(Malformed::Value("min_sources"));
        }
        let source_mask = SourceMask::from_bits(fields.u8()?).ok_or(Malformed::Value("source_mask"))?;
        let ratchet_policy = RatchetPolicy::from_byte(fields.u8()?).ok_or(Malformed::Value("ratchet_policy"))?;
        fields.zero(1)?;
        let cipher_bits = fields.u8()?;
        if fields.u8()? != FAST_REKEY {
            return Err(Malformed::Value("fast_rekey"));
        }
        let (features, unix_time) = (fields.u8()?, UnixTime(fields.u64()?));
        Ok(Self { qkd_policy, min_sources, source_mask, ratchet_policy, cipher_bits, features, unix_time })
    }

    fn with_tail(self, fields: &mut Reader<'_>, ratchet_ids: Vec<RatchetId>) -> Result<PeerTerms, Malformed> {
        let known = [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm];
        let ciphers: Vec<Cipher> = known.into_iter().filter(|c| self.cipher_bits & *c as u8 != 0).collect();
        if ciphers.is_empty() {
            return Err(Malformed::Value("cipher"));
        }
        Ok(PeerTerms {
            qkd_policy: self.qkd_policy,
            min_sources: self.min_sources,
            source_mask: self.source_mask,
            ratchet_policy: self.ratchet_policy,
            ciphers,
            features: self.features,
            unix_time: self.unix_time,
            ratchet_ids,
            data_index: SessionIndex::new(fields.u32()?).ok_or(Malformed::Index)?,
            inner_mtu: fields.u16()?,
            hold_last: fields.u32()?,
            degrade_for: fields.u32()?,
            clock: fields.u16()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> LocalTerms {
        LocalTerms {
            qkd_policy: QkdPolicy::Required,
            min_sources: 2,
            source_mask: SourceMask::from_bits(0b11).unwrap(),
            ratchet_policy: RatchetPolicy::Prefer,
            ciphers: vec![Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305],
            features: 3,
            inner_mtu: 1420,
            hold_last: 3600,
            degrade_for: u32::MAX,
            clock: 31,
        }
    }

    fn index() -> SessionIndex {
        SessionIndex::new(0x0102_0304).unwrap()
    }

    fn payload1() -> Vec<u8> {
        write_payload1(&local(), &[[1; 8], [2; 8]], index(), UnixTime(5))
    }

    fn payload2() -> Vec<u8> {
        write_payload2(&local(), Cipher::Aes256Gcm, Some([2; 8]), index(), UnixTime(5))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = parse_payload1(&payload1()).unwrap();
        assert_eq!((read.qkd_policy, read.min_sources, read.inner_mtu), (QkdPolicy::Required, 2, 1420));
        assert_eq!((read.hold_last, read.degrade_for, read.clock), (3600, u32::MAX, 31));
        assert_eq!(read.ratchet_ids, [[1; 8], [2; 8]]);
        assert_eq!(read.ciphers, [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm]);
        let read = parse_payload2(&payload2()).unwrap();
        assert_eq!((read.ciphers, read.ratchet_ids), (vec![Cipher::Aes256Gcm], vec![[2; 8]]));
        assert_eq!((read.data_index, read.unix_time, read.clock), (index(), UnixTime(5), 31));
        assert!(parse_payload2(&write_payload2(&local(), Cipher::Aes256Gcm, None, index(), UnixTime(5))).is_ok());
    }

    #[test]
    fn more_than_four_ids_do_not_overrun() {
        let ids: Vec<RatchetId> = (1..=6).map(|n| [n; 8]).collect();
        let bytes = write_payload1(&local(), &ids, index(), UnixTime(5));
        assert_eq!(bytes.len(), PAYLOAD_BYTES);
        assert_eq!(parse_payload1(&bytes).unwrap().ratchet_ids, ids[..4]);
    }

    #[test]
    fn every_broken_field_is_refused() {
        let both = [
            ("qkd_policy 3", 0, 3),
            ("min_sources without policy", 0, 0),
            ("no min_sources", 1, 0),
            ("source_mask bit 6", 2, 0x40),
            ("ratchet_policy 4", 3, 4),
            ("byte 4", 4, 1),
            ("no cipher", 5, 0),
            ("only unknown ciphers", 5, 0x0c),
            ("fast_rekey 0", 6, 0),
            ("fast_rekey 2", 6, 2),
        ];
        for (what, at, value) in both {
            for (bytes, parse) in [(payload1(), parse_payload1 as fn(&[u8]) -> _), (payload2(), parse_payload2)] {
                let mut bytes = bytes;
                bytes[at] = value;
                assert!(parse(&bytes).is_err(), "{what}");
            }
        }
        for (what, at, value) in [("two ciphers", 5, 3), ("byte 24", 24, 1), ("byte 48", 48, 1), ("byte 63", 63, 1)] {
            let mut bytes = payload2();
            bytes[at] = value;
            assert!(parse_payload2(&bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn a_data_index_of_zero_is_refused() {
        let mut bytes = payload1();
        bytes[48..52].fill(0);
        assert_eq!(parse_payload1(&bytes), Err(Malformed::Index));
        let mut bytes = payload2();
        bytes[32..36].fill(0);
        assert_eq!(parse_payload2(&bytes), Err(Malformed::Index));
    }

    #[test]
    fn the_length_is_exact() {
        for length in [0, 15, 63] {
            assert_eq!(parse_payload1(&payload1()[..length]), Err(Malformed::Length));
            assert_eq!(parse_payload2(&payload2()[..length]), Err(Malformed::Length));
        }
        assert_eq!(parse_payload1(&[payload1(), vec![0]].concat()), Err(Malformed::Length));
        assert_eq!(parse_payload2(&[payload2(), vec![0]].concat()), Err(Malformed::Length));
    }
}
