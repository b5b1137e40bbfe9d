//! Compares what was read with what runs, and changes what differs: first everything that can fail, then the rest at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::timeout;

use super::difference::{of_interface, of_peer, refusal};
use super::prepare::Prepared;
use crate::config::{Config, Policy};
use crate::control::reload::{Blame, Change, ChangeKind, RELOAD_SCHEMA, ReloadReport};
use crate::control::time::rfc3339;
use crate::daemon::effects::Effects;
use crate::daemon::limits::SETTLE_DEADLINE;
use crate::daemon::live::Live;
use crate::daemon::pump::PumpNews;
use crate::daemon::refused::Refused;
use crate::daemon::report::facts;
use crate::daemon::setup;
use crate::daemon::start::{Running, Wires, names, receive_as};
use crate::engine::arrange::Arranged;
use crate::io::keeper_link::{Ask, Reply};
use crate::io::source::HeldFiles;
use crate::io::udp::UdpSocket;
use crate::types::id::{PeerId, SourceMask};

/// What a comparison brought.
#[derive(Default)]
struct Compared {
    changes: Vec<Change>,
    /// By peer: sources that are to be asked as if they had never failed.
    renewed: BTreeMap<String, SourceMask>,
}

/// Says what is another and, unless it is only asked, changes it.
pub(super) async fn apply(
    running: &mut Running,
    effects: &mut Effects,
    live: &mut Live,
    prepared: Prepared,
    dry_run: bool,
) -> Result<ReloadReport, Refused> {
    let by_name = by_name(running);
    let Compared { changes, renewed } = compare(running, &by_name, &prepared)?;
    let report = ReloadReport {
        schema: RELOAD_SCHEMA,
        interface: running.facts.interface.clone(),
        dry_run,
        changes,
        warnings: prepared.warnings.clone(),
    };
    if dry_run {
        return Ok(report);
    }
    let is_new = |name: &&str| !by_name.contains_key(*name);
    if prepared.config.peers.iter().any(|peer| is_new(&peer.name.as_str())) {
        // What an earlier peer of that name left must be on the disk before it is read.
        settle(effects).await?;
    }
    let sockets = sockets(running, &prepared).await?;
    running.keeper.ask(Ask::Set).await?;
    if let Some(sockets) = sockets
        && let Err(refused) = change_sockets(running, sockets).await
    {
        // What cannot be taken back either is set anew by the next reload.
        drop(running.keeper.ask(Ask::Set).await);
        return Err(refused);
    }
    let has_changed_mtu = prepared.config.interface.mtu != running.config.interface.mtu;
    running.mtu.replan(prepared.plan.clone(), has_changed_mtu);
    running.plan = prepared.plan.clone();
    if prepared.config.status_listen != running.config.status_listen {
        live.listen(prepared.config.status_listen, &running.keeper);
    }
    running.audit.change_mode(prepared.config.interface.audit);
    let generation = hand_over_sources(running).await?;
    arrange(running, effects, prepared, (&by_name, &renewed), generation);
    Ok(report)
}

/// Before anything is touched; a disk that hangs does not hold the control loop up.
async fn settle(effects: &Effects) -> Result<(), Refused> {
    timeout(SETTLE_DEADLINE, effects.settle()).await.map_err(|_| Refused {
        blame: Blame::System,
        text: format!("the state folder's disk takes no writes within {} s", SETTLE_DEADLINE.as_secs()),
    })
}

/// The peers that run, by their names.
fn by_name(running: &Running) -> BTreeMap<String, PeerId> {
    running.config.peers.iter().map(|peer| peer.name.clone()).zip(running.engine.ids()).collect()
}

fn compare(running: &Running, by_name: &BTreeMap<String, PeerId>, new: &Prepared) -> Result<Compared, Refused> {
    let restart = |text: String| Refused { blame: Blame::Restart, text };
    if running.facts.fingerprint != new.fingerprint {
        let text = format!(
            "private_key_file: it holds another identity ({}); sessions and ratchets belong to the one at the start; \
             restart the daemon to use it",
            new.fingerprint
        );
        return Err(restart(text));
    }
    if let Some(text) = refusal(&running.config.interface, &new.config.interface) {
        return Err(restart(text));
    }
    let added = new.config.peers.iter().filter(|peer| !by_name.contains_key(&peer.name)).count();
    if !running.engine.has_room(running.now(), added) {
        let text = "so many peers have come and gone within a minute, or since the start, that no number is free for \
                    another; wait a minute, or restart the daemon";
        return Err(restart(text.to_owned()));
    }
    let mut compared = Compared { changes: of_interface(&running.config, &new.config), ..Compared::default() };
    compare_peers(running, by_name, new, &mut compared);
    compare_sources(running, by_name, new, &mut compared);
    Ok(compared)
}

