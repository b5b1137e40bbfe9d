//! The wall clock steps by hours and decades, through rekeys, outages and restarts: the same happens at the same time.

use std::time::Duration;

use plait::engine::output::State;
use plait::types::policy::QkdPolicy;

use crate::kme::Mood;
use crate::world::{Config, Side, World};

const HOUR: u64 = 3600;
/// 2027, an hour on, an hour back, thirty years on, 1970, and 2027 again.
const STEPS: [u64; 6] = [START, START + HOUR, START - HOUR, START + 30 * 8766 * HOUR, 0, START];
const START: u64 = 1_800_000_000;

/// What an observer of the link and the interfaces sees.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Who sent which type and how many bytes; handshakes say the time, for reports, and so have other bytes.
    datagrams: Vec<(Side, u8, usize)>,
    times: Vec<Duration>,
    packets: [Vec<u32>; 2],
    states: Vec<[Option<State>; 2]>,
}

/// Half an hour with an outage and a restart in each part; `steps` are what the wall clock shows in them.
fn lived(config: &Config, steps: &[u64]) -> Seen {
    let mut world = World::new(7, [config.clone(), config.clone()]);
    world.wall = steps[0];
    world.start(0);
    world.start(1);
    let mut states = Vec::new();
    for (part, step) in (0..).zip(steps) {
        world.wall = *step;
        for number in 0..600 {
            world.send_later(Duration::from_millis(500) * number, number as usize % 2, part * 600 + number);
        }
        world.run_for(Duration::from_secs(100));
        states.push([world.state(0), world.state(1)]);
        world.kme.both(Mood::Unreachable);
        world.run_for(Duration::from_secs(100));
        states.push([world.state(0), world.state(1)]);
        world.kme.both(Mood::Good);
        world.kill(1);
        world.start(1);
        world.run_for(Duration::from_secs(100));
        states.push([world.state(0), world.state(1)]);
    }
    let packets = [0, 1].map(|side| world.nodes[side].delivered.clone());
    let datagrams = world.seen.iter().map(|(side, bytes)| (*side, bytes[0], bytes.len())).collect();
    Seen { datagrams, times: world.seen_at, packets, states }
}

#[test]
fn what_happens_and_when_does_not_depend_on_the_wall_clock() {
    let mut required = Config::required();
    required.policy.hold_last = Some(Duration::from_secs(40));
    let mut preferred = Config::required();
    (preferred.policy.qkd, preferred.policy.hold_last) = (QkdPolicy::Preferred, None);
    preferred.policy.degrade_for = Some(Duration::from_secs(40));
    for config in [required, preferred] {
        let still = lived(&config, &[START; 6]);
        assert!(still.states.contains(&[Some(State::Blocked); 2]), "the policy clock ran out: {:?}", still.states);
        assert_eq!(still.states.last(), Some(&[Some(State::Hybrid); 2]), "{:?}", still.states);
        assert!(still == lived(&config, &STEPS), "{:?} with steps of the wall clock it was another", config.policy.qkd);
    }
}
