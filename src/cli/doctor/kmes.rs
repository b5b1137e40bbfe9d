//! The KME of each source: its clock, the connection, whom it takes us for, and its keys. No key is spent.

use super::step::{Outcome, Step};
use crate::cli::kme::target::of_setup;
use crate::cli::kme::test::connection::look;
use crate::cli::kme::test::grade::{Check, Findings, Grade};
use crate::config::Config;
use crate::control::report::StatusReport;
use crate::daemon::load::Loaded;
use crate::daemon::setup::{self, PeerSource};
use crate::types::policy::QkdPolicy;

/// Checks of `plait kme test` that belong to a step.
const CONNECTION: [&str; 8] = [
    "our certificate",
    "reachable",
    "TLS",
    "key exchange",
    "KME certificate",
    "KME certificate's dates",
    "client certificate",
    "response time",
];
const IDENTITY: [&str; 3] = ["SAE ids", "status", "KME id"];
const KEYS: [&str; 3] = ["key size", "stock", "status members"];

/// What was found at all KMEs, in two parts: the clock comes early in the chain.
pub(super) struct Kmes {
    /// This machine's clock against theirs.
    pub(super) clock: Step,
    /// Three steps a source.
    pub(super) steps: Vec<Step>,
}

/// Asks every KME for its status.
pub(super) async fn look_at_all(loaded: &Loaded, status: Option<&StatusReport>) -> Kmes {
    let mut kmes =
        Kmes { clock: Step::new("clock", Outcome::Skipped, "no KME tells what time it is"), steps: Vec::new() };
    for PeerSource { peer, setup, .. } in setup::sources(&loaded.file, &loaded.config) {
        let (name, url) = (setup.name.clone(), setup.reach.url.authority());
        let kme = match of_setup(setup, name.clone()) {
            Ok(kme) => kme,
            Err(failure) => {
                kmes.steps.push(Step::new("KME connection", Outcome::Failed, failure.text).of(&name));
                continue;
            }
        };
        let mut findings = Findings::default();
        drop(look(&kme, &mut findings).await);
        if let Some(check) = findings.checks.iter().find(|check| check.name == "clock") {
            note_clock(&mut kmes.clock, check);
        }
        let is_needed = is_required(&loaded.config, usize::from(peer.0)) && !gives_keys(status, &name);
        let groups = [
            ("KME connection", &CONNECTION[..], format!("{url} is the expected KME, and lets us in")),
            ("KME identity", &IDENTITY[..], "it knows both SAEs by the ids of the configuration".to_owned()),
            ("KME keys", &KEYS[..], "keys of 256 bits are in stock".to_owned()),
        ];
        for (step, names, if_ok) in groups {
            kmes.steps.extend(group(step, names, &findings, if_ok, is_needed).map(|step| step.of(&name)));
        }
    }
    kmes
}

fn is_required(config: &Config, peer: usize) -> bool {
    config.peers.get(peer).is_some_and(|peer| peer.policy.qkd == QkdPolicy::Required)
}

/// Whether a key of the source is in use: KMEs that count otherwise say that they have none, and give them all the same.
fn gives_keys(status: Option<&StatusReport>, source: &str) -> bool {
    let epochs = status.iter().flat_map(|status| &status.peers).filter_map(|peer| peer.epoch.as_ref());
    epochs.flat_map(|epoch| &epoch.mixed).any(|mixed| mixed == source)
}

/// The worst clock counts.
fn note_clock(clock: &mut Step, check: &Check) {
    let outcome = outcome(check.result);
    if outcome > clock.outcome || clock.outcome == Outcome::Skipped {
        *clock = Step::new("clock", outcome, check.text.clone());
    }
}

fn outcome(grade: Grade) -> Outcome {
    match grade {
        Grade::Pass => Outcome::Ok,
        Grade::Warn => Outcome::Warning,
        Grade::Fail => Outcome::Failed,
    }
}

/// The worst check of the group; `None` if none was made, because of an earlier failure.
fn group(name: &'static str, checks: &[&str], findings: &Findings, if_ok: String, is_needed: bool) -> Option<Step> {
    let of_group = findings.checks.iter().filter(|check| checks.contains(&check.name));
    // Of equals the first: what comes after is often its consequence.
    let worst = of_group.rev().max_by_key(|check| check.result)?;
    // An empty stock stops a tunnel that must have keys.
    let is_empty = worst.name == "stock" && worst.result == Grade::Warn && worst.text.contains("no key");
    let found = if is_empty && is_needed { Outcome::Failed } else { outcome(worst.result) };
    let text = if found == Outcome::Ok { if_ok } else { format!("{}: {}", worst.name, worst.text) };
    Some(Step::new(name, found, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_worst_checks_speaks_for_its_group() {
        let mut findings = Findings::default();
        assert_eq!(group("KME keys", &KEYS, &findings, "good".into(), true), None);
        findings.pass("key size", "6.1", "256");
        let found = group("KME keys", &KEYS, &findings, "good".into(), true).unwrap();
        assert_eq!((found.outcome, found.text.as_str()), (Outcome::Ok, "good"));
        findings.warn("stock", "6.1", "the KME says that it has no key");
        findings.warn("status members", "6.1", "missing");
        let outcome = |is_needed| group("KME keys", &KEYS, &findings, "good".into(), is_needed).unwrap();
        assert_eq!((outcome(true).outcome, outcome(false).outcome), (Outcome::Failed, Outcome::Warning));
        assert!(outcome(true).text.starts_with("stock"));
    }

    #[test]
    fn the_worst_clock_counts() {
        let mut clock = Step::new("clock", Outcome::Skipped, "");
        for (grade, expected) in
            [(Grade::Pass, Outcome::Ok), (Grade::Fail, Outcome::Failed), (Grade::Warn, Outcome::Failed)]
        {
            let check = Check { name: "clock", clause: "", result: grade, text: String::new() };
            note_clock(&mut clock, &check);
            assert_eq!(clock.outcome, expected);
        }
    }
}
