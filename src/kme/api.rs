//! The rules of the three methods (V1.1.1, 5 and 6): who may ask what, and which status code and text answers it.

use super::catalogue::Fault;
use super::delivery::{Delivery, deliver};
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

/// Bits of every key of a KME that has long ones only.
const LONG_SIZE: u64 = 512;

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

/// Answers one request, and says how the answer goes.
pub fn answer_on_the_way(
    pair: &mut Pair,
    now: Instant,
    side: Side,
    request: &ApiRequest<'_>,
    entropy: &mut dyn Entropy,
) -> Delivery {
    let answered = answer(pair, now, side, request, entropy);
    let method = path::parse(request.path).map(|(_, method)| method);
    let (faults, earlier) = pair.faults_and_earlier(side);
    deliver(faults, earlier, side, method, answered)
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
        let code = other_code(pair, side, &[(Fault::Stranger400, 400), (Fault::Stranger404, 404)]).unwrap_or(401);
        return Err(Refused(code, message));
    }
    let (other, method) = path::parse(request.path).ok_or_else(|| Refused(404, "no such method".to_owned()))?;
    if !takes(pair, side, method, request.verb) {
        return Err(Refused(405, format!("{} does not take this HTTP method", method.as_str())));
    }
    check_other(pair, side, request.caller, &other)?;
    match method {
        Method::Status if pair.has(Fault::StatusFails, side) => Err(Refused(500, "internal error".to_owned())),
        Method::Status => Ok(SecretBytes::new(status(pair, side, request.caller, &other).to_json().into_bytes())),
        Method::EncKeys => enc_keys(pair, now, side, request, &other, entropy),
        Method::DecKeys => dec_keys(pair, now, side, request, &other),
    }
}

/// Whether a method takes this verb here.
fn takes(pair: &Pair, side: Side, method: Method, verb: Verb) -> bool {
    match (method, verb) {
        (_, Verb::Other) | (Method::Status, Verb::Post) => false,
        (Method::Status, Verb::Get) => true,
        (Method::EncKeys | Method::DecKeys, Verb::Get) => !pair.has(Fault::PostOnly, side),
        (Method::EncKeys | Method::DecKeys, Verb::Post) => !pair.has(Fault::GetOnly, side),
    }
}

/// The code of the first of these habits that the KME has.
fn other_code(pair: &Pair, side: Side, habits: &[(Fault, u16)]) -> Option<u16> {
    habits.iter().find(|(habit, _)| pair.has(*habit, side)).map(|(_, code)| *code)
}

/// A refusal of a request of another form.
fn invalid(pair: &Pair, side: Side, message: impl Into<String>) -> Refused {
    Refused(other_code(pair, side, &[(Fault::Invalid422, 422)]).unwrap_or(400), message.into())
}

/// The SAE in the path must be one of the other site.
fn check_other(pair: &Pair, side: Side, caller: &SaeId, other: &SaeId) -> Result<(), Refused> {
    let peer = pair.kme(side.other());
    if peer.saes.contains(other) {
        return Ok(());
    }
    let hint = if caller == other { ": it is the caller itself, are the two SAE ids swapped?" } else { "" };
    let code = other_code(pair, side, &[(Fault::Unknown404, 404), (Fault::Unknown500, 500)]).unwrap_or(400);
    Err(Refused(code, format!("SAE {other} is not registered at {}{hint}", peer.id)))
}

fn status(pair: &Pair, side: Side, caller: &SaeId, other: &SaeId) -> Status {
    let stock = pair.stock(side);
    let has = |habit| pair.has(habit, side);
    let key_size = if has(Fault::LongSize) { LONG_SIZE } else { KEY_SIZE_DEFAULT };
    let is_fixed = has(Fault::LongSize) || has(Fault::FixedSize);
    // A KME that counts in bytes does so everywhere.
    let unit = if has(Fault::SizeInBytes) { 8 } else { 1 };
    let stored = if has(Fault::StockZero) {
        0
    } else if has(Fault::StockWaiting) {
        pair.keys_waiting()
    } else {
        stock.keys(key_size).min(if has(Fault::StockCapped) { 10 } else { u64::MAX })
    };
    let status = Status {
        source_kme: Some(pair.kme(side).id.clone()),
        target_kme: Some(pair.kme(side.other()).id.clone()),
        master_sae: Some(caller.to_string()),
        slave_sae: Some(other.to_string()),
        key_size: Some(key_size / unit),
        stored_key_count: Some(stored),
        max_key_count: Some(if has(Fault::StockCapped) { 10 } else { stock.keys_max(key_size) }),
        max_key_per_request: Some(keys_per_request_max(pair, side)),
        max_key_size: Some(if is_fixed { key_size } else { KEY_SIZE_MAX } / unit),
        min_key_size: Some(if is_fixed { key_size } else { KEY_SIZE_MIN } / unit),
        max_sae_count: Some(0),
    };
    if has(Fault::StatusPartial) {
        let Status { source_kme, key_size, stored_key_count, .. } = status;
        return Status { source_kme, key_size, stored_key_count, ..Status::default() };
    }
    status
}

fn keys_per_request_max(pair: &Pair, side: Side) -> u64 {
    if pair.has(Fault::OneKey, side) { 1 } else { KEYS_PER_REQUEST_MAX }
}

