//! What a report for somebody else does not say: inner addresses, whole key_IDs, anything as long as a key, underlay addresses.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::types::prefix::Prefix;

/// In the place of an inner address or prefix.
const INNER: &str = "(inner)";
/// In the place of an address of the underlay.
const ADDRESS: &str = "(address)";
/// In the place of a host's name.
const HOST: &str = "(host)";
/// In the place of a value whose key says nothing about its kind.
const LEFT_OUT: &str = "(left out)";
/// Letters of base64, base64url, base32 or hexadecimal in a row that may be a key: 24 bytes have 32 in base64.
const KEY_LETTERS_MIN: usize = 32;
/// Letters of a key_ID that are shown: its beginning and its end, as people compare them.
const ENDS: (usize, usize) = (4, 2);
/// Letters of a fingerprint, which is public and meant to be compared: 13 groups of 4 with hyphens between.
const FINGERPRINT_LETTERS: usize = 64;
/// Keys of a configuration whose values say how, not where or whom; of files the last part of the name is shown.
const SHOWN_KEYS: [&str; 33] = [
    "mtu",
    "table",
    "backend",
    "offload",
    "tso",
    "uso",
    "gso",
    "gro",
    "bundle",
    "queues",
    "audit",
    "killswitch",
    "qkd",
    "min_sources",
    "hold_last",
    "degrade_for",
    "rekey",
    "rekey_min",
    "rekey_max",
    "full",
    "id",
    "peer",
    "name",
    "type",
    "local_sae",
    "remote_sae",
    "timeout",
    "kme_tls",
    "method",
    "cipher",
    "keepalive",
    "ratchet",
    "pin_endpoint",
];
/// Keys whose values are shown as far as addresses and hosts are.
const WHERE_KEYS: [&str; 5] = ["listen", "endpoint", "url", "server_name", "pin_sha256"];

/// The rules for one report.
#[derive(Debug, Default)]
pub struct Redaction {
    /// Prefixes of the networks behind the tunnel and of the tunnel itself.
    inner: Vec<Prefix>,
    /// Names of hosts of the underlay.
    hosts: Vec<String>,
    /// Whether addresses and hosts of the underlay are told.
    with_addresses: bool,
}

impl Redaction {
    /// `with_addresses` holds only as far as `inner` says which addresses are of the underlay: what is in it is never told.
    pub fn new(inner: Vec<Prefix>, hosts: Vec<String>, with_addresses: bool) -> Self {
        Self { inner, hosts, with_addresses }
    }

    /// A text for a person.
    pub fn text(&self, text: &str) -> String {
        let mut text = shorten(text);
        if !self.with_addresses {
            for host in self.hosts.iter().filter(|host| !host.is_empty()) {
                text = replace_word(&text, host);
            }
        }
        self.addresses(&text)
    }

    /// JSON of `status`, `events` and the like; members keep their names and types.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    match (name.as_str(), &mut *member) {
                        // Public, and what both sites compare.
                        ("fingerprint", Value::String(_)) => {}
                        ("key_id", Value::String(id)) => *id = ends(id),
                        ("allowed_ips", Value::Array(prefixes)) => prefixes.fill(Value::from(INNER)),
                        (_, other) => self.json(other),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A configuration as written, without its comments: of a key that is not known the value is left out.
    pub fn config(&self, table: &mut toml::Table) {
        for (key, value) in table.iter_mut() {
            self.config_value(key, value);
        }
    }

    fn config_value(&self, key: &str, value: &mut toml::Value) {
        if let toml::Value::Table(section) = value {
            return self.config(section);
        }
        if let toml::Value::Array(items) = value {
            return items.iter_mut().for_each(|item| self.config_value(key, item));
        }
        let Some(text) = value.as_str() else {
            if !SHOWN_KEYS.contains(&key) {
                *value = LEFT_OUT.into();
            }
            return;
        };
        let shown = match key {
            "address" | "allowed_ips" => INNER.to_owned(),
            _ if key.ends_with("_file") => self.text(text.rsplit('/').next().unwrap_or_default()),
            _ if SHOWN_KEYS.contains(&key) || WHERE_KEYS.contains(&key) => self.text(text),
            _ => LEFT_OUT.to_owned(),
        };
        *value = shown.into();
    }

