//! Formats: what is written is read back, and what can be read is what would be written.

use plait::types::id::{KeyId, SessionIndex, SourceId, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Reason, Suite};
use plait::types::time::UnixTime;
use plait::wire::bodies::{I1, R1};
use plait::wire::handshake::{HandshakeDatagram, MessageType};
use plait::wire::slots::{self, SLOTS_BYTES, Slot};
use plait::wire::status::{self, STATUS_BYTES, Status};
use plait::wire::terms::{self, LocalTerms, PAYLOAD_BYTES, parse_payload1, parse_payload2};
use proptest::prelude::*;

fn reason() -> impl Strategy<Value = Reason> {
    any::<u8>().prop_filter_map("0 is no reason", Reason::from_byte)
}

fn slot() -> impl Strategy<Value = Slot> {
    let key_id = prop::collection::vec(0x21..=0x7e_u8, 1..=64).prop_map(|text| KeyId::new(&text).unwrap());
    let size_bits = (32..=8191_u16).prop_map(|bytes| bytes * 8);
    prop_oneof![
        Just(Slot::None),
        reason().prop_map(Slot::Failed),
        (key_id, size_bits).prop_map(|(key_id, size_bits)| Slot::Key { key_id, size_bits }),
    ]
}

fn asked(slots: &[Slot; 6]) -> SourceMask {
    let filled = SourceId::all().zip(slots).filter(|(_, slot)| **slot != Slot::None);
    filled.fold(SourceMask::EMPTY, |mask, (source, _)| mask.with(source))
}

/// A status that answers these slots: of the keys those in `mixed` are mixed.
fn status_for(slots: &[Slot; 6], mixed: u8, reason: Reason, check: [u8; 6]) -> Status {
    let with_key = slots::sources_with_key(slots);
    let mixed = SourceMask::from_bits(mixed).unwrap().and(with_key);
    let mut status = Status { mixed, reasons: [None; 6], check };
    for source in SourceId::all() {
        if !mixed.has(source) {
            status.check[source.slot()] = 0;
            status.reasons[source.slot()] = with_key.has(source).then_some(reason);
        }
    }
    status
}

