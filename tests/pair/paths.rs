//! The way to the peer: who counts as there, where packets go, and what is too big to go at all (PROTOCOL 2.9).

use std::time::Duration;

use plait::dataplane::report::PumpEvent;
use plait::engine::output::State;
use plait::types::id::PeerId;

use crate::world::{Config, World};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn calm() -> Config {
    let mut config = Config::required();
    config.policy.rekey = seconds(3600);
    config.policy.full = seconds(7200);
    config
}

fn hybrid(configs: [Config; 2]) -> World {
    let mut world = World::started(90, configs);
    world.run_to("HYBRID", seconds(1), |w| w.both(State::Hybrid));
    world
}

#[test]
fn a_peer_that_only_receives_is_not_down() {
    let mut world = hybrid([calm(), calm()]);
    world.run_for(seconds(20));
    let before = world.left_at(1, 16).len();
    for number in 0..1200 {
        world.send_later(Duration::from_millis(100) * number, 0, number);
    }
    for second in 0..120 {
        world.run_for(seconds(1));
        assert_eq!(world.state(0), Some(State::Hybrid), "second {second}");
    }
    assert_eq!(world.status(0).unwrap().handshakes.full, 1, "no handshake was needed");
    let keepalives = world.left_at(1, 16).len() - before;
    assert!((9..=13).contains(&keepalives), "{keepalives} keepalives in 120 s, one every 10 s");
}

#[test]
fn an_idle_tunnel_is_silent() {
    let mut world = hybrid([calm(), calm()]);
    world.send_later(Duration::ZERO, 0, 1);
    world.run_for(seconds(12));
    let before = world.seen.len();
    world.run_for(seconds(600));
    assert_eq!(world.seen.len(), before);
    assert!(world.both(State::Hybrid));
}

#[test]
fn a_keepalive_is_sent_as_often_as_configured() {
    let mut config = calm();
    config.keepalive = Some(seconds(5));
    let mut world = hybrid([config, calm()]);
    let before = world.left_at(0, 16).len();
    world.run_for(seconds(100));
    let sent = world.left_at(0, 16).len() - before;
    assert!((16..=20).contains(&sent), "{sent} in 100 s");
}

#[test]
fn a_dead_peer_is_sought_after_25_seconds_of_silence() {
    let mut world = hybrid([calm(), calm()]);
    world.kill(1);
    let dead = world.now;
    for number in 0..400 {
        world.send_later(Duration::from_millis(100) * number, 0, number);
    }
    world.run_for(seconds(40));
    let i0 = world.left_at(0, 1).into_iter().find(|at| *at > dead).unwrap();
    assert!((25.0..27.5).contains(&(i0 - dead).as_secs_f64()), "{:?}", i0 - dead);
    assert_eq!(world.state(0), Some(State::Down));
}

#[test]
fn a_pinned_endpoint_is_never_left() {
    for (pinned, moves) in [(true, false), (false, true)] {
        let mut config = calm();
        config.pin_endpoint = pinned;
        config.policy.full = seconds(10);
        let mut world = hybrid([config, calm()]);
        let home = world.nodes[1].address;
        world.nodes[1].address = ([198, 51, 100, 7], 4000).into();
        // Data, and the handshakes that the moved end starts.
        for number in 0..60 {
            world.send_later(Duration::from_millis(500) * number, 1, number);
        }
        world.run_for(seconds(40));
        let endpoint = world.status(0).unwrap().endpoint.unwrap();
        assert_eq!(endpoint != home, moves, "pinned {pinned}: {endpoint}");
    }
}

#[test]
fn a_pinned_end_that_knows_no_address_learns_the_first_one_and_stays() {
    let mut config = calm();
    config.pin_endpoint = true;
    config.knows_endpoint = false;
    let mut world = World::started(91, [config, calm()]);
    world.run_to("HYBRID", seconds(8), |w| w.both(State::Hybrid));
    let home = world.nodes[1].address;
    assert_eq!(world.status(0).unwrap().endpoint, Some(home));
    world.nodes[1].address = ([198, 51, 100, 8], 4000).into();
    world.send_later(Duration::ZERO, 1, 1);
    world.run_for(seconds(2));
    assert_eq!(world.status(0).unwrap().endpoint, Some(home));
}

#[test]
fn a_late_report_of_an_older_epoch_moves_nothing() {
    let mut config = calm();
    config.policy.rekey = seconds(2);
    let mut world = hybrid([config.clone(), config]);
    let tag = world.nodes[0].snapshot.clone().unwrap().receive.last().unwrap().epoch.tag();
    world.run_for(seconds(3));
    let home = world.nodes[1].address;
    let from = ([198, 51, 100, 9], 4000).into();
    world.tell_engine(0, vec![PumpEvent::Roamed { tag, from, local: None }]);
    assert_eq!(world.status(0).unwrap().endpoint, Some(home));
}

#[test]
fn a_staged_packet_above_the_inner_mtu_never_leaves() {
    let mut world = World::new(92, [calm(), calm()]);
    world.start(0);
    for length in [1420usize, 1421, 9000] {
        let mut packet = vec![0u8; length];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        packet[12..16].copy_from_slice(&[10, 99, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 99, 1, 1]);
        world.tell_engine(0, vec![PumpEvent::NoEpoch { peer: PeerId(0), packet }]);
    }
    world.start(1);
    world.run_to("HYBRID", seconds(8), |w| w.both(State::Hybrid));
    world.run_for(seconds(1));
    let longest = world.seen.iter().filter(|(_, bytes)| bytes[0] == 16).map(|(_, bytes)| bytes.len()).max();
    assert_eq!(longest, Some(16 + 1420 + 16));
    assert_eq!(world.nodes[1].delivered.len(), 1);
    assert_eq!(world.status(0).unwrap().transfer.sent_packets, 1, "a packet that waited counts as sent");
}

#[test]
fn older_epochs_are_answered_by_a_hint_at_most_every_quarter_second() {
    let mut config = calm();
    config.policy.rekey = seconds(5);
    let mut world = hybrid([config.clone(), config]);
    world.run_for(Duration::from_millis(500));
    // The peer goes on with the snapshot of now, as a pump that was not told of the rekey.
    let old = world.nodes[0].snapshot.clone().unwrap();
    world.run_for(seconds(7));
    let before = world.left_at(1, 16).len();
    for _ in 0..100 {
        world.packet_under(&old, 0, 5);
        world.run_for(Duration::from_millis(10));
    }
    let hints = world.left_at(1, 16).len() - before;
    assert!((3..=5).contains(&hints), "{hints} hints in a second");
    assert_eq!(world.nodes[1].delivered.iter().filter(|n| **n == 5).count(), 100, "it still opens");
    // 15 s after the last packet it is erased.
    world.run_for(seconds(16));
    world.packet_under(&old, 0, 6);
    world.run_for(seconds(1));
    assert!(!world.nodes[1].delivered.contains(&6));
}
