//! From the text to the resolved configuration: every mistake that can be seen in the text alone is noted, not only the first.

use std::net::SocketAddr;
use std::time::Duration;

use toml::Spanned;

use super::check;
use super::error::{ConfigError, ConfigErrors, Place};
use super::file::{File, InterfaceSection, PeerSection, QkdSection, StatusSection, written};
use super::model::{
    AuditMode, Backend, CipherChoice, Config, Interface, InterfaceAddress, Mtu, Peer, RouteTable, Source,
};
use super::offload;
use super::policy;
use super::reader::Reader;
use super::sources;
use super::value::Written;
use crate::types::limits::{
    INNER_MTU_MAX, INNER_MTU_MIN, INTERFACE_NAME_CHARS_MAX, KEEPALIVE_MAX, KEEPALIVE_MIN, LANES, PEERS_MAX,
};
use crate::types::policy::{Cipher, RatchetPolicy};
use crate::types::prefix::Prefix;

/// Where both ends meet if neither says otherwise.
const LISTEN_DEFAULT: &str = "[::]:51900";

/// Whether a text can name an interface (`wg-quick`'s rule): 1 to 15 of `a-z A-Z 0-9 _ = + . -`, not `.` or `..`.
pub fn interface_name(stem: &str) -> Option<&str> {
    let fits = (1..=INTERFACE_NAME_CHARS_MAX).contains(&stem.len())
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"_=+.-".contains(&b))
        && stem != "."
        && stem != "..";
    fits.then_some(stem)
}

/// Resolves `text`; `file` is the file as the operator named it, `name` the interface (stem of the file name).
pub fn parse(file: &str, name: &str, text: &str) -> Result<Config, ConfigErrors> {
    let errors = |errors| ConfigErrors { file: file.to_owned(), errors };
    if interface_name(name).is_none() {
        let expected = "1 to 15 of a-z A-Z 0-9 _ = + . - (it names the interface)";
        let place = Place { line: 1, column: 1 };
        return Err(errors(vec![ConfigError::expected(place, "file name", expected, format!("{name:?}"))]));
    }
    let written = written(text).map_err(|error| errors(vec![error]))?;
    let mut reader = Reader::new(text);
    let config = resolve(&mut reader, &written, name);
    if let Some(config) = &config {
        check::all(&mut reader, &written, config);
    }
    let (found, warnings) = reader.finish();
    match config {
        Some(config) if found.is_empty() => Ok(Config { warnings, ..config }),
        Some(_) | None => Err(errors(found)),
    }
}

fn resolve(reader: &mut Reader<'_>, file: &File, name: &str) -> Option<Config> {
    let status_listen = file.status.as_ref().and_then(|section| status_page(reader, section));
    let Some(section) = &file.interface else {
        reader.note(ConfigError::other(Place { line: 1, column: 1 }, "expected a section [interface], there is none"));
        return None;
    };
    if file.peer.is_empty() || file.peer.len() > PEERS_MAX {
        let text = format!("expected 1 to {PEERS_MAX} sections [[peer]], there are {}", file.peer.len());
        reader.fail(section, text);
        return None;
    }
    let interface = interface(reader, section, name);
    let base = file.policy.as_ref().map(Spanned::get_ref);
    let policy = policy::resolve(reader, base, None);
    let mut sources = all_sources(reader, file);
    let peers: Vec<Option<Peer>> = file
        .peer
        .iter()
        .zip(&mut sources)
        .map(|(section, own)| {
            let policy = policy::resolve(reader, base, section.get_ref().policy.as_ref());
            let sources = std::mem::take(own);
            peer(reader, section).map(|peer| Peer { policy, sources, ..peer })
        })
        .collect();
    Some(Config {
        interface: interface?,
        policy,
        peers: peers.into_iter().collect::<Option<_>>()?,
        status_listen,
        warnings: Vec::new(),
    })
}

fn status_page(reader: &mut Reader<'_>, section: &Spanned<StatusSection>) -> Option<SocketAddr> {
    let written = reader.required(section, "listen", section.get_ref().listen.as_ref())?;
    let listen = socket_address(reader, "listen", Some(written), 1)?;
    if !listen.ip().to_canonical().is_loopback() {
        let text = format!(
            "[status]: {listen} can be reached by others; the page has no password and shows peers, addresses and \
             key_IDs (no secrets): 127.0.0.1 or a firewall keeps it to those who may see that"
        );
        reader.warn(written, text);
    }
    Some(listen)
}

