//! A kernel that puts trains together wrongly: they are received no more, and the traffic heals.

use std::sync::Arc;

use super::mirror::{ALL_KINDS, Mirror, PIECES, Sent};
use crate::io::doubles::{CorruptingSocket, Corruption, changed_bytes, lost_stride};
use crate::types::offload::{Offload, OffloadSet};

/// Sends super-packets, each of which loses `lost` datagrams and keeps `kept` pieces, until trains are given up.
fn heals(corruption: Corruption, lost: u64, kept: usize) {
    let mut socket = None;
    let mut mirror = Mirror::start(Box::new(|_| None), |inner| {
        let spoiling = Arc::new(CorruptingSocket::new(inner, corruption));
        socket = Some(Arc::clone(&spoiling));
        spoiling
    });
    let mut trains = 0;
    while mirror.offloads.has(Offload::Gro) {
        assert!(trains < 16, "never given up");
        assert_eq!(mirror.log(), "");
        mirror.passes(Sent::Whole);
        let sent = mirror.send(Sent::Tcp);
        assert!(mirror.receive(kept) == sent[..kept]);
        trains += 1;
        mirror.wait_drops([0, 0, lost * trains]);
        // The datagram is counted before the thread draws its conclusion.
        mirror.passes(Sent::Whole);
    }
    // The socket was switched over before this one was received.
    mirror.passes(Sent::Whole);
    assert!(trains * lost >= 16, "too soon: {trains} trains");
    for what in ALL_KINDS.into_iter().cycle().take(20) {
        mirror.passes(what);
    }
    assert_eq!((socket.unwrap().spoilt(), mirror.drops()), (trains, [0, 0, lost * trains]));
    assert_eq!(mirror.offloads.set(), OffloadSet::ALL.without(Offload::Gro));
    let log = mirror.log();
    assert!(log.lines().count() == 1 && log.contains("gro: "), "{log}");
    assert!(mirror.is_silent());
}

#[test]
fn trains_with_changed_bytes() {
    heals(changed_bytes, PIECES as u64 - 1, 1);
}

#[test]
fn trains_that_come_as_one_datagram() {
    heals(lost_stride, 1, 0);
}
