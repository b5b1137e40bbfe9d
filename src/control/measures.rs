//! Figures for metrics that are no part of `status`: counts by cause, and how long things took.

use std::collections::BTreeMap;

use crate::types::histogram::Histogram;

/// Of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// In the order of the report.
    pub peers: Vec<PeerMeasures>,
    /// In the order of the report.
    pub sources: Vec<SourceMeasures>,
}

/// Of one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerMeasures {
    /// Changes of state: from, to, how often.
    pub transitions: Vec<(&'static str, &'static str, u64)>,
    /// Full handshakes that this end began.
    pub full: Histogram,
    /// Fast rekeys that this end began.
    pub fast: Histogram,
}

/// Of one key source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMeasures {
    /// Requests by method and what came of them.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// How long they took, by method.
    pub took: BTreeMap<&'static str, Histogram>,
}
