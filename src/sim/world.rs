//! The world of one seed: a clock, a heap of what is to come, and what becomes of each thing.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use super::draw::Draw;
use super::faults::Weather;
use super::host::Host;
use super::key_pair::{Answer, RETRY, Source, failed};
use super::life::Life;
use super::model::Model;
use super::oracle::Oracle;
use super::plan::{FaultKind, Plan};
use super::setup::{self, Identities, pairs_of};
use super::trace::Trace;
use crate::engine::Engine;
use crate::engine::output::{Event, EventKind, Output, State, StoreId};
use crate::keys::request::{KeyDelivery, KeyRequest, KeyRequestKind};
use crate::types::policy::Reason;

/// From the end of the faults until packets must pass in every direction: probe times and the pause after differing keys
/// are 60 s each (PROTOCOL 2.8a), an attempt lives 30 s after its last progress, and both may just have begun.
const LIVENESS: Duration = Duration::from_secs(180);
/// Between two sendings of an application at the end of the faults: what would pass must be seen to.
const LIVELY: Duration = Duration::from_secs(10);
/// How much longer the world is watched once all is well.
const AFTERWARDS: Duration = Duration::from_secs(30);
/// Between two looks at what is bounded.
const LOOK: Duration = Duration::from_secs(60);
/// Steps at one moment: more is a timer that does not advance.
const STEPS_AT_ONCE_MAX: u32 = 100_000;
/// Things to come at most: more is a leak.
const HEAP_MAX: usize = 200_000;

/// What a world came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of the plan.
    pub seed: u64,
    /// Time that passed in it.
    pub simulated: Duration,
    /// Things that happened.
    pub events: u64,
    /// Inner packets sent, and those that came out.
    pub packets: (u64, u64),
    /// Epochs that an end confirmed.
    pub epochs: u64,
    /// Faults that came.
    pub faults: u64,
    /// From the end of the faults until everything passed.
    pub recovery: Duration,
    /// Of everything that happened: the same for the same seed.
    pub trace: String,
    /// The first thing that must not happen, if one did, and when.
    pub violation: Option<String>,
}

pub(super) enum Happening {
    Datagram { to: SocketAddr, from: SocketAddr, bytes: Vec<u8>, forged: bool },
    Keys { site: usize, life: u32, delivery: KeyDelivery },
    Fetch { site: usize, life: u32, request: KeyRequest, until: Duration },
    Stored { site: usize, life: u32, id: StoreId },
    Traffic { site: usize, peer: usize },
    Fault { kind: FaultKind, mean: Duration },
    Boot { site: usize },
    Look,
}

struct Entry {
    at: Duration,
    sequence: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    /// The earliest is the greatest: the heap gives it first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// The choices of each part, so that one part's do not move another's.
pub(super) struct Draws {
    pub(super) link: Draw,
    pub(super) keys: Draw,
    pub(super) disk: Draw,
    pub(super) traffic: Draw,
    pub(super) faults: Draw,
}

pub(super) struct World<'a> {
    pub(super) plan: &'a Plan,
    pub(super) now: Duration,
    pub(super) hosts: Vec<Host>,
    /// Of each pair.
    pub(super) sources: Vec<Vec<Source>>,
    pub(super) weather: Weather,
    /// Mean time between two sendings of an application.
    pub(super) traffic_pause: Duration,
    pub(super) draws: Draws,
    pub(super) model: Model,
    pub(super) oracle: Oracle,
    pub(super) trace: Trace,
    pub(super) life: Life,
    known: Identities,
    heap: BinaryHeap<Entry>,
    sequence: u64,
    pub(super) faults: u64,
    /// Requests to KMEs that the event at hand led to.
    pub(super) asked: u64,
    pub(super) violation: Option<String>,
}

