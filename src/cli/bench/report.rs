//! All rows as a table for people and as JSON for scripts.

use serde_json::{Map, Value, json};

use super::machine::Machine;
use super::row::{Finding, Row};

/// What the bench found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// In the order of measuring.
    pub(super) rows: Vec<Row>,
    /// The user stopped it before the last row.
    pub(super) interrupted: bool,
}

impl Report {
    /// The table: groups as headings, one line a row.
    pub(super) fn text(&self) -> String {
        let Machine { processor, cores, kernel, plait } = &self.machine;
        let mut text = format!("plait {plait}, {processor}, {cores} cores, {kernel}\n");
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut group = "";
        for row in &self.rows {
            if row.group != group {
                group = row.group;
                text += &format!("\n{group}\n");
            }
            text += &format!("  {:width$}  {}\n", row.name, row.finding.text());
        }
        text
    }

    /// One object: `machine`, and `rows` with `figures`, `absent` or `failed`.
    pub(super) fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let all = json!({ "schema": 1, "machine": self.machine, "rows": rows, "interrupted": self.interrupted });
        format!("{all}\n")
    }

    /// Why the bench as a whole did not do what was asked.
    pub(super) fn failure(&self) -> Option<String> {
        if self.interrupted {
            return Some("stopped".to_owned());
        }
        let failed = |row: &&Row| matches!(row.finding, Finding::Failed(_));
        let failed: Vec<String> =
            self.rows.iter().filter(failed).map(|row| format!("{}: {}", row.group, row.name)).collect();
        (!failed.is_empty()).then(|| format!("failed: {}", failed.join("; ")))
    }
}

fn row(row: &Row) -> Value {
    let (key, finding) = match &row.finding {
        Finding::Figures(figures) => {
            let figures = figures.iter().map(|(value, unit)| (unit.key().to_owned(), json!(value)));
            ("figures", Value::Object(figures.collect::<Map<String, Value>>()))
        }
        Finding::Absent(why) => ("absent", json!(why)),
        Finding::Failed(why) => ("failed", json!(why)),
    };
    json!({ "group": row.group, "name": row.name, key: finding })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::row::Unit;

    fn report(last: Finding) -> Report {
        let machine = Machine { processor: "P".to_owned(), cores: 2, kernel: "Linux 6".to_owned(), plait: "1.2.3" };
        let figures = Finding::Figures(vec![(2.014, Unit::GigabytesPerSecond), (705.4, Unit::NanosecondsPerRecord)]);
        let row = |group, name: &str, finding| Row { group, name: name.to_owned(), finding };
        Report { machine, rows: vec![row("ciphers", "seal", figures), row("tunnel", "TCP", last)], interrupted: false }
    }

    #[test]
    fn the_table_has_headings_and_a_line_a_row() {
        let text = report(Finding::Absent("iperf3 is not installed".to_owned())).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "plait 1.2.3, P, 2 cores, Linux 6");
        assert_eq!(lines[2..4], ["ciphers", "  seal       2.01 GB/s                705 ns a record"]);
        assert_eq!(lines[5..7], ["tunnel", "  TCP   not measured: iperf3 is not installed"]);
    }

    #[test]
    fn json_has_the_same() {
        let json: Value = serde_json::from_str(&report(Finding::Failed("x".to_owned())).json()).unwrap();
        assert_eq!(json["machine"]["cores"], 2);
        assert_eq!(json["rows"][0]["figures"]["ns_per_record"], 705.4);
        assert_eq!(json["rows"][1], json!({"group": "tunnel", "name": "TCP", "failed": "x"}));
    }

    #[test]
    fn what_is_absent_is_no_failure_and_what_failed_is_named() {
        assert_eq!(report(Finding::Absent("x".to_owned())).failure(), None);
        assert_eq!(report(Finding::Failed("x".to_owned())).failure().as_deref(), Some("failed: tunnel: TCP"));
        let stopped = Report { interrupted: true, ..report(Finding::Absent("x".to_owned())) };
        assert_eq!(stopped.failure().as_deref(), Some("stopped"));
    }
}
