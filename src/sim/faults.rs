//! The faults: what each kind does when its time comes, and how all of them end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::disk::DiskMood;
use super::draw::{Draw, MILLION};
use super::key_pair::KmeMood;
use super::plan::{FaultKind, LinkPlan, Plan};
use super::world::{Happening, World};
use crate::engine::output::Command;
use crate::kme::catalogue::Fault;

/// Datagrams that the attacker remembers.
const OVERHEARD_MAX: usize = 256;
/// The longest that a fault lasts; the fibre may be cut for longer.
const LASTS: Duration = Duration::from_secs(900);
const CUT_LASTS: Duration = Duration::from_secs(6 * 3600);
/// Sites of a world at most.
const SITES_MAX: usize = 3;

/// The state of the network.
pub(super) struct Weather {
    plan: LinkPlan,
    cut: [[Duration; SITES_MAX]; SITES_MAX],
    burst_until: Duration,
    /// What somebody in the middle has seen.
    overheard: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    listens: bool,
}

impl Weather {
    pub(super) fn new(plan: &Plan) -> Self {
        let listens = plan.faults.iter().any(|(kind, _)| *kind == FaultKind::Attack);
        let cut = [[Duration::ZERO; SITES_MAX]; SITES_MAX];
        Self { plan: plan.link.clone(), cut, burst_until: Duration::ZERO, overheard: VecDeque::new(), listens }
    }

    /// The rates at this moment.
    pub(super) fn link(&self, now: Duration) -> LinkPlan {
        let mut plan = self.plan.clone();
        if now < self.burst_until {
            plan.loss = plan.loss.max(MILLION / 2);
        }
        plan
    }

    pub(super) fn is_cut(&self, now: Duration, from: usize, to: usize) -> bool {
        now < self.cut[from][to]
    }

    pub(super) fn see(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if self.listens {
            self.overheard.push_back((from, to, bytes.to_vec()));
            if self.overheard.len() > OVERHEARD_MAX {
                self.overheard.pop_front();
            }
        }
    }

    /// Nothing is lost, late, doubled or changed any more.
    fn clear(&mut self) {
        self.plan = LinkPlan { delay: self.plan.delay, ..LinkPlan::default() };
        self.cut = [[Duration::ZERO; SITES_MAX]; SITES_MAX];
        self.burst_until = Duration::ZERO;
    }
}

