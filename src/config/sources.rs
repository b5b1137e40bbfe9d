//! `[[qkd]]` sections: which peer each keys, its number, and how its KME is reached.

use std::time::Duration;

use toml::Spanned;

use super::file::{PeerSection, QkdSection};
use super::model::{HttpMethod, KmeTls, Source};
use super::reader::Reader;
use super::value::{Written, duration};
use crate::etsi014::v1::pin::{self, Pin};
use crate::etsi014::v1::url::BaseUrl;
use crate::types::id::{SaeId, SourceId};
use crate::types::limits::{ENC_KEYS_DEADLINE, KME_TIMEOUT_MIN, QKD_SOURCES_MAX};
use crate::types::nearest::nearest;

/// Words that `status` uses in `mixed` for what is no source.
const RESERVED: [&str; 5] = ["x25519", "ml-kem-1024", "ml-kem-768", "psk", "ratchet"];

/// The index in `peers` of the peer that each section keys; `None` was noted as an error.
pub(super) fn owners(
    reader: &mut Reader<'_>,
    sections: &[Spanned<QkdSection>],
    peers: &[Spanned<PeerSection>],
) -> Vec<Option<usize>> {
    let names: Vec<&str> =
        peers.iter().filter_map(|peer| Some(peer.get_ref().name.as_ref()?.get_ref().as_str())).collect();
    sections.iter().map(|section| owner(reader, section, peers, &names)).collect()
}

fn owner(
    reader: &mut Reader<'_>,
    section: &Spanned<QkdSection>,
    peers: &[Spanned<PeerSection>],
    names: &[&str],
) -> Option<usize> {
    let Some(wanted) = &section.get_ref().peer else {
        if peers.len() > 1 {
            reader.fail(section, format!("peer: with {} peers a [[qkd]] section says which one it keys", peers.len()));
        }
        return (peers.len() == 1).then_some(0);
    };
    let came = wanted.get_ref();
    let found = peers.iter().position(|peer| peer.get_ref().name.as_ref().is_some_and(|name| name.get_ref() == came));
    if found.is_none() {
        let came = format!("{came:?}{}", nearest(came, names.iter().copied()));
        reader.expected(wanted, "peer", "the name of a [[peer]] section", &came);
    }
    found
}

/// One section; `alone` says that it is its peer's only one and may leave the number out.
pub(super) fn source(reader: &mut Reader<'_>, section: &Spanned<QkdSection>, alone: bool) -> Option<Source> {
    let written = section.get_ref();
    known_type(reader, section)?;
    let id = number(reader, section, alone);
    let name = name(reader, section, id);
    let url = reader.required(section, "url", written.url.as_ref()).and_then(|url| base_url(reader, url));
    let local_sae = sae(reader, section, "local_sae", written.local_sae.as_ref());
    let remote_sae = sae(reader, section, "remote_sae", written.remote_sae.as_ref());
    if local_sae.is_some()
        && local_sae == remote_sae
        && let Some(at) = &written.remote_sae
    {
        reader.fail(at, "remote_sae: expected the other site's SAE id, came our own (local_sae)");
    }
    for (key, value) in
        [("ca_file", &written.ca_file), ("cert_file", &written.cert_file), ("key_file", &written.key_file)]
    {
        reader.required(section, key, value.as_ref());
    }
    let timeout = timeout(reader, written.timeout.as_ref());
    let server_name = server_name(reader, written.server_name.as_ref());
    let pin_sha256 = written.pin_sha256.as_ref().and_then(|pin| digest(reader, pin));
    let tls = [("any", KmeTls::Any), ("pq", KmeTls::PostQuantum)];
    let kme_tls = reader.word("kme_tls", written.kme_tls.as_ref(), &tls).unwrap_or(KmeTls::Any);
    let methods = [("post", HttpMethod::Post), ("get", HttpMethod::Get)];
    let method = reader.word("method", written.method.as_ref(), &methods).unwrap_or(HttpMethod::Post);
    Some(Source {
        id: id?,
        name: name?,
        url: url?,
        local_sae: local_sae?,
        remote_sae: remote_sae?,
        ca_file: reader.file("ca_file", written.ca_file.as_ref())?,
        cert_file: reader.file("cert_file", written.cert_file.as_ref())?,
        key_file: reader.file("key_file", written.key_file.as_ref())?,
        key_password_file: reader.file("key_password_file", written.key_password_file.as_ref()),
        server_name,
        pin_sha256,
        timeout,
        kme_tls,
        method,
    })
}

