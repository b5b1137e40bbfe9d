//! What becomes of the keys: how long each stock lasts, as things go on and if every link were cut now, and what follows.
//!
//! Estimated from the status alone: from what the KMEs said last, and from what this end used since.

pub use self::demand::{Demand, Means};
use self::drain::{Drain, Drained};
pub use self::figures::{FORECAST_SCHEMA, ForecastReport, Outlook, PeerForecast, SourceForecast};
use super::report::{PeerReport, SourceReport, StatusReport};
use super::time::rate;

mod demand;
mod drain;
mod figures;
mod words;

pub use self::words::text;

/// The forecast of a status that was given at `time`.
pub fn forecast(status: &StatusReport, time: String) -> ForecastReport {
    let peers = status.peers.iter().map(|peer| {
        let sources: Vec<&SourceReport> = status.sources.iter().filter(|source| source.peer == peer.name).collect();
        of_peer(peer, &sources)
    });
    ForecastReport { schema: FORECAST_SCHEMA, interface: status.interface.clone(), time, peers: peers.collect() }
}

fn of_peer(peer: &PeerReport, sources: &[&SourceReport]) -> PeerForecast {
    let demand = Demand::of(&peer.policy);
    let need = peer.effective_min_sources.unwrap_or(peer.policy.min_sources).max(1);
    let drain = Drain::new(peer, sources, need);
    let (fixed, auto) = drain.map(|drain| (drain.at_one_interval(), drain.slowing())).unzip();
    let present = if demand.is_auto() { &auto } else { &fixed };
    let rest = peer.epoch.as_ref().map_or(0.0, |epoch| (demand.rekey() - epoch.age_seconds).max(0.0));
    let each = sources.iter().enumerate().map(|(at, source)| of_source(source, demand, at, &fixed, &auto));
    let each: Vec<SourceForecast> = each.collect();
    let going = each.iter().map(|source| source.lasts_seconds.unwrap_or(f64::INFINITY)).collect::<Vec<_>>();
    let knows_course = each.iter().all(|source| source.rate_in_per_second.is_some());
    let slows = |span: Option<f64>| span.filter(|_| demand.is_auto()).map(f64::round);
    PeerForecast {
        peer: peer.name.clone(),
        state: peer.state.clone(),
        rekey_seconds: peer.policy.rekey_seconds,
        auto: demand.is_auto(),
        min_sources: need,
        goes_on: outlook(peer, knows_course.then(|| short_at(&going, need)), rest),
        if_cut: outlook(peer, present.as_ref().map(|drained| short_at(&drained.lasts, need)), rest),
        slows_seconds: slows(auto.as_ref().and_then(|drained| drained.slows)),
        slowest_seconds: slows(auto.as_ref().and_then(|drained| drained.slowest)),
        sources: each,
    }
}

fn of_source(
    source: &SourceReport,
    demand: Demand,
    at: usize,
    fixed: &Option<Drained>,
    auto: &Option<Drained>,
) -> SourceForecast {
    let span = |drained: &Option<Drained>| {
        let lasts = drained.as_ref().and_then(|drained| drained.lasts.get(at)).copied();
        lasts.filter(|lasts| lasts.is_finite()).map(f64::round)
    };
    let means = Means::of(source);
    SourceForecast {
        source: source.name.clone(),
        stored_keys: source.stored_keys,
        stored_keys_age_seconds: source.stored_keys_age_seconds,
        stored_keys_stale: source.stored_keys_stale,
        rate_in_per_second: source.rate_in_per_second,
        rate_out_per_second: rate(demand.used(source)),
        rate_out_measured: Demand::measured(source).is_some(),
        lasts_seconds: source.lasts_seconds,
        if_cut_fixed_seconds: span(fixed),
        if_cut_auto_seconds: span(auto),
        warning: demand.overdraws(means),
    }
}

/// When fewer than `need` sources are left: when the one is empty that leaves too few. Endless if that one is.
fn short_at(lasts: &[f64], need: u8) -> f64 {
    let mut lasts = lasts.to_vec();
    lasts.sort_by(f64::total_cmp);
    let at = lasts.len().checked_sub(usize::from(need));
    at.and_then(|at| lasts.get(at)).copied().unwrap_or(0.0)
}

/// What follows when keys are short from then on; `rest` is what remains of the epoch in use.
fn outlook(peer: &PeerReport, short: Option<f64>, rest: f64) -> Outlook {
    let none = Outlook { short_seconds: None, short_state: None, next_seconds: None, next_state: None, unknown: false };
    let policy = peer.effective_qkd.as_deref().unwrap_or(&peer.policy.qkd);
    let limit = match (&peer.effective_qkd, policy) {
        (Some(_), _) => peer.effective_limit_seconds,
        (None, "required") => peer.policy.hold_last_seconds,
        (None, _) => peer.policy.degrade_for_seconds,
    };
    let blocked = "BLOCKED".to_owned();
    match peer.state.as_str() {
        "HOLDOVER" | "DEGRADED" => {
            let next = peer.deadline_seconds.map(|left| left as u64);
            let next_state = next.map(|_| blocked);
            let (short_seconds, short_state) = (Some(0), Some(peer.state.clone()));
            return Outlook { short_seconds, short_state, next_seconds: next, next_state, ..none };
        }
        "BLOCKED" => return Outlook { short_seconds: Some(0), short_state: Some(blocked), ..none },
        _ => {}
    }
    if policy == "off" {
        return none;
    }
    let Some(short) = short else { return Outlook { unknown: true, ..none } };
    if !short.is_finite() {
        return none;
    }
    let short = (short + rest) as u64;
    let (word, next) = match (policy, limit) {
        (_, Some(0)) => (blocked.clone(), None),
        ("required", limit) => ("HOLDOVER".to_owned(), limit),
        (_, limit) => ("DEGRADED".to_owned(), limit),
    };
    Outlook {
        short_seconds: Some(short),
        short_state: Some(word),
        next_seconds: next.map(|limit| short + limit),
        next_state: next.map(|_| blocked),
        unknown: false,
    }
}

#[cfg(test)]
mod tests;
