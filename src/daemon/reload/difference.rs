//! What is another in a new configuration, in words; and what cannot become another while the daemon runs.

use std::time::Duration;

use crate::config::{AuditMode, Config, Interface, Policy};
use crate::control::reload::{Change, ChangeKind};
use crate::engine::setup::PeerSetup;
use crate::types::prefix::Prefix;

/// Prefixes of one peer that are named: a screen of them says no more than their number.
const PREFIXES_SHOWN_MAX: usize = 8;

/// Why a running daemon cannot take the new interface section, if so.
pub(super) fn refusal(old: &Interface, new: &Interface) -> Option<String> {
    let because = |key: &str, why: &str| Some(format!("{key}: {why}; restart the daemon to use another"));
    if old.backend != new.backend {
        return because("backend", "the TUN interface is open with its backend, and goes away with it");
    }
    if old.queues != new.queues {
        return because("queues", "the TUN interface is open with its queues, each with threads and a lane of its own");
    }
    if old.offload != new.offload {
        return because("offload", "what the kernel does for the interface is tried and agreed with it at the start");
    }
    if old.kill_switch != new.kill_switch {
        let why = "it is set at the start, and taken away by `plait down NAME --open` alone";
        return because("killswitch", why);
    }
    let writes = |mode: AuditMode| mode != AuditMode::Off;
    if writes(old.audit) != writes(new.audit) {
        return because("audit", "a record has its beginning and its end at those of the daemon");
    }
    None
}

/// The interface and the status page.
pub(super) fn of_interface(old: &Config, new: &Config) -> Vec<Change> {
    let (was, is) = (&old.interface, &new.interface);
    let change = |text: String| Change::new(ChangeKind::Interface, text);
    let mut changes = Vec::new();
    if was.listen != is.listen {
        changes.push(change(format!("listen: {} -> {}", was.listen, is.listen)));
    }
    let written = |interface: &Interface| -> Vec<String> {
        interface.addresses.iter().map(|own| format!("{}/{}", own.address, own.length)).collect()
    };
    changes.extend(lists("address", &written(was), &written(is)).map(change));
    if was.mtu != is.mtu {
        changes.push(change(format!("mtu: {} -> {}", was.mtu.bytes(), is.mtu.bytes())));
    }
    if was.table != is.table {
        changes.push(change(format!("table: {:?} -> {:?}", was.table, is.table).to_lowercase()));
    }
    if was.audit != is.audit {
        changes.push(change(format!("audit: {:?} -> {:?}", was.audit, is.audit).to_lowercase()));
    }
    if old.status_listen != new.status_listen {
        let word = |at: Option<std::net::SocketAddr>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
        let text = format!("status page: {} -> {}", word(old.status_listen), word(new.status_listen));
        changes.push(Change::new(ChangeKind::StatusPage, text));
    }
    changes
}

