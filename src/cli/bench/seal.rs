//! The ciphers: how fast a record of full size is sealed and opened, by each backend.

use std::hint::black_box;

use super::meter::{Bench, Lap};
use super::row::{Figure, Trouble, Unit};
use crate::cli::lab::pause::{Interrupted, now};
use crate::crypto::aead::{AeadBackend, DataKey, KEY_BYTES, NONCE_BYTES};
use crate::types::limits::DATA_HEADER_BYTES;
use crate::types::policy::Cipher;
use crate::types::secret::Secret;

const GROUP: &str = "ciphers, records of 1420 bytes";
/// Bytes of a record's text: a packet that fills the default MTU of the tunnel.
const TEXT_BYTES: usize = 1420;
/// Records between two looks at the clock.
const BATCH: u64 = 64;

/// Every cipher on every backend that has it.
pub(super) fn measure(bench: &mut Bench) -> Result<(), Interrupted> {
    for (name, cipher, backend) in [
        ("chacha20-poly1305, aws-lc", Cipher::ChaCha20Poly1305, AeadBackend::AwsLc),
        ("chacha20-poly1305, reference", Cipher::ChaCha20Poly1305, AeadBackend::Reference),
        ("aes-256-gcm, aws-lc", Cipher::Aes256Gcm, AeadBackend::AwsLc),
    ] {
        let key = DataKey::new(cipher, backend, &Secret::take(&mut [7; KEY_BYTES]));
        bench.row(GROUP, format!("seal, {name}"), |bench| figures(&bench.laps(|| Ok(seal(&key)))?))?;
        bench.row(GROUP, format!("open, {name}"), |bench| figures(&bench.laps(|| open(&key))?))?;
    }
    Ok(())
}

fn figures(lap: &Lap) -> Result<Vec<Figure>, Trouble> {
    let each = lap.per_call();
    Ok(vec![(TEXT_BYTES as f64 / each, Unit::GigabytesPerSecond), (each, Unit::NanosecondsPerRecord)])
}

/// A nonce may repeat here: the key is nobody's, and nothing leaves this function.
const NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];
const HEADER: [u8; DATA_HEADER_BYTES] = [16; DATA_HEADER_BYTES];

fn seal(key: &DataKey) -> Lap {
    let mut text = [0x42; TEXT_BYTES];
    let begun = now();
    for _ in 0..BATCH {
        black_box(key.seal(NONCE, &HEADER, black_box(&mut text)));
    }
    Lap { calls: BATCH, packets: BATCH, spent: begun.elapsed() }
}

fn open(key: &DataKey) -> Result<Lap, Trouble> {
    let mut sealed = vec![0x42; TEXT_BYTES];
    let tag = key.seal(NONCE, &HEADER, &mut sealed);
    sealed.extend_from_slice(&tag);
    let mut records = vec![sealed; BATCH as usize];
    let begun = now();
    for record in &mut records {
        let opened = key.open(NONCE, &HEADER, black_box(record)).map(|text| text.len());
        if opened != Some(TEXT_BYTES) {
            return Err(Trouble::Failed("a sealed record does not open".to_owned()));
        }
    }
    Ok(Lap { calls: BATCH, packets: BATCH, spent: begun.elapsed() })
}
