//! The control loop: feeds the engine with news, drains its effects, arms one timer.

use std::time::Duration;

use data_encoding::HEXLOWER;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::effects::Effects;
use super::limits::{CALLS_MAX, NEWS_MAX, SLEEP_MAX, SLEEP_MIN};
use super::live::Live;
use super::pump::PumpNews;
use super::reload::Reloads;
use super::start::{RunFailure, Running};
use super::waiters::Waiters;
use super::{damage, journal, live, overrides};
use crate::control::event::{Draft, EventKind};
use crate::control::recent::Selection;
use crate::control::request::{Answer, Request};
use crate::crypto::digest::sha256;
use crate::engine::output::Command;
use crate::io::control_socket::{Call, ControlSocket};
use crate::io::keeper_link::{Ask, Wanted};
use crate::io::keys_link::frames::Told;
use crate::keys::request::KeyDelivery;
use crate::types::id::PeerId;
use crate::types::time::Instant;

/// The signals that matter.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    usr1: Signal,
}

/// What a signal or a request means for the loop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    GoOn,
    Stop,
}

/// Runs until it is told to stop; then every peer is told, and the clocks are written.
///
/// # Errors
/// The interface is gone, or the system refuses something that the daemon cannot do without.
pub async fn run(mut running: Running, control: ControlSocket) -> Result<(), RunFailure> {
    let mut signals = Signals::listen().map_err(|error| RunFailure::other(format!("signals: {error}")))?;
    let (calls_in, mut calls) = mpsc::channel::<Call>(CALLS_MAX);
    let socket = tokio::spawn(control.serve(calls_in));
    let mut effects = Effects::new();
    let mut waiters = Waiters::default();
    running.events.start(&running.state);
    for draft in running.config.peers.iter().flat_map(|peer| damage::look(&running.state, &peer.name)) {
        running.events.record(draft);
    }
    if let Some(draft) = running.audit.start(&running.state, &running.facts.fingerprint) {
        running.events.record(draft);
    }
    look_at_audit(&mut running);
    let mut live = Live::start(running.config.status_listen, &running.keeper);
    let mut reloads = Reloads::new();
    effects.drain(&mut running);
    journal::ready(&running.facts.interface);
    let ended = loop {
        let pause = pause(&running);
        let course = tokio::select! {
            news = running.outlet.next() => match take_news(&mut running, news) {
                Ok(()) => Course::GoOn,
                Err(failure) => break Err(failure),
            },
            Some(told) = running.told.recv() => {
                hear(&mut running, told);
                Course::GoOn
            }
            Some((id, ok)) = effects.stored() => {
                running.engine.handle_stored(running.now(), id, ok);
                Course::GoOn
            }
            Some(call) = calls.recv() => answer(&mut running, &mut waiters, &live, &mut reloads, call),
            Some(read) = reloads.read() => {
                reloads.finish(read, &mut running, &mut effects, &mut live).await;
                Course::GoOn
            }
            Some(ask) = live.asked() => {
                // A page that has gone needs no answer.
                drop(ask.send(live.view(&running)));
                Course::GoOn
            }
            course = signals.next() => {
                signalled(&mut running, &mut reloads, course)
            }
            () = sleep(pause) => Course::GoOn,
        };
        if course == Course::Stop {
            break Ok(());
        }
        running.engine.handle_timeout(running.now());
        look_at_keys(&mut running);
        look_at_audit(&mut running);
        look_at_budget(&mut running);
        effects.drain(&mut running);
        waiters.look(&running);
        running.events.look(running.offloads.set(), &running.fetchers);
        live.look(&running);
    };
    socket.abort();
    live.stop();
    end(running, effects).await;
    ended
}

/// What the packet threads told, and what more waits: the looks at the end of each turn cost more than most of these.
fn take_news(running: &mut Running, first: Option<PumpNews>) -> Result<(), RunFailure> {
    let mut next = Some(first.ok_or_else(|| RunFailure::other("all packet threads have ended"))?);
    let mut taken = 0;
    while let Some(news) = next {
        match news {
            PumpNews::Event(event) => running.engine.handle_pump(running.now(), event),
            PumpNews::Ended(end) => return Err(RunFailure::other(format!("{}: {}", end.thread, end.error))),
        }
        taken += 1;
        next = if taken < NEWS_MAX { running.outlet.ready() } else { None };
    }
    Ok(())
}

/// An orderly end: every peer is told, and everything that was asked for is on the disk.
async fn end(mut running: Running, effects: Effects) {
    journal::stopping();
    running.audit.close(&running.engine, running.now());
    running.engine.handle_command(running.now(), Command::Stop);
    effects.finish(&mut running).await;
    running.audit.stop();
    running.events.stop();
    if let Some(pumps) = running.pumps.take() {
        pumps.stop();
    }
}

/// What the keys process tells. That it is another one is an alarm: it ended, or was ended.
fn hear(running: &mut Running, told: Told) {
    let before = running.fetchers.restarts();
    let deliveries = running.fetchers.hear(told);
    deliver(running, deliveries);
    if running.fetchers.restarts() > before {
        let text = "the keys process ended and was started again: the log says how; QKD keys come again";
        running.events.record(Draft::new(EventKind::Alarm, text));
    }
}

/// What is asked of the keys process and comes to nothing; if it stands still the keeper is to start another.
fn look_at_keys(running: &mut Running) {
    if running.fetchers.is_silent() {
        let keeper = running.keeper.clone();
        // What came of it is told by the next one that begins.
        tokio::spawn(async move { drop(keeper.ask(Ask::RenewKeys).await) });
    }
    let overdue = running.fetchers.overdue();
    deliver(running, overdue);
}