fn known_type(reader: &mut Reader<'_>, section: &Spanned<QkdSection>) -> Option<()> {
    let kind = reader.required(section, "type", section.get_ref().kind.as_ref())?;
    let words = [("etsi014", true), ("skip", false), ("file", false), ("exec", false), ("simulated", false)];
    match reader.word("type", Some(kind), &words) {
        Some(true) => Some(()),
        Some(false) => {
            reader.fail(kind, format!("type: {:?} is not in this version; expected \"etsi014\"", kind.get_ref()));
            None
        }
        None => None,
    }
}

fn number(reader: &mut Reader<'_>, section: &Spanned<QkdSection>, alone: bool) -> Option<SourceId> {
    let id = section.get_ref().id.as_ref();
    if id.is_none() && !alone {
        let text = "id: a peer with several [[qkd]] sections needs the number of each, the same at both sites";
        reader.fail(section, text);
        return None;
    }
    if id.is_none() {
        return SourceId::new(0);
    }
    let number = reader.number("id", id, 0..=QKD_SOURCES_MAX as i64 - 1)?;
    u8::try_from(number).ok().and_then(SourceId::new)
}

fn name(reader: &mut Reader<'_>, section: &Spanned<QkdSection>, id: Option<SourceId>) -> Option<String> {
    let Some(written) = &section.get_ref().name else {
        return id.map(|id| format!("qkd-{id}"));
    };
    let name = reader.name("name", Some(written))?;
    if RESERVED.contains(&name.as_str()) {
        reader.fail(written, format!("name: {name:?} is a word of `status` for another key; choose another name"));
        return None;
    }
    Some(name)
}

fn sae(
    reader: &mut Reader<'_>,
    section: &Spanned<QkdSection>,
    key: &str,
    value: Option<&Spanned<String>>,
) -> Option<SaeId> {
    let value = reader.required(section, key, value)?;
    let id = SaeId::new(value.get_ref());
    if id.is_none() {
        let came = format!("{:?}", value.get_ref());
        reader.expected(value, key, "1 to 128 bytes without control characters, as the KME's operator gave it", &came);
    }
    id
}

fn base_url(reader: &mut Reader<'_>, url: &Spanned<String>) -> Option<BaseUrl> {
    match BaseUrl::parse(url.get_ref()) {
        Ok(base) => Some(base),
        Err(error) => {
            reader.fail(url, format!("url: {error}, came {:?}", url.get_ref()));
            None
        }
    }
}

fn timeout(reader: &mut Reader<'_>, value: Option<&Spanned<Written>>) -> Duration {
    let Some(at) = value else { return ENC_KEYS_DEADLINE };
    let found = duration(at.get_ref()).filter(|span| (KME_TIMEOUT_MIN..=ENC_KEYS_DEADLINE).contains(span));
    found.unwrap_or_else(|| {
        let expected = "a time from \"100ms\" to \"10s\" (the protocol throws later answers away)";
        reader.expected(at, "timeout", expected, &at.get_ref().to_string());
        ENC_KEYS_DEADLINE
    })
}

fn server_name(reader: &mut Reader<'_>, value: Option<&Spanned<String>>) -> Option<String> {
    let at = value?;
    let came = at.get_ref();
    let fits = (1..=253).contains(&came.len()) && came.chars().all(|c| !c.is_control());
    if !fits {
        reader.expected(at, "server_name", "the name in the KME's certificate", &format!("{came:?}"));
    }
    fits.then(|| came.clone())
}

fn digest(reader: &mut Reader<'_>, pin: &Spanned<String>) -> Option<Pin> {
    let bytes = pin::parse(pin.get_ref());
    if bytes.is_none() {
        reader.expected(pin, "pin_sha256", "64 hexadecimal digits", &format!("{:?}", pin.get_ref()));
    }
    bytes
}
