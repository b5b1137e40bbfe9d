//! A KME of ETSI GS QKD 014 as a key source: exactly one key a request, judged before it is handed on.

use std::time::Duration;

use tokio::time::Instant;

use super::asked::{Asked, Stock};
use super::key_source::KeySource;
use super::setup::SourceSetup;
use crate::etsi014::v1::container::ContainerKey;
use crate::etsi014::v1::path::Method;
use crate::etsi014::v1::request::NewKeys;
use crate::io::kme_client::methods::{KmeClient, Outcome};
use crate::io::kme_client::registry::KmeClients;
use crate::io::tls::material::SetupError;
use crate::keys::request::{DeliveredKey, KeyRequestKind, SourceFailure};
use crate::types::id::KeyId;
use crate::types::limits::QKD_KEY_BYTES_MIN;
use crate::types::policy::Reason;

/// One `[[qkd]]` section at work.
pub struct Etsi014Source {
    kme: KmeClient,
    timeout: Duration,
}

impl Etsi014Source {
    /// Reads the section's files; the connection is shared through `clients`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`SetupError`], which says which usual mistake it is.
    pub fn new(setup: SourceSetup, clients: &mut KmeClients) -> Result<Self, SetupError> {
        let https = clients.client(&setup.reach)?;
        let SourceSetup { local_sae, remote_sae, timeout, method, .. } = setup;
        Ok(Self { kme: KmeClient { https, local_sae, remote_sae, method }, timeout })
    }

    async fn new_key(&self, deadline: Duration, bits: u16) -> Outcome<DeliveredKey> {
        let asked = NewKeys { number: 1, size: bits.into() };
        let outcome = self.kme.enc_keys(self.timeout.min(deadline), asked).await;
        let key = outcome.result.and_then(|keys| only(keys, Reason::NoKeyNow));
        Outcome { result: key.and_then(|key| long_enough(key, usize::from(bits).div_ceil(8))), tls: outcome.tls }
    }

    async fn key_by_id(&self, deadline: Duration, key_id: &KeyId) -> Outcome<DeliveredKey> {
        let outcome = self.kme.dec_keys(self.timeout.min(deadline), &[key_id.as_str().to_owned()]).await;
        let key = outcome.result.and_then(|keys| only(keys, Reason::UnknownKeyId));
        Outcome { result: key.and_then(|key| of_id(key, key_id)), tls: outcome.tls }
    }
}

impl KeySource for Etsi014Source {
    async fn fetch(&mut self, kind: &KeyRequestKind, deadline: Duration) -> Asked<DeliveredKey> {
        let began = Instant::now();
        let (method, outcome) = match kind {
            KeyRequestKind::New { bits } => (Method::EncKeys, self.new_key(deadline, *bits).await),
            KeyRequestKind::ById { key_id } => (Method::DecKeys, self.key_by_id(deadline, key_id).await),
        };
        Asked { method, took: began.elapsed(), tls: outcome.tls, result: outcome.result }
    }

    async fn status(&mut self) -> Asked<Stock> {
        let began = Instant::now();
        let Outcome { result, tls } = self.kme.status(self.timeout).await;
        let result = result.map(|status| Stock { stored_keys: status.stored_key_count });
        Asked { method: Method::Status, took: began.elapsed(), tls, result }
    }
}

/// The key of that id.
fn of_id(key: ContainerKey, key_id: &KeyId) -> Result<DeliveredKey, SourceFailure> {
    if !key.key_id.as_str().eq_ignore_ascii_case(key_id.as_str()) {
        let text = "dec_keys answered with another key_ID than the one asked for".to_owned();
        return Err(SourceFailure { reason: Reason::Malformed, text });
    }
    // The other site's spelling: it is what both ends bind into the key schedule.
    long_enough(ContainerKey { key_id: key_id.clone(), ..key }, QKD_KEY_BYTES_MIN)
}

/// The one key that was asked for. None is what some KMEs answer with an empty stock; more are a fault.
fn only(keys: Vec<ContainerKey>, if_none: Reason) -> Result<ContainerKey, SourceFailure> {
    let number = keys.len();
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(SourceFailure { reason: if_none, text: "the KME answered 200 without a key".to_owned() }),
        (Some(_), Some(_)) => {
            let text = format!("the KME answered with {number} keys, one was asked for");
            Err(SourceFailure { reason: Reason::Malformed, text })
        }
    }
}

fn long_enough(key: ContainerKey, bytes_min: usize) -> Result<DeliveredKey, SourceFailure> {
    let bytes = key.material.len();
    if bytes < bytes_min {
        let text = format!("the KME gave a key of {} bits, expected {} or more", bytes * 8, bytes_min * 8);
        return Err(SourceFailure { reason: Reason::WrongSize, text });
    }
    Ok(DeliveredKey { key_id: key.key_id, material: key.material })
}
