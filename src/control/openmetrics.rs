//! The text form of metrics (OpenMetrics 1.0.0): families with their kind, unit and help, samples with escaped labels.

use std::fmt::Display;
use std::fmt::Write;

use crate::types::histogram::Histogram;

/// `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Kinds of families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
    /// Says something in its labels; its samples end in `_info`.
    Info,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// Names and values of the labels of a sample.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text as it grows. Writing to it cannot fail.
#[derive(Default)]
pub struct Text(String);

/// One family, whose samples follow each other.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: Kind,
}

impl Text {
    /// Begins a family. `unit` is the end of its name, or empty.
    pub fn family(&mut self, name: &'static str, kind: Kind, unit: &str, help: &str) -> Family<'_> {
        let text = &mut self.0;
        let _ = writeln!(text, "# TYPE {name} {}", kind.as_str());
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {}", escaped(help));
        Family { text, name, kind }
    }

    /// The whole text with its end.
    pub fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line(self.kind.suffix(), labels, None, value);
    }

    /// The samples of one histogram.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        for (bound_ms, count) in histogram.cumulative() {
            self.line("_bucket", labels, Some(&seconds(bound_ms)), count);
        }
        self.line("_bucket", labels, Some("+Inf"), histogram.count());
        self.line("_sum", labels, None, histogram.sum().as_secs_f64());
        self.line("_count", labels, None, histogram.count());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let bound = bound.map(|bound| ("le", bound));
        for (at, (name, value)) in labels.iter().copied().chain(bound).enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{name}=\"{}\"", escaped(value));
        }
        let close = if labels.is_empty() && bound.is_none() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

/// A bound in seconds, always with a point: `2.5`, `10.0` (OpenMetrics "Canonical numbers").
fn seconds(ms: u64) -> String {
    format!("{:?}", ms as f64 / 1000.0)
}

/// Backslash, quotation mark and end of line, so that no foreign text ends a value.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_samples_have_the_form_of_the_standard() {
        let mut text = Text::default();
        text.family("a_bytes", Kind::Counter, "bytes", "Bytes.").sample(&[("peer", "x\"\\\ny")], 7);
        text.family("b", Kind::Gauge, "", "B.").sample(&[], 0.5);
        let mut histogram = Histogram::default();
        histogram.note(std::time::Duration::from_millis(20));
        text.family("c_seconds", Kind::Histogram, "seconds", "C.").histogram(&[("m", "e")], &histogram);
        let text = text.finish();
        for line in [
            "# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes Bytes.\n",
            "a_bytes_total{peer=\"x\\\"\\\\\\ny\"} 7\n",
            "# TYPE b gauge\n# HELP b B.\nb 0.5\n",
            "c_seconds_bucket{m=\"e\",le=\"0.01\"} 0\nc_seconds_bucket{m=\"e\",le=\"0.025\"} 1\n",
            "c_seconds_bucket{m=\"e\",le=\"10.0\"} 1\n",
            "c_seconds_bucket{m=\"e\",le=\"+Inf\"} 1\nc_seconds_sum{m=\"e\"} 0.02\nc_seconds_count{m=\"e\"} 1\n# EOF\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