fn local_terms() -> impl Strategy<Value = LocalTerms> {
    let words = (0..=2_u8, 1..=6_u8, 0..64_u8, 0..=3_u8, 1..=3_u8, any::<u8>());
    let numbers = (any::<u16>(), any::<u32>(), any::<u32>(), any::<u16>());
    (words, numbers).prop_map(|((policy, min_sources, sources, ratchet, ciphers, features), numbers)| {
        let both = [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm];
        LocalTerms {
            qkd_policy: QkdPolicy::from_byte(policy).unwrap(),
            min_sources: if policy == 0 { 0 } else { min_sources },
            source_mask: SourceMask::from_bits(sources).unwrap(),
            ratchet_policy: RatchetPolicy::from_byte(ratchet).unwrap(),
            ciphers: both.into_iter().filter(|cipher| ciphers & *cipher as u8 != 0).collect(),
            features,
            inner_mtu: numbers.0,
            hold_last: numbers.1,
            degrade_for: numbers.2,
            clock: numbers.3,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_are_read_back(all in prop::array::uniform6(slot())) {
        let mut bytes = Vec::new();
        slots::write(&all, &mut bytes);
        prop_assert_eq!(bytes.len(), SLOTS_BYTES);
        prop_assert_eq!(slots::parse(&bytes, asked(&all)), Ok(all));
    }

    /// One changed byte of a slot is refused, or is another value that is written in exactly these bytes.
    #[test]
    fn a_slot_has_one_form(all in prop::array::uniform6(slot()), at in 0..SLOTS_BYTES, value: u8, mask in 0..64_u8) {
        let mut bytes = Vec::new();
        slots::write(&all, &mut bytes);
        bytes[at] = value;
        for asked in [asked(&all), SourceMask::from_bits(mask).unwrap()] {
            let Ok(read) = slots::parse(&bytes, asked) else { continue };
            let mut again = Vec::new();
            slots::write(&read, &mut again);
            // A reason that this version does not know is read as `Other`.
            let is_unknown_reason = at % 72 == 1 && again[at] == Reason::Other as u8;
            prop_assert!(again == bytes || is_unknown_reason);
        }
    }

    #[test]
    fn a_status_is_read_back(
        all in prop::array::uniform6(slot()),
        mixed in 0..64_u8,
        reason in reason(),
        check: [u8; 6],
    ) {
        let status = status_for(&all, mixed, reason, check);
        let mut bytes = Vec::new();
        status.write(&mut bytes);
        prop_assert_eq!(bytes.len(), STATUS_BYTES);
        prop_assert_eq!(status::parse(&bytes, &all), Ok(status));
    }

    #[test]
    fn terms_are_read_back(own in local_terms(), ids: [[u8; 8]; 4], index in 1..=u32::MAX, unix: u64) {
        let (index, unix) = (SessionIndex::new(index).unwrap(), UnixTime(unix));
        let ids = ids.map(|id| if id == [0; 8] { [1; 8] } else { id });
        let payload = terms::write_payload1(&own, &ids, index, unix);
        prop_assert_eq!(payload.len(), PAYLOAD_BYTES);
        let read = parse_payload1(&payload).unwrap();
        prop_assert_eq!(
            (read.qkd_policy, read.min_sources, read.source_mask, read.ratchet_policy, read.features),
            (own.qkd_policy, own.min_sources, own.source_mask, own.ratchet_policy, own.features)
        );
        prop_assert_eq!(
            (read.inner_mtu, read.hold_last, read.degrade_for, read.clock),
            (own.inner_mtu, own.hold_last, own.degrade_for, own.clock)
        );
        prop_assert_eq!(&read.ciphers, &own.ciphers);
        prop_assert_eq!((&read.ratchet_ids[..], read.data_index, read.unix_time), (&ids[..], index, unix));
        let payload = terms::write_payload2(&own, own.ciphers[0], Some(ids[0]), index, unix);
        let chosen = parse_payload2(&payload).unwrap();
        prop_assert_eq!(&chosen.ciphers[..], &own.ciphers[..1]);
        prop_assert_eq!(&chosen.ratchet_ids[..], &ids[..1]);
        prop_assert_eq!((chosen.data_index, chosen.clock, chosen.hold_last), (index, own.clock, own.hold_last));
    }

    /// No bytes make a reader panic; a datagram that is read has parts of the size that its message has.
    #[test]
    fn readers_take_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..1400),
        kind in 0..8_u8,
        sized in 0..8_usize,
    ) {
        let sizes = [96, 512, 928, 980, 1232];
        let mut bytes = bytes;
        if let (Some(size), true) = (sizes.get(sized), bytes.len() > 2) {
            bytes.resize(*size, 0);
            (bytes[0], bytes[1]) = (kind, 1);
            bytes[3] = 0;
        }
        if let Ok(read) = HandshakeDatagram::parse(&bytes) {
            prop_assert!(read.fits(Suite::MlKem1024) || read.fits(Suite::MlKem768));
            prop_assert!(read.part < read.parts);
            prop_assert_eq!(read.mac2_input().len() + 16, bytes.len());
        }
        let mask = SourceMask::from_bits(kind).unwrap_or_default();
        let _ = (slots::parse(&bytes, mask), status::parse(&bytes, &[const { Slot::None }; 6]));
        let _ = (parse_payload1(&bytes), parse_payload2(&bytes));
        for suite in [Suite::MlKem1024, Suite::MlKem768] {
            let _ = (I1::parse(&bytes, suite), R1::parse(&bytes, suite));
        }
        let _ = MessageType::from_byte(kind);
    }
}
