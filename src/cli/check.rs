//! `plait check NAME|FILE`: everything `up` would refuse, found without touching the system; and what the KMEs say.

use std::path::Path;

use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::kme::target::of_setup;
use super::kme::test::connection::{Looked, look};
use super::kme::test::grade::{Check, Findings, Grade};
use super::kme::test::report::line;
use super::status::Form;
use super::{kme, output, up};
use crate::config::{Config, Peer};
use crate::control::forecast::{Demand, Means};
use crate::control::report::StatusReport;
use crate::control::request::{Answer, Request};
use crate::daemon::load::{LoadFailure, Loaded, config_path, load};
use crate::daemon::setup::{self, PeerSource};
use crate::daemon::start::plan_of;
use crate::daemon::{certificates, kill_switch};
use crate::io::clock::Clock;
use crate::io::control_client::{ANSWER_DEADLINE, call};
use crate::io::system::routes::{Route, rival, routes};
use crate::types::policy::QkdPolicy;

/// Number of the JSON's form.
const SCHEMA: u32 = 1;

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    schema: u32,
    file: String,
    ok: bool,
    faults: Vec<String>,
    notes: Vec<String>,
    fingerprint: Option<String>,
    peers: Vec<PeerLine>,
    sources: usize,
    kmes: Vec<KmeLine>,
}

#[derive(Serialize)]
struct PeerLine {
    name: String,
    fingerprint: String,
    qkd: &'static str,
}

/// What came of a look at the KME of one source.
#[derive(Serialize)]
struct KmeLine {
    source: String,
    ok: bool,
    tls: Option<String>,
    stored_keys: Option<u64>,
    checks: Vec<Check>,
}

/// Says what is wrong, or that nothing is.
pub(super) fn run(name_or_file: &str, online: bool, form: Form, run_dir: &Path) -> Outcome {
    let (loaded, notes) = match checked(name_or_file) {
        Ok(checked) => checked,
        Err(failure) if form == Form::Json => {
            let faults = failure.text.lines().map(str::to_owned).collect();
            output::data(&to_json(&Report { faults, ..Report::new(name_or_file) }))?;
            return Ok(failure.exit);
        }
        Err(failure) => return Err(failure),
    };
    if form == Form::Text {
        for note in &notes {
            output::talk(&format!("plait: note: {note}"));
        }
        output::data(&summary(&loaded))?;
    }
    let kmes = if online { kme::runtime()?.block_on(ask_kmes(&loaded, form, run_dir))? } else { Vec::new() };
    let failed: Vec<String> = kmes.iter().filter(|kme| !kme.ok).map(|kme| kme.source.clone()).collect();
    if form == Form::Json {
        output::data(&to_json(&Report::of(&loaded, notes, kmes)))?;
    }
    if failed.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Failure, format!("not usable: {}", failed.join(", "))))
}

impl Report {
    fn new(name_or_file: &str) -> Self {
        Self {
            schema: SCHEMA,
            file: config_path(name_or_file).display().to_string(),
            ok: false,
            faults: Vec::new(),
            notes: Vec::new(),
            fingerprint: None,
            peers: Vec::new(),
            sources: 0,
            kmes: Vec::new(),
        }
    }

    fn of(loaded: &Loaded, notes: Vec<String>, kmes: Vec<KmeLine>) -> Self {
        let configured = &loaded.config.peers;
        let peers = configured.iter().zip(&loaded.peers).map(|(peer, keys)| PeerLine {
            name: peer.name.clone(),
            fingerprint: keys.public.fp().to_string(),
            qkd: peer.policy.qkd.as_str(),
        });
        let unusable = kmes.iter().filter(|kme| !kme.ok).map(|kme| format!("{}: its KME is not usable", kme.source));
        Self {
            ok: kmes.iter().all(|kme| kme.ok),
            faults: unusable.collect(),
            notes,
            fingerprint: Some(loaded.me.fp().to_string()),
            peers: peers.collect(),
            sources: configured.iter().map(|peer| peer.sources.len()).sum(),
            kmes,
            ..Self::new(&loaded.file.display().to_string())
        }
    }
}

fn to_json(report: &Report) -> String {
    // It holds only texts, numbers and lists: there is nothing that JSON cannot say.
    serde_json::to_string(report).unwrap_or_default() + "\n"
}

/// Which of this machine's routes would take what is meant for a peer.
fn routes_met(loaded: &Loaded) -> Vec<String> {
    let Config { interface, peers, .. } = &loaded.config;
    // Where /proc is not to be read there is nothing to say.
    let Ok(routes) = routes() else { return Vec::new() };
    let met = |prefix| {
        let Route { to, device } = rival(&routes, prefix, &interface.name)?;
        let text = format!("allowed_ips: this machine has a route to {to} through {device}, which {prefix} meets");
        Some(format!("{text}: its packets would not go into the tunnel"))
    };
    peers.iter().flat_map(|peer| &peer.allowed_ips).filter_map(|prefix| met(*prefix)).collect()
}

