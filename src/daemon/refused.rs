//! Why nothing was changed, with whose fault it is.

use super::start::{FailureKind, RunFailure};
use crate::control::reload::Blame;

/// Why nothing was changed.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) blame: Blame,
    pub(super) text: String,
}

impl From<RunFailure> for Refused {
    fn from(failure: RunFailure) -> Self {
        let blame = match failure.kind {
            FailureKind::Configuration => Blame::Configuration,
            FailureKind::Permission => Blame::Permission,
            FailureKind::Other => Blame::System,
        };
        Self { blame, text: failure.text }
    }
}
