//! Counters, limits and the replay check of one epoch.

use super::*;

fn tag() -> EpochTag {
    EpochTag { peer: PeerId(0), session: 1, number: 0 }
}

fn index() -> SessionIndex {
    SessionIndex::new(7).unwrap()
}

fn seal_epoch(cipher: Cipher, inner_mtu: u16) -> SealEpoch {
    let terms = RecordTerms { cipher, inner_mtu, features: 0 };
    SealEpoch::new(tag(), index(), &Secret::take(&mut [1; 32]), AeadBackend::AwsLc, terms)
}

fn open_epoch() -> OpenEpoch {
    let key = Secret::take(&mut [1; 32]);
    let terms = RecordTerms { cipher: Cipher::ChaCha20Poly1305, inner_mtu: 1420, features: 0 };
    OpenEpoch::new(tag(), index(), &key, AeadBackend::AwsLc, terms)
}

fn datagram(epoch: &SealEpoch, lane: u8) -> (DataHeader, Vec<u8>) {
    let counter = epoch.take_counters(lane, 1).unwrap().next().unwrap();
    let mut text = [9; 32];
    let (header, tag) = epoch.seal(RecordKind::Data, counter, &mut text);
    let datagram = [&header[..], &text, &tag].concat();
    (DataHeader::parse(&datagram).unwrap(), datagram)
}

#[test]
fn a_lane_asks_for_a_rekey_at_2_24_and_refuses_at_2_25() {
    for (cipher, inner_mtu, divisor) in [
        (Cipher::ChaCha20Poly1305, 1420, 1),
        (Cipher::ChaCha20Poly1305, 9000, 1),
        (Cipher::Aes256Gcm, 2000, 1),
        (Cipher::Aes256Gcm, 2001, 32),
    ] {
        let epoch = seal_epoch(cipher, inner_mtu);
        epoch.take_counters(3, (1 << 24) / divisor - 1).unwrap();
        assert!(!epoch.needs_rekey());
        epoch.take_counters(3, 1).unwrap();
        assert!(epoch.needs_rekey());
        epoch.take_counters(3, (1 << 24) / divisor - 1).unwrap();
        assert!(epoch.take_counters(3, 2).is_err(), "all or none");
        let mut last = epoch.take_counters(3, 1).unwrap();
        assert_eq!(last.next().map(Counter::number), Some((1 << 25) / divisor - 1));
        assert!(last.next().is_none());
        assert!(epoch.take_counters(3, 1).is_err());
        assert!(epoch.take_counters(3, u64::MAX).is_err());
        assert!(epoch.take_counters(4, 1).is_ok(), "lanes are independent");
        assert_eq!(epoch.sealed_packets(), (1 << 25) / divisor + 1);
    }
}

#[test]
fn all_lanes_together_ask_for_a_rekey_at_16_gib() {
    let epoch = seal_epoch(Cipher::ChaCha20Poly1305, 1420);
    for lane in &epoch.lanes {
        lane.bytes.store(2 << 30, Ordering::Relaxed);
    }
    assert!(epoch.needs_rekey());
    epoch.lanes[3].bytes.fetch_sub(1, Ordering::Relaxed);
    assert!(!epoch.needs_rekey());
}

#[test]
fn there_are_eight_lanes_and_each_counts_from_0() {
    let epoch = seal_epoch(Cipher::ChaCha20Poly1305, 1420);
    for lane in 0..8 {
        assert_eq!(epoch.take_counters(lane, 1).unwrap().next(), Counter::new(lane, 0));
    }
    assert!(epoch.take_counters(8, 1).is_err());
}

#[test]
fn threads_never_get_the_same_counter() {
    let epoch = seal_epoch(Cipher::ChaCha20Poly1305, 1420);
    let taken = |_| {
        let mut taken = Vec::new();
        for count in (1..=7).cycle().take(500) {
            taken.extend(epoch.take_counters(1, count).unwrap());
        }
        taken
    };
    let mut all: Vec<Counter> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || taken(n))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
    assert_eq!(epoch.sealed_packets(), count as u64);
}

