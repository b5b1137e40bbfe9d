//! `plait status` for people: one screen a peer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::report::{EpochReport, OverrideReport, PeerReport, SourceReport, StatusReport, is_stale};
use super::time::{bytes, parse_rfc3339, per_second, rough};
use crate::types::time::UnixTime;

/// Characters of a key_ID that are shown: its beginning and its end, as people compare them.
const KEY_ID_ENDS: (usize, usize) = (4, 2);

/// The whole report; `now` turns moments into ages.
pub fn status(report: &StatusReport, now: UnixTime) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = interface(&mut text, report);
    for peer in &report.peers {
        let sources: Vec<&SourceReport> = report.sources.iter().filter(|source| source.peer == peer.name).collect();
        let _ = self::peer(&mut text, peer, &sources, now);
    }
    let _ = nobodys(&mut text, report);
    text
}

fn interface(text: &mut String, report: &StatusReport) -> std::fmt::Result {
    let StatusReport { interface, state, policy, .. } = report;
    let peer_qkd: Vec<&str> = report.peers.iter().filter_map(|peer| peer.peer_qkd.as_deref()).collect();
    let peers = match peer_qkd.as_slice() {
        [one] if report.peers.len() == 1 => format!(" (peer: {one})"),
        _ => String::new(),
    };
    let limit = match policy.qkd.as_str() {
        "required" => policy.hold_last_seconds.map(|limit| format!(", hold_last {}", exact(limit))),
        "preferred" => Some(limit_words(policy.degrade_for_seconds)),
        _ => None,
    };
    writeln!(text, "interface: {interface}    {state}    policy: {}{peers}{}", policy.qkd, limit.unwrap_or_default())?;
    let StatusReport { fingerprint, listen, mtu, .. } = report;
    writeln!(text, "  fingerprint: {fingerprint}    listen: {listen}    mtu: {mtu}    offload: {}", offload(report))?;
    if let Some(sandbox) = &report.sandbox {
        writeln!(text, "  sandbox: {}", sandbox.text())?;
    }
    keys_process(text, report)
}

/// What there is to say of it: nothing, if it is confined like the other and has never ended.
fn keys_process(text: &mut String, report: &StatusReport) -> std::fmt::Result {
    if let Some(sandbox) = report.keys_sandbox.as_ref().filter(|sandbox| !sandbox.missing().is_empty()) {
        writeln!(text, "  sandbox of the keys process: {}", sandbox.text())?;
    }
    match report.keys_restarts {
        Some(1) => writeln!(text, "  the keys process ended once and was started again: the log says how"),
        Some(times @ 2..) => {
            writeln!(text, "  the keys process ended {times} times and was started again: the log says how")
        }
        Some(0) | None => Ok(()),
    }
}

/// What belongs to no peer, once there is any: a missing route or a stranger at the door.
fn nobodys(text: &mut String, report: &StatusReport) -> std::fmt::Result {
    for (what, counts) in [("of no peer", &report.unclaimed), ("refused", &report.refused)] {
        let some: Vec<String> = counts.iter().filter(|(_, count)| **count > 0).map(counted).collect();
        if !some.is_empty() {
            writeln!(text, "{what}: {}", some.join(", "))?;
        }
    }
    Ok(())
}

fn counted((name, count): (&String, &u64)) -> String {
    format!("{count} {}", name.replace('_', "-"))
}

/// What is in use, and what is not although it is configured.
fn offload(report: &StatusReport) -> String {
    let used = if report.offload.is_empty() { "none".to_owned() } else { report.offload.join(" ") };
    match report.offload_given_up.as_slice() {
        [] => used,
        given_up => format!("{used} ({} given up)", given_up.join(" ")),
    }
}

fn limit_words(degrade_for: Option<u64>) -> String {
    match degrade_for {
        Some(limit) => format!(", degrade_for {}", exact(limit)),
        None => ", degrade_for unlimited".to_owned(),
    }
}

/// A configured span as one would write it: `1h`, `90s`.
fn exact(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string().replace(' ', "")
}

fn peer(text: &mut String, peer: &PeerReport, sources: &[&SourceReport], now: UnixTime) -> std::fmt::Result {
    let begin = peer.fingerprint.split('-').next().unwrap_or_default();
    let endpoint = peer.endpoint.as_deref().unwrap_or("not known yet");
    write!(text, "peer: {} ({begin}-...)    {}    endpoint: {endpoint}", peer.name, peer.state)?;
    writeln!(text, "    allowed ips: {}", peer.allowed_ips.join(", "))?;
    match &peer.epoch {
        Some(epoch) => self::epoch(text, epoch, peer.policy.rekey_seconds)?,
        None => writeln!(text, "  epoch: none")?,
    }
    if let Some(over) = &peer.over {
        writeln!(text, "  POLICY OVERRIDDEN: {}", override_words(over))?;
    }
    if let Some(left) = peer.deadline_seconds {
        writeln!(text, "  WITHOUT QKD KEYS: traffic stops in {}", rough(left))?;
    }
    for source in sources {
        self::source(text, source)?;
    }
    let last_full = match &peer.handshakes.last_full {
        Some(last) => ago(last, now),
        None => "none yet".to_owned(),
    };
    let (full, fast, failed) = (peer.handshakes.full, peer.handshakes.fast, peer.handshakes.failed);
    writeln!(text, "  handshakes: {full} full, {fast} fast, {failed} failed    last full handshake: {last_full}")?;
    let (received, sent) = (bytes(peer.transfer.received_bytes), bytes(peer.transfer.sent_bytes));
    writeln!(text, "  transfer: {received} received, {sent} sent    drops: {}", drops(&peer.drops))
}

