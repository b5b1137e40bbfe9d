//! Verbs that ask a running daemon: `rekey`, `down`; and how every verb asks one.

use std::path::Path;
use std::time::Duration;

use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::config::interface_name;
use crate::control::reload::Blame;
use crate::control::request::{Answer, Request};
use crate::daemon::kill_switch;
use crate::daemon::limits::REKEY_WAIT;
use crate::daemon::load::{config_path, interface_of};
use crate::io::clock::Clock;
use crate::io::control_client::{ANSWER_DEADLINE, CallError, call};
use crate::io::control_socket::lock_path;
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

/// `plait down NAME [--open]`: returns when the daemon has ended.
pub(super) fn down(name: &str, open: bool, run_dir: &Path) -> Outcome {
    let name = interface(name)?;
    match stop(&name, run_dir) {
        Err(failure) if open && failure.exit == Exit::NotRunning => {}
        stopped => stopped?,
    }
    if !open {
        return Ok(Exit::Ok);
    }
    let stood = kill_switch::open(&name).map_err(|text| Failure::new(Exit::Failure, text))?;
    output::talk(if stood { "the kill switch is taken away" } else { "there was no kill switch" });
    Ok(Exit::Ok)
}

fn stop(name: &str, run_dir: &Path) -> Result<(), Failure> {
    ask(name, run_dir, &Request::Stop, ANSWER_DEADLINE)?;
    let clock = Clock::start();
    while Lock::is_held(&lock_path(run_dir, name)) {
        if clock.now().since(Instant::ZERO) > DOWN_DEADLINE {
            let text = format!("the daemon of {name} has not ended within {} s", DOWN_DEADLINE.as_secs());
            return Err(Failure::new(Exit::Failure, text));
        }
        std::thread::park_timeout(DOWN_LOOK);
    }
    Ok(())
}

/// One question to the daemon of that name.
pub(super) fn ask(name: &str, run_dir: &Path, request: &Request, deadline: Duration) -> Result<Answer, Failure> {
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
        Answer::NotReloaded { blame, error } => Err(Failure::new(exit_of(blame), error)),
        Answer::Done { .. }
        | Answer::Events { .. }
        | Answer::Live { .. }
        | Answer::Reloaded { .. }
        | Answer::Status { .. } => Ok(answer),
    }
}

fn exit_of(blame: Blame) -> Exit {
    match blame {
        Blame::Configuration => Exit::Configuration,
        Blame::Permission => Exit::Permission,
        Blame::Request | Blame::Restart | Blame::System => Exit::Failure,
    }
}
