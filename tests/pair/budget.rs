//! Two ends and a stock that a link fills: a fibre, a cut fibre, a satellite, one key in 90 s; with `rekey = "auto"` and without.

use std::time::Duration;

use plait::control::forecast::{Demand, Means};
use plait::engine::output::{Command, EventKind, State};
use plait::keys::pacer::{Figures, Paced, Pacers};
use plait::types::id::{PeerId, SourceId};

use crate::world::{Config, World};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Between two status reports of the KMEs, and two looks at what they said, in seconds.
const POLL: u64 = 30;
const LOOK: u64 = 5;
/// Keys that the stock holds at most.
const STOCK_MAX: u64 = 1000;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A pair of sites that looks at its stock as the daemon does.
struct Sites {
    world: World,
    pacers: [Pacers; 2],
    second: u64,
    /// What the KMEs said last, and when.
    said: (u64, u64),
}

impl Sites {
    /// Both ends of policy required with `keys` in stock; `shortest` is the `rekey_min` of `"auto"`.
    fn new(seed: u64, keys: u64, shortest: Option<u64>, longest: u64) -> Self {
        let mut config = Config::required();
        config.policy.rekey = seconds(longest);
        config.policy.full = seconds(longest.max(600));
        config.policy.hold_last = Some(seconds(HOUR));
        let mut world = World::started(seed, [config.clone(), config]);
        world.kme.stock = Some(keys);
        let paced = |shortest| Paced { peer: PeerId(0), range: seconds(shortest)..=seconds(longest), need: 1 };
        let pacers = [0, 1].map(|_| Pacers::new(shortest.map(paced).into_iter().collect()));
        Self { world, pacers, second: 0, said: (keys, 0) }
    }

    /// So many seconds, in each of which the link gives what `income` says.
    fn run(&mut self, span: u64, income: impl Fn(u64) -> u64) {
        for _ in 0..span {
            self.second += 1;
            let stock = self.world.kme.stock.unwrap();
            self.world.kme.stock = Some((stock + income(self.second)).min(STOCK_MAX));
            if self.second.is_multiple_of(POLL) {
                self.said = (self.world.kme.stock.unwrap(), self.second);
            }
            if self.second.is_multiple_of(LOOK) {
                self.look();
            }
            self.world.run_for(seconds(1));
            if self.second.is_multiple_of(HOUR) {
                self.world.forget_seen();
            }
        }
    }

    fn look(&mut self) {
        let now = self.world.clock().at;
        let (stored, at) = self.said;
        let stored = Some((stored, now - seconds(self.second - at)));
        let used = self.world.kme.issued.len() as u64;
        let figures = Figures { peer: PeerId(0), source: SourceId::new(0).unwrap(), stored, used };
        for side in [0, 1] {
            for pace in self.pacers[side].look(now, &[figures]) {
                self.world.command(side, Command::Pace { peer: pace.peer, interval: pace.interval });
            }
        }
    }

    /// How often either end left HYBRID.
    fn left_hybrid(&self) -> usize {
        let left = |event: &EventKind| matches!(event, EventKind::State { from: State::Hybrid, .. });
        self.world.told(0, left) + self.world.told(1, left)
    }

    fn rekeys(&self) -> u64 {
        self.world.status(0).unwrap().handshakes.fast
    }
}

fn fibre(second: u64) -> u64 {
    // 3.9 keys/s, in blocks of 100 as from real systems.
    if second.is_multiple_of(26) { 100 } else { 0 }
}

#[test]
fn a_fibre_pays_for_the_shortest_interval() {
    let mut sites = Sites::new(90, 100, Some(10), 600);
    sites.run(6 * HOUR, fibre);
    assert_eq!(sites.left_hybrid(), 0);
    assert!(sites.rekeys() > 6 * HOUR / 12, "{} rekeys in 6 h", sites.rekeys());
    assert!(sites.world.kme.stock.unwrap() > STOCK_MAX * 9 / 10);
}

