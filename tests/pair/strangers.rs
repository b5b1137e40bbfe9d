//! What comes from strangers changes nothing: replays, forgeries, mutations, floods (PROTOCOL 1, 2.4; RELIABILITY T-NOEFFECT).

use std::net::SocketAddr;
use std::time::Duration;

use plait::engine::output::State;

use crate::world::{Config, Seeded, World};

fn hybrid() -> World {
    let mut world = World::started(80, [Config::required(), Config::required()]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    world.send_later(Duration::from_millis(10), 0, 1);
    world.send_later(Duration::from_millis(20), 1, 2);
    world.run_for(Duration::from_secs(1));
    world
}

fn stranger() -> SocketAddr {
    ([203, 0, 113, 9], 9999).into()
}

fn asked(world: &World) -> usize {
    world.nodes.iter().map(|node| node.requests.len()).sum()
}

#[test]
fn a_recorded_handshake_replayed_asks_no_kme_and_moves_nothing() {
    let mut world = hybrid();
    let record = world.seen.clone();
    let (requests, session) = (asked(&world), world.status(0).unwrap().epoch.unwrap().check_words);
    let delivered: Vec<_> = world.nodes.iter().map(|node| node.delivered.len()).collect();
    for _ in 0..20 {
        for (from, bytes) in &record {
            world.inject(1 - from, stranger(), bytes.clone());
            let own = world.nodes[*from].address;
            world.inject(1 - from, own, bytes.clone());
        }
        world.run_for(Duration::from_millis(200));
    }
    assert_eq!(asked(&world), requests);
    for side in [0, 1] {
        let status = world.status(side).unwrap();
        assert_eq!(status.endpoint, Some(world.nodes[1 - side].address));
        assert_eq!(status.epoch.unwrap().check_words, session);
        assert_eq!(world.nodes[side].delivered.len(), delivered[side], "no packet twice");
    }
    world.run_for(Duration::from_secs(60));
    assert!(world.both(State::Hybrid));
}

#[test]
fn mutated_datagrams_have_no_effect() {
    let mut world = hybrid();
    let record = world.seen.clone();
    let requests = asked(&world);
    let mut draw = Seeded(5);
    for _ in 0..20_000 {
        let (from, mut bytes) = record[draw.next() as usize % record.len()].clone();
        match draw.next() % 4 {
            0 => bytes.truncate(draw.next() as usize % (bytes.len() + 1)),
            1 => bytes.push(draw.next() as u8),
            _ => {}
        }
        if !bytes.is_empty() {
            let at = draw.next() as usize % bytes.len();
            bytes[at] ^= 1 << (draw.next() % 8);
        }
        world.inject(1 - from, stranger(), bytes);
    }
    world.run_for(Duration::from_secs(2));
    assert_eq!(asked(&world), requests);
    for side in [0, 1] {
        assert_eq!(world.status(side).unwrap().endpoint, Some(world.nodes[1 - side].address));
    }
    world.send_later(Duration::ZERO, 0, 77);
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.nodes[1].delivered.last(), Some(&77));
}

#[test]
fn every_type_and_length_is_survived_idle_handshaking_and_up() {
    let mut draw = Seeded(6);
    for moment_ms in [0u64, 12, 2000] {
        let mut world = World::started(81, [Config::required(), Config::required()]);
        world.run_for(Duration::from_millis(moment_ms));
        for kind in 0..=255u8 {
            for length in
                [0usize, 1, 2, 3, 4, 15, 16, 31, 32, 47, 48, 95, 96, 97, 511, 512, 513, 1231, 1232, 1233, 1500]
            {
                let mut bytes: Vec<u8> = (0..length).map(|_| draw.next() as u8).collect();
                if let Some(first) = bytes.first_mut() {
                    *first = kind;
                }
                if let Some(version) = bytes.get_mut(1) {
                    *version = 1;
                }
                world.inject(usize::from(kind) % 2, stranger(), bytes);
            }
        }
        world.run_to("HYBRID", Duration::from_secs(10), |w| w.both(State::Hybrid));
    }
}

#[test]
fn an_observer_who_injects_but_cannot_drop_kills_no_handshake() {
    // Every datagram of the handshake is followed at once by its own copy with one bit changed, and by an older one.
    let mut world = World::new(82, [Config::required(), Config::required()]);
    world.start(0);
    world.start(1);
    for step in 0..400 {
        world.run_for(Duration::from_millis(5));
        let recent: Vec<_> = world.seen.iter().rev().take(6).cloned().collect();
        for (from, mut bytes) in recent {
            let own = world.nodes[from].address;
            world.inject(1 - from, own, bytes.clone());
            let at = step % bytes.len();
            bytes[at] ^= 4;
            world.inject(1 - from, own, bytes);
        }
    }
    world.run_to("HYBRID", Duration::from_secs(10), |w| w.both(State::Hybrid));
    assert_eq!(world.kme.issued.len(), 1);
}
