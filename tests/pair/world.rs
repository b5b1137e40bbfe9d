//! Two engines, a link and two KMEs on one virtual clock: every test tells the link and the KMEs what to do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use plait::crypto::aead::AeadBackend;
use plait::crypto::entropy::Hedge;
use plait::crypto::kem::default_backend;
use plait::dataplane::open::Arrival;
use plait::dataplane::pack::View;
use plait::dataplane::report::PumpEvent;
use plait::dataplane::single::{open_one, seal_one};
use plait::dataplane::snapshot::{Endpoint, Snapshot};
use plait::engine::Engine;
use plait::engine::arrange::Arranged;
use plait::engine::output::{Command, Event, EventKind, Now, Output, State, StateFile};
use plait::engine::setup::{EngineSetup, PeerSetup, Restored};
use plait::engine::status::PeerStatus;
use plait::identity::Identity;
use plait::keys::request::{KeyDelivery, KeyRequest, KeyRequestKind};
use plait::types::id::{PeerId, SourceId};
use plait::types::offload::OffloadSet;
use plait::types::policy::Suite;
use plait::types::random::Entropy;
use plait::types::secret::{Secret, SecretBytes};
use plait::types::time::{Instant, UnixTime};

pub(crate) use crate::config::Config;
use crate::kme::KmePair;

/// One end, 0 or 1.
pub(crate) type Side = usize;

/// What happens to one datagram: the delays of the copies that arrive; none is a loss.
pub(crate) type Fate = Box<dyn FnMut(&Passing) -> Vec<Duration>>;

/// A datagram on the link.
pub(crate) struct Passing {
    /// Its number among the handshake datagrams (types 1..=6) of both directions, from 0; `None` for data.
    pub(crate) handshake_number: Option<usize>,
    /// Its first byte.
    pub(crate) kind: u8,
    /// Who sent it.
    pub(crate) from: Side,
}

/// A one-way delay of 5 ms and nothing lost.
pub(crate) fn faithful() -> Fate {
    Box::new(|_| vec![Duration::from_millis(5)])
}

enum Happening {
    Datagram { to: Side, from: SocketAddr, bytes: Vec<u8> },
    Keys { to: Side, life: u32, delivery: KeyDelivery },
    Packet { side: Side, number: u32 },
}

pub(crate) struct Node {
    pub(crate) engine: Option<Engine>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) files: BTreeMap<StateFile, Vec<u8>>,
    pub(crate) events: Vec<(Duration, Event)>,
    /// Numbers of the inner packets that came out.
    pub(crate) delivered: Vec<u32>,
    pub(crate) requests: Vec<(Duration, KeyRequest)>,
    /// What the interface was told to let in, in this order.
    pub(crate) inner_mtus: Vec<u16>,
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    /// Writes fail.
    pub(crate) disk_broken: bool,
    /// Writes never end.
    pub(crate) disk_stuck: bool,
    /// Counts restarts: an answer to an earlier life is nobody's.
    life: u32,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    /// What the wall clock shows at the start, in seconds since 1970; a test may set it at any time.
    pub(crate) wall: u64,
    pub(crate) nodes: [Node; 2],
    pub(crate) kme: KmePair,
    pub(crate) fate: Fate,
    pub(crate) handshake_datagrams: usize,
    /// Every datagram that was put on the link.
    pub(crate) seen: Vec<(Side, Vec<u8>)>,
    /// When it was put there.
    pub(crate) seen_at: Vec<Duration>,
    heap: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    sequence: u64,
    seed: u64,
}

/// A generator that a seed determines.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

fn secret_of(side: Side) -> Secret<96> {
    Secret::filled(|out| Seeded(0xabc0 + side as u64).fill(out))
}

fn identity(side: Side) -> Identity {
    Identity::from_secret(default_backend(), Suite::MlKem1024, secret_of(side)).unwrap()
}

/// Side 0 is the one with the greater fingerprint, the primary: tests can rely on it.
fn ordered(side: Side) -> Side {
    static SWAP: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    if *SWAP.get_or_init(|| identity(0).fp() < identity(1).fp()) { 1 - side } else { side }
}

