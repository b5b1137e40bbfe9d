//! `plait status`: one look at the daemons that run, or a look again and again.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use super::ask::{ask, interface};
use super::exit::{Exit, Failure, Outcome};
use super::output;
use crate::control::report::{StatusReport, Urgency};
use crate::control::request::{Answer, Request};
use crate::control::text;
use crate::control::time::rough;
use crate::io::clock::Clock;
use crate::io::control_client::ANSWER_DEADLINE;
use crate::io::control_socket::running;

/// Home, and from there to the end cleared (ECMA-48 CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How a report is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Form {
    /// By the switch `--json`.
    pub(super) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// `plait status [NAME] [--json] [--watch TIME]`. The worst peer of all daemons asked decides the exit code.
pub(super) fn run(name: Option<&str>, form: Form, watch: Option<Duration>, run_dir: &Path) -> Outcome {
    let (shown, exit) = look(name, form, run_dir)?;
    let Some(interval) = watch else {
        output::data(&shown)?;
        return Ok(exit);
    };
    Watching { name, form, interval, run_dir }.go_on(shown)
}

/// `--watch`: ends when it is interrupted, or when nobody reads any more.
struct Watching<'a> {
    name: Option<&'a str>,
    form: Form,
    interval: Duration,
    run_dir: &'a Path,
}

impl Watching<'_> {
    fn go_on(&self, mut last: String) -> Outcome {
        let clock = Clock::start();
        let mut seen = clock.now();
        let mut shown = last.clone();
        loop {
            if !self.show(&shown)? {
                return Ok(Exit::Ok);
            }
            std::thread::park_timeout(self.interval);
            shown = match look(self.name, self.form, self.run_dir) {
                Ok((text, _)) => {
                    (last, seen) = (text, clock.now());
                    last.clone()
                }
                // A daemon that restarts is no reason to stop looking; what it said last is shown with its age.
                Err(failure) => self.stale(&failure, &last, clock.now().since(seen)),
            };
        }
    }

    fn show(&self, text: &str) -> Result<bool, Failure> {
        let clear = if self.form == Form::Text && stdout().is_terminal() { CLEAR } else { "" };
        output::data_wanted(&format!("{clear}{text}"))
    }

    /// For people the last report under a line that says how old it is; for scripts nothing: no line is better than an old one.
    fn stale(&self, failure: &Failure, last: &str, age: Duration) -> String {
        match self.form {
            Form::Json => {
                output::talk(&format!("plait: {failure}"));
                String::new()
            }
            Form::Text => format!("NO ANSWER: {failure}\nSTALE, {} old:\n{last}", rough(age.as_secs_f64())),
        }
    }
}

/// What is to be shown, and the exit code that it deserves.
fn look(name: Option<&str>, form: Form, run_dir: &Path) -> Result<(String, Exit), Failure> {
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
        shown.push_str(&match form {
            Form::Json => as_json(&report)?,
            Form::Text => text::status(&report, Clock::start().unix()),
        });
    }
    let exit = match worst {
        Urgency::None => Exit::Ok,
        Urgency::Soon => Exit::Degraded,
        Urgency::Now => Exit::Failure,
    };
    Ok((shown, exit))
}

pub(super) fn report(name: &str, run_dir: &Path) -> Result<StatusReport, Failure> {
    if let Answer::Status { status } = ask(name, run_dir, &Request::Status, ANSWER_DEADLINE)? {
        return Ok(*status);
    }
    Err(Failure::new(Exit::Unreachable, format!("the daemon of {name} gave another answer than a status")))
}

fn as_json(report: &StatusReport) -> Result<String, Failure> {
    let line = serde_json::to_string(report);
    line.map(|line| line + "\n").map_err(|error| Failure::new(Exit::Failure, format!("no JSON: {error}")))
}
