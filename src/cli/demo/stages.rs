//! The stages, one after the other: each must hold within its time, or the demo ends and names it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::capture::Capture;
use super::files::{self, HOLD_LAST_SECONDS, INNER_B};
use super::network::Network;
use super::observe::Both;
use super::ping::Pings;
use super::progress::Progress;
use super::summary::{Broken, Proof, Report};
use crate::cli::lab::children::{Daemon, succeed};
use crate::cli::lab::folder::Folder;
use crate::cli::lab::pause::{Pause, now};

/// Time for a stage that waits for something.
const STAGE_WITHIN: Duration = Duration::from_secs(20);
/// Rekeys to watch.
const REKEYS: usize = 6;
/// How long nothing must pass while BLOCKED.
const BLOCKED_FOR: Duration = Duration::from_secs(3);

type Held = Result<(&'static str, String), Broken>;

/// Everything that runs; dropped in this order: traffic, daemons, namespaces, files.
struct Stage {
    pings: Option<Pings>,
    capture: Option<Capture>,
    daemons: Vec<Daemon>,
    network: Option<Network>,
    folder: Folder,
    pause: Pause,
    progress: Progress,
}

type Step = (&'static str, fn(&mut Stage) -> Held);

const STEPS: [Step; 7] = [
    ("files: certificates, identities, configurations", prepare),
    ("network: three namespaces, two KMEs, two daemons", start),
    ("tunnel: HYBRID at both ends", tunnel),
    ("rekeys: new keys every second under traffic", rekeys),
    ("cut: the quantum link is cut; HOLDOVER on the last keys", cut),
    ("blocked: time is up; BLOCKED, nothing passes", blocked),
    ("repair: the quantum link is back", repair),
];
const CLEAN_UP: &str = "clean-up: everything ends";

/// Runs them all.
pub(super) fn run(pause: Pause) -> Report {
    let begun = now();
    let mut report = Report { proofs: Vec::new(), broken: None, seconds: 0 };
    match Folder::create("demo") {
        Ok(folder) => play(folder, pause, &mut report),
        Err(error) => report.broken = Some(("folder", error.into())),
    }
    report.seconds = begun.elapsed().as_secs();
    report
}

fn play(folder: Folder, pause: Pause, report: &mut Report) {
    let progress = Progress::new();
    let daemons = Vec::new();
    let mut stage = Stage { pings: None, capture: None, daemons, network: None, folder, pause, progress };
    for (name, step) in STEPS {
        stage.progress.stage(name);
        match step(&mut stage) {
            Ok((claim, figures)) => report.proofs.push(Proof { claim, figures }),
            Err(broken) => {
                stage.progress.end();
                report.broken = Some((name, stage.explain(broken)));
                return;
            }
        }
    }
    stage.progress.stage(CLEAN_UP);
    match clean_up(stage) {
        Ok((claim, figures)) => report.proofs.push(Proof { claim, figures }),
        Err(broken) => report.broken = Some((CLEAN_UP, broken)),
    }
}

fn prepare(stage: &mut Stage) -> Held {
    files::write(&stage.folder)?;
    Ok((
        "both sites have an identity and a certificate",
        "1 CA, 2 KMEs, 2 SAEs, 2 ML-KEM-1024 + X25519 identities".to_owned(),
    ))
}

fn start(stage: &mut Stage) -> Held {
    let network = Network::create()?;
    let file = |name: &str| stage.folder.file(name).to_string_lossy().into_owned();
    let (pair, a, b) = (file("pair.toml"), file("site-a.toml"), file("site-b.toml"));
    stage.daemons.push(Daemon::start("kmes", &stage.folder, &network.kmes, &["kme", "serve", &pair])?);
    stage.daemons.push(Daemon::start("site-a", &stage.folder, &network.a, &["up", &a])?);
    stage.daemons.push(Daemon::start("site-b", &stage.folder, &network.b, &["up", &b])?);
    stage.capture = Some(Capture::start(&network.a)?);
    stage.network = Some(network);
    stage.wait("answers from both daemons", |both, _| both.a.state != "-" && both.b.state != "-")?;
    Ok((
        "two daemons and two KMEs run, in namespaces of their own",
        "mutual TLS between each site and its KME".to_owned(),
    ))
}

fn tunnel(stage: &mut Stage) -> Held {
    let begun = now();
    let both =
        stage.wait("HYBRID at both ends with the same check words", |both, _| both.are("HYBRID") && both.agree())?;
    let network = stage.network.as_ref().ok_or_else(|| failed("there is no network"))?;
    stage.pings = Some(Pings::start(&network.a, &network.b, INNER_B)?);
    stage.wait("an answered ping", |_, pings| pings.is_some_and(|pings| pings.answered() > 0))?;
    let words = both.a.words.unwrap_or_default();
    let figures =
        format!("after {:.1} s: {}; words {words} at both", begun.elapsed().as_secs_f64(), both.a.mixed.join(" + "));
    Ok(("one tunnel keyed by QKD, ML-KEM-1024 and X25519 together", figures))
}

fn rekeys(stage: &mut Stage) -> Held {
    let from = stage.sent();
    let (mut epochs, mut ids, mut agreed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    stage.wait("six rekeys with the same check words at both ends", |both, _| {
        epochs.extend(both.a.epoch);
        ids.extend(both.a.key_ids.iter().cloned());
        agreed.extend(both.a.epoch.filter(|_| both.agree()));
        agreed.len() > REKEYS
    })?;
    let (sent, lost) = stage.loss(from)?;
    if lost > 0 {
        return Err(failed(format!("{lost} of {sent} pings lost while keys changed")));
    }
    if ids.len() < epochs.len() {
        return Err(failed(format!("{} epochs, but only {} key_IDs", epochs.len(), ids.len())));
    }
    let figures = format!("{} rekeys, {} key_IDs, none twice; 0 of {sent} pings lost", epochs.len() - 1, ids.len());
    Ok(("keys change under traffic, each time with a fresh QKD key", figures))
}

fn cut(stage: &mut Stage) -> Held {
    succeed(&stage.folder, &["kme", "link", "pair", "down"], None)?;
    stage.wait("HOLDOVER at both ends", |both, _| both.are("HOLDOVER"))?;
    let from = stage.sent();
    let begun = now();
    while begun.elapsed() < Duration::from_secs(2) {
        stage.look()?;
    }
    let (sent, lost) = stage.loss(from)?;
    if lost > 0 {
        return Err(failed(format!("{lost} of {sent} pings lost in HOLDOVER")));
    }
    Ok(("no key, but time left: traffic goes on, with an alarm", format!("0 of {sent} pings lost in HOLDOVER")))
}

fn blocked(stage: &mut Stage) -> Held {
    stage.wait("BLOCKED at both ends", |both, _| both.are("BLOCKED"))?;
    stage.look()?;
    let (from, data) = (stage.sent(), stage.data());
    let begun = now();
    while begun.elapsed() < BLOCKED_FOR {
        stage.look()?;
    }
    let (sent, lost) = stage.loss(from)?;
    let (data, clear) = (stage.data() - data, stage.capture.as_ref().map_or(0, Capture::clear));
    if lost < sent || data > 0 || clear > 0 {
        let why =
            format!("{} of {sent} pings passed, {data} data packets and {clear} clear ones on the wan", sent - lost);
        return Err(failed(why));
    }
    let figures = format!("{lost} of {sent} pings stopped, 0 data packets, 0 bytes in clear on the wan");
    Ok(("no key and no time left: fail closed", figures))
}

fn repair(stage: &mut Stage) -> Held {
    succeed(&stage.folder, &["kme", "link", "pair", "up"], None)?;
    let begun = now();
    stage.wait("HYBRID at both ends", |both, _| both.are("HYBRID") && both.agree())?;
    let from = stage.sent();
    let seconds = begun.elapsed().as_secs_f64();
    stage.look()?;
    let again = now();
    while again.elapsed() < Duration::from_secs(1) {
        stage.look()?;
    }
    let (sent, lost) = stage.loss(from)?;
    if lost > 0 {
        return Err(failed(format!("{lost} of {sent} pings lost after the repair")));
    }
    let figures = format!("HYBRID {seconds:.1} s after the repair, 0 of {sent} pings lost since");
    Ok(("it comes back by itself", figures))
}

/// Ends everything in order, and looks whether anything stayed.
fn clean_up(mut stage: Stage) -> Held {
    let (frames, clear) = stage.capture.as_ref().map_or((0, 0), |capture| (capture.frames(), capture.clear()));
    if clear > 0 || frames == 0 {
        return Err(failed(format!("{clear} of {frames} frames on the wan were in clear")));
    }
    let path = stage.folder.path().to_owned();
    stage.pings = None;
    stage.capture = None;
    // The sites before the KMEs: they say goodbye to each other.
    for mut daemon in stage.daemons.drain(..).rev() {
        let status = daemon.end();
        if !status.is_some_and(|status| status.success()) {
            return Err(failed(format!("a daemon did not end cleanly: {status:?}\n{}", daemon.log_end())));
        }
    }
    drop(stage);
    if path.exists() {
        return Err(failed(format!("{} is still there", path.display())));
    }
    Ok((
        "on the wan: ciphertext only; afterwards: nothing",
        format!("{frames} frames, 0 in clear; 3 processes ended, no file left"),
    ))
}

fn failed(why: impl Into<String>) -> Broken {
    Broken::Failed(why.into())
}

impl Stage {
    /// One look at both ends, shown to the user.
    fn look(&mut self) -> Result<Both, Broken> {
        self.pause.tick()?;
        for daemon in &mut self.daemons {
            daemon.check()?;
        }
        let both = Both::ask(&self.folder);
        self.progress.show(&both, self.pings.as_ref());
        Ok(both)
    }

    /// Looks until `condition` holds; gives what was seen then.
    fn wait(&mut self, what: &str, mut condition: impl FnMut(&Both, Option<&Pings>) -> bool) -> Result<Both, Broken> {
        let begun = now();
        loop {
            let both = self.look()?;
            if condition(&both, self.pings.as_ref()) {
                return Ok(both);
            }
            if begun.elapsed() > STAGE_WITHIN + Duration::from_secs(HOLD_LAST_SECONDS) {
                return Err(failed(format!("no {what}, but {} and {}", both.a.state, both.b.state)));
            }
        }
    }

    fn sent(&self) -> usize {
        self.pings.as_ref().map_or(0, Pings::sent)
    }

    fn data(&self) -> usize {
        self.capture.as_ref().map_or(0, Capture::data)
    }

    /// Sent and lost since ping number `from`, with time for the last answers.
    fn loss(&mut self, from: usize) -> Result<(usize, usize), Broken> {
        let to = self.sent();
        self.look()?;
        self.look()?;
        Ok(self.pings.as_ref().map_or((0, 0), |pings| pings.lost(from, to)))
    }

    /// A failure with the end of each daemon's log: the folder goes, and with it the logs.
    fn explain(&self, broken: Broken) -> Broken {
        match broken {
            Broken::Interrupted => Broken::Interrupted,
            Broken::Failed(why) => {
                let logs = self.daemons.iter().map(|daemon| format!("\n-- {}:\n{}", daemon.name(), daemon.log_end()));
                Broken::Failed(logs.fold(why, |text, log| text + &log))
            }
        }
    }
}
