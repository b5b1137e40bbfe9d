//! Datagrams of every first byte and every length up to 1500, in three states: none has an effect (RELIABILITY T-SHORT).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use plait::engine::output::State;

use crate::kme::Mood;
use crate::world::{Config, World};

/// Bytes of a full Ethernet frame's packet.
const LENGTH_MAX: usize = 1500;

/// A stranger, and the peer itself: what comes from its address gets further.
fn sources(world: &World) -> [SocketAddr; 2] {
    [([203, 0, 113, 9], 9999).into(), world.nodes[0].address]
}

/// What was really sent, by its first byte: what is cut from it gets further than zeros.
fn templates(world: &World) -> BTreeMap<u8, Vec<u8>> {
    world.seen.iter().filter(|(from, _)| *from == 0).map(|(_, bytes)| (bytes[0], bytes.clone())).collect()
}

/// All of them to the second end; gives how many datagrams anybody sent meanwhile.
fn throw(world: &mut World, templates: &BTreeMap<u8, Vec<u8>>) -> usize {
    let sent = world.seen.len();
    for kind in 0..=255_u8 {
        for length in 0..=LENGTH_MAX {
            let mut bytes = templates.get(&kind).cloned().unwrap_or_else(|| vec![kind, 1, 0, 0]);
            bytes.resize(length, 0);
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            let from = sources(world)[length % 2];
            world.inject(1, from, bytes);
        }
        world.run_for(Duration::ZERO);
    }
    world.seen.len() - sent
}

/// What may not change: deliveries, questions to the KME, the other end's address, the state.
fn facts(world: &World) -> (usize, usize, Option<SocketAddr>, State) {
    let (node, status) = (&world.nodes[1], world.status(1).unwrap());
    (node.delivered.len(), node.requests.len(), status.endpoint, status.state)
}

fn no_effect(world: &mut World, templates: &BTreeMap<u8, Vec<u8>>, state: State) {
    assert_eq!(world.state(1), Some(state));
    let before = facts(world);
    let answers = throw(world, templates);
    assert_eq!(facts(world), before);
    // The one whole I0 among them is answered with a cookie: that is what a cookie is for (PROTOCOL 2.4).
    assert!(answers <= 1, "{answers} datagrams were answered in {state:?}");
}

fn recorded() -> (World, BTreeMap<u8, Vec<u8>>) {
    let mut world = World::started(83, [Config::required(), Config::required()]);
    world.run_to("HYBRID", Duration::from_secs(1), |world| world.both(State::Hybrid));
    world.send_later(Duration::ZERO, 0, 1);
    world.run_for(Duration::from_secs(1));
    let templates = templates(&world);
    assert!(templates.len() >= 4, "{:?}", templates.keys());
    (world, templates)
}

#[test]
fn of_every_kind_and_length_none_has_an_effect_on_a_session() {
    let (mut world, templates) = recorded();
    no_effect(&mut world, &templates, State::Hybrid);
    world.send_later(Duration::ZERO, 0, 2);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.nodes[1].delivered, [1, 2], "the session carries on");
}

#[test]
fn nor_before_the_first_session() {
    let (_, templates) = recorded();
    let mut world = World::started(84, [Config::required(), Config::required()]);
    world.fate = Box::new(|_| Vec::new());
    world.run_for(Duration::from_millis(1));
    no_effect(&mut world, &templates, State::Holding);
}

#[test]
fn nor_where_the_policy_blocks() {
    let mut config = Config::required();
    config.policy.hold_last = Some(Duration::ZERO);
    config.policy.rekey = Duration::from_secs(10);
    let mut world = World::started(85, [config.clone(), config]);
    world.run_to("HYBRID", Duration::from_secs(1), |world| world.both(State::Hybrid));
    let templates = templates(&world);
    world.kme.both(Mood::Dry);
    world.run_to("BLOCKED", Duration::from_secs(60), |world| world.both(State::Blocked));
    no_effect(&mut world, &templates, State::Blocked);
    world.kme.both(Mood::Good);
    world.run_to("HYBRID again", Duration::from_secs(200), |world| world.both(State::Hybrid));
}
