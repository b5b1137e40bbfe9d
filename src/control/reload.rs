//! What a reload changes or would change, for people and for scripts.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Number of this form.
pub const RELOAD_SCHEMA: u32 = 1;

/// One reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// [`RELOAD_SCHEMA`].
    pub schema: u32,
    /// Name of the interface.
    pub interface: String,
    /// Nothing was done: it was only asked what would be.
    pub dry_run: bool,
    /// What is another, in the order in which it was looked at.
    pub changes: Vec<Change>,
    /// What is allowed and probably not meant, one sentence each.
    pub warnings: Vec<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind.
    pub kind: ChangeKind,
    /// Name of the peer concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Name of the key source concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// For a person: what it was and what it is.
    pub text: String,
}

/// Kinds of [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A peer came.
    PeerAdded,
    /// A peer went.
    PeerRemoved,
    /// A peer's section says something else, or a key file of it.
    PeerChanged,
    /// A key source came.
    SourceAdded,
    /// A key source went.
    SourceRemoved,
    /// A key source's section says something else.
    SourceChanged,
    /// The files of a key source hold something else.
    SourceFiles,
    /// The interface: addresses, MTU, table, port.
    Interface,
    /// The status page is elsewhere.
    StatusPage,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The configuration or a file that it names.
    Configuration,
    /// A right is missing, or too many have one.
    Permission,
    /// What was asked for cannot be.
    Request,
    /// It cannot be changed while the daemon runs.
    Restart,
    /// The system refused something; what had been done was taken back.
    System,
}

impl Change {
    /// Of the interface.
    pub fn new(kind: ChangeKind, text: impl Into<String>) -> Self {
        Self { kind, peer: None, source: None, text: text.into() }
    }

    /// Of a peer.
    #[must_use]
    pub fn of_peer(self, name: &str) -> Self {
        Self { peer: Some(name.to_owned()), ..self }
    }

    /// Of a source.
    #[must_use]
    pub fn of_source(self, name: &str) -> Self {
        Self { source: Some(name.to_owned()), ..self }
    }

    /// One line.
    pub fn line(&self) -> String {
        let mut line = String::new();
        for (what, name) in [("peer", &self.peer), ("source", &self.source)] {
            if let Some(name) = name {
                // Writing to a String cannot fail.
                let _ = write!(line, "{what} {name}: ");
            }
        }
        line + &self.text
    }
}

/// For a person: one line a change.
pub fn text(report: &ReloadReport) -> String {
    let mut text: String = report.warnings.iter().map(|warning| format!("note: {warning}\n")).collect();
    if report.changes.is_empty() {
        text.push_str("nothing is another: every file was read again\n");
    }
    text.extend(report.changes.iter().map(|change| change.line() + "\n"));
    if report.dry_run {
        text.push_str("nothing was done (--dry-run)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_one_line_a_change() {
        let added = Change::new(ChangeKind::PeerAdded, "added").of_peer("c");
        let files = Change::new(ChangeKind::SourceFiles, "another certificate").of_peer("b").of_source("fibre-1");
        let mut report = ReloadReport {
            schema: RELOAD_SCHEMA,
            interface: "hq".to_owned(),
            dry_run: false,
            changes: vec![added, files],
            warnings: Vec::new(),
        };
        assert_eq!(text(&report), "peer c: added\npeer b: source fibre-1: another certificate\n");
        report.changes.clear();
        report.dry_run = true;
        assert_eq!(text(&report), "nothing is another: every file was read again\nnothing was done (--dry-run)\n");
    }
}
