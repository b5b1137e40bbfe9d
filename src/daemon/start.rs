//! From a configuration file to a running tunnel, in an order in which every failure leaves nothing behind: `prepare` needs all
//! rights, `assemble` none.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::ask::Asker;
use super::audit::Audit;
use super::events::{Events, PeerNames};
use super::fetch::{Fetchers, ReadSource, read_sources};
use super::keeper::Kept;
use super::keeper::keys::Keys;
use super::load::{LoadFailure, Loaded, load};
use super::mtu::InterfaceMtu;
use super::pacing::Pacing;
use super::pump::{PumpOutlet, PumpPair, Pumps};

use super::report::{Facts, Sandboxes, facts, policy};
use super::{certificates, kill_switch, setup};
use crate::config::{Config, Peer};
use crate::crypto::self_test;
use crate::dataplane::snapshot::Snapshot;
use crate::engine::Engine;
use crate::engine::output::Now;
use crate::io::clock::Clock;
use crate::io::control_socket::{ControlListener, ControlName, ControlSocket, lock_path, socket_path};
use crate::io::keys_link::frames::Told;
use crate::io::lock::{Lock, LockError};
use crate::io::sandbox::Profile;
use crate::io::self_test as offload_test;
use crate::io::state::StateDir;
use crate::io::system::netlink::take_steps;
use crate::io::system::plan::InterfacePlan;
use crate::io::thread::ThreadStarter;
use crate::io::tun::{self, TunQueue};
use crate::io::udp::{DatagramSocket, UdpSocket};
use crate::types::id::PeerId;
use crate::types::offload::{Offload, OffloadSet, Offloads};
use crate::types::secret::SecretBytes;

/// Tries to take a lock, and the pause after each: a second in all.
const LOCK_TRIES: u32 = 20;
/// See [`LOCK_TRIES`].
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why the daemon did not start or did not go on.
#[derive(Debug)]
pub struct RunFailure {
    /// For a person.
    pub text: String,
    /// What kind of exit code it deserves.
    pub kind: FailureKind,
}

/// Kinds of [`RunFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The configuration or a file that it names.
    Configuration,
    /// A right is missing, or too many have one.
    Permission,
    /// Anything else.
    Other,
}

impl RunFailure {
    pub(super) fn other(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: FailureKind::Other }
    }

    pub(super) fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let kind = if denied { FailureKind::Permission } else { FailureKind::Other };
        Self { text: format!("{what}: {error}"), kind }
    }
}

impl From<LoadFailure> for RunFailure {
    fn from(failure: LoadFailure) -> Self {
        let kind = if failure.is_permission { FailureKind::Permission } else { FailureKind::Configuration };
        Self { text: failure.text, kind }
    }
}

/// Everything that runs. Dropping it takes interface, routes and sockets away.
pub struct Running {
    pub(super) engine: Engine,
    pub(super) events: Events,
    pub(super) audit: Audit,
    pub(super) pacing: Pacing,
    pub(super) facts: Facts,
    /// What is in use, its file and its text.
    pub(super) config: Config,
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) plan: InterfacePlan,
    pub(super) peer_names: BTreeMap<PeerId, String>,
    pub(super) clock: Clock,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) wires: Wires,
    pub(super) mtu: InterfaceMtu,
    pub(super) offloads: Arc<Offloads>,
    pub(super) pumps: Option<Pumps>,
    pub(super) outlet: PumpOutlet,
    pub(super) fetchers: Fetchers,
    pub(super) told: tokio::sync::mpsc::Receiver<Told>,
    pub(super) keeper: Asker,
    pub(super) state: StateDir,
    pub(super) _locks: [Lock; 2],
}

/// The interface and the sockets, which the packet threads share with the control side.
pub(super) struct Wires {
    queues: Vec<Arc<dyn TunQueue>>,
    /// As many as queues. What belongs to no lane comes to the first, and leaves by it.
    pub(super) sockets: Vec<Arc<UdpSocket>>,
    starter: ThreadStarter,
}

