//! A row of the table: what was measured, and what came of it.

use crate::cli::lab::pause::Interrupted;

/// What a figure counts, in the table and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    GigabytesPerSecond,
    NanosecondsPerRecord,
    NanosecondsPerCall,
    NanosecondsPerPacket,
    GigabitsPerSecond,
    CpuSecondsPerGibibyte,
    MicrosecondsMedian,
    MicrosecondsP99,
}

impl Unit {
    /// In the table.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::GigabytesPerSecond => "GB/s",
            Self::NanosecondsPerRecord => "ns a record",
            Self::NanosecondsPerCall => "ns a call",
            Self::NanosecondsPerPacket => "ns a packet",
            Self::GigabitsPerSecond => "Gbit/s",
            Self::CpuSecondsPerGibibyte => "CPU s/GiB, both ends",
            Self::MicrosecondsMedian => "us, median",
            Self::MicrosecondsP99 => "us, 99 %",
        }
    }

    /// Member of the JSON object.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::GigabytesPerSecond => "gigabytes_per_second",
            Self::NanosecondsPerRecord => "ns_per_record",
            Self::NanosecondsPerCall => "ns_per_call",
            Self::NanosecondsPerPacket => "ns_per_packet",
            Self::GigabitsPerSecond => "gigabits_per_second",
            Self::CpuSecondsPerGibibyte => "cpu_seconds_per_gib",
            Self::MicrosecondsMedian => "us_median",
            Self::MicrosecondsP99 => "us_p99",
        }
    }

    /// Digits after the point that mean something.
    pub(super) fn digits(self) -> usize {
        match self {
            Self::GigabytesPerSecond | Self::GigabitsPerSecond | Self::CpuSecondsPerGibibyte => 2,
            Self::NanosecondsPerRecord
            | Self::NanosecondsPerCall
            | Self::NanosecondsPerPacket
            | Self::MicrosecondsMedian
            | Self::MicrosecondsP99 => 0,
        }
    }
}

/// A number with its unit.
pub(super) type Figure = (f64, Unit);

/// Why there are no figures.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The user asked the bench to stop.
    Interrupted,
    /// This machine does not have what it needs: no failure.
    Absent(String),
    /// It should have worked.
    Failed(String),
}

impl From<Interrupted> for Trouble {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What came of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    /// At least one figure.
    Figures(Vec<Figure>),
    /// Not to be had here, and why.
    Absent(String),
    /// It failed, and how.
    Failed(String),
}

impl Finding {
    /// As the table shows it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Figures(figures) => {
                let figures = figures.iter().map(|(value, unit)| {
                    let digits = unit.digits();
                    format!("{value:>9.digits$} {:<12}", unit.text())
                });
                figures.collect::<Vec<_>>().join("  ").trim_end().to_owned()
            }
            Self::Absent(why) => format!("not measured: {why}"),
            Self::Failed(why) => format!("FAILED: {why}"),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Heading that it stands under.
    pub(super) group: &'static str,
    /// What was measured.
    pub(super) name: String,
    /// What came of it.
    pub(super) finding: Finding,
}
