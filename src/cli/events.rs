//! `plait events`: what happened, from the daemon, or from its files when it does not run.

use std::path::Path;
use std::time::Duration;

use super::ask::{ask, interface};
use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::status::Form;
use crate::control::event::Event;
use crate::control::event_text;
use crate::control::recent::is_within;
use crate::control::request::{Answer, Request};
use crate::daemon::limits::EVENTS_WAIT;
use crate::io::clock::Clock;
use crate::io::control_client::ANSWER_DEADLINE;
use crate::io::event_file::read_events;
use crate::io::state::StateDir;

/// Between two looks for a daemon that has ended, or that has no place for one more who waits.
const AGAIN: Duration = Duration::from_secs(1);

/// What is asked for on the command line.
pub(super) struct Wanted {
    pub(super) since: Option<Duration>,
    pub(super) follow: bool,
    pub(super) form: Form,
}

/// `plait events NAME [--since TIME] [--follow] [--json]`.
pub(super) fn run(name: &str, wanted: &Wanted, run_dir: &Path, state_dir: &Path) -> Outcome {
    let name = interface(name)?;
    let first = told(&name, wanted.since.map(|since| since.as_secs()), run_dir, state_dir)?;
    let last = first.last().map_or(0, |event| event.seq);
    let is_read = output::data_wanted(&shown(&first, wanted.form))?;
    if wanted.follow && is_read {
        return follow(&name, run_dir, last, wanted.form);
    }
    Ok(Exit::Ok)
}

/// All that is kept, by a daemon or in its files.
///
/// # Errors
/// There is neither, or it cannot be read.
pub(super) fn kept(name: &str, run_dir: &Path, state_dir: &Path) -> Result<Vec<Event>, Failure> {
    told(name, None, run_dir, state_dir)
}

fn told(name: &str, since: Option<u64>, run_dir: &Path, state_dir: &Path) -> Result<Vec<Event>, Failure> {
    match asked(name, run_dir, since, None, false) {
        Err(failure) if failure.exit == Exit::NotRunning => from_files(name, state_dir, since),
        other => other,
    }
}

/// Ends when it is interrupted, or when nobody reads any more.
fn follow(name: &str, run_dir: &Path, mut last: u64, form: Form) -> Outcome {
    let mut is_told = false;
    loop {
        match asked(name, run_dir, None, Some(last), true) {
            Ok(events) => {
                is_told = false;
                last = events.last().map_or(last, |event| event.seq);
                if !output::data_wanted(&shown(&events, form))? {
                    return Ok(Exit::Ok);
                }
            }
            Err(failure) if failure.exit == Exit::Permission => return Err(failure),
            Err(failure) => {
                if !std::mem::replace(&mut is_told, true) {
                    output::talk(&format!("plait: {failure}; waiting for it, Ctrl-C ends"));
                }
                std::thread::park_timeout(AGAIN);
            }
        }
    }
}

fn asked(
    name: &str,
    run_dir: &Path,
    since: Option<u64>,
    after: Option<u64>,
    wait: bool,
) -> Result<Vec<Event>, Failure> {
    // The daemon gives up first, so that its answer arrives.
    let deadline = if wait { EVENTS_WAIT + ANSWER_DEADLINE } else { ANSWER_DEADLINE };
    let request = Request::Events { since_seconds: since, after, last: None, wait };
    if let Answer::Events { events } = ask(name, run_dir, &request, deadline)? {
        return Ok(events);
    }
    Err(Failure::new(Exit::Unreachable, format!("the daemon of {name} gave another answer than events")))
}

fn from_files(name: &str, state_dir: &Path, since: Option<u64>) -> Result<Vec<Event>, Failure> {
    let state = StateDir::of(state_dir, name);
    let folder = state.folder().display().to_string();
    let events = read_events(&state).map_err(|error| Failure::io(&folder, &error))?.ok_or_else(|| {
        Failure::new(Exit::NotRunning, format!("no daemon runs for {name}, and none has left events in {folder}"))
    })?;
    output::talk(&format!("plait: no daemon runs for {name}: this is what it left in {folder}"));
    let now = Clock::start().unix_millis();
    Ok(events.into_iter().filter(|event| is_within(event, since, now)).collect())
}

fn shown(events: &[Event], form: Form) -> String {
    let line = |event: &Event| match form {
        Form::Text => event_text::line(event),
        // An event holds only texts and numbers: there is nothing that JSON cannot say.
        Form::Json => serde_json::to_string(event).map(|line| line + "\n").unwrap_or_default(),
    };
    events.iter().map(line).collect()
}