impl Wires {
    fn pairs(&self) -> Vec<PumpPair> {
        let pairs = self.queues.iter().zip(&self.sockets);
        pairs.map(|(tun, udp)| PumpPair { tun: Arc::clone(tun), udp: Arc::<UdpSocket>::clone(udp) }).collect()
    }
}

/// What was set up with all rights, before the first packet is looked at: plain descriptors and plain data, so that it can pass
/// into a process of its own.
pub struct Prepared {
    loaded: Loaded,
    clock: Clock,
    state: StateDir,
    locks: [Lock; 2],
    control: ControlListener,
    name: ControlName,
    sockets: Vec<UdpSocket>,
    tun: tun::Tun,
    plan: InterfacePlan,
    usable: OffloadSet,
    sources: Vec<ReadSource>,
    file: PathBuf,
}

/// Of the first handover.
const FIRST_GENERATION: u32 = 1;

/// Loads, checks and sets up; with what is for the keys process alone. Needs a tokio runtime.
///
/// # Errors
/// [`RunFailure`]; nothing is left behind.
pub async fn prepare(file: &Path, run_dir: &Path, state_dir: &Path) -> Result<(Prepared, SecretBytes), RunFailure> {
    let clock = Clock::start();
    let loaded = load(file)?;
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let checked = certificates::check(&file, &loaded.config, clock.unix())?;
    for warning in loaded.warnings.iter().chain(&checked.remarks) {
        tracing::warn!("{warning}");
    }
    self_test::run(crate::crypto::kem::default_backend()).map_err(|failure| RunFailure::other(failure.to_string()))?;
    let name = loaded.config.interface.name.clone();
    let (state, locks) = claim(&name, run_dir, state_dir).await?;
    let sources = read_sources(setup::sources(&file, &loaded.config), checked.held);
    let handover = setup::handover(FIRST_GENERATION, &file, &loaded.config, checked.files)?;
    let (control, control_name) = ControlListener::bind(&socket_path(run_dir, &name))
        .map_err(|error| RunFailure::io(socket_path(run_dir, &name).display(), &error))?;
    let listen = loaded.config.interface.listen;
    let sockets = UdpSocket::bind_group(listen, loaded.config.interface.queues)
        .map_err(|error| RunFailure::io(format!("listen {listen}"), &error))?;
    receive_as(loaded.config.interface.offload, &sockets);
    kill_switch::at_start(&loaded.config).await?;
    let (tun, plan) = interface(&loaded).await?;
    let usable = usable(loaded.config.interface.offload, &tun);
    receive_as(usable, &sockets);
    let name = control_name;
    let prepared = Prepared { loaded, clock, state, locks, control, name, sockets, tun, plan, usable, sources, file };
    Ok((prepared, handover))
}

impl Prepared {
    /// What the keeper keeps; everything else is dropped here, keys wiped, descriptors closed: they are the other process's.
    pub fn kept(self, keys: Keys) -> Kept {
        let Self { loaded: Loaded { config, text, .. }, locks, name, tun, plan, file, .. } = self;
        let index = tun.index;
        Kept { file, config, text, generation: FIRST_GENERATION, keys, plan, index, _name: name, _locks: locks }
    }

    /// What files the packet process needs: its state, to be written.
    pub fn profile(&self) -> Profile {
        Profile::packets(self.state.folder().to_owned())
    }