fn deliver(running: &mut Running, deliveries: Vec<KeyDelivery>) {
    for delivery in deliveries {
        running.engine.handle_keys(running.now(), delivery);
    }
}

/// Before effects are drained: what may not be done without an audit is not begun.
fn look_at_audit(running: &mut Running) {
    let now = running.now();
    if let Some(draft) = running.audit.look(&mut running.engine, now) {
        running.events.record(draft);
    }
}

/// Intervals follow the keys that there are.
fn look_at_budget(running: &mut Running) {
    let now = running.now();
    for (peer, draft) in running.pacing.look(now, &running.fetchers, &mut running.engine) {
        let name = running.peer_names.get(&peer).map_or("", String::as_str);
        running.events.record(draft.peer(name));
    }
}

/// Until the engine's next deadline, at most [`SLEEP_MAX`]: the runtime's timer does not count suspend.
fn pause(running: &Running) -> Duration {
    let now = running.now();
    let due = running.engine.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
    due.since(now.at).clamp(SLEEP_MIN, SLEEP_MAX)
}

fn signalled(running: &mut Running, reloads: &mut Reloads, signalled: Signalled) -> Course {
    match signalled {
        Signalled::Rekey => running.engine.handle_command(running.now(), Command::Rekey(None)),
        Signalled::Reload => reloads.begin(running, Wanted::File, false, None),
        Signalled::Stop => return Course::Stop,
    }
    Course::GoOn
}

fn answer(running: &mut Running, waiters: &mut Waiters, live: &Live, reloads: &mut Reloads, call: Call) -> Course {
    let now = running.now();
    match call.request {
        Request::Status => {
            let status = live::status(running, now);
            // A caller who has gone needs no answer.
            drop(call.answer.send(Answer::Status { status: Box::new(status) }));
        }
        Request::Live => {
            let live = Box::new(live.view(running).report);
            drop(call.answer.send(Answer::Live { live }));
        }
        Request::Rekey { peer, wait } => match which(running, peer.as_deref()) {
            Ok(which) => {
                let before = waiters.epochs(running, which);
                running.engine.handle_command(now, Command::Rekey(which));
                if wait {
                    waiters.add(before, call.answer);
                } else {
                    drop(call.answer.send(Answer::Done { text: "the rekey has begun".to_owned() }));
                }
            }
            Err(error) => drop(call.answer.send(Answer::Refused { error })),
        },
        Request::Events { since_seconds, after, last, wait } => {
            running.events.answer(Selection { since_seconds, after, last }, wait, call.answer);
        }
        Request::Reload { dry_run } => {
            reloads.begin(running, Wanted::File, dry_run, Some(call.answer));
        }
        Request::PeerAdd { sections, only_if, dry_run } => {
            change_peers(running, reloads, Wanted::Added { sections }, only_if, dry_run, call.answer);
        }
        Request::PeerRemove { peer, only_if, dry_run } => {
            change_peers(running, reloads, Wanted::Removed { peer }, only_if, dry_run, call.answer);
        }
        Request::PolicyOverride { peer, qkd, for_seconds, reason } => {
            let answer = match which(running, peer.as_deref()) {
                Ok(which) => overrides::begin(running, which, &qkd, for_seconds, &reason),
                Err(error) => Answer::Refused { error },
            };
            drop(call.answer.send(answer));
        }
        Request::PolicyEnd { peer } => {
            let answer = match which(running, peer.as_deref()) {
                Ok(which) => overrides::end(running, which),
                Err(error) => Answer::Refused { error },
            };
            drop(call.answer.send(answer));
        }
        Request::Stop => {
            drop(call.answer.send(Answer::Done { text: "stopping".to_owned() }));
            return Course::Stop;
        }
    }
    Course::GoOn
}

/// Begins to read what runs with one peer more or less, if the caller knows what runs.
fn change_peers(
    running: &Running,
    reloads: &mut Reloads,
    wanted: Wanted,
    only_if: Option<String>,
    dry_run: bool,
    answer: oneshot::Sender<Answer>,
) {
    let runs = HEXLOWER.encode(&sha256(running.text.as_bytes()));
    if only_if.is_some_and(|expected| expected != runs) {
        let name = &running.facts.interface;
        let error = format!(
            "the configuration file says something else than what runs: `plait reload {name} --dry-run` shows what; \
             reload first, or leave --save out"
        );
        // A caller who has gone needs no answer.
        drop(answer.send(Answer::Refused { error }));
        return;
    }
    reloads.begin(running, wanted, dry_run, Some(answer));
}

/// The peer of that name; none means all.
fn which(running: &Running, name: Option<&str>) -> Result<Option<PeerId>, String> {
    let Some(name) = name else { return Ok(None) };
    let found = running.peer_names.iter().find(|(_, known)| *known == name);
    found.map(|(id, _)| Some(*id)).ok_or_else(|| {
        let names: Vec<&str> = running.config.peers.iter().map(|peer| peer.name.as_str()).collect();
        format!("no peer {name:?} in this interface: there are {}", names.join(", "))
    })
}

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signalled {
    Reload,
    Rekey,
    Stop,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.term.recv() => Signalled::Stop,
            _ = self.int.recv() => Signalled::Stop,
            _ = self.usr1.recv() => Signalled::Rekey,
            _ = self.hup.recv() => Signalled::Reload,
        }
    }
}