#[test]
fn a_cut_fibre_leaves_a_stock_for_a_day_that_a_fixed_interval_would_have_spent() {
    let until_cut = |second| if second < HOUR { fibre(second) } else { 0 };
    let mut sites = Sites::new(91, STOCK_MAX, Some(10), HOUR);
    sites.run(HOUR + DAY, until_cut);
    assert_eq!((sites.left_hybrid(), sites.world.both(State::Hybrid)), (0, true));
    let mut fixed = Sites::new(92, STOCK_MAX, None, 10);
    fixed.run(HOUR + 4 * HOUR, until_cut);
    assert!(fixed.left_hybrid() > 0 && fixed.world.kme.stock == Some(0), "as fast as before the cut: spent in 3 h");
}

#[test]
fn a_satellite_pass_lasts_until_the_next_also_over_one_that_is_lost() {
    // 800 keys in four minutes twice a day; the third pass is lost to clouds.
    let pass = |second: u64| {
        let (number, within) = (second / (12 * HOUR), second % (12 * HOUR));
        if number != 2 && (600..840).contains(&within) { 10 / 3 + u64::from(within.is_multiple_of(3)) } else { 0 }
    };
    let mut sites = Sites::new(93, 0, Some(10), HOUR);
    sites.run(2 * HOUR, pass);
    assert!(sites.world.both(State::Hybrid), "the first pass has come");
    let before = sites.left_hybrid();
    sites.run(46 * HOUR, pass);
    assert_eq!(sites.left_hybrid() - before, 0);
    assert!(sites.rekeys() > 2 * DAY / 300, "keys are used, not hoarded: {}", sites.rekeys());
}

#[test]
fn one_key_in_ninety_seconds_makes_no_state_flap() {
    for (seed, start) in [(94, 1), (95, 5), (96, 50)] {
        let mut sites = Sites::new(seed, start, Some(10), 600);
        sites.run(12 * HOUR, |second| u64::from(second.is_multiple_of(90)));
        assert_eq!((sites.left_hybrid(), sites.world.both(State::Hybrid)), (0, true), "from {start} keys");
        assert!(sites.rekeys() > 12 * HOUR / 200, "most keys are used: {} from {start}", sites.rekeys());
    }
}

/// One key in 90 s, from one key.
fn one_in_ninety(seed: u64, interval: u64) -> Sites {
    let mut sites = Sites::new(seed, 1, None, interval);
    sites.run(6 * HOUR, |second| u64::from(second.is_multiple_of(90)));
    sites
}

#[test]
fn a_fixed_interval_that_one_key_in_ninety_seconds_cannot_pay_for_is_warned_of_with_one_that_it_can() {
    let sites = one_in_ninety(97, 60);
    let to = |state| move |event: &EventKind| matches!(event, EventKind::State { to, .. } if *to == state);
    let told = |state| sites.world.told(0, to(state));
    // It is what was configured: keys at each interval or HOLDOVER, each time told. No packet waits for it.
    assert!(told(State::Holdover) > 100, "{} times in 6 h", told(State::Holdover));
    assert_eq!((told(State::Blocked), told(State::Holding), told(State::Down)), (0, 0, 0));
    let source = SourceId::new(0).unwrap();
    let used = sites.world.kme.issued.len() as u64;
    let rates = sites.pacers[0].rates(PeerId(0), source, sites.world.clock().at, used);
    let means = Means { stored: sites.world.kme.stock, income: rates.income, lasts: None };
    let warning = Demand::fixed(60, 600).overdraws(means).unwrap();
    let words = warning.split("or rekey = \"").nth(1).and_then(|rest| rest.split_once('s')).unwrap();
    let interval: u64 = words.0.parse().unwrap();
    assert!((90..=200).contains(&interval), "{warning}");
    let longer = one_in_ninety(98, interval);
    assert_eq!((longer.left_hybrid(), longer.world.both(State::Hybrid)), (0, true), "{warning}");
}
