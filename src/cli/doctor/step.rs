//! Steps of the chain from the configuration to the traffic, and the first of them that explains what is wrong.

use serde::Serialize;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// As it should be.
    Ok,
    /// Could not be looked at, for the reason given.
    Skipped,
    /// Works, and somebody should know.
    Warning,
    /// Does not work.
    Failed,
}

impl Outcome {
    /// The word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// What was looked at.
    pub(super) name: &'static str,
    /// The peer or key source concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<String>,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What was found, and what to do next.
    pub(super) text: String,
}

impl Step {
    /// A step that concerns the whole interface.
    pub(super) fn new(name: &'static str, outcome: Outcome, text: impl Into<String>) -> Self {
        Self { name, of: None, outcome, text: text.into() }
    }

    /// A step that concerns one peer or source.
    pub(super) fn of(self, of: &str) -> Self {
        Self { of: Some(of.to_owned()), ..self }
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        let of = self.of.as_ref().map(|of| format!(" ({of})")).unwrap_or_default();
        format!("{:8}{}{of}: {}\n", self.outcome.as_str(), self.name, self.text)
    }
}

/// The first step that failed, else the first with a warning: what comes after is often its consequence.
pub(super) fn first_cause(steps: &[Step]) -> Option<&Step> {
    let first = |outcome| steps.iter().find(|step| step.outcome == outcome);
    first(Outcome::Failed).or_else(|| first(Outcome::Warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_goes_before_every_warning() {
        let step = |name, outcome| Step::new(name, outcome, "");
        let steps = [
            step("a", Outcome::Ok),
            step("b", Outcome::Warning),
            step("c", Outcome::Skipped),
            step("d", Outcome::Failed),
            step("e", Outcome::Failed),
        ];
        assert_eq!(first_cause(&steps).map(|step| step.name), Some("d"));
        assert_eq!(first_cause(&steps[..3]).map(|step| step.name), Some("b"));
        assert_eq!(first_cause(&steps[..1]), None);
    }
}