fn compare_peers(running: &Running, by_name: &BTreeMap<String, PeerId>, new: &Prepared, into: &mut Compared) {
    let names: BTreeSet<&str> = new.config.peers.iter().map(|peer| peer.name.as_str()).collect();
    for gone in running.config.peers.iter().filter(|old| !names.contains(old.name.as_str())) {
        let text = "removed: its session ends, its routes go";
        into.changes.push(Change::new(ChangeKind::PeerRemoved, text).of_peer(&gone.name));
    }
    let old = running.config.peers.iter().map(|old| (old.name.as_str(), &old.policy));
    let policies: BTreeMap<&str, &Policy> = old.collect();
    for (peer, setup) in new.config.peers.iter().zip(&new.setups) {
        let old = by_name.get(&peer.name).and_then(|id| running.engine.setup(*id));
        let change = match (old, policies.get(peer.name.as_str())) {
            (Some(old), Some(policy)) => {
                let text = of_peer((old, policy), (setup, &peer.policy));
                text.map(|text| Change::new(ChangeKind::PeerChanged, text))
            }
            _ => {
                let prefixes = peer.allowed_ips.len();
                let text = format!("added ({}), with {prefixes} allowed_ips", setup.public.fp());
                Some(Change::new(ChangeKind::PeerAdded, text))
            }
        };
        into.changes.extend(change.map(|change| change.of_peer(&peer.name)));
    }
}

fn compare_sources(running: &Running, by_name: &BTreeMap<String, PeerId>, new: &Prepared, into: &mut Compared) {
    let old = running.fetchers.by_number();
    let mut met = BTreeSet::new();
    for ready in &new.sources {
        let Some(peer) = new.config.peers.get(usize::from(ready.peer.0)) else { continue };
        let Some(id) = by_name.get(&peer.name) else { continue };
        met.insert((*id, ready.source));
        let change = match old.get(&(*id, ready.source)) {
            None => Some((ChangeKind::SourceAdded, format!("added, {}", ready.setup.reach.url))),
            Some((setup, _)) if **setup != ready.setup => {
                Some((ChangeKind::SourceChanged, "its section says something else; its KME is asked anew".to_owned()))
            }
            Some((_, files)) => file_change(files, &ready.files).map(|text| (ChangeKind::SourceFiles, text)),
        };
        if let Some((kind, text)) = change {
            into.changes.push(Change::new(kind, text).of_peer(&peer.name).of_source(&ready.setup.name));
            let mask = into.renewed.entry(peer.name.clone()).or_insert(SourceMask::EMPTY);
            *mask = mask.with(ready.source);
        }
    }
    let stay = new.config.peers.iter().filter_map(|peer| Some((by_name.get(&peer.name)?, peer.name.as_str())));
    let stay: BTreeMap<&PeerId, &str> = stay.collect();
    for ((peer, source), (setup, _)) in &old {
        if let Some(name) = stay.get(peer).filter(|_| !met.contains(&(*peer, *source))) {
            let change = Change::new(ChangeKind::SourceRemoved, "removed");
            into.changes.push(change.of_peer(name).of_source(&setup.name));
        }
    }
}

