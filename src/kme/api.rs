//! The rules of the three methods (V1.1.1, 5 and 6): who may ask what, and which status code and text answers it.

use super::issued::NotDelivered;
use super::pair::{Issue, KEY_SIZE_DEFAULT, Pair, Side};
use crate::etsi014::v1::container;
use crate::etsi014::v1::error::{KEYS_NOT_FOUND, MANDATORY_NOT_SUPPORTED, SIZE_NOT_MULTIPLE_OF_8, error_json};
use crate::etsi014::v1::path::{self, Method};
use crate::etsi014::v1::request::{EncKeys, KEYS_PER_REQUEST_MAX, read_key_ids};
use crate::etsi014::v1::status::Status;
use crate::types::id::SaeId;
use crate::types::random::Entropy;
use crate::types::secret::SecretBytes;
use crate::types::time::Instant;

/// Bits of the longest key served.
pub const KEY_SIZE_MAX: u64 = 1024;
/// Bits of the shortest key served.
pub const KEY_SIZE_MIN: u64 = 64;

/// The HTTP method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
    /// Any other.
    Other,
}

/// A request, as HTTP carried it and TLS authenticated it.
pub struct ApiRequest<'a> {
    /// The SAE that the client certificate names.
    pub caller: &'a SaeId,
    /// Method.
    pub verb: Verb,
    /// Path, still escaped.
    pub path: &'a str,
    /// Query without "?", still escaped; empty if there is none.
    pub query: &'a str,
    /// Body; empty if there is none.
    pub body: &'a [u8],
}

/// The answer: a JSON body with every code.
pub struct ApiResponse {
    /// HTTP status code.
    pub code: u16,
    /// JSON; may hold keys.
    pub body: SecretBytes,
}

/// A refusal: code and message.
struct Refused(u16, String);

impl Refused {
    fn bad(message: impl Into<String>) -> Self {
        Self(400, message.into())
    }
}

/// Answers one request at the KME of `side`.
pub fn answer(
    pair: &mut Pair,
    now: Instant,
    side: Side,
    request: &ApiRequest<'_>,
    entropy: &mut dyn Entropy,
) -> ApiResponse {
    pair.advance(now);
    match route(pair, now, side, request, entropy) {
        Ok(body) => ApiResponse { code: 200, body },
        Err(Refused(code, message)) => ApiResponse { code, body: SecretBytes::new(error_json(&message).into_bytes()) },
    }
}

fn route(
    pair: &mut Pair,
    now: Instant,
    side: Side,
    request: &ApiRequest<'_>,
    entropy: &mut dyn Entropy,
) -> Result<SecretBytes, Refused> {
    if !pair.kme(side).saes.contains(request.caller) {
        let message = format!("SAE {} is not registered at {}", request.caller, pair.kme(side).id);
        return Err(Refused(401, message));
    }
    let (other, method) = path::parse(request.path).ok_or_else(|| Refused(404, "no such method".to_owned()))?;
    if request.verb == Verb::Other || (method == Method::Status && request.verb == Verb::Post) {
        return Err(Refused(405, format!("{} does not take this HTTP method", method.as_str())));
    }
    check_other(pair, side, request.caller, &other)?;
    match method {
        Method::Status => Ok(SecretBytes::new(status(pair, side, request.caller, &other).to_json().into_bytes())),
        Method::EncKeys => enc_keys(pair, now, side, request, &other, entropy),
        Method::DecKeys => dec_keys(pair, now, request, &other),
    }
}

/// The SAE in the path must be one of the other site.
fn check_other(pair: &Pair, side: Side, caller: &SaeId, other: &SaeId) -> Result<(), Refused> {
    let peer = pair.kme(side.other());
    if peer.saes.contains(other) {
        return Ok(());
    }
    let hint = if caller == other { ": it is the caller itself, are the two SAE ids swapped?" } else { "" };
    Err(Refused::bad(format!("SAE {other} is not registered at {}{hint}", peer.id)))
}

