//! `plait reload`: a running daemon takes what is another in its configuration, or says why it does not.

use std::path::Path;
use std::time::Duration;

use super::ask::{ask, interface};
use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::status::Form;
use crate::control::reload::{ReloadReport, text};
use crate::control::request::{Answer, Request};

/// A configuration of thousands of peers is read and its routes are set within this time.
pub(super) const RELOAD_DEADLINE: Duration = Duration::from_secs(60);

/// `plait reload NAME [--dry-run] [--json]`.
pub(super) fn run(name: &str, dry_run: bool, form: Form, run_dir: &Path) -> Outcome {
    change(name, &Request::Reload { dry_run }, form, run_dir).map(|_| Exit::Ok)
}

/// Asks for a change of the configuration and prints what came of it.
pub(super) fn change(name: &str, request: &Request, form: Form, run_dir: &Path) -> Result<ReloadReport, Failure> {
    let Answer::Reloaded { report } = ask(&interface(name)?, run_dir, request, RELOAD_DEADLINE)? else {
        return Err(Failure::new(Exit::Unreachable, format!("the daemon of {name} gave another answer than expected")));
    };
    let shown = match form {
        Form::Text => text(&report),
        Form::Json => {
            let line = serde_json::to_string(&report);
            line.map_err(|error| Failure::new(Exit::Failure, format!("no JSON: {error}")))? + "\n"
        }
    };
    output::data(&shown)?;
    Ok(*report)
}
