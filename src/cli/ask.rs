//! Verbs that ask a running daemon: `status`, `rekey`, `down`.

use std::path::Path;
use std::time::Duration;

use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::config::interface_name;
use crate::control::report::{StatusReport, Urgency};
use crate::control::request::{Answer, Request};
use crate::control::text;
use crate::daemon::limits::REKEY_WAIT;
use crate::daemon::load::{config_path, interface_of};
use crate::io::clock::Clock;
use crate::io::control_client::{ANSWER_DEADLINE, CallError, call};
use crate::io::control_socket::{lock_path, running};
use crate::io::lock::Lock;
use crate::types::time::Instant;

/// A daemon that was told to end has ended within this time, or something is wrong with it.
const DOWN_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at whether it has ended.
const DOWN_LOOK: Duration = Duration::from_millis(50);

/// The interface meant by `NAME|FILE`.
pub(super) fn interface(name_or_file: &str) -> Result<String, Failure> {
    let name = interface_of(&config_path(name_or_file));
    match interface_name(&name) {
        Some(_) => Ok(name),
        None => {
            let text = format!("{name_or_file:?} names no interface: expected 1 to 15 of a-z A-Z 0-9 _ = + . -");
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

/// `plait status [NAME] [--json]`. The worst peer of all daemons asked decides the exit code.
pub(super) fn status(name: Option<&str>, json: bool, run_dir: &Path) -> Outcome {
    let names = match name {
        Some(name) => vec![interface(name)?],
        None => running(run_dir).map_err(|error| Failure::io(run_dir.display(), &error))?,
    };
    if names.is_empty() {
        let text = format!("no daemon runs (looked in {})", run_dir.display());
        return Err(Failure::new(Exit::NotRunning, text));
    }
    let (mut shown, mut worst) = (String::new(), Urgency::None);
    for name in names {
        let report = report(&name, run_dir)?;
        worst = worst.max(report.urgency());
        shown.push_str(&if json { as_json(&report)? } else { text::status(&report, Clock::start().unix()) });
    }
    output::data(&shown)?;
    Ok(match worst {
        Urgency::None => Exit::Ok,
        Urgency::Soon => Exit::Degraded,
        Urgency::Now => Exit::Failure,
    })
}

fn report(name: &str, run_dir: &Path) -> Result<StatusReport, Failure> {
    match ask(name, run_dir, &Request::Status, ANSWER_DEADLINE)? {
        Answer::Status { status } => Ok(*status),
        Answer::Done { .. } | Answer::Refused { .. } => {
            Err(Failure::new(Exit::Unreachable, format!("the daemon of {name} gave another answer than a status")))
        }
    }
}

fn as_json(report: &StatusReport) -> Result<String, Failure> {
    let line = serde_json::to_string(report);
    line.map(|line| line + "\n").map_err(|error| Failure::new(Exit::Failure, format!("no JSON: {error}")))
}

/// `plait rekey NAME [PEER] [--wait]`.
pub(super) fn rekey(name: &str, peer: Option<String>, wait: bool, run_dir: &Path) -> Outcome {
    // The daemon gives up first, so that its words arrive.
    let deadline = if wait { REKEY_WAIT + ANSWER_DEADLINE } else { ANSWER_DEADLINE };
    let answer = ask(&interface(name)?, run_dir, &Request::Rekey { peer, wait }, deadline)?;
    if let Answer::Done { text } = answer {
        output::talk(&text);
    }
    Ok(Exit::Ok)
}

/// `plait down NAME`: returns when the daemon has ended.
pub(super) fn down(name: &str, run_dir: &Path) -> Outcome {
    let name = interface(name)?;
    ask(&name, run_dir, &Request::Stop, ANSWER_DEADLINE)?;
    let clock = Clock::start();
    while Lock::is_held(&lock_path(run_dir, &name)) {
        if clock.now().since(Instant::ZERO) > DOWN_DEADLINE {
            let text = format!("the daemon of {name} has not ended within {} s", DOWN_DEADLINE.as_secs());
            return Err(Failure::new(Exit::Failure, text));
        }
        std::thread::park_timeout(DOWN_LOOK);
    }
    Ok(Exit::Ok)
}

fn ask(name: &str, run_dir: &Path, request: &Request, deadline: Duration) -> Result<Answer, Failure> {
    let answer = call(run_dir, name, request, deadline).map_err(|error| {
        let exit = match error {
            CallError::NotRunning { .. } => Exit::NotRunning,
            CallError::Denied { .. } => Exit::Permission,
            CallError::Unreachable { .. } => Exit::Unreachable,
        };
        Failure::new(exit, error.to_string())
    })?;
    match answer {
        Answer::Refused { error } => Err(Failure::new(Exit::Failure, error)),
        Answer::Done { .. } | Answer::Status { .. } => Ok(answer),
    }
}