fn status(pair: &Pair, side: Side, caller: &SaeId, other: &SaeId) -> Status {
    let stock = pair.stock(side);
    Status {
        source_kme: Some(pair.kme(side).id.clone()),
        target_kme: Some(pair.kme(side.other()).id.clone()),
        master_sae: Some(caller.to_string()),
        slave_sae: Some(other.to_string()),
        key_size: Some(KEY_SIZE_DEFAULT),
        stored_key_count: Some(stock.keys(KEY_SIZE_DEFAULT)),
        max_key_count: Some(stock.keys_max(KEY_SIZE_DEFAULT)),
        max_key_per_request: Some(KEYS_PER_REQUEST_MAX),
        max_key_size: Some(KEY_SIZE_MAX),
        min_key_size: Some(KEY_SIZE_MIN),
        max_sae_count: Some(0),
    }
}

fn enc_keys(
    pair: &mut Pair,
    now: Instant,
    side: Side,
    request: &ApiRequest<'_>,
    slave: &SaeId,
    entropy: &mut dyn Entropy,
) -> Result<SecretBytes, Refused> {
    let asked = match request.verb {
        Verb::Post => EncKeys::read(request.body).map_err(|error| Refused::bad(format!("the body {error}")))?,
        Verb::Get | Verb::Other => EncKeys {
            number: query_integer(request.query, "number")?,
            size: query_integer(request.query, "size")?,
            ..EncKeys::default()
        },
    };
    let (number, size_bits) = check_asked(&asked)?;
    let order = Issue { master: request.caller, slave, number, size_bits };
    let keys = pair.issue(now, side, &order, entropy);
    let keys = keys.ok_or_else(|| Refused(503, "not enough key material available now".to_owned()))?;
    Ok(container::write(&keys))
}

/// Number and size, if this KME serves what is asked.
fn check_asked(asked: &EncKeys) -> Result<(u64, u64), Refused> {
    if !asked.mandatory_extensions.is_empty() {
        return Err(Refused::bad(MANDATORY_NOT_SUPPORTED));
    }
    if !asked.additional_slaves.is_empty() {
        return Err(Refused::bad("additional_slave_SAE_IDs: max_SAE_ID_count is 0"));
    }
    let number = asked.number.unwrap_or(1);
    if !(1..=KEYS_PER_REQUEST_MAX).contains(&number) {
        return Err(Refused::bad(format!("number shall be 1 to max_key_per_request, {KEYS_PER_REQUEST_MAX}")));
    }
    let size = asked.size.unwrap_or(KEY_SIZE_DEFAULT);
    if !size.is_multiple_of(8) {
        return Err(Refused::bad(SIZE_NOT_MULTIPLE_OF_8));
    }
    if !(KEY_SIZE_MIN..=KEY_SIZE_MAX).contains(&size) {
        return Err(Refused::bad(format!("size shall be {KEY_SIZE_MIN} to {KEY_SIZE_MAX} bits")));
    }
    Ok((number, size))
}

fn query_integer(query: &str, name: &str) -> Result<Option<u64>, Refused> {
    let Some(text) = path::query_value(query, name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Refused::bad(format!("{name} shall be an integer")))
}

fn dec_keys(pair: &mut Pair, now: Instant, request: &ApiRequest<'_>, master: &SaeId) -> Result<SecretBytes, Refused> {
    let ids = match request.verb {
        Verb::Post => read_key_ids(request.body).map_err(|error| Refused::bad(format!("the body {error}")))?,
        Verb::Get | Verb::Other => path::query_value(request.query, "key_ID").map(String::from).into_iter().collect(),
    };
    check_ids(&ids)?;
    let keys = pair.fetch(now, master, request.caller, &ids).map_err(|error| match error {
        NotDelivered::NotFound => Refused::bad(KEYS_NOT_FOUND),
        NotDelivered::NotNamed => Refused(401, "the key was not made for this SAE".to_owned()),
    })?;
    Ok(container::write(&keys))
}

fn check_ids(ids: &[String]) -> Result<(), Refused> {
    if !(1..=KEYS_PER_REQUEST_MAX).contains(&(ids.len() as u64)) {
        return Err(Refused::bad(format!("1 to {KEYS_PER_REQUEST_MAX} key_IDs shall be named")));
    }
    let mut names: Vec<String> = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < ids.len() {
        return Err(Refused::bad("a key_ID is named twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
