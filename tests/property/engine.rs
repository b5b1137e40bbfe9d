//! Two engines through random hours of loss, KME moods, kills and broken disks: what holds at every moment, and after.

use std::collections::BTreeSet;
use std::time::Duration;

use plait::engine::output::{EventKind, State};
use plait::engine::status::PeerStatus;
use plait::types::policy::{QkdPolicy, RatchetPolicy};

use crate::kme::Mood;
use crate::world::{Config, Passing, Seeded, Side, World, faithful};

/// Indices of one peer: an attempt with two, nine pending answers with two each, a rekey of each role, six epochs.
const INDICES_MAX: usize = 2 + 9 * 2 + 2 + 6;
/// How often the world is looked at.
const STEP: Duration = Duration::from_millis(500);

const MOODS: [Mood; 12] = [
    Mood::Good,
    Mood::Good,
    Mood::Unreachable,
    Mood::Dry,
    Mood::Forgetful,
    Mood::Wrong,
    Mood::Repeating,
    Mood::Late,
    Mood::Small,
    Mood::Constant,
    Mood::Large,
    Mood::Silent,
];

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn draw_config(draw: &mut Seeded) -> Config {
    let mut config = Config::required();
    let mut one_of = |values: &[u64]| values[draw.next() as usize % values.len()];
    config.policy.qkd = if one_of(&[0, 0, 1]) == 0 { QkdPolicy::Required } else { QkdPolicy::Preferred };
    config.policy.hold_last = Some(seconds(one_of(&[0, 5, 30, 300, 7200])));
    config.policy.degrade_for = [None, Some(seconds(60))][one_of(&[0, 1]) as usize];
    config.policy.rekey = seconds(one_of(&[2, 5, 10, 60]));
    config.policy.full = config.policy.rekey.max(seconds(one_of(&[10, 30, 120, 600])));
    config.sources = one_of(&[1, 2, 3]) as u8;
    config.policy.min_sources = one_of(&[1, u64::from(config.sources)]) as u8;
    config.ratchet = [RatchetPolicy::Off, RatchetPolicy::Prefer, RatchetPolicy::Require][one_of(&[0, 1, 2]) as usize];
    config.psk = [one_of(&[0, 9]) as u8; 32];
    config
}

/// Loses, delays and doubles by chance.
fn bad_link(seed: u64, loss: u64, jitter_ms: u64) -> impl FnMut(&Passing) -> Vec<Duration> {
    let mut draw = Seeded(seed);
    move |_| {
        let copies = 1 + usize::from(draw.next().is_multiple_of(20));
        let copies = (0..copies).map(|_| (draw.next() % 100, draw.next() % (jitter_ms + 1)));
        copies.filter(|(chance, _)| *chance >= loss).map(|(_, late)| Duration::from_millis(5 + late)).collect()
    }
}

/// One thing that goes wrong, or well again.
fn disturb(world: &mut World, draw: &mut Seeded, dead: &mut [bool; 2]) {
    let side = draw.next() as usize % 2;
    match draw.next() % 10 {
        0 | 1 => world.fate = Box::new(bad_link(draw.next(), draw.next() % 60, draw.next() % 400)),
        2 => world.fate = Box::new(bad_link(draw.next(), 100, 0)),
        3 => world.fate = faithful(),
        4 => world.kme.moods[side] = MOODS[draw.next() as usize % MOODS.len()],
        5 => world.kme.both(MOODS[draw.next() as usize % MOODS.len()]),
        6 => world.kme.both(Mood::Good),
        7 => {
            world.kme.delay = Duration::from_millis(draw.next() % 6000);
        }
        8 => {
            if dead[side] {
                world.start(side);
            } else {
                world.kill(side);
                end_of_life(world, side);
            }
            dead[side] = !dead[side];
        }
        _ => world.nodes[side].disk_broken = !world.nodes[side].disk_broken,
    }
}

/// What must hold at every moment.
struct Watch {
    seed: u64,
    /// Traffic may go on so long after both ends last had keys enough.
    hold: Duration,
    last_good: Duration,
    delivered: [usize; 2],
}

impl Watch {
    fn look(&mut self, world: &World) {
        let seed = self.seed;
        for side in [0, 1] {
            if let Some(engine) = world.nodes[side].engine.as_ref() {
                let indices = engine.live_indices();
                assert!(indices <= INDICES_MAX, "seed {seed}: {indices} indices at {side}, {:?}", world.now);
            }
            // DOWN hides whether keys are short; the deadline tells.
            let is_good = |status: &PeerStatus| match status.state {
                State::Down => status.epoch.is_some() && status.deadline.is_none(),
                state => state == State::Hybrid,
            };
            if world.status(side).as_ref().is_some_and(is_good) {
                self.last_good = world.now;
            }
            let delivered = world.nodes[side].delivered.len();
            if delivered > self.delivered[side] {
                let since = world.now.saturating_sub(self.last_good);
                assert!(since <= self.hold + STEP * 2, "seed {seed}: a packet {since:?} after the last good keys");
            }
            self.delivered[side] = delivered;
        }
    }

    fn at_the_end(&self, world: &mut World) {
        let seed = self.seed;
        for (side, node) in world.nodes.iter().enumerate() {
            let once: BTreeSet<u32> = node.delivered.iter().copied().collect();
            assert_eq!(once.len(), node.delivered.len(), "seed {seed}: a packet twice at {side}");
        }
        for side in [0, 1] {
            end_of_life(world, side);
        }
    }
}

