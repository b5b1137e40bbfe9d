//! What the status page and `plait top` show: the status and what led to it.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::measures::Measures;
use super::report::StatusReport;

/// Number of this form. It is made for the page and `top` of the same version: scripts read `status --json`.
pub const LIVE_SCHEMA: u32 = 1;
/// Peers whose course is shown; the page of more would be read by nobody.
pub const COURSES_MAX: usize = 64;

/// Events shown: more are in `plait events`.
pub const EVENTS_SHOWN: u32 = 30;

/// One moment of one interface.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveView {
    /// What is shown.
    pub report: LiveReport,
    /// What is measured besides.
    pub measures: Measures,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveReport {
    /// [`LIVE_SCHEMA`].
    pub schema: u32,
    /// Version of the daemon.
    pub version: String,
    /// RFC 3339.
    pub time: String,
    /// As `plait status --json` prints it.
    pub status: StatusReport,
    /// Of the first peers, in the order of the status.
    pub courses: Vec<CourseReport>,
    /// Of the sources of those peers.
    pub stocks: Vec<StockReport>,
    /// The last [`EVENTS_SHOWN`], oldest first.
    pub events: Vec<Event>,
}

/// What led to a peer's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CourseReport {
    /// Its name.
    pub peer: String,
    /// What its state means and asks for, in a sentence.
    pub meaning: String,
    /// How long it has been in it.
    pub state_age_seconds: f64,
    /// The last confirmed epochs, oldest first.
    pub epochs: Vec<EpochPoint>,
    /// The last changes of state, oldest first.
    pub states: Vec<StatePoint>,
    /// Age in seconds of the end of a stretch, bytes received and sent in a second of it; oldest first.
    pub traffic: Vec<(f64, f64, f64)>,
}

/// One confirmed epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochPoint {
    /// Confirmed epochs since the start.
    pub number: u64,
    /// Since it was confirmed.
    pub age_seconds: f64,
    /// By a full handshake, else by a fast rekey.
    pub full: bool,
    /// Fresh QKD keys that it mixed.
    pub qkd_keys: u8,
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatePoint {
    /// Since then.
    pub age_seconds: f64,
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
}

/// What a source's stock did; its rates are in the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockReport {
    /// Its name.
    pub source: String,
    /// Name of the peer that it keys.
    pub peer: String,
    /// Age in seconds and keys, oldest first: one each time the KME said so.
    pub stored: Vec<(f64, u64)>,
}

/// What a state means and what it asks of a person.
pub fn meaning(state: &str) -> &'static str {
    match state {
        "HYBRID" => "Traffic flows under X25519, ML-KEM and fresh QKD keys. Nothing to do.",
        "OFF" => "Traffic flows under X25519 and ML-KEM; QKD is off at both ends, as configured.",
        "HOLDOVER" => {
            "QKD keys have stopped coming. Traffic still flows, under keys derived from the last ones, and stops when \
             the time is up. Look at the KME below."
        }
        "DEGRADED" => {
            "QKD keys have stopped coming. Traffic flows under X25519 and ML-KEM alone, as the policy allows. Look at \
             the KME below."
        }
        "HOLDING" => "No session yet, so no traffic. Waiting for the peer or for its KME.",
        "BLOCKED" => {
            "No QKD keys, and the time without them is over. Traffic is stopped, as the policy demands; it comes back by \
             itself when keys do. Look at the KME below."
        }
        "DOWN" => "Nothing comes from the peer. Look at the path, the firewall and the other site's status.",
        _ => "A state that this version does not know.",
    }
}