impl World<'_> {
    /// A fault's time has come; the next of its kind comes later.
    pub(super) fn fault(&mut self, kind: FaultKind, mean: Duration) {
        let after = self.draws.faults.around(mean).max(Duration::from_millis(100));
        self.push(after, Happening::Fault { kind, mean });
        self.faults += 1;
        self.trace.add(self.now, 7, &[kind as u8]);
        let lasts = Duration::from_millis(self.draws.faults.scale(100, LASTS.as_millis() as u64));
        self.life.fault(self.now, self.now + lasts, kind);
        let site = self.draws.faults.below(self.plan.sites as u64) as usize;
        self.life.tell(self.now, || format!("fault {kind:?} at site {site} for {lasts:?}"));
        match kind {
            FaultKind::Crash => self.crash(site, lasts),
            FaultKind::Blackout => (0..self.plan.sites).for_each(|site| self.crash(site, lasts)),
            FaultKind::Suspend => self.hosts[site].asleep_until = self.now + lasts,
            FaultKind::Partition => self.cut_link(lasts),
            FaultKind::Burst => self.weather.burst_until = self.now + lasts,
            FaultKind::Rebind => self.rebind(site),
            FaultKind::KmeOutage | FaultKind::QuantumCut | FaultKind::QuantumRate | FaultKind::BadKeys => {
                self.key_fault(kind, lasts);
            }
            FaultKind::Disk => {
                let mood = self.draws.faults.pick(&[DiskMood::Refuses, DiskMood::Hangs]);
                self.hosts[site].disk.set_mood(mood, self.now + lasts);
            }
            FaultKind::WallClock => self.hosts[site].clock.wall = self.draws.faults.below(1 << 30),
            FaultKind::Command => self.drive(site, |engine, now| engine.handle_command(now, Command::Rekey(None))),
            FaultKind::Attack => self.attack(),
            FaultKind::Rollback => {
                self.crash(site, lasts);
                self.hosts[site].disk.roll_back(&mut self.draws.faults);
            }
        }
    }

    fn crash(&mut self, site: usize, lasts: Duration) {
        let host = &mut self.hosts[site];
        if host.engine.is_some() {
            host.stop();
            host.disk.crash(self.now, &mut self.draws.disk);
            self.oracle.crashed(site);
        }
        self.push(lasts, Happening::Boot { site });
    }

    fn cut_link(&mut self, lasts: Duration) {
        let draw = &mut self.draws.faults;
        let from = draw.below(self.plan.sites as u64) as usize;
        let to = (from + 1 + draw.below(self.plan.sites as u64 - 1) as usize) % self.plan.sites;
        self.weather.cut[from][to] = self.now + lasts;
        if draw.hits(MILLION / 2) {
            self.weather.cut[to][from] = self.now + lasts;
        }
    }

    /// The address changes, as behind a NAT that forgot; the old one is nobody's.
    fn rebind(&mut self, site: usize) {
        let port = 1024 + self.draws.faults.below(60_000) as u16;
        let address = SocketAddr::from(([198, 51, 100, 1 + site as u8], port));
        self.hosts[site].address = address;
    }

    fn key_fault(&mut self, kind: FaultKind, lasts: Duration) {
        let draw = &mut self.draws.faults;
        let pair = draw.below(self.sources.len() as u64) as usize;
        let number = draw.below(self.sources[pair].len() as u64) as usize;
        let now = crate::types::time::Instant::ZERO + self.now;
        let source = &mut self.sources[pair][number];
        match kind {
            FaultKind::KmeOutage => {
                let mood = draw.pick(&[KmeMood::Unreachable, KmeMood::Refuses, KmeMood::Silent]);
                let both = draw.hits(MILLION / 2);
                let end = draw.below(2) as usize;
                let until = self.now + lasts * draw.pick(&[1, 1, 8]);
                source.set_mood(end, mood, until);
                if both {
                    source.set_mood(1 - end, mood, until);
                }
            }
            FaultKind::QuantumCut => {
                // Cut or whole: as often either.
                let up = draw.hits(MILLION / 2);
                source.pair.set_link_up(now, up);
                if !up {
                    self.life.fault(self.now, self.now + CUT_LASTS, kind);
                }
            }
            FaultKind::QuantumRate => source.pair.set_link_rate(now, draw.scale(1, 20_000)),
            _ => {
                let fault = draw.pick(&[Fault::WrongKey, Fault::LostKey, Fault::RepeatedKey, Fault::ConstantKey]);
                source.spoil(fault, 1 + draw.below(5));
            }
        }
    }

    /// Somebody sends something, from an address of their own or in another's name.
    fn attack(&mut self) {
        for _ in 0..1 + self.draws.faults.below(20) {
            let draw = &mut self.draws.faults;
            let seen = self.weather.overheard.get(draw.below(self.weather.overheard.len() as u64) as usize).cloned();
            let Some((from, to, bytes)) = seen else { return };
            let from = if draw.hits(MILLION / 2) { SocketAddr::from(([203, 0, 113, 9], 666)) } else { from };
            let to = if draw.hits(MILLION / 10) { from } else { to };
            let (bytes, forged) = disfigure(draw, bytes);
            let after = draw.around(Duration::from_millis(100));
            self.push(after, Happening::Datagram { to, from, bytes, forged });
        }
    }

    /// All faults end: sites run, links and KMEs are good, everyone is at home.
    pub(super) fn heal(&mut self) {
        self.stop_faults();
        self.weather.clear();
        self.weather.listens = false;
        for pair in &mut self.sources {
            pair.iter_mut().for_each(|source| source.heal(self.now));
        }
        for site in 0..self.plan.sites {
            let host = &mut self.hosts[site];
            host.address = host.home;
            host.asleep_until = host.asleep_until.min(self.now);
            let (life, under_way) = (host.life, host.disk.heal(self.now));
            for id in under_way {
                // The end that a hang had put off comes too, and finds nothing any more.
                self.push(Duration::ZERO, Happening::Stored { site, life, id });
            }
            self.boot(site);
        }
    }
}

/// The datagram as it is, or with bits flipped, cut, extended, or other bytes of its length.
fn disfigure(draw: &mut Draw, mut bytes: Vec<u8>) -> (Vec<u8>, bool) {
    let length = bytes.len() as u64;
    match draw.below(5) {
        0 => return (bytes, false),
        1 => {
            let bit = draw.below(length * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        2 => bytes.truncate(draw.below(length) as usize),
        3 => bytes.extend((0..1 + draw.below(40)).map(|_| draw.word() as u8)),
        _ => {
            let first = bytes.first().copied().unwrap_or(0);
            crate::types::random::Entropy::fill(draw, &mut bytes);
            if draw.hits(MILLION / 2)
                && let Some(byte) = bytes.first_mut()
            {
                *byte = first;
            }
        }
    }
    (bytes, true)
}