    /// Everything that runs, in the process that will run it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`RunFailure`].
    pub fn assemble(
        self,
        keeper: Asker,
        meeting: OwnedFd,
        sandboxes: Sandboxes,
        starter: ThreadStarter,
    ) -> Result<(Running, ControlSocket), RunFailure> {
        let Self { loaded, clock, state, locks, control, name, sockets, tun, plan, usable, sources, file } = self;
        // The keeper outlives this process and removes it.
        name.leave();
        let control = ControlSocket::over(control).map_err(|error| RunFailure::io("control socket", &error))?;
        let fetchers = Fetchers::start(meeting, FIRST_GENERATION, sources);
        let (fetchers, told) = fetchers.map_err(|error| RunFailure::io("the keys process", &error))?;
        let sockets: Vec<Arc<UdpSocket>> = sockets.into_iter().map(Arc::new).collect();
        let mtu = InterfaceMtu::of(keeper.clone(), plan.clone());
        let offloads = Arc::new(Offloads::new(usable));
        let facts = first_facts(&loaded, &sockets, sandboxes);
        let config = loaded.config.clone();
        let numbered = || (0..).map(PeerId);
        let events = Events::new(clock, numbered().zip(names(&config)));
        let pacing = Pacing::new(numbered().zip(&config.peers));
        let audit = Audit::new(config.interface.audit, clock, loaded.me.suite());
        let peer_names = numbered().zip(config.peers.iter().map(|peer| peer.name.clone())).collect();
        let text = loaded.text.clone();
        let restored = setup::restore(&state, &loaded);
        let parts = setup::engine(loaded, restored).map_err(|error| RunFailure::io("randomness", &error))?;
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let wires = Wires { queues: tun.queues, sockets, starter };
        let (pumps, outlet) = start_pumps(&wires, &snapshot, clock, &offloads)
            .map_err(|error| RunFailure::io("packet threads", &error))?;
        let pumps = Some(pumps);
        let engine = Engine::new(parts, Now { at: clock.now(), unix: clock.unix() });
        let running = Running {
            engine,
            events,
            audit,
            pacing,
            facts,
            config,
            file,
            text,
            plan,
            peer_names,
            clock,
            snapshot,
            wires,
            mtu,
            offloads,
            pumps,
            outlet,
            fetchers,
            told,
            keeper,
            state,
            _locks: locks,
        };
        Ok((running, control))
    }
}

impl Running {
    /// Both clocks.
    pub(super) fn now(&self) -> Now {
        Now { at: self.clock.now(), unix: self.clock.unix() }
    }

    /// The name of a peer.
    pub(super) fn peer_name(&self, id: PeerId) -> &str {
        self.peer_names.get(&id).map_or("?", String::as_str)
    }

    /// Starts the packet threads anew, on the sockets of this moment.
    pub(super) fn start_pumps(&mut self) -> io::Result<()> {
        let (pumps, outlet) = start_pumps(&self.wires, &self.snapshot, self.clock, &self.offloads)?;
        (self.pumps, self.outlet) = (Some(pumps), outlet);
        Ok(())
    }
}

fn start_pumps(
    wires: &Wires,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    clock: Clock,
    offloads: &Arc<Offloads>,
) -> io::Result<(Pumps, PumpOutlet)> {
    Pumps::start(wires.pairs(), &wires.starter, Arc::clone(snapshot), Arc::new(move || clock.now()), offloads)
}

/// One daemon a name, and one a state folder: two would use one ratchet.
async fn claim(name: &str, run_dir: &Path, state_dir: &Path) -> Result<(StateDir, [Lock; 2]), RunFailure> {
    std::fs::create_dir_all(run_dir).map_err(|error| RunFailure::io(run_dir.display(), &error))?;
    let state = StateDir::of(state_dir, name);
    state.create().map_err(|error| RunFailure::io(state_dir.display(), &error))?;
    let failed = |error: LockError| match error {
        LockError::Held { .. } => RunFailure::other(format!("a daemon of {name} runs already: {error}")),
        LockError::File { .. } => RunFailure::other(error.to_string()),
    };
    let own = take(&lock_path(run_dir, name)).await.map_err(failed)?;
    let of_state = take(&state.lock_path()).await.map_err(failed)?;
    Ok((state, [own, of_state]))
}

