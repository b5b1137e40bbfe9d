//! Sessions: for each "dropped", "ignored" and "thrown away" of PROTOCOL 2.5 to 2.9 that is the engine's, what comes of it is nothing.

use std::time::Duration;

use plait::dataplane::report::PumpEvent;
use plait::engine::output::{EventKind, State, StateFile};
use plait::keys::request::{KeyDelivery, RequestId, SourceFailure};
use plait::session::epoch::EpochTag;
use plait::types::id::{PeerId, SourceId};
use plait::types::policy::Reason;
use plait::wire::transport::DataHeader;

use crate::kme::Mood;
use crate::rejects::{CONTROL, R2, calm, configs, control, hybrid, newest, of_kind, refused, seconds};
use crate::world::{Side, World};

/// The plaintext of a control record on its way to `to`, which must not have opened it yet.
fn opened(world: &World, to: Side, bytes: &[u8]) -> (EpochTag, Vec<u8>) {
    let header = DataHeader::parse(bytes).unwrap();
    let snapshot = world.nodes[to].snapshot.clone().unwrap();
    let receiving = snapshot.receiving(header.receiver).unwrap();
    let mut copy = bytes.to_vec();
    let (text, _) = receiving.epoch.open(header, &mut copy).unwrap();
    (receiving.epoch.tag(), text.to_vec())
}

/// Loses every control record from now on and waits for the next one of `side`.
fn catch_control(world: &mut World, side: Side) -> Vec<u8> {
    let before = of_kind(world, side, CONTROL).len();
    world.fate = Box::new(|passing| if passing.kind == CONTROL { Vec::new() } else { vec![Duration::from_millis(5)] });
    world.run_to("a control record", seconds(10), |w| of_kind(w, side, CONTROL).len() > before);
    of_kind(world, side, CONTROL).remove(before)
}

#[test]
fn an_initiator_answers_no_fr1_not_even_its_own() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    let mut world = hybrid(&config);
    let fr1 = catch_control(&mut world, 0);
    let (_, text) = opened(&world, 1, &fr1);
    let (tag, requests) = (newest(&world, 0), world.nodes[0].requests.len());
    control(&mut world, 0, tag, text.clone());
    assert_eq!(world.nodes[0].requests.len(), requests, "reflected: the root is the same at both ends");
    assert_eq!(of_kind(&world, 0, CONTROL).len(), 1, "nor does it refuse");
    // Where it belongs it is answered, once.
    let tag = newest(&world, 1);
    let requests = world.nodes[1].requests.len();
    for _ in 0..3 {
        control(&mut world, 1, tag, text.clone());
    }
    assert_eq!(world.nodes[1].requests.len(), requests + 1);
    let sent = of_kind(&world, 1, CONTROL).len();
    world.run_for(Duration::from_millis(50));
    assert_eq!(of_kind(&world, 1, CONTROL).len(), sent + 1, "silence meanwhile, then FR2");
    control(&mut world, 1, tag, text.clone());
    assert_eq!(of_kind(&world, 1, CONTROL).len(), sent + 2, "the cached FR2");
    // Altered anywhere it is nothing.
    for at in 0..text.len() {
        let mut other = text.clone();
        other[at] ^= 1;
        control(&mut world, 1, tag, other);
    }
    assert_eq!(world.nodes[1].requests.len(), requests + 1);
    assert_eq!(of_kind(&world, 1, CONTROL).len(), sent + 2);
}

#[test]
fn an_fr1_of_the_old_session_is_dropped_while_an_i2_is_undecided() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    let mut world = hybrid(&config);
    let (tag, fr1) = (newest(&world, 1), catch_control(&mut world, 0));
    let (_, text) = opened(&world, 1, &fr1);
    // A full handshake follows, as FR1 has no answer; its session is not confirmed at R.
    world.fate = Box::new(|passing| if passing.kind > R2 { Vec::new() } else { vec![Duration::from_millis(5)] });
    let before = of_kind(&world, 1, R2).len();
    world.run_to("R2", seconds(20), |w| of_kind(w, 1, R2).len() > before);
    let requests = world.nodes[1].requests.len();
    control(&mut world, 1, tag, text.clone());
    world.run_for(Duration::from_millis(14_900));
    control(&mut world, 1, tag, text.clone());
    assert_eq!(world.nodes[1].requests.len(), requests);
    assert_eq!(refused(&world, 1, "FR1 while an I2 is undecided"), 2);
    world.run_for(Duration::from_millis(200));
    control(&mut world, 1, tag, text);
    assert_eq!(world.nodes[1].requests.len(), requests + 1, "15 s after R2 it is answered");
}