    /// Looks at every run of letters that an address can have.
    fn addresses(&self, text: &str) -> String {
        let is_part = |letter: char| letter.is_ascii_hexdigit() || matches!(letter, '.' | ':');
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(start) = rest.find(is_part) {
            let (before, from) = rest.split_at(start);
            let (run, after) = from.split_at(from.find(|letter| !is_part(letter)).unwrap_or(from.len()));
            out.push_str(before);
            // A letter or digit beside it belongs to a word: `std::` is no address, whatever its last letter is.
            let is_word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
            let in_word = is_word(before.chars().next_back()) || is_word(after.chars().next());
            let shown = self.run(run, in_word);
            // The length of a prefix goes with it.
            let bits = after.strip_prefix('/').map_or(0, |bits| bits.bytes().take_while(u8::is_ascii_digit).count());
            let cut = if bits > 0 && shown.ends_with(')') { bits + 1 } else { 0 };
            out.push_str(&shown);
            rest = after.get(cut..).unwrap_or_default();
        }
        out + rest
    }

    /// One run: an address, an address with a port, or several v4 addresses between colons.
    fn run(&self, run: &str, in_word: bool) -> String {
        let bare = run.trim_end_matches('.');
        let tail = run.get(bare.len()..).unwrap_or_default();
        for (whole, end) in [(bare, ""), (bare.strip_suffix(':').unwrap_or(bare), ":")] {
            if let Ok(address) = whole.parse::<IpAddr>()
                && !(in_word && address.is_ipv6())
            {
                let end = if whole.len() == bare.len() { "" } else { end };
                return format!("{}{end}{tail}", self.address(address, whole));
            }
        }
        if let Ok(socket) = bare.parse::<SocketAddr>() {
            let host = bare.rsplit_once(':').map_or(bare, |(host, _)| host);
            return format!("{}:{}{tail}", self.address(socket.ip(), host), socket.port());
        }
        let part = |part: &str| part.parse::<IpAddr>().map_or_else(|_| part.to_owned(), |ip| self.address(ip, part));
        run.split(':').map(part).collect::<Vec<_>>().join(":")
    }

    fn address(&self, address: IpAddr, written: &str) -> String {
        let address = address.to_canonical();
        // What every machine has says nothing about this one.
        if address.is_loopback() || address.is_unspecified() {
            return written.to_owned();
        }
        if self.inner.iter().any(|prefix| prefix.holds(address)) {
            return INNER.to_owned();
        }
        if self.with_addresses { written.to_owned() } else { ADDRESS.to_owned() }
    }
}

/// Beginning and end of a name that is not told whole.
fn ends(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    let (first, last) = ENDS;
    if letters.len() <= first + last {
        return LEFT_OUT.to_owned();
    }
    let part = |letters: &[char]| letters.iter().collect::<String>();
    let (start, end) =
        (letters.get(..first).unwrap_or_default(), letters.get(letters.len() - last..).unwrap_or_default());
    format!("{}...{}", part(start), part(end))
}

/// Shortens whatever is as long as a key or a UUID; a fingerprint stays.
fn shorten(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=' | '-' | '_');
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|letter| !is_part(letter)).unwrap_or(from.len()));
        out.push_str(before);
        let is_key = run.len() >= KEY_LETTERS_MIN && !is_fingerprint(run);
        out.push_str(&if is_key { ends(run) } else { run.to_owned() });
        rest = after;
    }
    out + rest
}

fn is_fingerprint(run: &str) -> bool {
    let is_group =
        |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    run.len() == FINGERPRINT_LETTERS && run.split('-').all(is_group)
}

/// A name where it stands alone: not as a part of a longer one.
fn replace_word(text: &str, word: &str) -> String {
    let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '-');
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (at, found) in text.match_indices(word) {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + found.len()..).unwrap_or_default());
        out.push_str(text.get(from..at).unwrap_or_default());
        let is_alone = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        out.push_str(if is_alone { HOST } else { found });
        from = at + found.len();
    }
    out + text.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