/// Asks the KME of every source for its status, and shows what is not as it should be.
async fn ask_kmes(loaded: &Loaded, form: Form, run_dir: &Path) -> Result<Vec<KmeLine>, Failure> {
    let mut kmes = Vec::new();
    let running = daemon_status(&loaded.config.interface.name, run_dir);
    for PeerSource { peer, setup, .. } in setup::sources(&loaded.file, &loaded.config) {
        let name = setup.name.clone();
        output::talk(&format!("asking the KME of {name} at {}", setup.reach.url.authority()));
        let kme = of_setup(setup, loaded.file.display().to_string())?;
        let mut findings = Findings::default();
        let Looked { status, seen } = look(&kme, &mut findings).await;
        let stored = status.as_ref().and_then(|status| status.stored_key_count);
        if let Some(peer) = loaded.config.peers.get(usize::from(peer.0)) {
            budget(peer, &name, stored, running.as_deref(), &mut findings);
        }
        let found = KmeLine {
            source: name,
            ok: findings.first(Grade::Fail).is_none(),
            tls: seen.map(|seen| seen.tls),
            stored_keys: stored,
            checks: findings.checks,
        };
        if form == Form::Text {
            output::data(&found.text())?;
        }
        kmes.push(found);
    }
    Ok(kmes)
}

/// What the daemon of this interface knows, if one runs and answers.
fn daemon_status(interface: &str, run_dir: &Path) -> Option<Box<StatusReport>> {
    match call(run_dir, interface, &Request::Status, ANSWER_DEADLINE) {
        Ok(Answer::Status { status }) => Some(status),
        Ok(_) | Err(_) => None,
    }
}

/// Warns if the intervals of this configuration ask for more keys than come, as far as a running daemon knows what comes.
fn budget(peer: &Peer, source: &str, stored: Option<u64>, running: Option<&StatusReport>, into: &mut Findings) {
    const NAME: &str = "key budget";
    let policy = &peer.policy;
    if policy.rekey_min.is_some() || policy.qkd == QkdPolicy::Off {
        return;
    }
    let demand = Demand::fixed(policy.rekey.as_secs(), policy.full.as_secs());
    let known = running.iter().flat_map(|status| &status.sources);
    let known = known.clone().find(|known| known.peer == peer.name && known.name == source);
    let text = match known.filter(|known| known.rate_in_per_second.is_some()) {
        Some(known) => demand.overdraws(Means::of(known)),
        None => stored.filter(|stored| *stored > 0).and_then(|stored| demand.is_nearly_empty(stored)),
    };
    if let Some(text) = text {
        into.warn(NAME, "", text);
    }
}

impl KmeLine {
    fn text(&self) -> String {
        let name = &self.source;
        let shown = self.checks.iter().filter(|check| check.result != Grade::Pass);
        let mut text: String = shown.map(|check| format!("  {name}  {}", line(check))).collect();
        if self.ok {
            let keys = self.stored_keys.map_or_else(String::new, |keys| format!(", {keys} keys stored"));
            let tls = self.tls.as_ref().map_or_else(String::new, |tls| format!(" over {tls}"));
            text.push_str(&format!("  {name}: reached{tls}{keys}\n"));
        }
        text
    }
}

/// Loads configuration, keys and certificates; what is allowed and probably not meant comes with it.
fn checked(name_or_file: &str) -> Result<(Loaded, Vec<String>), Failure> {
    let loaded = load(&config_path(name_or_file)).map_err(failure)?;
    plan_of(&loaded.config).map_err(up::failure)?;
    kill_switch::wanted(&loaded.config).map_err(up::failure)?;
    let remarks = certificates::check(&loaded.file, &loaded.config, Clock::start().unix()).map_err(failure)?.remarks;
    let notes = loaded.warnings.iter().cloned().chain(remarks).chain(routes_met(&loaded)).collect();
    Ok((loaded, notes))
}

fn failure(failure: LoadFailure) -> Failure {
    Failure::new(if failure.is_permission { Exit::Permission } else { Exit::Configuration }, failure.text)
}

fn summary(loaded: &Loaded) -> String {
    let peers = &loaded.config.peers;
    let sources: usize = peers.iter().map(|peer| peer.sources.len()).sum();
    let mut text = format!("{}: ok\n  this end: {}\n", loaded.file.display(), loaded.me.fp());
    for (peer, keys) in peers.iter().zip(&loaded.peers) {
        text.push_str(&format!("  peer {}: {}, policy {}\n", peer.name, keys.public.fp(), peer.policy.qkd.as_str()));
    }
    text.push_str(&format!("  {} peer(s), {sources} key source(s)\n", peers.len()));
    text
}
