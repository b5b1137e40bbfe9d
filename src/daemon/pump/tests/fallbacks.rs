//! Each offload fails under traffic: it is given up alone, with one line in the log, and nothing is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mirror::{ALL_KINDS, Mirror, PIECE_BYTES, PIECES, Sent};
use crate::io::doubles::{Call, FaultySocket, Rule, joined, nth};
use crate::types::offload::{Offload, OffloadSet};

/// What a kernel says that cannot do something.
const REFUSALS: [i32; 3] = [libc::EINVAL, libc::EIO, libc::EOPNOTSUPP];
/// What a kernel says that can do it another time.
const BAD_TIMES: [i32; 3] = [libc::ENOBUFS, libc::ENOMEM, libc::EPERM];
/// The kinds of segmentation of TCP over IPv4 and of UDP (Virtio 1.2, 5.1.6).
const TCP: u8 = 1;
const UDP: u8 = 5;

fn never() -> Rule {
    Box::new(|_| None)
}

fn when(code: i32, is_broken: impl Fn(Call) -> bool + Send + Sync + 'static) -> Rule {
    Box::new(move |call| is_broken(call).then_some(code))
}

fn mirror(writes: Rule, sends: Rule) -> (Mirror, Arc<FaultySocket>) {
    let mut socket = None;
    let mirror = Mirror::start(writes, |inner| {
        let faulty = Arc::new(FaultySocket::new(inner, sends));
        socket = Some(Arc::clone(&faulty));
        faulty
    });
    (mirror, socket.unwrap())
}

/// All traffic passes, before and after the failure; the offload is given up by the first one and not tried again.
fn is_given_up(writes: Rule, sends: Rule, first: Sent, offload: Offload) {
    let (mut mirror, socket) = mirror(writes, sends);
    let broken = |mirror: &Mirror| mirror.queue.broken() + socket.broken();
    mirror.passes(Sent::Whole);
    assert_eq!((mirror.offloads.set(), broken(&mirror), mirror.log().as_str()), (OffloadSet::ALL, 0, ""));
    mirror.passes(first);
    let left = OffloadSet::ALL.without(offload);
    let left = if offload == Offload::Tso { left.without(Offload::Uso) } else { left };
    for what in ALL_KINDS.into_iter().cycle().take(20) {
        mirror.passes(what);
    }
    assert_eq!((mirror.offloads.set(), broken(&mirror)), (left, 1));
    let log = mirror.log();
    assert!(log.lines().count() == 1 && log.contains(offload.name()), "{log}");
    assert!(mirror.is_silent(), "nothing comes twice");
    assert_eq!(mirror.drops(), [0; 3]);
}

#[test]
fn trains_that_cannot_be_sent() {
    for code in REFUSALS {
        is_given_up(never(), joined(code), Sent::Tcp, Offload::Gso);
        is_given_up(never(), joined(code), Sent::Udp, Offload::Gso);
    }
}

#[test]
fn tcp_super_packets_that_cannot_be_written() {
    for code in REFUSALS {
        is_given_up(when(code, |call| call.header[1] == TCP), never(), Sent::Tcp, Offload::Tso);
    }
}

#[test]
fn udp_super_packets_that_cannot_be_written() {
    for code in REFUSALS {
        is_given_up(when(code, |call| call.header[1] == UDP), never(), Sent::Udp, Offload::Uso);
    }
}

#[test]
fn checksums_that_are_not_completed() {
    for code in REFUSALS {
        is_given_up(when(code, |call| call.header[0] != 0), never(), Sent::Unfinished, Offload::Tso);
    }
}

#[test]
fn all_at_once() {
    for code in REFUSALS {
        let (mut mirror, socket) = mirror(when(code, |call| call.header != [0; 2]), joined(code));
        for what in ALL_KINDS.into_iter().cycle().take(20) {
            mirror.passes(what);
        }
        let left = OffloadSet::NONE.with(Offload::Gro).with(Offload::Bundle);
        assert_eq!((mirror.offloads.set(), mirror.queue.broken(), socket.broken()), (left, 1, 1));
        assert_eq!((mirror.log().lines().count(), mirror.drops()), (2, [0; 3]), "{}", mirror.log());
    }
}

