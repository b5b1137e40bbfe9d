//! Why a reload changed nothing, with whose fault it is.

use crate::control::reload::Blame;
use crate::daemon::ask::NotDone;
use crate::daemon::start::{FailureKind, RunFailure};

/// Why a reload changed nothing.
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

impl From<NotDone> for Refused {
    fn from(NotDone { blame, text }: NotDone) -> Self {
        Self { blame, text }
    }
}