/// The lock, once it is free: of a daemon that was killed, one process outlives the other by some milliseconds.
async fn take(path: &Path) -> Result<Lock, LockError> {
    for _ in 0..LOCK_TRIES {
        match Lock::take(path) {
            Err(LockError::Held { .. }) => tokio::time::sleep(LOCK_PAUSE).await,
            taken => return taken,
        }
    }
    Lock::take(path)
}

/// TUN interface, addresses, MTU and routes: all of it vanishes with the descriptor.
async fn interface(loaded: &Loaded) -> Result<(tun::Tun, InterfacePlan), RunFailure> {
    let plan = plan_of(&loaded.config)?;
    let interface = &loaded.config.interface;
    let tun = tun::open(&interface.name, interface.backend, interface.offload, interface.queues).map_err(|error| {
        let kind = match error {
            tun::OpenError::NotPermitted(_) => FailureKind::Permission,
            tun::OpenError::NotBuiltIn => FailureKind::Configuration,
            tun::OpenError::NoDevice | tun::OpenError::InUse(_) | tun::OpenError::Other(..) => FailureKind::Other,
        };
        RunFailure { text: error.to_string(), kind }
    })?;
    let steps = plan.steps_from(&InterfacePlan::default());
    take_steps(&tun.name, tun.index, &steps).await.map_err(|error| RunFailure::other(error.to_string()))?;
    Ok((tun, plan))
}

/// Of what is wanted, what this kernel has and can do; one log line for each that it cannot.
fn usable(wanted: OffloadSet, tun: &tun::Tun) -> OffloadSet {
    let usable = offload_test::run(wanted, tun);
    for offload in Offload::ALL.into_iter().filter(|offload| wanted.has(*offload) && !usable.has(*offload)) {
        let name = offload.name();
        tracing::warn!(
            "{name}: this kernel does not have it or failed when it was tried; off. To start without it: offload = {{ {name} = false }}"
        );
    }
    usable
}

/// Has the sockets give every datagram alone if trains are not to be used.
pub(super) fn receive_as(offload: OffloadSet, sockets: &[UdpSocket]) {
    if !offload.has(Offload::Gro) {
        for socket in sockets {
            // A kernel without the option gives no trains either.
            let _ = socket.set_gro(false);
        }
    }
}

/// What the interface is to be.
///
/// # Errors
/// A route that would catch the tunnel's own datagrams.
pub fn plan_of(config: &Config) -> Result<InterfacePlan, RunFailure> {
    let interface = &config.interface;
    let allowed = config.peers.iter().flat_map(|peer| peer.allowed_ips.iter().copied());
    InterfacePlan::new(&interface.addresses, interface.mtu.bytes(), allowed, interface.table)
        .map_err(|error| RunFailure { text: error.to_string(), kind: FailureKind::Configuration })
}

/// Names of the peers and their sources, in the order of the configuration.
pub(super) fn names(config: &Config) -> impl Iterator<Item = PeerNames> {
    let sources = |peer: &Peer| peer.sources.iter().map(|source| (source.id, source.name.clone())).collect();
    config.peers.iter().map(move |peer| PeerNames { name: peer.name.clone(), sources: sources(peer) })
}

fn first_facts(loaded: &Loaded, sockets: &[Arc<UdpSocket>], sandboxes: Sandboxes) -> Facts {
    let interface = &loaded.config.interface;
    let own = Facts {
        interface: interface.name.clone(),
        fingerprint: loaded.me.fp().to_string(),
        listen: String::new(),
        offload: interface.offload,
        suite: loaded.me.suite(),
        policy: policy(&loaded.config.policy),
        sandboxes,
        peers: Vec::new(),
    };
    let listen = sockets.first().and_then(|socket| socket.local_address().ok()).unwrap_or(interface.listen);
    let fingerprints = loaded.peers.iter().map(|keys| keys.public.fp().to_string()).collect();
    facts(&loaded.config, &own, fingerprints, listen.to_string())
}
