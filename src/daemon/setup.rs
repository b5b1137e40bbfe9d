//! From what was loaded to what the engine and the key sources are made of.

use std::io;
use std::path::Path;

use super::load::{Loaded, PeerKeys, resolve};
use super::start::{FailureKind, RunFailure};
use crate::config::{self, CipherChoice, Config, Peer};
use crate::crypto::aead::AeadBackend;
use crate::crypto::entropy::Hedge;
use crate::engine::setup::{EngineSetup, PeerSetup, PolicySetup, Restored};
use crate::io::entropy::OsEntropy;
use crate::io::keys_link::handover::{HANDOVER_BYTES_MAX, Handover};
use crate::io::source::SourceSetup;
use crate::io::state::{StateDir, StateKind};
use crate::io::tls::files::TlsFiles;
use crate::types::id::{PeerId, SourceId};
use crate::types::offload::OffloadSet;
use crate::types::policy::Cipher;
use crate::types::secret::SecretBytes;
use crate::types::terms::FEATURE_AES_HARDWARE;

/// A source with the peer that it keys.
pub struct PeerSource {
    /// Whose, by the place in the configuration.
    pub peer: PeerId,
    /// Its number there.
    pub source: SourceId,
    /// How to reach it.
    pub setup: SourceSetup,
}

/// All sources of a configuration file, paths resolved.
pub fn sources(file: &Path, config: &Config) -> Vec<PeerSource> {
    let peers = (0..).map(PeerId).zip(&config.peers);
    let all = peers.flat_map(|(peer, setup)| setup.sources.iter().map(move |source| (peer, source)));
    all.map(|(peer, source)| PeerSource {
        peer,
        source: source.id,
        setup: SourceSetup::from_config(source, |named| resolve(file, &named.path)),
    })
    .collect()
}

/// Sources and the files of TLS for the keys process.
///
/// # Errors
/// They are too many bytes.
pub(super) fn handover(
    generation: u32,
    file: &Path,
    config: &Config,
    files: TlsFiles,
) -> Result<SecretBytes, RunFailure> {
    let sources = sources(file, config).into_iter().map(|source| source.setup).collect();
    Handover { generation, sources, files }.to_bytes().map_err(|bytes| {
        let text = format!(
            "sources and TLS files come to {bytes} bytes, at most {HANDOVER_BYTES_MAX} are possible: use fewer, or smaller, \
             files"
        );
        RunFailure { text, kind: FailureKind::Configuration }
    })
}

/// Everything the engine needs: keys, policies, and what the peers kept over a restart.
///
/// # Errors
/// The system gives no randomness.
pub fn engine(loaded: Loaded, restored: Vec<Restored>) -> io::Result<EngineSetup> {
    let Loaded { config, me, peers: keys, .. } = loaded;
    let rng = Hedge::new(me.static_secret().duplicate(), Box::new(OsEntropy::open()?));
    let peers = peers(&config, keys);
    Ok(EngineSetup { me, peers, restored, rng: Box::new(rng), aead: AeadBackend::default() })
}

/// Each peer as the engine takes it, in the order of the configuration.
pub fn peers(config: &Config, keys: Vec<PeerKeys>) -> Vec<PeerSetup> {
    let inner_mtu = config.interface.mtu.bytes();
    let aes_in_hardware = aes_in_hardware();
    let features = features(config.interface.offload, aes_in_hardware);
    let setup = |(peer, keys): (&Peer, PeerKeys)| PeerSetup {
        public: keys.public,
        psk: keys.psk,
        policy: policy(peer.policy),
        sources: peer.sources.iter().map(|source| (source.id, source.name.clone())).collect(),
        ciphers: ciphers(peer.cipher, aes_in_hardware),
        features,
        name: peer.name.clone(),
        endpoint: peer.endpoint,
        allowed_ips: peer.allowed_ips.clone(),
        keepalive: peer.keepalive,
        ratchet: peer.ratchet,
        pin_endpoint: peer.pin_endpoint,
        inner_mtu,
    };
    config.peers.iter().zip(keys).map(setup).collect()
}

fn policy(policy: config::Policy) -> PolicySetup {
    let config::Policy { qkd, min_sources, hold_last, degrade_for, rekey, full, rekey_min: _ } = policy;
    PolicySetup { qkd, min_sources, hold_last, degrade_for, rekey, full }
}

/// In the order of preference: AES first only where the processor has instructions for it.
pub fn ciphers(choice: CipherChoice, aes_in_hardware: bool) -> Vec<Cipher> {
    match choice {
        CipherChoice::Only(cipher) => vec![cipher],
        CipherChoice::Auto if aes_in_hardware => vec![Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305],
        CipherChoice::Auto => vec![Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm],
    }
}

/// What is said of this end in a handshake (PROTOCOL 2.5).
pub fn features(offloads: OffloadSet, aes_in_hardware: bool) -> u8 {
    offloads.features() | if aes_in_hardware { FEATURE_AES_HARDWARE } else { 0 }
}

#[cfg(target_arch = "x86_64")]
fn aes_in_hardware() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn aes_in_hardware() -> bool {
    std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn aes_in_hardware() -> bool {
    false
}

/// What each peer kept.
pub fn restore(dir: &StateDir, loaded: &Loaded) -> Vec<Restored> {
    loaded.config.peers.iter().map(|peer| restore_peer(dir, &peer.name)).collect()
}

/// What one peer kept. A file that is there and cannot be read counts as damaged, never as absent: an absent ratchet
/// opens what `require` closes (PROTOCOL 2.7).
pub fn restore_peer(dir: &StateDir, peer: &str) -> Restored {
    let read = |kind: StateKind| {
        dir.read(peer, kind).unwrap_or_else(|error| {
            tracing::warn!(peer, file = %dir.path(peer, kind).display(), %error, "state cannot be read: taken as damaged");
            Some(SecretBytes::new(Vec::new()))
        })
    };
    Restored {
        ratchet: read(StateKind::Ratchet),
        clock: read(StateKind::Clock),
        budget: read(StateKind::Budget),
        seen: read(StateKind::Seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_decides_only_what_is_left_open() {
        assert_eq!(ciphers(CipherChoice::Auto, true), [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305]);
        assert_eq!(ciphers(CipherChoice::Auto, false), [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm]);
        let only = CipherChoice::Only(Cipher::ChaCha20Poly1305);
        assert_eq!(ciphers(only, true), [Cipher::ChaCha20Poly1305]);
    }

    #[test]
    fn features_tell_of_offloads_and_processor() {
        assert_eq!([false, true].map(|aes| features(OffloadSet::NONE, aes)), [0, 4]);
        assert_eq!([false, true].map(|aes| features(OffloadSet::ALL, aes)), [3, 7]);
    }
}
