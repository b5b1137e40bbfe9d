//! `plait check NAME|FILE`: everything `up` would refuse, found without touching the system.

use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::daemon::certificates;
use crate::daemon::load::{LoadFailure, Loaded, config_path, load};
use crate::io::clock::Clock;

/// Says what is wrong, or that nothing is.
pub(super) fn run(name_or_file: &str) -> Outcome {
    let loaded = checked(name_or_file)?;
    output::data(&summary(&loaded))
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