#[test]
fn an_fr2_is_taken_once_and_an_altered_one_not_at_all() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    let mut world = hybrid(&config);
    world.fate = Box::new(|passing| {
        let lost = passing.kind == CONTROL && passing.from == 1;
        if lost { Vec::new() } else { vec![Duration::from_millis(5)] }
    });
    world.run_to("FR2", seconds(4), |w| !of_kind(w, 1, CONTROL).is_empty());
    let fr2 = of_kind(&world, 1, CONTROL).remove(0);
    let (tag, text) = opened(&world, 0, &fr2);
    let before = newest(&world, 0);
    // Op, try, waiver and epoch. With anything else altered `ok` says that the keys differ, and that is heard.
    for at in 0..8 {
        let mut other = text.clone();
        other[at] ^= 1;
        control(&mut world, 0, tag, other);
        assert_eq!(newest(&world, 0), before, "byte {at}");
    }
    for _ in 0..3 {
        control(&mut world, 0, tag, text.clone());
    }
    let made = newest(&world, 0);
    assert_eq!((made.session, made.number), (before.session, before.number + 1));
    assert_eq!(world.nodes[0].snapshot.clone().unwrap().receive.len(), 2, "one new epoch");
}

#[test]
fn please_rekey_is_for_the_initiator_and_for_the_epoch_in_use() {
    let mut world = hybrid(&calm());
    let requests = |world: &World| world.nodes.iter().map(|node| node.requests.len()).sum::<usize>();
    let (first, before) = (newest(&world, 0), requests(&world));
    let tag = newest(&world, 1);
    control(&mut world, 1, tag, vec![3]);
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before, "the responder issues no FR1");
    for _ in 0..5 {
        control(&mut world, 0, first, vec![3]);
    }
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before + 2, "one rekey for all of them");
    control(&mut world, 0, first, vec![3]);
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before + 2, "asked for under an epoch that is no longer in use");
    let now = newest(&world, 0);
    control(&mut world, 0, now, vec![3]);
    world.run_for(seconds(5));
    assert_eq!(requests(&world), before + 4);
}

#[test]
fn unknown_and_malformed_control_messages_are_counted_and_nothing_else() {
    let mut world = hybrid(&calm());
    let tag = newest(&world, 0);
    let (seen, words) = (world.seen.len(), world.status(0).unwrap().epoch.unwrap().check_words);
    for bytes in [vec![], vec![0], vec![5], vec![255; 80], vec![1], vec![2; 79], vec![3, 0], vec![4, 0], vec![2; 80]] {
        control(&mut world, 0, tag, bytes);
    }
    assert_eq!(world.seen.len(), seen);
    assert_eq!(world.status(0).unwrap().epoch.unwrap().check_words, words);
    assert!(refused(&world, 0, "unknown control message") >= 3);
    assert!(refused(&world, 0, "malformed control message") >= 4);
}

#[test]
fn close_under_an_older_epoch_leaves_the_newer_unless_it_is_short() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    for short in [false, true] {
        let mut world = hybrid(&config);
        if short {
            world.kme.both(Mood::Dry);
        }
        let old = newest(&world, 1);
        let state = if short { State::Holdover } else { State::Hybrid };
        world.run_to("the next epoch", seconds(4), |w| w.both(state) && newest(w, 1) > old && newest(w, 0).number > 0);
        world.run_for(Duration::from_millis(100));
        control(&mut world, 1, old, vec![4]);
        assert_eq!(world.status(1).unwrap().epoch.is_some(), !short);
    }
}

#[test]
fn close_under_the_epoch_in_use_ends_the_session_and_under_a_stranger_nothing() {
    let mut world = hybrid(&calm());
    let tag = newest(&world, 1);
    for wrong in [EpochTag { session: tag.session.wrapping_sub(1), ..tag }, EpochTag { peer: PeerId(7), ..tag }] {
        control(&mut world, 1, wrong, vec![4]);
        assert!(world.status(1).unwrap().epoch.is_some());
    }
    control(&mut world, 1, tag, vec![4]);
    assert!(world.status(1).unwrap().epoch.is_none());
    assert_eq!(world.state(1), Some(State::Holding));
}

#[test]
fn an_answer_that_nobody_asked_for_is_thrown_away() {
    let mut world = hybrid(&calm());
    let seen = world.seen.len();
    for (id, peer) in [(1, 0), (2, 0), (999, 0), (1, 5)] {
        let outcome = Err(SourceFailure { reason: Reason::Unreachable, text: String::new() });
        let source = SourceId::new(0).unwrap();
        let delivery = KeyDelivery { id: RequestId(id), peer: PeerId(peer), source, outcome };
        let now = world.clock();
        world.nodes[0].engine.as_mut().unwrap().handle_keys(now, delivery);
    }
    assert_eq!(world.seen.len(), seen);
    assert!(world.both(State::Hybrid));
    assert!(world.status(0).unwrap().failed_sources.is_empty());
}