/// Everything is lost while the rules say so, and after that nothing; all offloads stay.
fn is_waited_out(code: i32, [of_send, of_tun]: [u64; 2]) {
    let bad_time = Arc::new(AtomicBool::new(false));
    let rule = |count: u64| -> Rule {
        let bad_time = Arc::clone(&bad_time);
        when(code, move |_| count > 0 && bad_time.load(Ordering::Relaxed))
    };
    let (mut mirror, _) = mirror(rule(of_tun), rule(of_send));
    for round in 1..=3 {
        for what in ALL_KINDS {
            mirror.passes(what);
        }
        bad_time.store(true, Ordering::Relaxed);
        let mut dropped = 0;
        for what in ALL_KINDS {
            dropped += mirror.send(what).len() as u64;
            let all = (round - 1) * (2 * PIECES as u64 + 2) + dropped;
            mirror.wait_drops([of_send * all, of_tun * all, 0]);
        }
        bad_time.store(false, Ordering::Relaxed);
    }
    mirror.passes(Sent::Tcp);
    assert_eq!((mirror.offloads.set(), mirror.log().as_str()), (OffloadSet::ALL, ""));
}

#[test]
fn a_bad_time_is_no_refusal() {
    for code in BAD_TIMES {
        is_waited_out(code, [1, 0]);
        is_waited_out(code, [0, 1]);
    }
    is_waited_out(libc::EAGAIN, [0, 1]);
    is_waited_out(libc::ENETUNREACH, [1, 0]);
}

#[test]
fn an_interface_that_is_down_refuses_everything_and_nothing_is_given_up() {
    is_waited_out(libc::EIO, [0, 1]);
}

#[test]
fn an_interface_that_comes_up_between_two_writes_is_not_misunderstood() {
    for what in [Sent::Tcp, Sent::Udp] {
        let (mut mirror, _) = mirror(when(libc::EIO, |call| call.number < 2), never());
        let sent = mirror.send(what);
        assert!(mirror.receive(PIECES - 1) == sent[1..], "all but the first piece");
        mirror.wait_drops([0, 1, 0]);
        mirror.passes(what);
        assert_eq!((mirror.offloads.set(), mirror.log().as_str()), (OffloadSet::ALL, ""));
    }
}

#[test]
fn a_full_send_buffer_is_waited_for() {
    let (mut mirror, socket) = mirror(never(), Box::new(|call| (call.number % 3 != 2).then_some(libc::EAGAIN)));
    for what in ALL_KINDS.into_iter().cycle().take(20) {
        mirror.passes(what);
    }
    assert!(socket.broken() >= 40);
    assert_eq!((mirror.offloads.set(), mirror.drops(), mirror.log().as_str()), (OffloadSet::ALL, [0; 3], ""));
}

#[test]
fn a_link_that_is_too_small_is_no_refusal_of_trains() {
    for of_trains in [libc::EMSGSIZE, libc::EINVAL] {
        let (mut mirror, socket) = mirror(
            never(),
            Box::new(move |call| match call {
                Call { is_joined: true, .. } => Some(of_trains),
                Call { bytes, .. } => (bytes > PIECE_BYTES).then_some(libc::EMSGSIZE),
            }),
        );
        for round in 1..=3 {
            let sent = mirror.send(Sent::Tcp);
            assert!(mirror.receive(1) == sent[PIECES - 1..], "only the short last one fits");
            mirror.wait_drops([round * (PIECES as u64 - 1), 0, 0]);
        }
        assert_eq!(socket.broken(), 3 * PIECES as u64);
        assert_eq!((mirror.offloads.set(), mirror.log().as_str()), (OffloadSet::ALL, ""));
    }
}

#[test]
fn a_single_refusal_is_enough_and_a_single_loss_is_not() {
    is_given_up(never(), nth(1, libc::EINVAL), Sent::Tcp, Offload::Gso);
    let (mut mirror, socket) = mirror(never(), nth(0, libc::ENOBUFS));
    mirror.send(Sent::Tcp);
    mirror.wait_drops([PIECES as u64, 0, 0]);
    mirror.passes(Sent::Tcp);
    assert_eq!((mirror.offloads.set(), socket.broken()), (OffloadSet::ALL, 1));
}