#[test]
fn a_record_opens_once_and_a_failure_is_counted() {
    let (seal, open) = (seal_epoch(Cipher::ChaCha20Poly1305, 1420), open_epoch());
    let (header, good) = datagram(&seal, 2);
    let mut bad = good.clone();
    bad[20] ^= 1;
    assert_eq!(open.open(header, &mut bad), Err(OpenFailure::NotAuthentic));
    assert_eq!(open.failed_opens(), 1);
    let mut copy = good.clone();
    let (text, accepted) = open.open(header, &mut copy).unwrap();
    assert_eq!((&*text, accepted), (&[9; 32][..], Accepted::RaisedTop));
    assert_eq!(open.open(header, &mut good.clone()), Err(OpenFailure::Replay));
    assert_eq!(open.failed_opens(), 1, "a replay is no forgery");
}

#[test]
fn a_worn_out_epoch_opens_nothing() {
    let (seal, open) = (seal_epoch(Cipher::ChaCha20Poly1305, 1420), open_epoch());
    open.failed.store((1 << 36) - 1, Ordering::Relaxed);
    let (header, mut good) = datagram(&seal, 0);
    assert!(open.open(header, &mut good).is_ok());
    open.failed.store(1 << 36, Ordering::Relaxed);
    let (header, mut good) = datagram(&seal, 0);
    assert_eq!(open.open(header, &mut good), Err(OpenFailure::WornOut));
}

#[test]
fn the_first_report_is_claimed_once_and_can_be_withdrawn() {
    let open = open_epoch();
    assert!(open.claim_report() && !open.claim_report());
    open.withdraw_report();
    assert!(open.claim_report());
    assert_eq!(open.last_opened(), None);
    open.note_opened(Instant::from_nanos(5));
    open.note_opened(Instant::from_nanos(3));
    assert_eq!(open.last_opened(), Some(Instant::from_nanos(5)));
}

#[test]
fn both_halves_tell_the_terms_they_were_made_with() {
    let terms = RecordTerms { cipher: Cipher::Aes256Gcm, inner_mtu: 1280, features: 0b101 };
    let key = Secret::take(&mut [1; 32]);
    let seal = SealEpoch::new(tag(), index(), &key, AeadBackend::AwsLc, terms);
    let open = OpenEpoch::new(tag(), index(), &key, AeadBackend::AwsLc, terms);
    assert_eq!([seal.inner_mtu(), open.inner_mtu()], [1280; 2]);
    let features = [0b001, 0b010, 0b100];
    assert_eq!(features.map(|feature| seal.has(feature)), [true, false, true]);
    assert_eq!(features.map(|feature| open.has(feature)), [true, false, true]);
}

#[test]
fn the_engine_is_told_once_and_again_after_a_withdrawal() {
    let epoch = open_epoch();
    assert!(!epoch.is_reported());
    assert!(epoch.claim_report() && epoch.is_reported() && !epoch.claim_report());
    epoch.withdraw_report();
    assert!(!epoch.is_reported() && epoch.claim_report());
}

#[test]
fn a_number_that_came_late_opens_also_where_all_the_next_ones_came_before() {
    let (seal, open) = (seal_epoch(Cipher::ChaCha20Poly1305, 1420), open_epoch());
    let (header, mut late) = datagram(&seal, 2);
    for _ in 0..64 {
        let (header, mut datagram) = datagram(&seal, 2);
        assert!(open.open(header, &mut datagram).is_ok());
    }
    assert_eq!(open.would_accept_run(2, 0), 1, "the first of them alone");
    assert!(open.open(header, &mut late).is_ok());
    assert_eq!((open.would_accept_run(2, 0), open.would_accept_run(2, 63)), (0, !0b11));
    assert_eq!(open.would_accept_run(8, 0), 0, "there is no such lane");
}

#[test]
fn a_number_that_came_before_is_refused_before_anything_is_opened() {
    let (seal, open) = (seal_epoch(Cipher::ChaCha20Poly1305, 1420), open_epoch());
    let (header, mut good) = datagram(&seal, 0);
    let mut changed = good.clone();
    changed[20] ^= 1;
    assert!(open.open(header, &mut good).is_ok());
    assert_eq!(open.open(header, &mut changed), Err(OpenFailure::Replay));
    assert_eq!(open.failed_opens(), 0);
}
