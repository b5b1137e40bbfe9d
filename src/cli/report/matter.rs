//! The parts of a report: collected from a running daemon or from what one left, and redacted.

use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::facts;
use crate::cli::args::Places;
use crate::cli::ask::ask;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{audit, doctor, events, output, version};
use crate::control::live::LiveReport;
use crate::control::redact::Redaction;
use crate::control::request::{Answer, Request};
use crate::control::text;
use crate::etsi014::v1::url::BaseUrl;
use crate::io::clock::Clock;
use crate::io::control_client::ANSWER_DEADLINE;
use crate::io::keyfile;
use crate::types::limits::CONFIG_BYTES_MAX;
use crate::types::prefix::Prefix;

/// One file of the archive.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) text: String,
}

/// All of them.
pub(super) struct Matter {
    pub(super) parts: Vec<Part>,
    /// `running`, or why it does not answer.
    pub(super) daemon: String,
    /// Whether addresses of the underlay are in it: not unless it is known which ones are inner.
    pub(super) with_addresses: bool,
    rules: Redaction,
}

impl Matter {
    /// Collects everything that is there. What is missing is said in its place.
    ///
    /// # Errors
    /// Nothing at all is known of an interface of that name.
    pub(super) fn collect(name: &str, file: &Path, with_addresses: bool, places: &Places) -> Result<Self, Failure> {
        output::talk(&format!("asking the daemon of {name}"));
        let live = live(name, &places.run_dir);
        let written = written(file);
        let events = events::kept(name, &places.run_dir, &places.state_dir);
        if let (Err(failure), Err(_), false) = (&live, &events, file.exists()) {
            let text = format!("nothing is known of {name}: {failure}; there is no {}", file.display());
            return Err(Failure::new(Exit::NotRunning, text));
        }
        let with_addresses = with_addresses && written.is_ok();
        let rules = rules(written.as_ref().ok(), live.as_ref().ok(), with_addresses);
        let daemon = live.as_ref().map_or_else(|failure| rules.text(&failure.text), |_| "running".to_owned());
        let mut matter = Self { parts: Vec::new(), daemon, with_addresses, rules };
        matter.add("version.txt", "this program", version::text(true));
        matter.configuration(written);
        match live {
            Ok(live) => matter.live(&live),
            Err(failure) => matter.add("status.txt", "no daemon answers", failure.text + "\n"),
        }
        match events {
            Ok(events) => matter.lines("events.jsonl", "what happened, oldest first", &events),
            Err(failure) => matter.add("events.txt", "no events", failure.text + "\n"),
        }
        output::talk(&format!("looking at {}: a few seconds, no key is spent", file.display()));
        matter.json("doctor.json", "plait doctor --json", &doctor::found(file, &places.run_dir)?);
        match audit::verified(name, &places.state_dir) {
            Ok(verified) => matter.json("audit.json", "plait audit verify --json", &verified),
            Err(failure) => matter.add("audit.txt", "no audit", failure.text + "\n"),
        }
        matter.add("machine.txt", "kernel, processor, settings and counters", facts::of_machine(name));
        Ok(matter)
    }

    fn add(&mut self, name: &'static str, about: &'static str, text: String) {
        let text = self.rules.text(&text);
        self.parts.push(Part { name, about, text });
    }

    /// JSON that this program wrote.
    fn json(&mut self, name: &'static str, about: &'static str, line: &str) {
        let mut value: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        self.rules.json(&mut value);
        self.parts.push(Part { name, about, text: format!("{value}\n") });
    }

    /// JSON, one object a line.
    fn lines<T: serde::Serialize>(&mut self, name: &'static str, about: &'static str, items: &[T]) {
        let line = |item: &T| {
            let mut value = serde_json::to_value(item).unwrap_or(Value::Null);
            self.rules.json(&mut value);
            format!("{value}\n")
        };
        let text = items.iter().map(line).collect();
        self.parts.push(Part { name, about, text });
    }

    fn configuration(&mut self, written: Result<toml::Table, String>) {
        const NAME: &str = "configuration.toml";
        match written {
            Ok(mut table) => {
                self.rules.config(&mut table);
                let text = toml::to_string(&table).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"));
                self.parts.push(Part { name: NAME, about: "as written, without comments", text });
            }
            Err(why) => self.add(NAME, "cannot be shown", format!("# {}\n", why.replace('\n', " "))),
        }
    }

    fn live(&mut self, live: &LiveReport) {
        self.add("status.txt", "plait status", text::status(&live.status, Clock::start().unix()));
        self.lines("status.json", "plait status --json", std::slice::from_ref(&live.status));
        self.lines("course.jsonl", "epochs, states and traffic of each peer", &live.courses);
        self.lines("stock.jsonl", "stock of each key source", &live.stocks);
    }
}

fn live(name: &str, run_dir: &Path) -> Result<LiveReport, Failure> {
    if let Answer::Live { live } = ask(name, run_dir, &Request::Live, ANSWER_DEADLINE)? {
        return Ok(*live);
    }
    Err(Failure::new(Exit::Unreachable, "the daemon gave another answer than its figures"))
}

/// The configuration as TOML, be it valid or not.
fn written(file: &Path) -> Result<toml::Table, String> {
    let bytes = keyfile::read_public(file, CONFIG_BYTES_MAX).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())?;
    // The parser's own words show the line, which may hold anything: its place says enough.
    text.parse().map_err(|error: toml::de::Error| format!("is no TOML: {}", error.message()))
}

/// What is inner is told by the file and by the daemon, which may have read another one.
fn rules(written: Option<&toml::Table>, live: Option<&LiveReport>, with_addresses: bool) -> Redaction {
    let (mut inner, mut hosts) = (Vec::new(), Vec::new());
    for (key, value) in written.into_iter().flatten() {
        known(key, value, &mut inner, &mut hosts);
    }
    for peer in live.iter().flat_map(|live| &live.status.peers) {
        inner.extend(peer.allowed_ips.iter().filter_map(|prefix| prefix.parse::<Prefix>().ok()));
    }
    Redaction::new(inner, hosts, with_addresses)
}

fn known(key: &str, value: &toml::Value, inner: &mut Vec<Prefix>, hosts: &mut Vec<String>) {
    if let Some(table) = value.as_table() {
        return table.iter().for_each(|(key, value)| known(key, value, inner, hosts));
    }
    if let Some(items) = value.as_array() {
        return items.iter().for_each(|item| known(key, item, inner, hosts));
    }
    let Some(text) = value.as_str() else { return };
    let host = match key {
        "address" | "allowed_ips" => {
            inner.extend(text.parse::<Prefix>());
            return;
        }
        "url" => BaseUrl::parse(text).map(|url| url.host().to_owned()).unwrap_or_default(),
        "server_name" => text.to_owned(),
        "endpoint" => text.rsplit_once(':').map(|(host, _)| host.to_owned()).unwrap_or_default(),
        _ => return,
    };
    // Addresses are looked for by their form.
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
        hosts.push(host);
    }
}