/// No key_ID is in two epochs of one life of an end; which ids it has seen does not outlive it.
fn end_of_life(world: &mut World, side: Side) {
    let mut used = BTreeSet::new();
    for (at, event) in world.nodes[side].events.drain(..) {
        if let EventKind::Epoch { sources, .. } = event.what {
            for (source, key_id) in sources {
                assert!(used.insert((source, key_id.clone())), "{key_id:?} in two epochs at {side}, {at:?}");
            }
        }
    }
}

/// What limits the traffic without QKD here: of the effective policy, of both ends the smaller.
fn hold(configs: &[Config; 2]) -> Duration {
    let [a, b] = configs;
    let forever = Duration::MAX / 4;
    match a.policy.qkd.max(b.policy.qkd) {
        QkdPolicy::Required => [a, b].map(|c| c.policy.hold_last.unwrap_or(forever)).into_iter().min().unwrap(),
        _ => [a, b].map(|c| c.policy.degrade_for.unwrap_or(forever)).into_iter().min().unwrap(),
    }
}

fn live(seed: u64, span: Duration) {
    let mut draw = Seeded(seed);
    let mut configs = [draw_config(&mut draw), draw_config(&mut draw)];
    // What both sites must have alike.
    configs[1].sources = configs[0].sources;
    configs[1].policy.min_sources = configs[1].policy.min_sources.min(configs[0].sources);
    configs[1].psk = configs[0].psk;
    let forbids = |c: &Config, d: &Config| c.ratchet == RatchetPolicy::Off && d.ratchet == RatchetPolicy::Require;
    if forbids(&configs[0], &configs[1]) || forbids(&configs[1], &configs[0]) {
        configs[1].ratchet = configs[0].ratchet;
    }
    let hold = hold(&configs);
    let mut world = World::started(seed, configs);
    let mut watch = Watch { seed, hold, last_good: world.now, delivered: [0; 2] };
    let (end, mut dead, mut number) = (world.now + span, [false; 2], 0);
    let mut next_trouble = world.now + seconds(5);
    while world.now < end {
        if world.now >= next_trouble {
            disturb(&mut world, &mut draw, &mut dead);
            next_trouble = world.now + Duration::from_millis(500 + draw.next() % 40_000);
        }
        for side in [0, 1] {
            world.send_later(Duration::from_millis(draw.next() % 400), side, number);
        }
        number += 1;
        world.run_for(STEP);
        watch.look(&world);
        world.forget_seen();
    }
    heal(&mut world, &mut watch, dead, number);
}

fn heal(world: &mut World, watch: &mut Watch, dead: [bool; 2], mut number: u32) {
    let seed = watch.seed;
    world.fate = faithful();
    world.kme.both(Mood::Good);
    world.kme.delay = Duration::from_millis(20);
    for side in [0, 1] {
        world.nodes[side].disk_broken = false;
        if dead[side] {
            world.start(side);
        }
    }
    let end = world.now + seconds(130);
    while world.now < end && !world.both(State::Hybrid) {
        for side in [0, 1] {
            world.send_later(Duration::ZERO, side, number);
        }
        number += 1;
        world.run_for(STEP);
        watch.look(world);
    }
    assert!(
        world.both(State::Hybrid),
        "seed {seed}: {:?} 130 s after the faults",
        [0, 1].map(|side| world.state(side))
    );
    for side in [0, 1] {
        world.send_later(seconds(1), side, number);
    }
    world.run_for(seconds(2));
    for node in &world.nodes {
        assert!(node.delivered.contains(&number), "seed {seed}: packets pass");
    }
    // What each end has on its disk, and what they have in common, is enough for a new start.
    let side = (seed % 2) as usize;
    end_of_life(world, side);
    world.start(side);
    world.run_to(&format!("HYBRID once more, seed {seed}"), seconds(130), |w| w.both(State::Hybrid));
    watch.at_the_end(world);
}

#[test]
fn bad_quarters_of_an_hour_end_well() {
    for seed in 0..60 {
        live(seed, seconds(900));
    }
}

#[test]
fn bad_hours_end_well() {
    for seed in 1000..1008 {
        live(seed, seconds(3600));
    }
}

#[test]
fn ten_thousand_handshakes_leave_no_index_behind() {
    let mut config = Config::required();
    config.policy.rekey = seconds(10);
    config.policy.full = seconds(10);
    let mut world = World::started(7, [config.clone(), config]);
    let mut draw = Seeded(7);
    let mut handshakes = 0;
    world.fate = Box::new(bad_link(7, 10, 50));
    while handshakes < 10_000 {
        world.run_for(seconds(100));
        world.forget_seen();
        for node in &mut world.nodes {
            let full = |(_, event): &(_, plait::engine::output::Event)| {
                matches!(event.what, EventKind::Epoch { full: true, .. })
            };
            handshakes += node.events.iter().filter(|event| full(event)).count();
            node.events.clear();
            node.requests.clear();
            assert!(node.engine.as_ref().unwrap().live_indices() <= INDICES_MAX);
        }
        if draw.next().is_multiple_of(50) {
            let side = draw.next() as usize % 2;
            world.start(side);
        }
    }
    world.fate = faithful();
    world.run_for(seconds(200));
    for node in &world.nodes {
        // The epoch in use, those on their way out, and what a handshake holds for up to 100 s.
        let indices = node.engine.as_ref().unwrap().live_indices();
        assert!(indices <= 12, "{indices}");
    }
}
