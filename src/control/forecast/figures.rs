//! The members of `plait forecast --json`, which scripts rely on. Add to them, do not change them.

use serde::{Deserialize, Serialize};

/// Number of this form.
pub const FORECAST_SCHEMA: u32 = 1;

/// One interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastReport {
    /// [`FORECAST_SCHEMA`].
    pub schema: u32,
    /// Name of the interface.
    pub interface: String,
    /// RFC 3339: all spans count from here.
    pub time: String,
    /// In the order of the configuration.
    pub peers: Vec<PeerForecast>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerForecast {
    /// Its name.
    pub peer: String,
    /// The word of `status`.
    pub state: String,
    /// Interval of its fast rekeys at present.
    pub rekey_seconds: u64,
    /// Whether it follows the keys that there are.
    pub auto: bool,
    /// Sources that must be mixed, as both ends want it.
    pub min_sources: u8,
    /// One for each of its sources.
    pub sources: Vec<SourceForecast>,
    /// As things go on.
    pub goes_on: Outlook,
    /// If every link were cut now.
    pub if_cut: Outlook,
    /// Then rekeys come half as often as now at the latest; null if they never slow down, or that is not known.
    pub slows_seconds: Option<f64>,
    /// Then they come at the longest interval; null likewise.
    pub slowest_seconds: Option<f64>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceForecast {
    /// Its name.
    pub source: String,
    /// What its KME said last; null if it never did.
    pub stored_keys: Option<u64>,
    /// Since it said so.
    pub stored_keys_age_seconds: Option<f64>,
    /// Whether that says little.
    pub stored_keys_stale: Option<bool>,
    /// Keys a second that came in; null while that is not known.
    pub rate_in_per_second: Option<f64>,
    /// Keys a second that are taken.
    pub rate_out_per_second: f64,
    /// Whether that was measured; else it is what the intervals ask for at most.
    pub rate_out_measured: bool,
    /// How long the stock lasts as things go on; null while it does not fall, and while that is not known.
    pub lasts_seconds: Option<f64>,
    /// How long it lasts without income at the present interval; null without a stock that is known.
    pub if_cut_fixed_seconds: Option<f64>,
    /// The same with rekeys that slow down, as `rekey = "auto"` would have it; of a fixed interval: with the defaults.
    pub if_cut_auto_seconds: Option<f64>,
    /// A fixed interval asks for more than comes; null if it does not, or that is not known.
    pub warning: Option<String>,
}

/// What the policy makes of the keys; spans from now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Until the first rekey that finds fewer keys than `min_sources`; null if none is in sight, or it is not known.
    pub short_seconds: Option<u64>,
    /// The state from then on: HOLDOVER or DEGRADED, BLOCKED if the policy leaves no time.
    pub short_state: Option<String>,
    /// Until that state is over; null if it has no end.
    pub next_seconds: Option<u64>,
    /// The state from then on.
    pub next_state: Option<String>,
    /// Whether there was not enough to go by.
    pub unknown: bool,
}
