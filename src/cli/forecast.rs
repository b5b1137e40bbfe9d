//! `plait forecast NAME`: how long the stored keys last, and what follows; no key is spent and nobody is asked but the daemon.

use std::path::Path;

use super::ask::interface;
use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::status::{Form, report};
use crate::control::forecast::{forecast, text};
use crate::control::time::rfc3339;
use crate::io::clock::Clock;

/// Reckons from what the daemon says at this moment.
pub(super) fn run(name: &str, form: Form, run_dir: &Path) -> Outcome {
    let status = report(&interface(name)?, run_dir)?;
    let forecast = forecast(&status, rfc3339(Clock::start().unix()));
    let shown = match form {
        Form::Text => text(&forecast),
        Form::Json => {
            let line = serde_json::to_string(&forecast);
            line.map_err(|error| Failure::new(Exit::Failure, format!("no JSON: {error}")))? + "\n"
        }
    };
    output::data(&shown)
}