fn enc_keys(
    pair: &mut Pair,
    now: Instant,
    side: Side,
    request: &ApiRequest<'_>,
    slave: &SaeId,
    entropy: &mut dyn Entropy,
) -> Result<SecretBytes, Refused> {
    let asked = asked_keys(pair, side, request)?;
    let (mut number, size_bits) = check_asked(pair, side, &asked)?;
    if pair.has(Fault::Partial, side) {
        number = number.min(pair.stock(side).keys(size_bits));
    }
    number += u64::from(pair.faults().take(Fault::ExtraKey, side));
    number -= u64::from(number > 0 && pair.faults().take(Fault::MissingKey, side));
    let order = Issue { master: request.caller, slave, number, size_bits };
    let keys = pair.issue(now, side, &order, entropy);
    match keys {
        Some(keys) => Ok(container::write(&keys)),
        None if pair.has(Fault::EmptyList, side) => Ok(container::write(&[])),
        None => {
            let habits = [(Fault::Empty400, 400), (Fault::Empty404, 404), (Fault::Empty429, 429)];
            let code = other_code(pair, side, &habits).unwrap_or(503);
            Err(Refused(code, "not enough key material available now".to_owned()))
        }
    }
}

fn asked_keys(pair: &Pair, side: Side, request: &ApiRequest<'_>) -> Result<EncKeys, Refused> {
    match request.verb {
        Verb::Post if request.body.is_empty() && pair.has(Fault::NoEmptyPost, side) => {
            Err(Refused(415, "a body is expected".to_owned()))
        }
        Verb::Post => EncKeys::read(request.body).map_err(|error| invalid(pair, side, format!("the body {error}"))),
        Verb::Get | Verb::Other if pair.has(Fault::GetIgnored, side) => Ok(EncKeys::default()),
        Verb::Get | Verb::Other => Ok(EncKeys {
            number: query_integer(request.query, "number")?,
            size: query_integer(request.query, "size")?,
            ..EncKeys::default()
        }),
    }
}

/// Number and size in bits, if this KME serves what is asked.
fn check_asked(pair: &Pair, side: Side, asked: &EncKeys) -> Result<(u64, u64), Refused> {
    if !asked.mandatory_extensions.is_empty() && !pair.has(Fault::IgnoresMandatory, side) {
        return Err(Refused::bad(MANDATORY_NOT_SUPPORTED));
    }
    if !asked.additional_slaves.is_empty() {
        return Err(Refused::bad("additional_slave_SAE_IDs: max_SAE_ID_count is 0"));
    }
    let (number, number_max) = (asked.number.unwrap_or(1), keys_per_request_max(pair, side));
    if !(1..=number_max).contains(&number) {
        return Err(invalid(pair, side, format!("number shall be 1 to max_key_per_request, {number_max}")));
    }
    if pair.has(Fault::LongSize, side) {
        return Ok((number, LONG_SIZE));
    }
    if pair.has(Fault::FixedSize, side) {
        return Ok((number, KEY_SIZE_DEFAULT));
    }
    let size = asked.size.unwrap_or(KEY_SIZE_DEFAULT);
    if pair.has(Fault::SizeInBytes, side) && (1..=KEY_SIZE_MAX).contains(&size) {
        return Ok((number, size * 8));
    }
    if !size.is_multiple_of(8) {
        return Err(invalid(pair, side, SIZE_NOT_MULTIPLE_OF_8));
    }
    if !(KEY_SIZE_MIN..=KEY_SIZE_MAX).contains(&size) {
        return Err(invalid(pair, side, format!("size shall be {KEY_SIZE_MIN} to {KEY_SIZE_MAX} bits")));
    }
    Ok((number, size))
}

fn query_integer(query: &str, name: &str) -> Result<Option<u64>, Refused> {
    let Some(text) = path::query_value(query, name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Refused::bad(format!("{name} shall be an integer")))
}

/// Codes for a key_ID that is unknown, in place of 400.
const NOT_FOUND: &[(Fault, u16)] = &[
    (Fault::NotFound401, 401),
    (Fault::NotFound403, 403),
    (Fault::NotFound404, 404),
    (Fault::NotFound409, 409),
    (Fault::NotFound422, 422),
    (Fault::NotFound503, 503),
];

fn dec_keys(
    pair: &mut Pair,
    now: Instant,
    side: Side,
    request: &ApiRequest<'_>,
    master: &SaeId,
) -> Result<SecretBytes, Refused> {
    let ids = match request.verb {
        Verb::Post => read_key_ids(request.body).map_err(|error| invalid(pair, side, format!("the body {error}")))?,
        Verb::Get | Verb::Other => path::query_value(request.query, "key_ID").map(String::from).into_iter().collect(),
    };
    check_ids(pair, side, &ids)?;
    match pair.fetch(now, side, master, request.caller, &ids) {
        Ok(keys) => Ok(container::write(&keys)),
        Err(NotDelivered::NotFound) if pair.has(Fault::NotFoundEmpty, side) => Ok(container::write(&[])),
        Err(NotDelivered::NotFound) => {
            Err(Refused(other_code(pair, side, NOT_FOUND).unwrap_or(400), KEYS_NOT_FOUND.to_owned()))
        }
        Err(NotDelivered::NotNamed) => Err(Refused(401, "the key was not made for this SAE".to_owned())),
    }
}

fn check_ids(pair: &Pair, side: Side, ids: &[String]) -> Result<(), Refused> {
    let number_max = keys_per_request_max(pair, side);
    if !(1..=number_max).contains(&(ids.len() as u64)) {
        return Err(invalid(pair, side, format!("1 to {number_max} key_IDs shall be named")));
    }
    let mut names: Vec<String> = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < ids.len() {
        return Err(invalid(pair, side, "a key_ID is named twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
