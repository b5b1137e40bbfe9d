//! A storm of replays: every datagram that two ends exchanged, again and again, from every address, changes nothing.

use std::net::SocketAddr;
use std::time::Duration;

use plait::engine::output::State;

use crate::world::{Config, Passing, Seeded, World, faithful};

/// Replayed datagrams; `PLAIT_REPLAYS` asks for more or fewer.
const REPLAYS: usize = 1_000_000;
/// Between two looks at the clock; the whole storm stays within one rekey interval, in which nobody asks a KME.
const AT_ONCE: usize = 1000;
/// Packets each way before the storm, and the last one's number: the wire loses it, and only the storm can bring it.
const PACKETS: u32 = 600;

fn replays() -> usize {
    std::env::var("PLAIT_REPLAYS").ok().map_or(REPLAYS, |text| text.parse().unwrap())
}

/// Handshakes, fast rekeys and packets both ways over some minutes, all recorded; it ends soon after a rekey.
fn recorded() -> (World, Vec<(usize, Vec<u8>)>) {
    let mut config = Config::required();
    config.policy.full = Duration::from_secs(100);
    let mut world = World::started(90, [config.clone(), config]);
    world.run_to("HYBRID", Duration::from_secs(1), |w| w.both(State::Hybrid));
    for number in 0..PACKETS {
        world.send_later(Duration::from_millis(400 * u64::from(number)), 0, number);
        world.send_later(Duration::from_millis(400 * u64::from(number) + 7), 1, number);
    }
    world.run_for(Duration::from_secs(241));
    let keys = world.kme.issued.len();
    world.run_to("a rekey", Duration::from_secs(30), |w| w.kme.issued.len() > keys);
    world.run_for(Duration::from_secs(2));
    world.fate = Box::new(|passing: &Passing| if passing.kind >= 16 { Vec::new() } else { vec![Duration::ZERO] });
    for side in [0, 1] {
        world.send_later(Duration::ZERO, side, PACKETS);
    }
    world.run_for(Duration::from_millis(10));
    world.fate = faithful();
    let record = world.seen.clone();
    world.forget_seen();
    for kind in (1..=6).chain([16]) {
        assert!(record.iter().any(|(_, bytes)| bytes[0] == kind), "nothing of type {kind} was recorded");
    }
    (world, record)
}

#[test]
fn a_million_replays_deliver_nothing_twice_ask_no_kme_and_move_no_endpoint() {
    let (mut world, record) = recorded();
    let asked = [0, 1].map(|side| world.nodes[side].requests.len());
    assert_eq!([0, 1].map(|side| world.nodes[side].delivered.len()), [PACKETS as usize; 2]);
    let mut draw = Seeded(91);
    for number in 0..replays() {
        let (from, bytes) = &record[draw.next() as usize % record.len()];
        // Its own address, the receiver's, a stranger's; now and then the wrong way round.
        let source: SocketAddr = match draw.next() % 4 {
            0 | 1 => world.nodes[*from].address,
            2 => world.nodes[1 - from].address,
            _ => ([203, 0, 113, draw.next() as u8], 9999).into(),
        };
        // What the wire lost is no replay: its first copy moves an endpoint, so it comes from where it was sent.
        let is_new = bytes[0] >= 16 && record.iter().rev().take(4).any(|(_, new)| new == bytes);
        let (to, source) = match draw.next() % 8 {
            _ if is_new => (1 - from, world.nodes[*from].address),
            0 => (*from, source),
            _ => (1 - from, source),
        };
        world.inject(to, source, bytes.clone());
        if number % AT_ONCE == AT_ONCE - 1 {
            world.run_for(Duration::from_micros(100));
            world.forget_seen();
        }
    }
    world.run_for(Duration::from_millis(10));
    for side in [0, 1] {
        let mut delivered = world.nodes[side].delivered.clone();
        delivered.sort_unstable();
        assert!(delivered.iter().copied().eq(0..=PACKETS), "each once, also what only the storm brought");
        assert_eq!(world.nodes[side].requests.len(), asked[side], "a KME was asked at {side}");
        assert_eq!(world.status(side).unwrap().endpoint, Some(world.nodes[1 - side].address));
    }
    assert!(world.both(State::Hybrid));
}