impl World {
    pub(crate) fn new(seed: u64, configs: [Config; 2]) -> Self {
        let address = |side: usize| SocketAddr::from(([192, 0, 2, 1 + side as u8], 51900));
        let node = |side: usize, config: Config| Node {
            engine: None,
            snapshot: None,
            files: BTreeMap::new(),
            events: Vec::new(),
            delivered: Vec::new(),
            requests: Vec::new(),
            inner_mtus: Vec::new(),
            config,
            address: address(side),
            disk_broken: false,
            disk_stuck: false,
            life: 0,
        };
        let [first, second] = configs;
        Self {
            now: Duration::from_secs(1),
            wall: 1_800_000_000,
            nodes: [node(0, first), node(1, second)],
            kme: KmePair::new(),
            fate: faithful(),
            handshake_datagrams: 0,
            seen: Vec::new(),
            seen_at: Vec::new(),
            heap: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            sequence: 0,
            seed,
        }
    }

    /// Both ends start.
    pub(crate) fn started(seed: u64, configs: [Config; 2]) -> Self {
        let mut world = Self::new(seed, configs);
        world.start(0);
        world.start(1);
        world
    }

    pub(crate) fn clock(&self) -> Now {
        Now { at: Instant::ZERO + self.now, unix: UnixTime(self.wall + self.now.as_secs()) }
    }

    /// How an end sees the other.
    pub(crate) fn setup(&self, side: Side) -> PeerSetup {
        let node = &self.nodes[side];
        let other = &self.nodes[1 - side];
        let peer = identity(ordered(1 - side));
        let endpoint = node.config.knows_endpoint.then_some(other.address);
        let prefix = format!("10.99.{}.0/24", 1 - side).parse().unwrap();
        PeerSetup {
            name: format!("site{}", 1 - side),
            public: plait::identity::PublicIdentity::new(
                default_backend(),
                Suite::MlKem1024,
                *peer.public().s(),
                peer.public().ek().to_vec(),
            )
            .unwrap(),
            psk: Secret::take(&mut node.config.psk.clone()),
            endpoint,
            allowed_ips: vec![prefix],
            policy: node.config.policy,
            sources: (0..node.config.sources).map(|n| (SourceId::new(n).unwrap(), format!("fibre-{n}"))).collect(),
            ciphers: node.config.ciphers.clone(),
            features: node.config.features,
            keepalive: node.config.keepalive,
            ratchet: node.config.ratchet,
            pin_endpoint: node.config.pin_endpoint,
            inner_mtu: node.config.inner_mtu,
        }
    }

    /// Starts, or starts again with what is on its disk.
    pub(crate) fn start(&mut self, side: Side) {
        let (node, setup) = (&self.nodes[side], self.setup(side));
        let file = |file| node.files.get(&file).map(|bytes: &Vec<u8>| SecretBytes::new(bytes.clone()));
        let restored = Restored {
            ratchet: file(StateFile::Ratchet),
            clock: file(StateFile::Clock),
            budget: file(StateFile::Budget),
            seen: file(StateFile::Seen),
        };
        self.seed = self.seed.wrapping_add(1);
        let os = Box::new(Seeded(self.seed.wrapping_mul(0x1234_5678_9abc_def1).wrapping_add(side as u64)));
        let rng = Box::new(Hedge::new(secret_of(ordered(side)), os));
        let me = identity(ordered(side));
        let setup = EngineSetup { me, peers: vec![setup], restored: vec![restored], rng, aead: AeadBackend::AwsLc };
        let engine = Engine::new(setup, self.clock());
        let node = &mut self.nodes[side];
        node.life += 1;
        node.engine = Some(engine);
        self.drain(side);
    }

    /// Power off: nothing is told to anyone, the disk stays.
    pub(crate) fn kill(&mut self, side: Side) {
        self.nodes[side].engine = None;
        self.nodes[side].snapshot = None;
    }

    fn push(&mut self, after: Duration, what: Happening) {
        self.sequence += 1;
        self.heap.push(Reverse((self.now + after, self.sequence)));
        self.happenings.insert(self.sequence, what);
    }

    fn drain(&mut self, side: Side) {
        loop {
            let Some(output) = self.nodes[side].engine.as_mut().and_then(Engine::poll_output) else { return };
            match output {
                Output::Transmit { to, bytes } => self.transmit(side, to, bytes),
                Output::WantKeys(request) => self.ask_kme(side, request),
                Output::Store { id, file, bytes, .. } => {
                    if self.nodes[side].disk_stuck {
                        continue;
                    }
                    let ok = !self.nodes[side].disk_broken;
                    if ok {
                        self.nodes[side].files.insert(file, bytes.expose().to_vec());
                    }
                    let now = self.clock();
                    if let Some(engine) = self.nodes[side].engine.as_mut() {
                        engine.handle_stored(now, id, ok);
                    }
                }
                Output::Publish(snapshot) => self.nodes[side].snapshot = Some(snapshot),
                Output::InnerMtu(bytes) => self.nodes[side].inner_mtus.push(bytes),
                Output::Event(event) => self.nodes[side].events.push((self.now, event)),
            }
        }
    }

