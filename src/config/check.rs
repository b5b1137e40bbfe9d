//! Checks across sections: what is right alone and wrong together.

use std::collections::BTreeMap;
use std::net::IpAddr;

use toml::Spanned;

use super::error::ConfigError;
use super::file::{File, PeerSection};
use super::model::{Config, RouteTable};
use super::reader::Reader;
use crate::etsi014::v1::url::BaseUrl;
use crate::types::limits::IPV6_MTU_MIN;
use crate::types::policy::QkdPolicy;
use crate::types::prefix::Prefix;

/// The main routing table (rtnetlink(7), `RT_TABLE_MAIN`).
const MAIN_TABLE: u32 = 254;

/// Notes everything that does not go together.
pub(super) fn all(reader: &mut Reader<'_>, written: &File, config: &Config) {
    unique_peers(reader, written);
    unique_sources(reader, written, config);
    enough_sources(reader, written, config);
    apart(reader, written, config);
    endpoints_outside(reader, written, config);
    kmes_outside(reader, written, config);
    ipv6_fits(reader, written, config);
}

fn unique_peers(reader: &mut Reader<'_>, written: &File) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for name in written.peer.iter().filter_map(|peer| peer.get_ref().name.as_ref()) {
        let line = reader.place(name).line;
        if let Some(first) = seen.insert(name.get_ref(), line) {
            reader.fail(name, format!("name: {:?} is also the peer of line {first}", name.get_ref()));
        }
    }
    let keys = written.peer.iter().filter_map(|peer| peer.get_ref().public_key_file.as_ref());
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for file in keys {
        let line = reader.place(file).line;
        if let Some(first) = seen.insert(file.get_ref(), line) {
            let text = format!("public_key_file: {:?} is also the peer's of line {first}", file.get_ref());
            reader.fail(file, text);
        }
    }
}

/// Output names sources by their names alone, over all peers.
fn unique_sources(reader: &mut Reader<'_>, written: &File, config: &Config) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let names = config.peers.iter().flat_map(|peer| &peer.sources).map(|source| source.name.as_str());
    for name in names {
        *seen.entry(name).or_default() += 1;
    }
    for (name, _) in seen.into_iter().filter(|(_, count)| *count > 1) {
        let last = written.qkd.iter().rev().find(|section| match &section.get_ref().name {
            Some(own) => own.get_ref() == name,
            None => name.starts_with("qkd-"),
        });
        if let Some(section) = last {
            reader.fail(section, format!("name: several [[qkd]] sections are called {name:?}; give each its own name"));
        }
    }
}

fn enough_sources(reader: &mut Reader<'_>, written: &File, config: &Config) {
    for (section, peer) in written.peer.iter().zip(&config.peers) {
        let sources = peer.sources.len();
        let policy = peer.policy;
        if policy.qkd == QkdPolicy::Off || usize::from(policy.min_sources) <= sources {
            continue;
        }
        let (word, name) = (policy.qkd.as_str(), &peer.name);
        let text = if sources == 0 {
            format!(
                "qkd: policy {word:?} for peer {name:?} needs a [[qkd]] section, and there is none; \
                     add one or write qkd = \"off\""
            )
        } else {
            format!("min_sources: peer {name:?} needs {}, and has {sources} [[qkd]] section(s)", policy.min_sources)
        };
        let place = policy_place(reader, written, section);
        reader.note(ConfigError::other(place, text));
    }
}

/// Where the policy of a peer is written: its own override, `[policy]`, or the peer itself.
fn policy_place(reader: &Reader<'_>, written: &File, peer: &Spanned<PeerSection>) -> super::error::Place {
    let own = peer.get_ref().policy.as_ref();
    let base = written.policy.as_ref().map(Spanned::get_ref);
    let min = own.and_then(|own| own.min_sources.as_ref()).or_else(|| base?.min_sources.as_ref());
    let qkd = own.and_then(|own| own.qkd.as_ref()).or_else(|| base?.qkd.as_ref());
    match (min, qkd) {
        (Some(min), _) => reader.place(min),
        (None, Some(qkd)) => reader.place(qkd),
        (None, None) => reader.place(peer),
    }
}

