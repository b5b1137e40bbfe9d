//! The stateful target: bytes are operations on two live engines, their link and their KMEs; afterwards traffic must flow again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use plait::engine::output::{Command, State};

use crate::kme::Mood;
use crate::world::{Config, World, faithful};

/// Operations of one input: more add time and nothing new.
const OPERATIONS_MAX: usize = 64;
/// From the last operation until both ends are well (PROTOCOL 2.8a: probe times and the pause after differing keys).
const PATIENCE: Duration = Duration::from_secs(200);

const MOODS: [Mood; 8] = [
    Mood::Good,
    Mood::Unreachable,
    Mood::Dry,
    Mood::Forgetful,
    Mood::Wrong,
    Mood::Repeating,
    Mood::Small,
    Mood::Constant,
];

/// Plays the operations; each is a byte and three arguments.
pub(crate) fn live_pair(bytes: &[u8]) -> bool {
    let mut config = Config::required();
    config.policy.rekey = Duration::from_secs(5);
    let mut world = World::started(1, [config.clone(), config]);
    let mut packets = 0;
    for operation in bytes.chunks_exact(4).take(OPERATIONS_MAX) {
        if let [what, a, b, c] = operation {
            operate(&mut world, *what, [*a, *b, *c], &mut packets);
        }
    }
    world.fate = faithful();
    world.kme.both(Mood::Good);
    for side in [0, 1] {
        if world.nodes[side].engine.is_none() {
            world.start(side);
        }
    }
    world.run_to("HYBRID after the operations", PATIENCE, |world| world.both(State::Hybrid));
    let words = |world: &World, side| world.status(side).and_then(|status| status.epoch).map(|epoch| epoch.check_words);
    world.run_to("the same epoch", PATIENCE, |world| words(world, 0).is_some() && words(world, 0) == words(world, 1));
    for node in &world.nodes {
        let once: BTreeSet<u32> = node.delivered.iter().copied().collect();
        assert_eq!(once.len(), node.delivered.len(), "a packet came out twice");
        assert!(once.iter().all(|number| *number < packets), "a packet came out that nobody sent");
    }
    bytes.len() >= 4
}

fn operate(world: &mut World, what: u8, [a, b, c]: [u8; 3], packets: &mut u32) {
    let side = usize::from(a & 1);
    match what % 9 {
        0 => world.run_for(Duration::from_millis(u64::from(b) * 10 + u64::from(c))),
        1 => {
            world.send_later(Duration::from_millis(u64::from(b)), side, *packets);
            *packets += 1;
        }
        2 | 3 => again(world, what, [a, b, c]),
        4 if world.nodes[side].engine.is_some() => world.kill(side),
        4 => world.start(side),
        5 => world.kme.moods[side] = MOODS[usize::from(b) % MOODS.len()],
        6 => {
            let (lost, mut number) = (u32::from(b) << 8 | u32::from(c), 0u32);
            world.fate = Box::new(move |_| {
                number += 1;
                if lost >> (number % 16) & 1 == 1 { Vec::new() } else { vec![Duration::from_millis(5)] }
            });
        }
        7 => world.command(side, Command::Rekey(None)),
        _ => junk(world, side, b, c),
    }
}

/// A datagram that was on the link comes again, as it was or changed, to either end, from its sender or from a stranger.
fn again(world: &mut World, what: u8, [a, b, c]: [u8; 3]) {
    let Some((from, bytes)) = world.seen.iter().rev().nth(usize::from(b)).cloned() else { return };
    let to = if a & 2 == 0 { 1 - from } else { from };
    let source = if a & 4 == 0 { world.nodes[from].address } else { SocketAddr::from(([203, 0, 113, 9], 666)) };
    let mut bytes = bytes;
    if what % 9 == 3 {
        match a >> 6 {
            0 => bytes.truncate(usize::from(c)),
            1 => bytes.extend([c; 3]),
            _ => {
                let at = usize::from(c) * (1 + usize::from(a >> 3 & 7)) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (a >> 3 & 7);
                }
            }
        }
    }
    world.inject(to, source, bytes);
}

fn junk(world: &mut World, side: usize, kind: u8, length: u8) {
    let mut bytes = vec![kind; usize::from(length) * 6];
    if let [first, version, ..] = bytes.as_mut_slice() {
        (*first, *version) = (kind % 24, 1);
    }
    world.inject(side, SocketAddr::from(([203, 0, 113, 9], 666)), bytes);
}