    fn ask_kme(&mut self, side: Side, request: KeyRequest) {
        self.nodes[side].requests.push((self.now, request.clone()));
        let life = self.nodes[side].life;
        let (after, outcome) = match &request.kind {
            KeyRequestKind::New { .. } => self.kme.enc(side, request.source),
            KeyRequestKind::ById { key_id } => self.kme.dec(side, request.source, key_id),
        };
        let delivery = KeyDelivery { id: request.id, peer: request.peer, source: request.source, outcome };
        self.push(after, Happening::Keys { to: side, life, delivery });
    }

    fn transmit(&mut self, from: Side, to: Endpoint, bytes: Vec<u8>) {
        self.seen.push((from, bytes.clone()));
        self.seen_at.push(self.now);
        let is_handshake = bytes.first().is_some_and(|kind| (1..=6).contains(kind));
        let handshake_number = is_handshake.then_some(self.handshake_datagrams);
        self.handshake_datagrams += usize::from(is_handshake);
        let copies = (self.fate)(&Passing { handshake_number, kind: bytes.first().copied().unwrap_or(0), from });
        let Some(target) = (0..2).find(|side| self.nodes[*side].address == to.to) else { return };
        let source = self.nodes[from].address;
        for delay in copies {
            self.push(delay, Happening::Datagram { to: target, from: source, bytes: bytes.clone() });
        }
    }

    /// Puts a datagram before an end, as if it had come from `from`.
    pub(crate) fn inject(&mut self, to: Side, from: SocketAddr, bytes: Vec<u8>) {
        self.push(Duration::ZERO, Happening::Datagram { to, from, bytes });
    }

    /// An inner packet, numbered, from one end to the other, after a while.
    pub(crate) fn send_later(&mut self, after: Duration, side: Side, number: u32) {
        self.push(after, Happening::Packet { side, number });
    }

    /// Something is asked of a running end.
    pub(crate) fn ask<T>(&mut self, side: Side, what: impl FnOnce(&mut Engine, Now) -> T) -> T {
        let now = self.clock();
        let answer = what(self.nodes[side].engine.as_mut().unwrap(), now);
        self.drain(side);
        answer
    }

    /// A running end is configured otherwise; gives the numbers of its peers.
    pub(crate) fn arrange(&mut self, side: Side, peers: Vec<Arranged>) -> Vec<PeerId> {
        self.ask(side, |engine, now| engine.arrange(now, peers)).unwrap()
    }

    /// An operator's command at one end.
    pub(crate) fn command(&mut self, side: Side, command: Command) {
        let now = self.clock();
        if let Some(engine) = self.nodes[side].engine.as_mut() {
            engine.handle_command(now, command);
        }
        self.drain(side);
    }

    fn packet(&mut self, side: Side, number: u32) {
        if let Some(snapshot) = self.nodes[side].snapshot.clone() {
            self.packet_under(&snapshot, side, number);
        }
    }

    /// An inner packet sealed by a pump that still has this snapshot.
    pub(crate) fn packet_under(&mut self, snapshot: &Snapshot, side: Side, number: u32) {
        let mut packet = vec![0u8; 40];
        packet[0] = 0x45;
        packet[3] = 40;
        packet[8] = 64;
        packet[9] = 17;
        packet[12..16].copy_from_slice(&[10, 99, side as u8, 1]);
        packet[16..20].copy_from_slice(&[10, 99, 1 - side as u8, 1]);
        packet[36..40].copy_from_slice(&number.to_be_bytes());
        let mut events = Vec::new();
        let view = View { snapshot, now: self.clock().at, offloads: OffloadSet::ALL };
        let sealed = seal_one(view, 1, &packet, &mut |event| {
            events.push(event);
            true
        });
        if let Some((destination, datagram)) = sealed {
            self.transmit(side, destination.to, datagram);
        }
        self.tell_engine(side, events);
    }

    /// What a pump would tell the engine, whether or not its timers were served.
    pub(crate) fn tell_engine(&mut self, side: Side, events: Vec<PumpEvent>) {
        let now = self.clock();
        for event in events {
            if let Some(engine) = self.nodes[side].engine.as_mut() {
                engine.handle_pump(now, event);
            }
            self.drain(side);
        }
    }

