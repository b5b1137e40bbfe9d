//! `plait check NAME|FILE`: everything `up` would refuse, found without touching the system; and what the KMEs say.

use super::exit::{Exit, Failure, Outcome};
use super::kme::target::of_setup;
use super::kme::test::connection::{Looked, look};
use super::kme::test::grade::{Findings, Grade};
use super::kme::test::report::line;
use super::{kme, output};
use crate::config::Config;
use crate::daemon::certificates;
use crate::daemon::load::{LoadFailure, Loaded, config_path, load};
use crate::daemon::setup::{self, PeerSource};
use crate::io::clock::Clock;
use crate::io::system::routes::{Route, rival, routes};

/// Says what is wrong, or that nothing is.
pub(super) fn run(name_or_file: &str, online: bool) -> Outcome {
    let loaded = checked(name_or_file)?;
    routes_met(&loaded);
    output::data(&summary(&loaded))?;
    if online { kme::runtime()?.block_on(ask_kmes(&loaded)) } else { Ok(Exit::Ok) }
}

/// Says which of this machine's routes would take what is meant for a peer.
fn routes_met(loaded: &Loaded) {
    let Config { interface, peers, .. } = &loaded.config;
    // Where /proc is not to be read there is nothing to say.
    let Ok(routes) = routes() else { return };
    for prefix in peers.iter().flat_map(|peer| &peer.allowed_ips) {
        if let Some(Route { to, device }) = rival(&routes, *prefix, &interface.name) {
            let text = format!("allowed_ips: this machine has a route to {to} through {device}, which {prefix} meets");
            output::talk(&format!("plait: note: {text}: its packets would not go into the tunnel"));
        }
    }
}

/// Asks the KME of every source for its status, and shows what is not as it should be.
async fn ask_kmes(loaded: &Loaded) -> Outcome {
    let mut failed = Vec::new();
    for PeerSource { setup, .. } in setup::sources(loaded) {
        let name = setup.name.clone();
        output::talk(&format!("asking the KME of {name} at {}", setup.reach.url.authority()));
        let kme = of_setup(setup, loaded.file.display().to_string())?;
        let mut findings = Findings::default();
        let Looked { status, seen } = look(&kme, &mut findings).await;
        let shown = findings.checks.iter().filter(|check| check.result != Grade::Pass);
        output::data(&shown.map(|check| format!("  {name}  {}", line(check))).collect::<String>())?;
        if findings.first(Grade::Fail).is_some() {
            failed.push(name);
            continue;
        }
        let keys = status.and_then(|status| status.stored_key_count);
        let keys = keys.map_or_else(String::new, |keys| format!(", {keys} keys stored"));
        let tls = seen.map_or_else(String::new, |seen| format!(" over {}", seen.tls));
        output::data(&format!("  {name}: reached{tls}{keys}\n"))?;
    }
    if failed.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Failure, format!("not usable: {}", failed.join(", "))))
}

/// Loads configuration, keys and certificates; remarks go to stderr.
pub(super) fn checked(name_or_file: &str) -> Result<Loaded, Failure> {
    let loaded = load(&config_path(name_or_file)).map_err(failure)?;
    let remarks = certificates::check(&loaded, Clock::start().unix()).map_err(failure)?;
    for remark in loaded.warnings.iter().chain(&remarks) {
        output::talk(&format!("plait: note: {remark}"));
    }
    Ok(loaded)
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
