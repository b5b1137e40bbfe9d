//! What the running daemon knows: keys from end to end, each peer, policies, offloads; and how it is confined.

use std::path::Path;

use super::step::{Outcome, Step};
use crate::control::forecast::{Demand, Means};
use crate::control::report::{PeerReport, SourceReport, StatusReport};
use crate::control::sandbox::Sandbox;
use crate::control::time::per_second;
use crate::io::confinement::{Confinement, of_daemon};

/// Counters of datagrams that say whose key is wrong.
const UNKNOWN_PEER: &str = "unknown_peer";
const MADE_FOR_ANOTHER: &str = "mac1";
const PSK: &str = "psk_or_identity";

/// All steps that a status tells.
pub(super) fn steps(status: &StatusReport) -> Vec<Step> {
    let mut steps = vec![Step::new("daemon", Outcome::Ok, format!("runs, and is {}", status.state))];
    for peer in &status.peers {
        steps.extend(keys(status, peer));
        steps.extend(budget(status, peer));
        steps.extend(peer_steps(status, peer));
    }
    steps.push(match status.offload_given_up.as_slice() {
        [] => Step::new("offloads", Outcome::Ok, "what is configured is in use"),
        given_up => {
            let text = format!("given up, because the kernel refused or failed: {}", given_up.join(", "));
            Step::new("offloads", Outcome::Warning, text)
        }
    });
    steps
}

/// Whether keys of each source came out equal at both sites: what the ends told each other in the last exchange.
fn keys(status: &StatusReport, peer: &PeerReport) -> Vec<Step> {
    const NAME: &str = "key round trip";
    let sources = status.sources.iter().filter(|source| source.peer == peer.name);
    let if_none = if peer.policy.qkd == "required" { Outcome::Failed } else { Outcome::Warning };
    let step = |source: &SourceReport| {
        if let Some(reason) = &source.not_used {
            let hint = match reason.as_str() {
                "unknown key_ID" => {
                    ": the KME of the site that answers does not know keys that the other drew; look at \
                                     the link between the KMEs, and at the ids there"
                }
                "mismatch before" => ": the KMEs gave different keys for one key_ID; tell their vendor",
                _ => ": look at the KME of this site and of the other one (plait doctor there)",
            };
            return Step::new(NAME, if_none, format!("no key was mixed, \"{reason}\"{hint}"));
        }
        match &peer.epoch {
            Some(epoch) if epoch.mixed.contains(&source.name) => {
                Step::new(NAME, Outcome::Ok, "both sites mixed the same key into the present epoch")
            }
            Some(_) => {
                let why = source.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                Step::new(NAME, if_none, format!("no key of it is in the present epoch{why}"))
            }
            None => Step::new(NAME, Outcome::Skipped, "there is no session yet"),
        }
    };
    sources.map(|source| step(source).of(&format!("{}, {}", peer.name, source.name))).collect()
}

/// Whether the interval asks for more keys of a source than come.
fn budget(status: &StatusReport, peer: &PeerReport) -> Vec<Step> {
    const NAME: &str = "key budget";
    let step = |source: &SourceReport| {
        let (Some(income), Some(keys)) = (source.rate_in_per_second, source.stored_keys) else {
            let text = "how many keys come in is not known: it takes a minute, and a KME that tells its stock";
            return Step::new(NAME, Outcome::Skipped, text);
        };
        match Demand::of(&peer.policy).overdraws(Means::of(source)) {
            Some(text) => Step::new(NAME, Outcome::Warning, text),
            None => Step::new(NAME, Outcome::Ok, format!("{keys} keys stored, {} in", per_second(income))),
        }
    };
    let sources = status.sources.iter().filter(|source| source.peer == peer.name);
    sources.map(|source| step(source).of(&format!("{}, {}", peer.name, source.name))).collect()
}

fn peer_steps(status: &StatusReport, peer: &PeerReport) -> Vec<Step> {
    let steps = [reachable(status, peer), identity(status, peer), policy(peer)];
    steps.into_iter().map(|step| step.of(&peer.name)).collect()
}

fn count(status: &StatusReport, peer: &PeerReport, reason: &str) -> u64 {
    [&status.refused, &peer.refused].iter().filter_map(|refused| refused.get(reason)).sum()
}