#[test]
fn a_key_id_that_the_responder_has_seen_is_not_fetched() {
    let mut world = hybrid(&calm());
    let id = world.kme.issued.last().cloned().unwrap();
    // The initiator has forgotten it, and its KME gives it once more.
    world.kme.moods[0] = Mood::Repeating;
    world.nodes[0].files.remove(&StateFile::Seen);
    world.start(0);
    world.run_for(seconds(3));
    let asked = |(_, r): &&(Duration, plait::keys::request::KeyRequest)| format!("{:?}", r.kind).contains(&id[..8]);
    assert_eq!(world.nodes[1].requests.iter().filter(asked).count(), 1);
    let seen = |e: &EventKind| matches!(e, EventKind::SourceFailed { reason: Reason::SeenBefore, .. });
    assert!(world.told(1, seen) > 0 && world.told(0, seen) > 0, "reason 7, at both ends");
    world.kme.both(Mood::Good);
    world.run_to("HYBRID", seconds(70), |w| w.both(State::Hybrid));
}

#[test]
fn a_key_id_from_before_a_restart_is_known_at_either_end() {
    for forgets in [None, Some(0), Some(1)] {
        let mut world = hybrid(&calm());
        let before = world.kme.fetched.len();
        world.kme.moods[0] = Mood::Repeating;
        for side in 0..2 {
            if forgets == Some(side) {
                world.nodes[side].files.remove(&StateFile::Seen);
            }
            world.start(side);
        }
        world.run_for(seconds(3));
        let seen = |e: &EventKind| matches!(e, EventKind::SourceFailed { reason: Reason::SeenBefore, .. });
        assert!(world.told(0, seen) > 0, "{forgets:?}");
        assert_eq!(world.kme.fetched.len(), before, "{forgets:?}: not fetched again");
        world.kme.both(Mood::Good);
        world.run_to("HYBRID", seconds(70), |w| w.both(State::Hybrid));
    }
}

#[test]
fn a_key_id_that_the_initiator_has_seen_is_asked_for_once_more() {
    let mut config = calm();
    config.policy.rekey = seconds(3);
    let mut world = hybrid(&config);
    world.kme.moods[0] = Mood::Repeating;
    let asked = world.nodes[0].requests.len();
    world.run_to("enc_keys", seconds(5), |w| w.nodes[0].requests.len() > asked);
    world.kme.moods[0] = Mood::Good;
    world.run_for(seconds(1));
    assert_eq!(world.nodes[0].requests.len(), asked + 2);
    assert!(world.both(State::Hybrid) && world.status(0).unwrap().handshakes.fast == 1);
}

#[test]
fn no_kme_is_asked_for_a_session_that_cannot_come() {
    let mut config = calm();
    config.sources = 2;
    config.policy.min_sources = 2;
    let mut world = World::new(108, configs(&config));
    world.kme.source_moods.insert((0, 1), Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_for(seconds(3));
    assert!(!of_kind(&world, 1, R2).is_empty(), "refused by R2");
    assert!(world.nodes[1].requests.is_empty(), "and the key that I has is not fetched");
    assert!(world.both(State::Blocked));
}

#[test]
fn a_packet_staged_while_blocked_never_leaves() {
    let mut config = calm();
    config.policy.hold_last = Some(seconds(0));
    let mut world = World::new(109, configs(&config));
    world.kme.both(Mood::Unreachable);
    world.start(0);
    world.start(1);
    world.run_to("BLOCKED", seconds(5), |w| w.state(0) == Some(State::Blocked));
    let mut packet = vec![0u8; 40];
    packet[0] = 0x45;
    packet[3] = 40;
    packet[12..16].copy_from_slice(&[10, 99, 0, 1]);
    packet[16..20].copy_from_slice(&[10, 99, 1, 1]);
    world.tell_engine(0, vec![PumpEvent::NoEpoch { peer: PeerId(0), packet }]);
    assert_eq!(refused(&world, 0, "blocked"), 1);
    world.kme.both(Mood::Good);
    world.run_to("HYBRID", seconds(70), |w| w.both(State::Hybrid));
    world.run_for(seconds(1));
    assert!(world.nodes[1].delivered.is_empty());
}

#[test]
fn a_key_that_comes_after_its_exchange_went_on_is_thrown_away() {
    let mut config = calm();
    config.policy.rekey = seconds(3);
    config.policy.hold_last = Some(seconds(3600));
    let mut world = hybrid(&config);
    world.kme.moods[0] = Mood::Late;
    world.run_to("HOLDOVER", seconds(20), |w| w.both(State::Holdover));
    // A second later the key comes; FR1 left without it, and it is in no epoch.
    world.run_for(seconds(2));
    let late = world.kme.issued.last().cloned().unwrap();
    world.kme.moods[0] = Mood::Good;
    world.run_to("HYBRID", seconds(30), |w| w.both(State::Hybrid));
    assert!(!world.kme.fetched.contains(&late));
}
