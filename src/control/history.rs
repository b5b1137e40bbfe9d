//! Looks at counters and stocks, kept for a while, and the throughput that follows from them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::live::{COURSES_MAX, StockReport};
use super::report::StatusReport;
use super::time::seconds;
use crate::types::time::Instant;

/// Between two looks at the traffic: a plot of half an hour has one point for each.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Looks kept a peer: half an hour.
pub const LOOKS_MAX: usize = 360;
/// Stocks kept a source: two hours of a KME that is asked every 30 s.
pub const STOCKS_MAX: usize = 240;

#[derive(Clone, Copy)]
struct Traffic {
    at: Instant,
    received: u64,
    sent: u64,
}

#[derive(Clone, Copy)]
struct Stock {
    /// When the KME said so.
    at: Instant,
    keys: u64,
}

/// Of all peers and sources of an interface, by their names: their places in the report change with the configuration.
#[derive(Default)]
pub struct History {
    peers: BTreeMap<String, VecDeque<Traffic>>,
    /// By peer and source.
    sources: BTreeMap<(String, String), VecDeque<Stock>>,
    last: Option<Instant>,
}

impl History {
    /// Whether it is time for another look.
    pub fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.since(last) >= LOOK_INTERVAL)
    }

    /// Looks. The first [`COURSES_MAX`] peers are looked at, and as many sources as they can have.
    pub fn look(&mut self, now: Instant, report: &StatusReport) {
        self.last = Some(now);
        let peers = || report.peers.iter().take(COURSES_MAX);
        self.peers.retain(|name, _| peers().any(|peer| peer.name == *name));
        for peer in peers() {
            let looks = self.peers.entry(peer.name.clone()).or_default();
            let (received, sent) = (peer.transfer.received_bytes, peer.transfer.sent_bytes);
            keep(looks, Traffic { at: now, received, sent }, LOOKS_MAX);
        }
        let sources = || report.sources.iter().take(COURSES_MAX);
        self.sources.retain(|key, _| sources().any(|source| (&source.peer, &source.name) == (&key.0, &key.1)));
        for source in sources() {
            let stocks = self.sources.entry((source.peer.clone(), source.name.clone())).or_default();
            let (Some(keys), Some(age)) = (source.stored_keys, source.stored_keys_age_seconds) else { continue };
            let at = now - Duration::try_from_secs_f64(age).unwrap_or_default();
            // The same answer again, a little older: ages are rounded, polls are further apart.
            let is_new = stocks.back().is_none_or(|last| at.since(last.at) > Duration::from_secs(1));
            if is_new {
                keep(stocks, Stock { at, keys }, STOCKS_MAX);
            }
        }
    }

    /// Of the peer of that name: age of a stretch's end in seconds, bytes received and sent in a second; oldest first.
    pub fn traffic(&self, peer: &str, now: Instant) -> Vec<(f64, f64, f64)> {
        let Some(looks) = self.peers.get(peer) else { return Vec::new() };
        let stretch = |(from, to): (&Traffic, &Traffic)| {
            let span = to.at.since(from.at).as_secs_f64();
            let rate = |from: u64, to: u64| (to.saturating_sub(from) as f64 / span).round();
            (span > 0.0)
                .then(|| (seconds(now.since(to.at)), rate(from.received, to.received), rate(from.sent, to.sent)))
        };
        looks.iter().zip(looks.iter().skip(1)).filter_map(stretch).collect()
    }

    /// The stock of the source at this place of the report.
    pub fn stock(&self, at: usize, report: &StatusReport, now: Instant) -> Option<StockReport> {
        let source = report.sources.get(at)?;
        let stocks = self.sources.get(&(source.peer.clone(), source.name.clone()))?;
        Some(StockReport {
            source: source.name.clone(),
            peer: source.peer.clone(),
            stored: stocks.iter().map(|stock| (seconds(now.since(stock.at)), stock.keys)).collect(),
        })
    }
}

fn keep<T>(looks: &mut VecDeque<T>, look: T, most: usize) {
    if looks.len() >= most {
        looks.pop_front();
    }
    looks.push_back(look);
}

#[cfg(test)]
mod tests;