fn has_session(peer: &PeerReport) -> bool {
    peer.epoch.is_some() && peer.state != "DOWN"
}

fn reachable(status: &StatusReport, peer: &PeerReport) -> Step {
    const NAME: &str = "peer reachable";
    if has_session(peer) {
        return Step::new(NAME, Outcome::Ok, "packets come and go");
    }
    let comes = [UNKNOWN_PEER, MADE_FOR_ANOTHER, PSK].iter().any(|reason| count(status, peer, reason) > 0);
    match &peer.endpoint {
        _ if comes => Step::new(NAME, Outcome::Ok, "datagrams come, but none from the expected peer"),
        Some(endpoint) => {
            let text = format!(
                "nothing authentic comes from {endpoint}: is plait up there, is UDP let through at both ends, is this \
                 site's endpoint right there?"
            );
            Step::new(NAME, Outcome::Failed, text)
        }
        None => {
            let text = "it has not called yet, and no endpoint is configured here: is plait up there?";
            Step::new(NAME, Outcome::Failed, text)
        }
    }
}

fn identity(status: &StatusReport, peer: &PeerReport) -> Step {
    const NAME: &str = "peer identity";
    let compare = format!(
        "compare by phone: ours is {}, theirs is to be {} (plait fingerprint FILE)",
        status.fingerprint, peer.fingerprint
    );
    if has_session(peer) {
        return Step::new(NAME, Outcome::Ok, format!("proven: {}", peer.fingerprint));
    }
    let text = if count(status, peer, PSK) > 0 {
        "the PSK differs, or somebody claims to be the peer: is psk_file the same at both sites?".to_owned()
    } else if count(status, peer, UNKNOWN_PEER) > 0 {
        format!(
            "who calls has a key that is no peer's here: public_key_file of {} is another site's; {compare}",
            peer.name
        )
    } else if count(status, peer, MADE_FOR_ANOTHER) > 0 {
        format!(
            "who calls expects another key than ours: the other site has a wrong public file of this one; {compare}"
        )
    } else {
        return Step::new(NAME, Outcome::Skipped, "there is no session yet");
    };
    Step::new(NAME, Outcome::Failed, text)
}

fn policy(peer: &PeerReport) -> Step {
    const NAME: &str = "policy";
    match (&peer.peer_qkd, &peer.effective_qkd) {
        (Some(theirs), _) if *theirs == peer.policy.qkd => {
            Step::new(NAME, Outcome::Ok, format!("both sites say {theirs}"))
        }
        (Some(theirs), effective) => {
            let ours = &peer.policy.qkd;
            let holds = effective.as_ref().unwrap_or(ours);
            let text = format!(
                "here {ours}, there {theirs}: the stricter holds at both, {holds}; write the same at both sites"
            );
            Step::new(NAME, Outcome::Warning, text)
        }
        (None, _) => Step::new(NAME, Outcome::Skipped, "the other site has not told its policy yet"),
    }
}