/// What is another about a peer, one sentence.
pub(super) fn of_peer(old: (&PeerSetup, &Policy), new: (&PeerSetup, &Policy)) -> Option<String> {
    let ((was, was_policy), (is, is_policy)) = (old, new);
    let mut parts = Vec::new();
    if was.public.fp() != is.public.fp() {
        parts.push(format!("another public key ({}): the session ends", is.public.fp()));
    }
    if !was.psk.ct_eq(&is.psk) {
        parts.push("another PSK".to_owned());
    }
    let mut scalar = |key: &str, was: String, is: String| {
        if was != is {
            parts.push(format!("{key}: {was} -> {is}"));
        }
    };
    scalar("endpoint", or_none(was.endpoint), or_none(is.endpoint));
    let ciphers = |setup: &PeerSetup| setup.ciphers.iter().map(|cipher| cipher.as_str()).collect::<Vec<_>>().join(", ");
    scalar("cipher", ciphers(was), ciphers(is));
    scalar("keepalive", span(was.keepalive, "off"), span(is.keepalive, "off"));
    scalar("ratchet", format!("{:?}", was.ratchet).to_lowercase(), format!("{:?}", is.ratchet).to_lowercase());
    scalar("pin_endpoint", was.pin_endpoint.to_string(), is.pin_endpoint.to_string());
    policy(was_policy, is_policy, &mut scalar);
    let prefixes = |list: &[Prefix]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    parts.extend(lists("allowed_ips", &prefixes(&was.allowed_ips), &prefixes(&is.allowed_ips)));
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn policy(was: &Policy, is: &Policy, scalar: &mut impl FnMut(&str, String, String)) {
    scalar("qkd", was.qkd.as_str().to_owned(), is.qkd.as_str().to_owned());
    scalar("min_sources", was.min_sources.to_string(), is.min_sources.to_string());
    scalar("hold_last", span(was.hold_last, "not set"), span(is.hold_last, "not set"));
    scalar("degrade_for", span(was.degrade_for, "unlimited"), span(is.degrade_for, "unlimited"));
    let rekey = |policy: &Policy| match policy.rekey_min {
        Some(shortest) => format!("auto from {} to {}", words(shortest), words(policy.rekey)),
        None => words(policy.rekey),
    };
    scalar("rekey", rekey(was), rekey(is));
    scalar("full", words(was.full), words(is.full));
}

fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn span(value: Option<Duration>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), words)
}

fn words(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}

/// `KEY: + A, B; - C`, if a list has or lacks something.
fn lists(key: &str, was: &[String], is: &[String]) -> Option<String> {
    let sorted = |list: &[String]| list.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    let (was, is) = (sorted(was), sorted(is));
    let sign = |sign: &str, a: &std::collections::BTreeSet<String>, b: &std::collections::BTreeSet<String>| {
        let some: Vec<&str> = a.difference(b).map(String::as_str).collect();
        let shown = some.iter().take(PREFIXES_SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = some.len().saturating_sub(PREFIXES_SHOWN_MAX);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!some.is_empty()).then(|| format!("{sign} {shown}{rest}"))
    };
    let parts: Vec<String> = [sign("+", &is, &was), sign("-", &was, &is)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("{key} {}", parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_compared_as_sets_and_shown_within_bounds() {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(lists("k", &own(&["a", "b"]), &own(&["b", "a"])), None);
        assert_eq!(lists("k", &own(&["a", "b"]), &own(&["b", "c"])).unwrap(), "k + c - a");
        let many: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        assert_eq!(lists("k", &[], &many).unwrap(), "k + 00, 01, 02, 03, 04, 05, 06, 07 and 12 more");
    }

    #[test]
    fn what_belongs_to_the_open_interface_needs_a_restart() {
        let text = "[interface]\nprivate_key_file = \"k\"\n[policy]\nqkd = \"off\"\n[[peer]]\nname = \"b\"\n\
                    public_key_file = \"b\"\nallowed_ips = [\"10.0.0.0/8\"]\n";
        let parse = |more: &str| {
            let text = text.replacen("[policy]", &format!("{more}\n[policy]"), 1);
            crate::config::parse("x.toml", "x", &text).unwrap()
        };
        let old = parse("");
        for (more, key) in [
            ("queues = 2", "queues"),
            ("offload = \"off\"", "offload"),
            ("audit = \"off\"", "audit"),
            ("backend = \"tun-tap\"", "backend"),
        ] {
            let text = refusal(&old.interface, &parse(more).interface).unwrap();
            assert!(text.starts_with(key) && text.contains("restart"), "{text}");
        }
        let allowed =
            parse("listen = \"[::]:1\"\nmtu = 1300\ntable = 7\naudit = \"required\"\naddress = [\"10.1.1.1/24\"]");
        assert_eq!(refusal(&old.interface, &allowed.interface), None);
        let lines: Vec<String> = of_interface(&old, &allowed).iter().map(Change::line).collect();
        let expected = [
            "listen: [::]:51900 -> [::]:1",
            "address + 10.1.1.1/24",
            "mtu: 1420 -> 1300",
            "table: auto -> number(7)",
            "audit: on -> required",
        ];
        assert_eq!(lines, expected);
    }
}
