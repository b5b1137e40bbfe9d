//! A KME of ETSI GS QKD 014 as a key source: exactly one key a request, judged before it is handed on.

use std::time::Duration;

use tokio::time::Instant;

use super::key_source::KeySource;
use super::setup::SourceSetup;
use super::watch::SourceWatch;
use crate::etsi014::v1::container::ContainerKey;
use crate::etsi014::v1::path::Method;
use crate::etsi014::v1::request::NewKeys;
use crate::io::kme_client::methods::KmeClient;
use crate::io::kme_client::registry::KmeClients;
use crate::io::tls::leaf::Leaf;
use crate::io::tls::material::SetupError;
use crate::keys::request::{DeliveredKey, KeyRequest, KeyRequestKind, SourceFailure};
use crate::types::id::KeyId;
use crate::types::limits::QKD_KEY_BYTES_MIN;
use crate::types::policy::Reason;
use crate::types::time::UnixTime;

/// One `[[qkd]]` section at work.
pub struct Etsi014Source {
    kme: KmeClient,
    timeout: Duration,
    watch: SourceWatch,
}

impl Etsi014Source {
    /// Reads the section's files; the connection is shared through `clients`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`SetupError`], which says which usual mistake it is.
    pub fn new(setup: SourceSetup, clients: &mut KmeClients) -> Result<Self, SetupError> {
        let https = clients.client(&setup.reach)?;
        let expiry = u64::try_from(https.own().not_after).ok().map(UnixTime);
        let watch = SourceWatch::new(&setup.name, "etsi014", expiry);
        let SourceSetup { local_sae, remote_sae, timeout, method, .. } = setup;
        Ok(Self { kme: KmeClient { https, local_sae, remote_sae, method }, timeout, watch })
    }

    /// Our own certificate.
    pub fn own(&self) -> &Leaf {
        self.kme.https.own()
    }

    /// Goes on with the figures of the source that it takes the place of.
    #[must_use]
    pub fn with_figures_of(self, earlier: &SourceWatch) -> Self {
        earlier.renew(u64::try_from(self.own().not_after).ok().map(UnixTime));
        Self { watch: earlier.clone(), ..self }
    }

    async fn new_key(&self, deadline: Duration, bits: u16) -> Result<DeliveredKey, SourceFailure> {
        let asked = NewKeys { number: 1, size: bits.into() };
        let outcome = self.kme.enc_keys(self.timeout.min(deadline), asked).await;
        self.note_tls(outcome.tls.as_deref());
        let key = only(outcome.result?, Reason::NoKeyNow)?;
        long_enough(key, usize::from(bits).div_ceil(8))
    }

    async fn key_by_id(&self, deadline: Duration, key_id: &KeyId) -> Result<DeliveredKey, SourceFailure> {
        let outcome = self.kme.dec_keys(self.timeout.min(deadline), &[key_id.as_str().to_owned()]).await;
        self.note_tls(outcome.tls.as_deref());
        let key = only(outcome.result?, Reason::UnknownKeyId)?;
        if !key.key_id.as_str().eq_ignore_ascii_case(key_id.as_str()) {
            let text = "dec_keys answered with another key_ID than the one asked for".to_owned();
            return Err(SourceFailure { reason: Reason::Malformed, text });
        }
        // The other site's spelling: it is what both ends bind into the key schedule.
        long_enough(ContainerKey { key_id: key_id.clone(), ..key }, QKD_KEY_BYTES_MIN)
    }

    fn note_tls(&self, tls: Option<&str>) {
        if let Some(tls) = tls {
            self.watch.connected(tls);
        }
    }
}

impl KeySource for Etsi014Source {
    async fn fetch(&mut self, request: &KeyRequest) -> Result<DeliveredKey, SourceFailure> {
        let began = Instant::now();
        let (method, fetched) = match &request.kind {
            KeyRequestKind::New { bits } => (Method::EncKeys, self.new_key(request.deadline, *bits).await),
            KeyRequestKind::ById { key_id } => (Method::DecKeys, self.key_by_id(request.deadline, key_id).await),
        };
        self.watch.asked(method, began.elapsed(), &fetched);
        match &fetched {
            Ok(_) => self.watch.key_came(),
            Err(failure) => self.watch.key_failed(failure),
        }
        fetched
    }

    async fn status(&mut self) -> Result<(), SourceFailure> {
        let began = Instant::now();
        let outcome = self.kme.status(self.timeout).await;
        self.watch.asked(Method::Status, began.elapsed(), &outcome.result);
        self.note_tls(outcome.tls.as_deref());
        match outcome.result {
            Ok(status) => {
                self.watch.status_came(&status);
                Ok(())
            }
            Err(failure) => {
                self.watch.status_failed(&failure);
                Err(failure)
            }
        }
    }

    fn watch(&self) -> SourceWatch {
        self.watch.clone()
    }
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
