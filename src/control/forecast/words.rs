//! `plait forecast` for people.

use std::fmt::Write;

use super::figures::{ForecastReport, Outlook, PeerForecast, SourceForecast};
use crate::control::time::{parse_rfc3339, per_second, rfc3339, rough};
use crate::types::time::UnixTime;

/// What every figure rests on.
const GROUNDS: &str = "\
Estimated: stocks are what the KMEs said last less what was used since; rates are those of the last ten minutes; a cut
link is taken to give nothing, and nobody else to take keys. A rekey takes one key of each source, a full handshake one more.
";

/// The whole forecast.
pub fn text(report: &ForecastReport) -> String {
    let now = parse_rfc3339(&report.time).map_or(UnixTime(0), |time| time.seconds());
    let mut text = format!("interface: {}    at {}\n", report.interface, report.time);
    for peer in &report.peers {
        // Writing to a String cannot fail.
        let _ = of_peer(&mut text, peer, now);
    }
    text + GROUNDS
}

fn of_peer(text: &mut String, peer: &PeerForecast, now: UnixTime) -> std::fmt::Result {
    let kind = if peer.auto { "auto, at present" } else { "fixed," };
    writeln!(text, "peer: {}    {}    rekey: {kind} {} s", peer.peer, peer.state, peer.rekey_seconds)?;
    for source in &peer.sources {
        of_source(text, source, peer.auto)?;
    }
    writeln!(text, "  as it goes on: {}", outlook(&peer.goes_on, now))?;
    writeln!(text, "  if the link is cut now: {}", outlook(&peer.if_cut, now))?;
    if let Some(slows) = peer.slows_seconds {
        let slowest = peer.slowest_seconds.map(|at| format!(", as seldom as allowed from {} on", rough(at)));
        let slowest = slowest.unwrap_or_default();
        writeln!(text, "    rekeys then come half as often as now after {}{slowest}", rough(slows))?;
    }
    Ok(())
}

fn of_source(text: &mut String, source: &SourceForecast, auto: bool) -> std::fmt::Result {
    write!(text, "  kme: {} ", source.source)?;
    match (source.stored_keys, source.stored_keys_age_seconds) {
        (Some(keys), Some(age)) => {
            let stale = if source.stored_keys_stale == Some(true) { ", STALE" } else { "" };
            write!(text, "{keys} keys stored ({} ago{stale})", rough(age))?;
        }
        (Some(_) | None, _) => write!(text, "its stock is not known")?,
    }
    let income = source.rate_in_per_second.map_or_else(|| "not known".to_owned(), per_second);
    let measured = if source.rate_out_measured { "measured" } else { "by the intervals" };
    write!(text, ", {income} in, {} out ({measured})", per_second(source.rate_out_per_second))?;
    match (source.lasts_seconds, source.rate_in_per_second) {
        (Some(lasts), _) => writeln!(text, ", lasts {} as it falls", rough(lasts))?,
        (None, Some(_)) => writeln!(text, ", does not fall")?,
        (None, None) => writeln!(text)?,
    }
    if let (Some(fixed), Some(slowing)) = (source.if_cut_fixed_seconds, source.if_cut_auto_seconds) {
        let (fixed, slowing) = (rough(fixed), rough(slowing));
        let words = if auto { "as rekeys slow down" } else { "with rekey = \"auto\"" };
        writeln!(text, "    without income: {fixed} at this interval, {slowing} {words}")?;
    }
    if let Some(warning) = &source.warning {
        writeln!(text, "    WARNING: {warning}")?;
    }
    Ok(())
}

fn outlook(outlook: &Outlook, now: UnixTime) -> String {
    let at = |seconds: u64| rfc3339(UnixTime(now.0.saturating_add(seconds)));
    let (state, short) = match (&outlook.short_state, outlook.short_seconds) {
        _ if outlook.unknown => return "not known: a stock, or what comes in, is not known".to_owned(),
        (Some(state), Some(short)) => (state, short),
        (Some(_) | None, _) => return "no shortage of keys in sight".to_owned(),
    };
    let begins = match short {
        0 => format!("{state} already"),
        short => format!("{state} begins in {}, at {}", rough(short as f64), at(short)),
    };
    match (&outlook.next_state, outlook.next_seconds) {
        (Some(next), Some(seconds)) => {
            format!("{begins}; it ends in {}, at {}, then {next}", rough(seconds as f64), at(seconds))
        }
        _ if state == "BLOCKED" => format!("{begins}; until keys come"),
        _ => format!("{begins}; it has no end"),
    }
}