/// How the process that reads packets is held: by what the kernel says of it, and by what it says itself.
pub(super) fn sandbox(run_dir: &Path, interface: &str, status: &StatusReport) -> Step {
    const NAME: &str = "sandbox";
    let sandboxes = status.sandbox.iter().chain(&status.keys_sandbox);
    let missing: Vec<String> = sandboxes.flat_map(Sandbox::missing).collect();
    match of_daemon(run_dir, interface) {
        Ok(Confinement { no_new_privileges: true, seccomp: true, has_capabilities: false }) if missing.is_empty() => {
            Step::new(NAME, Outcome::Ok, "the process that reads packets has no right, and no file but its own")
        }
        Ok(Confinement { .. }) => {
            let why = if missing.is_empty() { "the kernel shows more rights".to_owned() } else { missing.join("; ") };
            let text = format!("the process that reads packets is less confined than it could be: {why}");
            Step::new(NAME, Outcome::Warning, text)
        }
        Err(error) => Step::new(NAME, Outcome::Skipped, format!("cannot be seen: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer without a session, by the counters and words given.
    fn status(json: serde_json::Value) -> StatusReport {
        let mut peer = serde_json::json!({"name": "dc", "state": "HOLDING", "fingerprint": "F", "endpoint": "192.0.2.1:1",
            "allowed_ips": [], "peer_qkd": null, "effective_qkd": null, "epoch": null, "deadline_seconds": null,
            "policy": {"qkd": "required", "min_sources": 1, "hold_last_seconds": 1, "degrade_for_seconds": null,
                "rekey_seconds": 60, "full_seconds": 600},
            "handshakes": {"full": 0, "fast": 0, "failed": 0, "last_full": null},
            "transfer": {"received_bytes": 0, "sent_bytes": 0, "received_packets": 0, "sent_packets": 0},
            "drops": {}, "refused": {}});
        let refused = json.get("refused").cloned().unwrap_or_else(|| serde_json::json!({}));
        peer.as_object_mut().unwrap().extend(json["peer"].as_object().cloned().unwrap_or_default());
        serde_json::from_value(
            serde_json::json!({"schema": 1, "interface": "hq", "state": "HOLDING", "fingerprint": "O",
            "listen": "", "mtu": 1420, "uptime_seconds": 1.0, "policy": peer["policy"], "peers": [peer],
            "sources": [{"name": "fibre-1", "peer": "dc", "type": "etsi014", "state": "ok", "stored_keys": null,
                "not_used": json.get("not_used"),
                "stored_keys_age_seconds": null, "tls": null, "keys_used": 0, "requests_ok": 0, "requests_failed": 0,
                "last_error": null, "last_error_age_seconds": null, "certificate_expiry": null}],
            "refused": refused}),
        )
        .unwrap()
    }

    #[track_caller]
    fn says(json: serde_json::Value, name: &str, outcome: Outcome, words: &str) {
        let steps = steps(&status(json));
        let step = steps.iter().find(|step| step.name == name).unwrap();
        assert!(step.outcome == outcome && step.text.contains(words), "{step:?}");
    }

    #[test]
    fn counters_tell_whose_key_is_wrong() {
        let refused = |reason: &str| serde_json::json!({"refused": {reason: 3}});
        says(serde_json::json!({}), "peer identity", Outcome::Skipped, "no session");
        says(serde_json::json!({}), "peer reachable", Outcome::Failed, "nothing authentic");
        says(refused("unknown_peer"), "peer identity", Outcome::Failed, "public_key_file of dc");
        says(refused("unknown_peer"), "peer reachable", Outcome::Ok, "datagrams come");
        says(refused("mac1"), "peer identity", Outcome::Failed, "wrong public file of this one");
        says(refused("psk_or_identity"), "peer identity", Outcome::Failed, "psk_file");
        says(serde_json::json!({"peer": {"endpoint": null}}), "peer reachable", Outcome::Failed, "has not called");
    }

    #[test]
    fn an_interval_that_asks_for_more_keys_than_come_is_a_warning() {
        let mut status = status(serde_json::json!({}));
        let step = |status: &StatusReport| steps(status).into_iter().find(|step| step.name == "key budget").unwrap();
        assert_eq!(step(&status).outcome, Outcome::Skipped);
        let source = &mut status.sources[0];
        (source.stored_keys, source.rate_in_per_second) = (Some(0), Some(1.0 / 90.0));
        let found = step(&status);
        assert!(found.outcome == Outcome::Warning && found.text.contains("rekey = \"139s\""), "{found:?}");
        status.sources[0].rate_in_per_second = Some(3.9);
        assert_eq!((step(&status).outcome, step(&status).text.as_str()), (Outcome::Ok, "0 keys stored, 3.9/s in"));
    }

    #[test]
    fn policies_and_failed_sources_are_told() {
        let differ = serde_json::json!({"peer": {"peer_qkd": "preferred", "effective_qkd": "required"}});
        says(differ, "policy", Outcome::Warning, "here required, there preferred");
        says(serde_json::json!({"peer": {"peer_qkd": "required"}}), "policy", Outcome::Ok, "both");
        let failed = |reason: &str| serde_json::json!({"not_used": reason});
        says(failed("unknown key_ID"), "key round trip", Outcome::Failed, "between the KMEs");
        says(failed("mismatch before"), "key round trip", Outcome::Failed, "vendor");
        says(failed("deadline"), "key round trip", Outcome::Failed, "plait doctor there");
        says(serde_json::json!({}), "key round trip", Outcome::Skipped, "no session");
        says(serde_json::json!({}), "offloads", Outcome::Ok, "in use");
    }
}