fn override_words(over: &OverrideReport) -> String {
    let OverrideReport { qkd, remaining_seconds, ends, reason } = over;
    format!("qkd {qkd} for {} more, until {ends}: {reason}", rough(*remaining_seconds))
}

/// `plait policy show`: one line a peer, and one more for an override.
pub fn policy(peer: &PeerReport) -> String {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "not known".to_owned());
    let (configured, other, both) = (&peer.policy.qkd, word(&peer.peer_qkd), word(&peer.effective_qkd));
    let mut text = format!("{}: configured {configured}, the other end {other}, in force {both}\n", peer.name);
    if let Some(over) = &peer.over {
        text.push_str(&format!("  overridden: {}\n", override_words(over)));
    }
    text
}

fn epoch(text: &mut String, epoch: &EpochReport, rekey_seconds: u64) -> std::fmt::Result {
    let EpochReport { number, check_words, cipher, .. } = epoch;
    let age = rough(epoch.age_seconds);
    write!(text, "  epoch: {number}    age: {age} of {rekey_seconds} s")?;
    writeln!(text, "    check words: {check_words} (read them to the other site)")?;
    let named = |name: &String| match epoch.key_ids.iter().find(|key| key.source == *name) {
        Some(key) => format!("{name} (key_ID {})", shortened(&key.key_id)),
        None => name.clone(),
    };
    let keys = epoch.mixed.iter().map(named).collect::<Vec<_>>().join(" + ");
    let qkd = match epoch.qkd_age_seconds {
        Some(age) if epoch.key_ids.is_empty() => format!("    last QKD key: {} ago", rough(age)),
        Some(_) => String::new(),
        None => "    no QKD key".to_owned(),
    };
    writeln!(text, "  keys: {keys}    cipher: {cipher}{qkd}")
}

fn source(text: &mut String, source: &SourceReport) -> std::fmt::Result {
    write!(text, "  kme: {} {}", source.name, source.state)?;
    if let Some(reason) = &source.not_used {
        write!(text, ", NO KEYS FROM IT: {reason} (here or at the other site)")?;
    }
    if let (Some(keys), Some(age)) = (source.stored_keys, source.stored_keys_age_seconds) {
        let stale = if is_stale(age) { ", STALE" } else { "" };
        write!(text, ", {keys} keys stored ({} ago{stale})", rough(age))?;
    }
    if let (Some(income), Some(used)) = (source.rate_in_per_second, source.rate_out_per_second) {
        write!(text, ", {} in, {} out", per_second(income), per_second(used))?;
    }
    if let Some(lasts) = source.lasts_seconds {
        write!(text, ", lasts {}", rough(lasts))?;
    }
    write!(text, ", {} used", source.keys_used)?;
    if let (Some(error), Some(age)) = (&source.last_error, source.last_error_age_seconds) {
        write!(text, "    last error {} ago: {error}", rough(age))?;
    }
    writeln!(text)
}

/// The three that are always shown, then every other that happened.
fn drops(drops: &BTreeMap<String, u64>) -> String {
    let usual = ["replay", "auth", "no_epoch"];
    let count = |name: &str| drops.get(name).copied().unwrap_or(0);
    let shown = usual.iter().map(|name| (*name, count(name)));
    let others = drops.iter().filter(|(name, count)| **count > 0 && !usual.contains(&name.as_str()));
    let all = shown.chain(others.map(|(name, count)| (name.as_str(), *count)));
    all.map(|(name, count)| format!("{count} {}", name.replace('_', "-"))).collect::<Vec<_>>().join(", ")
}

/// Beginning and end of a key_ID, as people compare them; a short one is whole.
pub fn shortened(key_id: &str) -> String {
    let (front, back) = KEY_ID_ENDS;
    match (key_id.get(..front), key_id.len().checked_sub(back).and_then(|at| key_id.get(at..))) {
        (Some(begin), Some(end)) if key_id.len() > front + back => format!("{begin}...{end}"),
        _ => key_id.to_owned(),
    }
}

/// An RFC 3339 moment as an age. A moment that is not in our own form is shown as it is.
fn ago(moment: &str, now: UnixTime) -> String {
    match parse_rfc3339(moment) {
        Some(then) => format!("{} ago", rough(now.0.saturating_sub(then.seconds().0) as f64)),
        None => moment.to_owned(),
    }
}

#[cfg(test)]
mod tests;