/// No prefix twice, and none of one peer inside one of another: an inner address has one site.
fn apart(reader: &mut Reader<'_>, written: &File, config: &Config) {
    let mut all: Vec<(Prefix, usize, &Spanned<String>)> = Vec::new();
    for (at, (section, peer)) in written.peer.iter().zip(&config.peers).enumerate() {
        let texts = section.get_ref().allowed_ips.iter().flatten();
        all.extend(peer.allowed_ips.iter().zip(texts).map(|(prefix, text)| (*prefix, at, text)));
    }
    all.sort_by_key(|(prefix, _, _)| *prefix);
    // Sorted, a prefix comes after all that hold it, so that those still open stand on the stack, outermost first.
    let mut open: Vec<(Prefix, usize, &Spanned<String>)> = Vec::new();
    for (prefix, peer, text) in all {
        while open.last().is_some_and(|(outer, _, _)| !outer.overlaps(prefix)) {
            open.pop();
        }
        let conflict = open.iter().find(|(outer, owner, _)| *owner != peer || *outer == prefix);
        if let Some((outer, _, first)) = conflict {
            let (first, second) = if first.span().start <= text.span().start { (*first, text) } else { (text, *first) };
            let line = reader.place(first).line;
            let what = if *outer == prefix { "is the same as" } else { "overlaps" };
            let (a, b) = (second.get_ref(), first.get_ref());
            reader.fail(second, format!("allowed_ips: {a:?} {what} {b:?} of line {line}"));
        }
        // An equal one is not kept, so that the stack is never deeper than an address has bits.
        if open.last().is_none_or(|(outer, _, _)| *outer != prefix) {
            open.push((prefix, peer, text));
        }
    }
}

/// With routes in the main table a peer's own endpoint must not lie in the tunnel: its datagrams would enter it.
fn endpoints_outside(reader: &mut Reader<'_>, written: &File, config: &Config) {
    if !matches!(config.interface.table, RouteTable::Auto | RouteTable::Number(MAIN_TABLE)) {
        return;
    }
    for (section, peer) in written.peer.iter().zip(&config.peers) {
        let (Some(at), Some(endpoint)) = (&section.get_ref().endpoint, peer.endpoint) else { continue };
        let inner = config.peers.iter().flat_map(|peer| &peer.allowed_ips).find(|prefix| prefix.holds(endpoint.ip()));
        if let Some(inner) = inner {
            let text = format!(
                "endpoint: {} lies in allowed_ips ({inner}): the tunnel's own datagrams would be routed \
                                into it; set table to \"off\" or another number, and route them yourself",
                endpoint.ip()
            );
            reader.fail(at, text);
        }
    }
}

/// A KME behind the tunnel is reached only when its keys are there already.
fn kmes_outside(reader: &mut Reader<'_>, written: &File, config: &Config) {
    let sources = config.peers.iter().flat_map(|peer| &peer.sources);
    let hosts = sources.filter_map(|source| source.url.host().parse::<IpAddr>().ok());
    let allowed: Vec<&Prefix> = config.peers.iter().flat_map(|peer| &peer.allowed_ips).collect();
    for host in hosts {
        let Some(inner) = allowed.iter().find(|prefix| prefix.holds(host)) else { continue };
        let written = written.qkd.iter().filter_map(|section| section.get_ref().url.as_ref());
        let is_of =
            |url: &&Spanned<String>| BaseUrl::parse(url.get_ref()).is_ok_and(|url| url.host() == host.to_string());
        if let Some(at) = written.into_iter().find(is_of) {
            let text = format!(
                "url: {host} lies in allowed_ips ({inner}): the KME would be asked through the tunnel that needs its keys"
            );
            reader.warn(at, text);
        }
    }
}

fn ipv6_fits(reader: &mut Reader<'_>, written: &File, config: &Config) {
    let bytes = config.interface.mtu.bytes();
    let inside = config.interface.addresses.iter().map(|own| own.address);
    let behind = config.peers.iter().flat_map(|peer| &peer.allowed_ips).map(|prefix| prefix.address());
    if bytes >= IPV6_MTU_MIN || !inside.chain(behind).any(|address| address.is_ipv6()) {
        return;
    }
    let mtu = written.interface.as_ref().and_then(|interface| interface.get_ref().mtu.as_ref());
    if let Some(at) = mtu {
        reader.fail(at, format!("mtu: IPv6 inside needs at least {IPV6_MTU_MIN} bytes, came {bytes}"));
    }
}
