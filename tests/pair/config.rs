//! What the two engines of a test are configured with.

use std::time::Duration;

use plait::engine::setup::PolicySetup;
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy};

/// What an end is configured with; both ends start from the same.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) policy: PolicySetup,
    pub(crate) sources: u8,
    pub(crate) ratchet: RatchetPolicy,
    pub(crate) psk: [u8; 32],
    pub(crate) ciphers: Vec<Cipher>,
    pub(crate) features: u8,
    pub(crate) knows_endpoint: bool,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) pin_endpoint: bool,
    pub(crate) inner_mtu: u16,
}

impl Config {
    pub(crate) fn required() -> Self {
        Self {
            policy: PolicySetup {
                qkd: QkdPolicy::Required,
                min_sources: 1,
                hold_last: Some(Duration::from_secs(60)),
                degrade_for: None,
                rekey: Duration::from_secs(10),
                full: Duration::from_secs(600),
            },
            sources: 1,
            ratchet: RatchetPolicy::Prefer,
            psk: [0; 32],
            ciphers: vec![Cipher::ChaCha20Poly1305],
            features: 0,
            knows_endpoint: true,
            keepalive: None,
            pin_endpoint: false,
            inner_mtu: 1420,
        }
    }
}
