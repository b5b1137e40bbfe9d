//! `plait audit show|verify|export`: which traffic was protected by which keys, and whether that is what was written.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::AuditCommand;
use super::ask::interface;
use super::exit::{Exit, Failure, Outcome};
use super::output;
use super::status::Form;
use crate::control::audit::chain::read_line;
use crate::control::audit::table::{Row, Table};
use crate::control::audit::verify::{Verdict, Verifier};
use crate::control::time::parse_rfc3339;
use crate::io::audit_file::AuditReader;
use crate::io::clock::Clock;
use crate::io::state::StateDir;

/// Shows, checks or exports. No daemon is needed.
pub(super) fn run(command: &AuditCommand, state_dir: &Path) -> Outcome {
    let (AuditCommand::Show { name, .. } | AuditCommand::Verify { name, .. } | AuditCommand::Export { name }) = command;
    let audit = Audit::of(interface(name)?, state_dir);
    match command {
        AuditCommand::Show { since, json, .. } => audit.show(*since, Form::of(*json)),
        AuditCommand::Verify { json, .. } => audit.verify(Form::of(*json)),
        AuditCommand::Export { .. } => audit.export(),
    }
}

/// What `verify --json` prints.
///
/// # Errors
/// There is no audit, or it cannot be read.
pub(super) fn verified(name: &str, state_dir: &Path) -> Result<String, Failure> {
    let audit = Audit::of(name.to_owned(), state_dir);
    audit.as_json(&audit.look_twice()?)
}

/// The audit of one interface.
struct Audit {
    name: String,
    folder: String,
    reader: AuditReader,
}

/// What `verify --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    interface: &'a str,
    ok: bool,
    lines: u64,
    last: u64,
    last_hash: &'a str,
    faults: Vec<Named<'a>>,
    faults_more: u64,
}

#[derive(Serialize)]
struct Named<'a> {
    place: &'a str,
    text: &'a str,
}

impl Audit {
    fn of(name: String, state_dir: &Path) -> Self {
        let state = StateDir::of(state_dir, &name);
        Self { folder: state.folder().display().to_string(), reader: AuditReader::of(&state), name }
    }

    fn show(&self, since: Option<Duration>, form: Form) -> Outcome {
        let now = Clock::start().unix_millis();
        let oldest = since.map(|since| now.0.saturating_sub(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
        let is_wanted = |row: &Row| {
            let moment = row.last_moment().and_then(parse_rfc3339);
            oldest.is_none_or(|oldest| moment.is_none_or(|moment| moment.0 >= oldest))
        };
        let (mut table, mut text, mut unreadable) = (Table::default(), String::new(), 0);
        let mut add = |rows: Vec<Row>| {
            for row in rows.iter().filter(|row| is_wanted(row)) {
                text.push_str(&match form {
                    Form::Text => row.to_text(),
                    Form::Json => serde_json::to_string(row).map(|line| line + "\n").unwrap_or_default(),
                });
            }
        };
        self.lines(|_, line| match read_line(line) {
            Some(line) => add(table.add(line.record)),
            None => unreadable += 1,
        })?;
        add(table.rest());
        if unreadable > 0 {
            output::talk(&format!(
                "plait: {unreadable} lines cannot be read; `plait audit verify {}` names them",
                self.name
            ));
        }
        output::data(&text)
    }

    fn verify(&self, form: Form) -> Outcome {
        let verdict = self.look_twice()?;
        let is_ok = verdict.faults.is_empty();
        output::data(&match form {
            Form::Json => self.as_json(&verdict)?,
            Form::Text => self.as_text(&verdict),
        })?;
        Ok(if is_ok { Exit::Ok } else { Exit::Failure })
    }

    /// While a daemon writes, a file may get another name between two looks: what is wrong stays wrong.
    fn look_twice(&self) -> Result<Verdict, Failure> {
        let verdict = self.look()?;
        if verdict.faults.is_empty() { Ok(verdict) } else { self.look() }
    }

    fn look(&self) -> Result<Verdict, Failure> {
        let mut verifier = Verifier::new(self.reader.head().map_err(|error| Failure::io(&self.folder, &error))?);
        self.lines(|place, line| verifier.line(place, line))?;
        // What was written meanwhile is behind the first head, not behind the second.
        let head = self.reader.head().map_err(|error| Failure::io(&self.folder, &error))?;
        Ok(verifier.finish(head.as_ref()))
    }

    /// All lines as they are: another machine can keep them, and check each with `sha256sum`.
    fn export(&self) -> Outcome {
        let mut text = String::new();
        self.lines(|_, line| {
            text.push_str(line);
            text.push('\n');
        })?;
        output::data(&text)
    }

    fn lines(&self, each: impl FnMut(&str, &str)) -> Result<(), Failure> {
        let files = self.reader.lines(each).map_err(|error| Failure::io(&self.folder, &error))?;
        let is_known = files > 0 || self.reader.head().is_ok_and(|head| head.is_some());
        if is_known {
            return Ok(());
        }
        let text = format!("there is no audit of {} in {}", self.name, self.folder);
        Err(Failure::new(Exit::Failure, text))
    }

    fn as_text(&self, verdict: &Verdict) -> String {
        let mut text = String::new();
        for fault in &verdict.faults {
            let place = if fault.place.is_empty() { String::new() } else { format!("{}: ", fault.place) };
            text.push_str(&format!("FAULT: {place}{}\n", fault.text));
        }
        if verdict.faults_more > 0 {
            text.push_str(&format!("FAULT: {} more\n", verdict.faults_more));
        }
        let result = if verdict.faults.is_empty() { "as written" } else { "NOT as written" };
        let Verdict { lines, last, last_hash, .. } = verdict;
        text.push_str(&format!("{}: {lines} lines, {result}; the last is {last}, hash {last_hash}\n", self.name));
        text
    }

    fn as_json(&self, verdict: &Verdict) -> Result<String, Failure> {
        let faults = verdict.faults.iter().map(|fault| Named { place: &fault.place, text: &fault.text }).collect();
        let report = Report {
            schema: 1,
            interface: &self.name,
            ok: verdict.faults.is_empty(),
            lines: verdict.lines,
            last: verdict.last,
            last_hash: &verdict.last_hash,
            faults,
            faults_more: verdict.faults_more,
        };
        let line = serde_json::to_string(&report);
        line.map(|line| line + "\n").map_err(|error| Failure::new(Exit::Failure, format!("no JSON: {error}")))
    }
}