/// The sources of each peer, ascending by id.
fn all_sources(reader: &mut Reader<'_>, file: &File) -> Vec<Vec<Source>> {
    let owners = sources::owners(reader, &file.qkd, &file.peer);
    let mut all: Vec<Vec<Source>> = vec![Vec::new(); file.peer.len()];
    let count = |owner: &Option<usize>| owners.iter().filter(|other| *other == owner).count();
    for (section, owner) in file.qkd.iter().zip(&owners) {
        let source = sources::source(reader, section, count(owner) == 1);
        let Some(own) = owner.and_then(|owner| all.get_mut(owner)) else { continue };
        let Some(source) = source else { continue };
        if own.iter().any(|other| other.id == source.id) {
            let at: &Spanned<QkdSection> = section;
            reader.fail(at, format!("id: {} is used by another [[qkd]] section of the same peer", source.id));
        }
        own.push(source);
    }
    for own in &mut all {
        own.sort_by_key(|source| source.id);
    }
    all
}

fn interface(reader: &mut Reader<'_>, section: &Spanned<InterfaceSection>, name: &str) -> Option<Interface> {
    let written = section.get_ref();
    let key = reader.required(section, "private_key_file", written.private_key_file.as_ref());
    let private_key_file = reader.file("private_key_file", key);
    let listen = socket_address(reader, "listen", written.listen.as_ref(), 0);
    let listen = if written.listen.is_some() { listen } else { LISTEN_DEFAULT.parse().ok() };
    let mut addresses = Vec::new();
    for text in written.address.iter().flatten() {
        addresses.extend(interface_address(reader, text, &addresses));
    }
    let mtu = mtu(reader, written.mtu.as_ref());
    let table = table(reader, written.table.as_ref());
    let backends = [("tun-rs", Backend::TunRs), ("tun-tap", Backend::TunTap)];
    let backend = reader.word("backend", written.backend.as_ref(), &backends).unwrap_or(Backend::TunRs);
    let offload = offload::resolve(reader, written.offload.as_ref(), backend);
    let queues = queues(reader, written.queues.as_ref(), backend);
    let modes = [("off", AuditMode::Off), ("on", AuditMode::On), ("required", AuditMode::Required)];
    let audit = reader.word("audit", written.audit.as_ref(), &modes).unwrap_or(AuditMode::On);
    let kill_switch = reader.switch("killswitch", written.killswitch.as_ref()).unwrap_or(false);
    Some(Interface {
        name: name.to_owned(),
        private_key_file: private_key_file?,
        listen: listen?,
        addresses,
        mtu,
        table,
        backend,
        offload,
        queues,
        audit,
        kill_switch,
    })
}

fn socket_address(
    reader: &mut Reader<'_>,
    key: &str,
    value: Option<&Spanned<String>>,
    port_min: u16,
) -> Option<SocketAddr> {
    let at = value?;
    let found = at.get_ref().parse::<SocketAddr>().ok();
    let found = found.filter(|address| address.port() >= port_min && !address.ip().is_multicast());
    if found.is_none() {
        let expected = "ADDRESS:PORT, such as 198.51.100.7:51900 or [2001:db8::7]:51900 (no host name)";
        reader.expected(at, key, expected, &format!("{:?}", at.get_ref()));
    }
    found
}

fn interface_address(
    reader: &mut Reader<'_>,
    at: &Spanned<String>,
    others: &[InterfaceAddress],
) -> Option<InterfaceAddress> {
    let found = at.get_ref().split_once('/').and_then(|(address, _)| {
        let link: Prefix = at.get_ref().parse().ok()?;
        let address = address.parse().ok()?;
        Some(InterfaceAddress { address, length: link.length() })
    });
    let Some(found) = found else {
        let came = format!("{:?}", at.get_ref());
        reader.expected(at, "address", "ADDRESS/BITS, such as 10.99.0.1/30 or fd99::1/126", &came);
        return None;
    };
    if others.iter().any(|other| other.address == found.address) {
        reader.fail(at, format!("address: {} is here twice", found.address));
        return None;
    }
    Some(found)
}

fn mtu(reader: &mut Reader<'_>, value: Option<&Spanned<Written>>) -> Mtu {
    let Some(at) = value.filter(|at| *at.get_ref() != Written::Text("auto".to_owned())) else { return Mtu::Auto };
    let bytes = match at.get_ref() {
        Written::Number(number) => u16::try_from(*number).ok(),
        Written::Text(_) | Written::Switch(_) | Written::Other(_) => None,
    };
    let bytes = bytes.filter(|bytes| (INNER_MTU_MIN..=INNER_MTU_MAX).contains(bytes));
    if bytes.is_none() {
        let expected = format!("\"auto\" or bytes from {INNER_MTU_MIN} to {INNER_MTU_MAX}");
        reader.expected(at, "mtu", &expected, &at.get_ref().to_string());
    }
    bytes.map_or(Mtu::Auto, Mtu::Fixed)
}

