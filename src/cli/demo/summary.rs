//! What the demo proved, as a table, and what to read next.

use crate::cli::lab::pause::Interrupted;

/// What came of one stage.
pub(super) struct Proof {
    /// What was to be shown.
    pub(super) claim: &'static str,
    /// The figures that show it.
    pub(super) figures: String,
}

/// Why a stage did not hold.
#[derive(Debug)]
pub(super) enum Broken {
    /// The user asked the demo to stop.
    Interrupted,
    /// What was expected, and what came.
    Failed(String),
}

impl From<Interrupted> for Broken {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What came of the whole demo.
pub(super) struct Report {
    /// Stages that held.
    pub(super) proofs: Vec<Proof>,
    /// The stage that did not, and why.
    pub(super) broken: Option<(&'static str, Broken)>,
    /// How long it took, in seconds.
    pub(super) seconds: u64,
}

impl Report {
    /// The stage that failed and why, if one did.
    pub(super) fn failure(&self) -> Option<String> {
        self.broken.as_ref().map(|(stage, broken)| match broken {
            Broken::Interrupted => format!("stopped in stage `{stage}`"),
            Broken::Failed(why) => format!("stage `{stage}` failed: {why}"),
        })
    }
}

/// The table.
pub(super) fn render(report: &Report) -> String {
    let width = report.proofs.iter().map(|proof| proof.claim.len()).max().unwrap_or(0);
    let mut text = String::from("\nWhat was shown:\n");
    for Proof { claim, figures } in &report.proofs {
        text += &format!("  ok    {claim:width$}  {figures}\n");
    }
    match &report.broken {
        Some((stage, _)) => text += &format!("  FAIL  {stage}\n"),
        None => text += &format!("Every stage held, in {} s; nothing is left on this machine.\n{NEXT}", report.seconds),
    }
    text
}

const NEXT: &str = "
What to read next:
  README.md          two real sites, both configuration files side by side
  docs/KME.md        connecting the KMEs of a vendor, testing them
  docs/SECURITY.md   what is claimed, and what is not
";

#[cfg(test)]
mod tests {
    use super::*;

    fn report(broken: Option<(&'static str, Broken)>) -> Report {
        Report { proofs: vec![Proof { claim: "a claim", figures: "7 of 7".to_owned() }], broken, seconds: 30 }
    }

    #[test]
    fn a_demo_that_held_says_what_to_read_next() {
        let held = report(None);
        assert!(held.failure().is_none());
        let text = render(&held);
        assert!(text.contains("ok    a claim  7 of 7") && text.contains("docs/SECURITY.md"));
    }

    #[test]
    fn a_failed_stage_is_named() {
        let failed = report(Some(("rekeys", Broken::Failed("3 lost".to_owned()))));
        assert_eq!(failed.failure().as_deref(), Some("stage `rekeys` failed: 3 lost"));
        assert!(render(&failed).contains("FAIL  rekeys") && !render(&failed).contains("Every stage"));
        let stopped = report(Some(("cut", Broken::Interrupted)));
        assert_eq!(stopped.failure().as_deref(), Some("stopped in stage `cut`"));
    }
}
