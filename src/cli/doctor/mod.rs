//! `plait doctor [NAME]`: the whole chain from the configuration to the traffic, and the first thing in it that is wrong.

mod kmes;
mod local;
mod running;
mod step;
mod way;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::step::{Outcome as StepOutcome, Step, first_cause};
use super::args::Places;
use super::exit::{Exit, Failure, Outcome};
use super::{kme, output};
use crate::control::request::{Answer, Request};
use crate::daemon::load::{CONFIG_DIR, config_path, interface_of};
use crate::io::control_client::{ANSWER_DEADLINE, CallError, call};
use crate::io::control_socket::running;

/// Number of the JSON's form.
const SCHEMA: u32 = 1;
/// Interfaces that are looked at if none is named.
const INTERFACES_MAX: usize = 64;

/// What was found at one interface.
#[derive(Serialize)]
struct Diagnosis<'d> {
    schema: u32,
    interface: &'d str,
    steps: &'d [Step],
    first_cause: Option<&'d Step>,
    keys_spent: u32,
}

/// Looks at one interface, or at all that run or are configured. Code 1 if a step failed.
pub(super) fn run(name: Option<&str>, json: bool, places: &Places) -> Outcome {
    let files = match name {
        Some(name) => vec![config_path(name)],
        None => all(&places.run_dir)?,
    };
    let mut has_failed = false;
    for file in files {
        output::talk(&format!("looking at {}: a few seconds, no key is spent", file.display()));
        let steps = kme::runtime()?.block_on(chain(&file, &places.run_dir));
        has_failed |= steps.iter().any(|step| step.outcome == StepOutcome::Failed);
        output::data(&shown(&interface_of(&file), &steps, json))?;
    }
    Ok(if has_failed { Exit::Failure } else { Exit::Ok })
}

/// The same at one interface, as JSON.
///
/// # Errors
/// The system gives no threads.
pub(super) fn found(file: &Path, run_dir: &Path) -> Result<String, Failure> {
    let steps = kme::runtime()?.block_on(chain(file, run_dir));
    Ok(shown(&interface_of(file), &steps, true))
}

fn shown(interface: &str, steps: &[Step], json: bool) -> String {
    let first_cause = first_cause(steps);
    if json {
        let diagnosis = Diagnosis { schema: SCHEMA, interface, steps, first_cause, keys_spent: 0 };
        return serde_json::to_string(&diagnosis).unwrap_or_default() + "\n";
    }
    let lines: String = steps.iter().map(Step::line).collect();
    let end = match first_cause {
        None => "nothing is wrong\n".to_owned(),
        Some(step) => {
            format!("look here first: {}", step.line().trim_start_matches(step.outcome.as_str()).trim_start())
        }
    };
    format!("{interface}\n{lines}{end}")
}

/// Every step, in the order in which each rests on those before it.
async fn chain(file: &Path, run_dir: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some(loaded) = local::files(file, &mut steps) else { return steps };
    let name = &loaded.config.interface.name;
    let asked = call(run_dir, name, &Request::Status, ANSWER_DEADLINE);
    let status = match &asked {
        Ok(Answer::Status { status }) => Some(status.as_ref()),
        Ok(_) | Err(_) => None,
    };
    let kmes = kmes::look_at_all(&loaded, status).await;
    steps.push(kmes.clock);
    steps.push(local::tun(&loaded.config, status));
    steps.push(local::routes_of(&loaded.config));
    steps.extend(way::ways(&loaded.config, status));
    steps.extend(kmes.steps);
    match status {
        Some(status) => {
            steps.extend(running::steps(status));
            steps.push(running::sandbox(run_dir, name, status));
        }
        None => steps.push(not_running(name, asked)),
    }
    steps
}

fn not_running(name: &str, asked: Result<Answer, CallError>) -> Step {
    match asked {
        Err(CallError::NotRunning { .. }) => {
            let text = format!("no daemon runs: plait up {name}; the peers can be looked at only then");
            Step::new("daemon", StepOutcome::Warning, text)
        }
        Err(CallError::Denied { .. }) => {
            Step::new("daemon", StepOutcome::Skipped, "its socket is for root: run as root")
        }
        Err(error @ CallError::Unreachable { .. }) => Step::new("daemon", StepOutcome::Failed, error.to_string()),
        Ok(_) => Step::new("daemon", StepOutcome::Failed, "gives another answer than a status"),
    }
}

/// The interfaces that run; if none does, those that are configured.
fn all(run_dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = running(run_dir).map_err(|error| Failure::io(run_dir.display(), &error))?;
    let mut files: Vec<PathBuf> = names.iter().map(|name| config_path(name)).collect();
    if files.is_empty() {
        let entries = std::fs::read_dir(CONFIG_DIR).into_iter().flatten().flatten().map(|entry| entry.path());
        files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
        files.sort();
    }
    files.truncate(INTERFACES_MAX);
    if files.is_empty() {
        let text = format!("no daemon runs and {CONFIG_DIR} holds no configuration; name one: plait doctor NAME|FILE");
        return Err(Failure::new(Exit::NotRunning, text));
    }
    Ok(files)
}