    fn arrive(&mut self, to: Side, from: SocketAddr, mut bytes: Vec<u8>) {
        let Some(snapshot) = self.nodes[to].snapshot.clone() else { return };
        let mut events = Vec::new();
        let arrival = Arrival { now: self.clock().at, from, local: None, stride: 0, tos: 0 };
        let opened = open_one(&snapshot, arrival, &mut bytes, &mut |event| {
            events.push(event);
            true
        });
        for (_, packet) in opened {
            let number = u32::from_be_bytes(packet[36..40].try_into().unwrap());
            self.nodes[to].delivered.push(number);
        }
        self.tell_engine(to, events);
    }

    /// Until this time, at most: every happening and every timer in order.
    pub(crate) fn run_until(&mut self, end: Duration) {
        self.run_while(end, |_| true);
    }

    /// For so long.
    pub(crate) fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Until `done` says so; panics with the states if that takes longer than `span`.
    pub(crate) fn run_to(&mut self, what: &str, span: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + span;
        self.run_while(end, |world| !done(world));
        assert!(done(self), "not within {span:?}: {what}; states {:?}", [0, 1].map(|side| self.state(side)));
    }

    /// Until this time, or as long as `go_on` says so.
    pub(crate) fn run_while(&mut self, end: Duration, mut go_on: impl FnMut(&Self) -> bool) {
        // Far more than any test needs: a timer that never advances must fail, not hang.
        let mut at_once = (self.now, 0);
        for _ in 0..5_000_000u32 {
            at_once = if at_once.0 == self.now { (self.now, at_once.1 + 1) } else { (self.now, 0) };
            assert!(at_once.1 < 100_000, "some timer does not advance");
            if !go_on(self) {
                return;
            }
            let happening = self.heap.peek().map(|Reverse((at, _))| *at);
            let timer = [0, 1].into_iter().filter_map(|side| self.timer(side).map(|at| (at, side))).min();
            let next = [happening, timer.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if happening == Some(next) {
                self.happen();
            } else if let Some((_, side)) = timer {
                let now = self.clock();
                if let Some(engine) = self.nodes[side].engine.as_mut() {
                    engine.handle_timeout(now);
                }
                self.drain(side);
            }
        }
        panic!("five million steps: some timer does not advance");
    }

    fn timer(&self, side: Side) -> Option<Duration> {
        let at = self.nodes[side].engine.as_ref()?.poll_timeout()?;
        (at != Instant::FAR_FUTURE).then(|| at.since(Instant::ZERO).max(self.now))
    }

    fn happen(&mut self) {
        let Some(Reverse((_, number))) = self.heap.pop() else { return };
        match self.happenings.remove(&number) {
            Some(Happening::Datagram { to, from, bytes }) => self.arrive(to, from, bytes),
            Some(Happening::Keys { to, life, delivery }) => {
                let now = self.clock();
                if self.nodes[to].life == life
                    && let Some(engine) = self.nodes[to].engine.as_mut()
                {
                    engine.handle_keys(now, delivery);
                    self.drain(to);
                }
            }
            Some(Happening::Packet { side, number }) => self.packet(side, number),
            None => {}
        }
    }

    pub(crate) fn status(&self, side: Side) -> Option<PeerStatus> {
        self.nodes[side].engine.as_ref()?.status(self.clock()).into_iter().next()
    }

    pub(crate) fn state(&self, side: Side) -> Option<State> {
        self.status(side).map(|status| status.state)
    }

    /// What was put on the link is no longer of interest: for long runs.
    #[allow(dead_code, reason = "the properties run long, the pair tests do not")]
    pub(crate) fn forget_seen(&mut self) {
        self.seen.clear();
        self.seen_at.clear();
    }

    /// When datagrams of this type left an end.
    pub(crate) fn left_at(&self, side: Side, kind: u8) -> Vec<Duration> {
        let of_kind =
            |((from, bytes), _): &(&(Side, Vec<u8>), &Duration)| *from == side && bytes.first() == Some(&kind);
        self.seen.iter().zip(&self.seen_at).filter(of_kind).map(|(_, at)| *at).collect()
    }

    pub(crate) fn both(&self, state: State) -> bool {
        [0, 1].iter().all(|side| self.state(*side) == Some(state))
    }

    /// Both ends show the same epoch: words, key_IDs, sources.
    pub(crate) fn assert_same_epoch(&self) {
        let facts = |side: Side| {
            let epoch = self.status(side).and_then(|status| status.epoch).expect("an epoch");
            (epoch.check_words, epoch.mixed)
        };
        assert_eq!(facts(0), facts(1));
    }

    /// How often an event of this kind was told at an end.
    pub(crate) fn told(&self, side: Side, is: impl Fn(&EventKind) -> bool) -> usize {
        self.nodes[side].events.iter().filter(|(_, event)| is(&event.what)).count()
    }
}