/// What is another about a source's files, if anything is.
fn file_change(old: &HeldFiles, new: &HeldFiles) -> Option<String> {
    let own = (old.own != new.own)
        .then(|| format!("another certificate of ours, until {}", new.ends().map_or_else(|| "?".to_owned(), rfc3339)));
    let ca = (old.ca != new.ca).then(|| "another ca_file".to_owned());
    let parts: Vec<String> = own.into_iter().chain(ca).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Sockets for another address; `None` if it stays.
async fn sockets(running: &Running, new: &Prepared) -> Result<Option<Vec<UdpSocket>>, Refused> {
    if new.config.interface.listen == running.config.interface.listen {
        return Ok(None);
    }
    let descriptors = running.keeper.descriptors(Ask::Bind).await?;
    let sockets = descriptors.into_iter().map(UdpSocket::adopt).collect::<std::io::Result<Vec<_>>>();
    let refused = |text: String| Refused { blame: Blame::System, text };
    let sockets = sockets.map_err(|error| refused(format!("sockets of the keeper: {error}")))?;
    if sockets.len() != running.config.interface.queues {
        return Err(refused(format!("the keeper gave {} sockets", sockets.len())));
    }
    Ok(Some(sockets))
}

/// The packet threads go on with other sockets; packets from the interface wait in it meanwhile.
async fn change_sockets(running: &mut Running, sockets: Vec<UdpSocket>) -> Result<(), Refused> {
    receive_as(running.offloads.set(), &sockets);
    let sockets = sockets.into_iter().map(Arc::new).collect();
    if let Some(pumps) = running.pumps.take() {
        pumps.stop();
    }
    while let Some(news) = running.outlet.next().await {
        if let PumpNews::Event(event) = news {
            running.engine.handle_pump(running.now(), event);
        }
    }
    let old = std::mem::replace(&mut running.wires.sockets, sockets);
    if let Err(error) = running.start_pumps() {
        running.wires.sockets = old;
        // If these do not start either the loop ends, for want of packet threads.
        drop(running.start_pumps());
        return Err(Refused { blame: Blame::System, text: format!("packet threads: {error}") });
    }
    Ok(())
}

/// Their number. Only a keeper that has gone refuses; then this process ends too.
async fn hand_over_sources(running: &Running) -> Result<u32, Refused> {
    match running.keeper.ask(Ask::Sources).await?.message {
        Reply::Generation { number } => Ok(number),
        Reply::Done | Reply::Loaded(_) | Reply::Refused { .. } => {
            Err(Refused { blame: Blame::System, text: "the keeper does not say what it handed over".to_owned() })
        }
    }
}

/// Peers, sources, names: nothing here can fail, and the packet threads see it as one change.
fn arrange(
    running: &mut Running,
    effects: &mut Effects,
    prepared: Prepared,
    (by_name, renewed): (&BTreeMap<String, PeerId>, &BTreeMap<String, SourceMask>),
    generation: u32,
) {
    let Prepared { config, text, setups, sources, .. } = prepared;
    let now = running.now();
    let names: BTreeSet<&String> = config.peers.iter().map(|peer| &peer.name).collect();
    let gone = by_name.iter().filter(|(name, _)| !names.contains(name)).map(|(_, id)| *id);
    let gone: Vec<PeerId> = gone.collect();
    for id in &gone {
        running.audit.close_peer(&running.engine, now, *id);
    }
    let fingerprints: Vec<String> = setups.iter().map(|setup| setup.public.fp().to_string()).collect();
    let wanted = setups.into_iter().map(|setup| match by_name.get(&setup.name) {
        Some(id) => {
            let renewed = renewed.get(&setup.name).copied().unwrap_or(SourceMask::EMPTY);
            Arranged::Stays { id: *id, setup: Box::new(setup), renewed }
        }
        None => {
            let restored = Box::new(setup::restore_peer(&running.state, &setup.name));
            Arranged::Added { setup: Box::new(setup), restored }
        }
    });
    let wanted = wanted.collect();
    // There is room: it was looked at before anything was touched.
    let Some(ids) = running.engine.arrange(now, wanted) else { return };
    running.fetchers.change(generation, sources, &ids);
    let renewed = by_name.iter().filter_map(|(name, id)| Some((*id, *renewed.get(name)?))).collect();
    running.pacing = running.pacing.rebuilt(ids.iter().copied().zip(&config.peers), &renewed);
    running.name_peers(&ids, &config);
    effects.drain(running);
    running.forget_peers(&gone);
    running.facts = facts(&config, &running.facts, fingerprints, listens(&running.wires, &config));
    running.config = config;
    running.text = text;
}

fn listens(wires: &Wires, config: &Config) -> String {
    let found = wires.sockets.first().and_then(|socket| socket.local_address().ok());
    found.unwrap_or(config.interface.listen).to_string()
}

impl Running {
    /// Peers have these numbers and names from now on; others keep theirs until they are forgotten.
    fn name_peers(&mut self, ids: &[PeerId], config: &Config) {
        self.events.name_peers(ids.iter().copied().zip(names(config)));
        self.peer_names.extend(ids.iter().copied().zip(config.peers.iter().map(|peer| peer.name.clone())));
    }

    /// Nothing more is told of these.
    fn forget_peers(&mut self, gone: &[PeerId]) {
        self.events.forget_peers(gone);
        self.peer_names.retain(|id, _| !gone.contains(id));
    }
}
