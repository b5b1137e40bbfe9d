//! What can be seen on this machine alone: configuration, files, TUN, routes.

use super::step::{Outcome, Step};
use crate::config::{Backend, Config};
use crate::control::report::StatusReport;
use crate::daemon::certificates;
use crate::daemon::load::{Loaded, load, read_config};
use crate::io::clock::Clock;
use crate::io::system::routes::{rival, routes};
use crate::io::tun;
use crate::types::offload::OffloadSet;

/// An interface that is there for a moment, to see whether one can be.
const TRIAL: &str = "doctor";

/// Configuration and files; what was loaded, if the rest of the chain can be looked at.
pub(super) fn files(file: &std::path::Path, steps: &mut Vec<Step>) -> Option<Loaded> {
    let (_, notes) = match read_config(file) {
        Ok(read) => read,
        Err(failure) => {
            steps.push(Step::new("configuration", Outcome::Failed, failure.text));
            return None;
        }
    };
    steps.push(match notes.as_slice() {
        [] => Step::new("configuration", Outcome::Ok, format!("{} is understood", file.display())),
        notes => Step::new("configuration", Outcome::Warning, notes.join("; ")),
    });
    let loaded = load(file).and_then(|loaded| {
        let notes = certificates::check(&loaded.file, &loaded.config, Clock::start().unix())?.remarks;
        Ok((loaded, notes))
    });
    match loaded {
        Ok((loaded, notes)) => {
            steps.push(match notes.as_slice() {
                [] => Step::new(
                    "files",
                    Outcome::Ok,
                    "keys and certificates can be read, and nobody else can read the secrets",
                ),
                notes => Step::new("files", Outcome::Warning, notes.join("; ")),
            });
            Some(loaded)
        }
        Err(failure) => {
            steps.push(Step::new("files", Outcome::Failed, failure.text));
            None
        }
    }
}

/// Whether there is, or could be, an interface.
pub(super) fn tun(config: &Config, status: Option<&StatusReport>) -> Step {
    let name = &config.interface.name;
    if let Some(status) = status {
        return Step::new("TUN", Outcome::Ok, format!("the daemon has the interface {name}, MTU {}", status.mtu));
    }
    // The tunnel's own name is not touched: its routes may be somebody's. Another doctor may look at the same time.
    match tun::open(&format!("{TRIAL}{}", std::process::id()), Backend::TunRs, OffloadSet::NONE, 1) {
        Ok(_) => Step::new("TUN", Outcome::Ok, "an interface can be made here"),
        Err(error) => Step::new("TUN", Outcome::Failed, error.to_string()),
    }
}

/// Routes of other interfaces that would take what is meant for the tunnel.
pub(super) fn routes_of(config: &Config) -> Step {
    let found = match routes() {
        Ok(found) => found,
        Err(error) => return Step::new("routes", Outcome::Skipped, format!("/proc cannot be read: {error}")),
    };
    let prefixes = config.peers.iter().flat_map(|peer| &peer.allowed_ips);
    let rivals: Vec<String> = prefixes
        .filter_map(|prefix| {
            let route = rival(&found, *prefix, &config.interface.name)?;
            Some(format!("{} goes through {}, which {prefix} meets", route.to, route.device))
        })
        .collect();
    if rivals.is_empty() {
        return Step::new("routes", Outcome::Ok, "no other interface takes what is meant for a peer");
    }
    let text = format!("{}: remove that route, or make allowed_ips longer", rivals.join("; "));
    Step::new("routes", Outcome::Warning, text)
}
