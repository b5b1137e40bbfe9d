//! Two ends that get on: policy required, one source, a ratchet entry in common, a PSK. Tests change what they need.

use std::collections::BTreeMap;

use plait::crypto::kdf::{expand, hmac};
use plait::crypto::kem::default_backend;
use plait::handshake::terms::{LocalTerms, RatchetSecret, Role};
use plait::identity::Identity;
use plait::keys::ratchet::{RatchetEntry, RatchetStore};
use plait::types::id::{SessionIndex, SourceMask};
use plait::types::policy::{Cipher, QkdPolicy, RatchetPolicy, Suite};
use plait::types::random::Randomness;
use plait::types::secret::Secret;
use plait::types::time::UnixTime;

use super::ends::{End, Ends, KmeAnswer, Source};

/// Values drawn from a seed by name and count; one bit of the draws of one name may be flipped.
pub(crate) struct Seeded {
    seed: u64,
    pub(crate) flip: Option<(&'static str, usize)>,
    drawn: BTreeMap<&'static str, u64>,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, flip: None, drawn: BTreeMap::new() }
    }

    fn draw(&mut self, name: &'static str, out: &mut [u8]) {
        let count = self.drawn.entry(name).or_insert(0);
        *count += 1;
        expand(&hmac(&self.seed.to_be_bytes(), &[name.as_bytes(), &count.to_be_bytes()]), &[], out);
        if let Some((_, bit)) = self.flip.filter(|(flipped, _)| *flipped == name) {
            flip(out, bit);
        }
    }
}

impl Randomness for Seeded {
    fn secret(&mut self, label: &'static str, out: &mut [u8]) {
        self.draw(label, out);
    }

    fn public(&mut self, name: &'static str, out: &mut [u8]) {
        self.draw(name, out);
    }
}

/// Flips one bit.
pub(crate) fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// The secret of a fixed ratchet entry.
pub(crate) const RATCHET: [u8; 32] = [0x52; 32];
/// The PSK.
pub(crate) const PSK: [u8; 32] = [0x50; 32];

/// Both ends of a suite.
pub(crate) fn ends(suite: Suite) -> Ends {
    let key: KmeAnswer = Ok(("key-0".to_owned(), vec![0x51; 32]));
    let mut sources: [Source; 6] = Default::default();
    sources[0] = Source { initiator: Some(key.clone()), responder: Some(key) };
    Ends {
        initiator: end(suite, 1),
        responder: end(suite, 2),
        psk: Secret::take(&mut PSK.clone()),
        sources,
        from: "192.0.2.1:51900".parse().unwrap(),
    }
}

fn end(suite: Suite, number: u8) -> End {
    let index = |of: u32| SessionIndex::new(of * 0x0101_0101 * u32::from(number)).unwrap();
    End {
        me: Identity::from_secret(default_backend(), suite, Secret::take(&mut [number; 96])).unwrap(),
        terms: terms(),
        ratchet: store(&[RATCHET]),
        unix: UnixTime(1_800_000_000),
        index: index(1),
        data_index: index(3),
    }
}

fn terms() -> LocalTerms {
    LocalTerms {
        qkd_policy: QkdPolicy::Required,
        min_sources: 1,
        source_mask: SourceMask::from_bits(1).unwrap(),
        ratchet_policy: RatchetPolicy::Prefer,
        ciphers: vec![Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm],
        features: 3,
        inner_mtu: 1420,
        hold_last: 3600,
        degrade_for: u32::MAX,
        clock: 0,
    }
}

/// A ratchet store with these entries, unconfirmed, the last one newest.
pub(crate) fn store(secrets: &[[u8; 32]]) -> RatchetStore {
    let mut store = RatchetStore::absent();
    for rs in secrets {
        let RatchetSecret { id, rs } = RatchetSecret::new(Secret::take(&mut rs.clone()));
        store.store(RatchetEntry { id, rs, when: UnixTime(0), role: Role::Initiator });
    }
    store
}
