//! What the test vectors compare: `h`, `ck`, `k` after every operation. Exists only with the feature `trace`, which
//! release builds never have; without it every call here is empty.

/// One operation of PROTOCOL 2.3 and the state after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `Init`, `MixHash`, `MixKey`, `Seal` or `Open`.
    pub op: &'static str,
    /// The label, empty for `Init`.
    pub label: String,
    /// Transcript hash after the operation.
    pub h: Vec<u8>,
    /// Chaining key after the operation.
    pub ck: Vec<u8>,
    /// One-time key after the operation, empty if there is none.
    pub k: Vec<u8>,
}

#[cfg(feature = "trace")]
mod on {
    use super::Step;
    use std::cell::RefCell;

    thread_local! {
        static STEPS: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
    }

    /// Starts to record this thread's operations.
    pub fn start() {
        STEPS.with_borrow_mut(|steps| *steps = Some(Vec::new()));
    }

    /// Ends the recording and gives what was recorded.
    pub fn stop() -> Vec<Step> {
        STEPS.with_borrow_mut(Option::take).unwrap_or_default()
    }

    pub(in crate::schedule) fn record(step: impl FnOnce() -> Step) {
        STEPS.with_borrow_mut(|steps| {
            if let Some(steps) = steps {
                steps.push(step());
            }
        });
    }
}

#[cfg(feature = "trace")]
pub(super) use on::record;
#[cfg(feature = "trace")]
pub use on::{start, stop};

#[cfg(not(feature = "trace"))]
pub(super) fn record(_step: impl FnOnce() -> Step) {}