fn table(reader: &mut Reader<'_>, value: Option<&Spanned<Written>>) -> RouteTable {
    let Some(at) = value else { return RouteTable::Auto };
    let found = match at.get_ref() {
        Written::Text(word) if word == "auto" => Some(RouteTable::Auto),
        Written::Text(word) if word == "off" => Some(RouteTable::Off),
        Written::Number(number) => u32::try_from(*number).ok().filter(|&n| n != 0).map(RouteTable::Number),
        Written::Text(_) | Written::Switch(_) | Written::Other(_) => None,
    };
    if found.is_none() {
        reader.expected(at, "table", "\"auto\", \"off\" or the number of a routing table", &at.get_ref().to_string());
    }
    found.unwrap_or(RouteTable::Auto)
}

fn queues(reader: &mut Reader<'_>, value: Option<&Spanned<Written>>, backend: Backend) -> usize {
    // Each queue seals in a lane of its own, and lane 0 is the control side's.
    const QUEUES_MAX: i64 = LANES as i64 - 1;
    let count = reader.number("queues", value, 1..=QUEUES_MAX).unwrap_or(1);
    if let Some(at) = value
        && count > 1
        && backend == Backend::TunTap
    {
        reader.fail(at, "queues: backend \"tun-tap\" has one queue only; expected 1");
    }
    usize::try_from(count).unwrap_or(1)
}

/// One peer, still without its policy and sources.
fn peer(reader: &mut Reader<'_>, section: &Spanned<PeerSection>) -> Option<Peer> {
    let written = section.get_ref();
    let name = reader.required(section, "name", written.name.as_ref());
    let name = reader.name("name", name);
    let key = reader.required(section, "public_key_file", written.public_key_file.as_ref());
    let public_key_file = reader.file("public_key_file", key);
    let endpoint = socket_address(reader, "endpoint", written.endpoint.as_ref(), 1);
    let allowed_ips = allowed_ips(reader, section);
    let ciphers = [
        ("auto", CipherChoice::Auto),
        ("chacha20-poly1305", CipherChoice::Only(Cipher::ChaCha20Poly1305)),
        ("aes-256-gcm", CipherChoice::Only(Cipher::Aes256Gcm)),
    ];
    let cipher = reader.word("cipher", written.cipher.as_ref(), &ciphers).unwrap_or(CipherChoice::Auto);
    let keepalive = keepalive(reader, written.keepalive.as_ref());
    let psk_file = reader.file("psk_file", written.psk_file.as_ref());
    let ratchets =
        [("off", RatchetPolicy::Off), ("prefer", RatchetPolicy::Prefer), ("require", RatchetPolicy::Require)];
    let ratchet = reader.word("ratchet", written.ratchet.as_ref(), &ratchets).unwrap_or(RatchetPolicy::Prefer);
    let pin_endpoint = reader.switch("pin_endpoint", written.pin_endpoint.as_ref()).unwrap_or(false);
    if pin_endpoint
        && written.endpoint.is_none()
        && let Some(at) = &written.pin_endpoint
    {
        reader.fail(at, "pin_endpoint: true needs an endpoint to stay at, and there is none");
    }
    Some(Peer {
        name: name?,
        public_key_file: public_key_file?,
        endpoint,
        allowed_ips,
        cipher,
        keepalive,
        psk_file,
        ratchet,
        pin_endpoint,
        policy: policy::resolve(reader, None, None),
        sources: Vec::new(),
    })
}

fn allowed_ips(reader: &mut Reader<'_>, section: &Spanned<PeerSection>) -> Vec<Prefix> {
    let Some(list) = &section.get_ref().allowed_ips else {
        reader.fail(section, "allowed_ips: this key is needed here and is missing");
        return Vec::new();
    };
    if list.is_empty() {
        reader.fail(section, "allowed_ips: expected at least one prefix: nothing could pass");
    }
    let mut found = Vec::with_capacity(list.len());
    for at in list {
        match at.get_ref().parse::<Prefix>() {
            Ok(prefix) => found.push(prefix),
            Err(_) => {
                let came = format!("{:?}", at.get_ref());
                reader.expected(at, "allowed_ips", "ADDRESS/BITS, such as 10.20.0.0/16 or fd20::/48", &came);
            }
        }
    }
    found
}

fn keepalive(reader: &mut Reader<'_>, value: Option<&Spanned<Written>>) -> Option<Duration> {
    let at = value.filter(|at| *at.get_ref() != Written::Text("off".to_owned()))?;
    reader.seconds("keepalive", Some(at), KEEPALIVE_MIN..=KEEPALIVE_MAX)
}
