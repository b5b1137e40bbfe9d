//! Packets through the tunnel while keys change under them: nothing lost, nothing twice (PROTOCOL 2.9 "Hitless").

use std::time::Duration;

use plait::engine::output::{EventKind, State};

use crate::world::{Config, World};

fn pings(world: &mut World, count: u32, every: Duration) {
    for number in 0..count {
        for side in [0, 1] {
            world.send_later(every * number, side, number);
        }
    }
}

fn hasty() -> Config {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(2);
    config
}

#[test]
fn nothing_is_lost_or_doubled_while_keys_change_every_two_seconds() {
    let mut world = World::started(20, [hasty(), hasty()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    pings(&mut world, 3000, Duration::from_millis(10));
    world.run_for(Duration::from_secs(32));
    for node in &world.nodes {
        assert_eq!(node.delivered, (0..3000).collect::<Vec<_>>());
    }
    assert!(world.status(0).unwrap().epoch.unwrap().number >= 12);
}

#[test]
fn nothing_is_lost_across_full_handshakes() {
    let mut config = hasty();
    config.policy.full = Duration::from_secs(10);
    let mut world = World::started(21, [config.clone(), config]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    pings(&mut world, 6000, Duration::from_millis(10));
    world.run_for(Duration::from_secs(62));
    for node in &world.nodes {
        assert_eq!(node.delivered, (0..6000).collect::<Vec<_>>());
    }
    assert!(world.status(0).unwrap().handshakes.full >= 5);
}

#[test]
fn lost_packets_are_lost_once_and_the_session_lives() {
    let mut world = World::started(22, [hasty(), hasty()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    let mut count = 0u32;
    world.fate = Box::new(move |_| {
        count += 1;
        if count % 10 == 3 { Vec::new() } else { vec![Duration::from_millis(5 + u64::from(count % 7))] }
    });
    pings(&mut world, 6000, Duration::from_millis(10));
    world.run_for(Duration::from_secs(65));
    for side in [0, 1] {
        let mut delivered = world.nodes[side].delivered.clone();
        let got = delivered.len();
        delivered.sort_unstable();
        delivered.dedup();
        assert_eq!(delivered.len(), got, "no packet twice");
        assert!(got > 5300, "{got} of 6000");
        assert_eq!(world.told(side, |e| matches!(e, EventKind::State { to, .. } if *to != State::Hybrid)), 0);
    }
}

#[test]
fn packets_before_the_first_session_wait_and_then_go() {
    let mut world = World::new(23, [Config::required(), Config::required()]);
    world.start(0);
    world.start(1);
    for number in 0..10 {
        world.send_later(Duration::from_millis(1), 0, number);
    }
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.nodes[1].delivered, (0..10).collect::<Vec<_>>());
}

#[test]
fn the_tunnel_follows_a_peer_that_moves() {
    let mut world = World::started(24, [Config::required(), Config::required()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    for (step, side) in [(1u8, 0), (2, 1), (3, 0)] {
        world.nodes[side].address = ([198, 51, 100, step], 4000).into();
        let before = world.nodes[side].delivered.len();
        world.send_later(Duration::from_millis(10), side, 1);
        world.send_later(Duration::from_millis(50), 1 - side, 2);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.nodes[side].delivered.len(), before + 1, "step {step}");
        let moved = |e: &EventKind| matches!(e, EventKind::Roamed(_));
        assert!(world.told(1 - side, moved) > 0);
    }
}

#[test]
fn a_silent_peer_is_shown_as_down_and_found_again() {
    let mut world = World::started(25, [Config::required(), Config::required()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.fate = Box::new(|_| Vec::new());
    for number in 0..200 {
        world.send_later(Duration::from_millis(500) * number, 0, number);
    }
    world.run_for(Duration::from_secs(24));
    assert_ne!(world.state(0), Some(State::Down));
    world.run_for(Duration::from_secs(6));
    assert_eq!(world.state(0), Some(State::Down));
    world.run_for(Duration::from_secs(40));
    world.fate = crate::world::faithful();
    world.run_to("HYBRID again", Duration::from_secs(20), |w| w.both(State::Hybrid));
}

#[test]
fn a_lost_first_answer_does_not_leave_the_initiator_waiting() {
    for lost in 1..4u32 {
        let mut passive = Config::required();
        passive.knows_endpoint = false;
        let mut world = World::new(26, [Config::required(), passive]);
        let mut answers = 0;
        world.fate = Box::new(move |passing| {
            let is_answer = passing.handshake_number.is_none() && passing.from == 1;
            answers += u32::from(is_answer);
            if is_answer && answers <= lost { Vec::new() } else { vec![Duration::from_millis(5)] }
        });
        world.start(0);
        world.start(1);
        let span = Duration::from_secs(if lost < 3 { 2 } else { 4 });
        world.run_to(&format!("confirmed at both ends, {lost} answers lost"), span, |w| {
            [0, 1].iter().all(|side| w.status(*side).unwrap().handshakes.full == 1)
        });
    }
}

#[test]
fn packets_that_waited_through_an_outage_do_not_come_out_hours_later() {
    let mut world = World::new(27, [Config::required(), Config::required()]);
    world.kme.both(crate::kme::Mood::Dry);
    world.start(0);
    world.start(1);
    for number in 0..4 {
        world.send_later(Duration::from_secs(1), 0, number);
    }
    world.run_for(Duration::from_secs(7200));
    world.kme.both(crate::kme::Mood::Good);
    // These wait as well, and not for long.
    world.send_later(Duration::ZERO, 0, 100);
    world.run_to("HYBRID", Duration::from_secs(80), |w| w.both(State::Hybrid));
    world.send_later(Duration::ZERO, 0, 101);
    world.run_for(Duration::from_secs(1));
    let came = &world.nodes[1].delivered;
    assert!(came.contains(&101) && came.iter().all(|number| *number >= 100), "{came:?}");
}