/// Lives through a plan; `life` is given back as it was drawn on.
pub fn simulate(plan: &Plan, life: Life) -> (Outcome, Life) {
    let mut world = World::new(plan, life);
    world.begin();
    world.run_until(plan.safety);
    let mut recovery = Duration::ZERO;
    if world.violation.is_none() {
        let healed = world.now;
        world.heal();
        recovery = world.run_until_well(healed);
        world.life.ends(healed, world.now);
    }
    let violation = world.violation.map(|what| format!("at {:.3} s: {what}", world.now.as_secs_f64()));
    let outcome = Outcome {
        seed: plan.seed,
        simulated: world.now,
        events: world.trace.events(),
        packets: world.model.totals(),
        epochs: world.oracle.confirmed,
        faults: world.faults,
        recovery,
        trace: world.trace.finish(),
        violation,
    };
    (outcome, world.life)
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, life: Life) -> Self {
        let draw = |what| Draw::new(plan.seed, what);
        let hosts = plan.drift.iter().enumerate().map(|(site, drift)| Host::new(site, *drift)).collect();
        let sources = plan.keys.iter().map(|keys| keys.iter().filter_map(Source::new).collect()).collect();
        Self {
            plan,
            now: Duration::ZERO,
            hosts,
            sources,
            weather: Weather::new(plan),
            traffic_pause: plan.traffic,
            draws: Draws {
                link: draw("link"),
                keys: draw("keys"),
                disk: draw("disk"),
                traffic: draw("traffic"),
                faults: draw("faults"),
            },
            model: Model::default(),
            oracle: Oracle::new(plan),
            trace: Trace::default(),
            life,
            known: Identities::new(plan),
            heap: BinaryHeap::new(),
            sequence: 0,
            faults: 0,
            asked: 0,
            violation: None,
        }
    }

    fn begin(&mut self) {
        for site in 0..self.plan.sites {
            let after = self.draws.faults.around(Duration::from_secs(5));
            self.push(after, Happening::Boot { site });
            for peer in 0..self.plan.sites - 1 {
                self.push(after, Happening::Traffic { site, peer });
            }
        }
        for (kind, mean) in self.plan.faults.clone() {
            let after = self.draws.faults.around(mean);
            self.push(after, Happening::Fault { kind, mean });
        }
        self.push(LOOK, Happening::Look);
    }

    pub(super) fn push(&mut self, after: Duration, what: Happening) {
        self.sequence += 1;
        self.heap.push(Entry { at: self.now + after, sequence: self.sequence, what });
        if self.heap.len() > HEAP_MAX {
            self.violate("the world's heap grows without end".to_owned());
        }
    }

    /// No fault that was to come comes, and no start that was to come comes late.
    pub(super) fn stop_faults(&mut self) {
        self.heap.retain(|entry| !matches!(entry.what, Happening::Fault { .. } | Happening::Boot { .. }));
    }

    pub(super) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    pub(super) fn check(&mut self, verdict: Result<(), String>) {
        if let Err(what) = verdict {
            self.violate(what);
        }
    }

    /// Every happening and every timer in order, until this time or the first violation.
    fn run_until(&mut self, end: Duration) {
        let mut at_once = 0;
        while self.violation.is_none() {
            let next = self.heap.peek().map(|entry| entry.at);
            let timers = self.hosts.iter().enumerate();
            let timer = timers.filter_map(|(site, host)| host.timer(self.now).map(|at| (at, site))).min();
            let Some(at) = [next, timer.map(|(at, _)| at)].into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            at_once = if at > self.now { 0 } else { at_once + 1 };
            if at_once > STEPS_AT_ONCE_MAX {
                self.violate("a timer does not advance".to_owned());
            }
            self.now = self.now.max(at);
            match timer {
                Some((due, site)) if next.is_none_or(|next| due < next) => {
                    self.trace.add(self.now, 0, &[site as u8]);
                    self.drive(site, |engine, now| engine.handle_timeout(now));
                }
                _ => self.happen(),
            }
        }
    }

    fn happen(&mut self) {
        let Some(Entry { what, .. }) = self.heap.pop() else { return };
        match what {
            Happening::Datagram { to, from, bytes, forged } => self.arrive(to, from, bytes, forged),
            Happening::Keys { site, life, delivery } => self.on_keys(site, life, delivery),
            Happening::Fetch { site, life, request, until } => self.fetch(site, life, request, until),
            Happening::Stored { site, life, id } => self.on_stored(site, life, id),
            Happening::Traffic { site, peer } => self.traffic(site, peer),
            Happening::Fault { kind, mean } => self.fault(kind, mean),
            Happening::Boot { site } => self.boot(site),
            Happening::Look => self.look(),
        }
    }

    /// Lets an engine do something, if its site is up, and takes what comes of it.
    pub(super) fn drive(&mut self, site: usize, act: impl FnOnce(&mut Engine, crate::engine::output::Now)) {
        let host = &mut self.hosts[site];
        if !host.is_up(self.now) {
            return;
        }
        let now = host.now(self.now);
        if let Some(engine) = host.engine.as_mut() {
            act(engine, now);
        }
        self.drain(site);
    }

    fn drain(&mut self, site: usize) {
        while let Some(output) = self.hosts[site].engine.as_mut().and_then(Engine::poll_output) {
            match output {
                Output::Transmit { to, bytes } => self.transmit(site, to.to, bytes),
                Output::WantKeys(request) => self.ask(site, request),
                Output::Store { id, peer, file, bytes } => {
                    self.life.tell(self.now, || format!("site {site}, peer {}: write {} of {file:?}", peer.0, id.0));
                    let takes = self.draws.disk.around(self.plan.disk_latency / 2);
                    let host = &mut self.hosts[site];
                    let due = host.disk.begin(self.now, takes, id, (peer.0, file), bytes.expose().to_vec());
                    let life = host.life;
                    self.push(due - self.now, Happening::Stored { site, life, id });
                }
                Output::Publish(snapshot) => {
                    let indices = |snapshot: &crate::dataplane::snapshot::Snapshot| -> Vec<u32> {
                        snapshot.receive.iter().map(|receiving| receiving.index).collect()
                    };
                    let live = indices(&snapshot);
                    let before =
                        self.hosts[site].snapshot.replace(snapshot).map(|old| indices(&old)).unwrap_or_default();
                    for gone in before.into_iter().filter(|index| !live.contains(index)) {
                        self.oracle.retired(gone);
                    }
                }
                Output::InnerMtu(_) => {}
                Output::Event(event) => self.on_event(site, &event),
            }
        }
    }

    fn on_event(&mut self, site: usize, event: &Event) {
        let peer = usize::from(event.peer.0);
        self.life.tell(self.now, || format!("site {site}, peer {peer}: {:?}", event.what));
        match &event.what {
            EventKind::State { to, .. } => self.life.state(self.now, site, peer, *to),
            EventKind::Epoch { full, sources, .. } => {
                self.life.epoch(self.now, site, *full, sources.len());
                let host = &self.hosts[site];
                let status = host.engine.as_ref().map(|engine| engine.status(host.now(self.now)));
                let epoch = status.and_then(|all| all.into_iter().nth(peer)).and_then(|status| status.epoch);
                let pair = pairs_of(self.plan, site).nth(peer).map(|(pair, ..)| pair);
                if let (Some(epoch), Some(pair)) = (epoch, pair) {
                    self.trace.add(self.now, 9, epoch.check_words.as_bytes());
                    let verdict = self.oracle.confirmed(self.now, pair, site, epoch.hs, *full, sources);
                    self.check(verdict);
                }
            }
            _ => {}
        }
    }

    /// The pair, this site's end of it, and the source that a request is about.
    fn source(&mut self, site: usize, request: &KeyRequest) -> Option<(usize, &mut Source, Duration)> {
        let (pair, end, plan) = pairs_of(self.plan, site).nth(usize::from(request.peer.0))?;
        let rekey = plan.ends[end].policy.rekey;
        let source = self.sources.get_mut(pair)?.get_mut(usize::from(request.source.number()))?;
        Some((end, source, rekey))
    }

    fn ask(&mut self, site: usize, request: KeyRequest) {
        self.asked += 1;
        let life = self.hosts[site].life;
        let until = self.now + request.deadline;
        if matches!(request.kind, KeyRequestKind::New { .. })
            && request.source.number() == 0
            && let Some((_, _, rekey)) = self.source(site, &request)
        {
            let verdict = self.oracle.asked(self.now, site, usize::from(request.peer.0), rekey);
            self.check(verdict);
        }
        self.fetch(site, life, request, until);
    }

    fn fetch(&mut self, site: usize, life: u32, request: KeyRequest, until: Duration) {
        let mut draw = self.draws.keys.clone();
        let now = self.now;
        let answer = match self.source(site, &request) {
            Some((end, source, _)) => source.ask(now, end, &request.kind, &mut draw),
            None => Answer::Comes(Duration::ZERO, failed(Reason::NotConfigured)),
        };
        self.draws.keys = draw;
        let (after, outcome) = match answer {
            Answer::Comes(after, outcome) => (after, outcome),
            Answer::NotYet if now + RETRY < until => {
                return self.push(RETRY, Happening::Fetch { site, life, request, until });
            }
            Answer::NotYet => (Duration::ZERO, failed(Reason::UnknownKeyId)),
            Answer::Never => (until.saturating_sub(now), failed(Reason::Deadline)),
        };
        let delivery = KeyDelivery { id: request.id, peer: request.peer, source: request.source, outcome };
        self.push(after, Happening::Keys { site, life, delivery });
    }

    fn on_keys(&mut self, site: usize, life: u32, delivery: KeyDelivery) {
        let asleep = self.hosts[site].asleep_until;
        if self.hosts[site].life != life {
            return;
        }
        if self.now < asleep {
            return self.push(asleep - self.now, Happening::Keys { site, life, delivery });
        }
        self.trace.add(self.now, 2, &[site as u8, u8::from(delivery.outcome.is_ok())]);
        self.drive(site, |engine, now| engine.handle_keys(now, delivery));
    }

    fn on_stored(&mut self, site: usize, life: u32, id: StoreId) {
        let host = &mut self.hosts[site];
        if host.life != life || host.engine.is_none() {
            return;
        }
        if self.now < host.asleep_until {
            let after = host.asleep_until - self.now;
            return self.push(after, Happening::Stored { site, life, id });
        }
        let Some(ok) = host.disk.end(self.now, id) else { return };
        self.life.tell(self.now, || format!("site {site}: write {} {}", id.0, if ok { "done" } else { "refused" }));
        self.trace.add(self.now, 3, &[site as u8, u8::from(ok)]);
        self.drive(site, |engine, now| engine.handle_stored(now, id, ok));
    }

    /// A site starts, unless it runs.
    pub(super) fn boot(&mut self, site: usize) {
        if self.hosts[site].engine.is_some() {
            return;
        }
        self.trace.add(self.now, 4, &[site as u8]);
        self.life.tell(self.now, || format!("site {site} starts"));
        self.hosts[site].life += 1;
        let engine = setup::engine(self.plan, &self.known, &self.hosts, site, self.now);
        if engine.is_none() {
            self.violate(format!("site {site} does not start"));
        }
        for peer in 0..self.plan.sites - 1 {
            self.life.state(self.now, site, peer, State::Holding);
        }
        self.hosts[site].engine = engine;
        self.drain(site);
    }

    /// What is bounded is looked at, and the key stock noted.
    fn look(&mut self) {
        self.push(LOOK, Happening::Look);
        self.oracle.tidy(self.now);
        for site in 0..self.plan.sites {
            if let Some(engine) = self.hosts[site].engine.as_ref() {
                let verdict = self.oracle.bounded(site, engine, self.plan.sites - 1);
                self.check(verdict);
            }
        }
        for (pair, sources) in self.sources.iter_mut().enumerate() {
            let now = crate::types::time::Instant::ZERO + self.now;
            let keys = sources.first_mut().map(|source| source.pair.status(now).stored_keys.iter().sum());
            self.life.stock(self.now, pair, keys.unwrap_or(0));
        }
        if self.draws.disk.hits(100_000) {
            self.hosts.iter_mut().for_each(|host| host.disk.back_up());
        }
    }

    /// Packets that came out of every direction of every pair.
    fn delivered(&self) -> Vec<u64> {
        let both = self.plan.pairs.iter().flat_map(|pair| [pair.sites, [pair.sites[1], pair.sites[0]]]);
        both.map(|[from, to]| self.model.delivered(from as u8, to as u8)).collect()
    }

    /// Until packets pass in every direction and no peer is short of anything; says how long that took.
    fn run_until_well(&mut self, healed: Duration) -> Duration {
        self.traffic_pause = self.plan.traffic.min(LIVELY);
        // Besides what is to come: that was put off by a pause of before.
        for (site, peer) in (0..self.plan.sites).flat_map(|site| (0..self.plan.sites - 1).map(move |peer| (site, peer)))
        {
            self.push(self.traffic_pause, Happening::Traffic { site, peer });
        }
        let before = self.delivered();
        let mut recovery = None;
        while self.violation.is_none() && self.now < healed + LIVENESS {
            self.run_until(self.now + Duration::from_secs(1));
            if self.delivered().iter().zip(&before).all(|(now, before)| now > before) {
                recovery = Some(self.now - healed);
                break;
            }
        }
        let Some(recovery) = recovery else {
            let what = format!(
                "no traffic in {LIVENESS:?} after the faults: {:?} then {:?}; {}",
                before,
                self.delivered(),
                self.states()
            );
            self.violate(what);
            return LIVENESS;
        };
        self.run_until(healed + LIVENESS + AFTERWARDS);
        if !self.is_well() {
            self.violate(format!("not well {:?} after the faults: {}", LIVENESS + AFTERWARDS, self.states()));
        }
        recovery
    }

    fn all_states(&self) -> Vec<(usize, State)> {
        let states = |(site, host): (usize, &Host)| {
            let all = host.engine.as_ref().map(|engine| engine.status(host.now(self.now))).unwrap_or_default();
            all.into_iter().map(move |status| (site, status.state)).collect::<Vec<_>>()
        };
        self.hosts.iter().enumerate().flat_map(states).collect()
    }

    fn is_well(&self) -> bool {
        self.all_states().iter().all(|(_, state)| matches!(state, State::Hybrid | State::Off))
    }

    fn states(&self) -> String {
        self.all_states().iter().map(|(site, state)| format!("{site}:{}", state.as_str())).collect::<Vec<_>>().join(" ")
    }
}
