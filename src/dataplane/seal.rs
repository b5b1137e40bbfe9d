//! One record of a transport datagram (PROTOCOL 2.9).

use crate::session::epoch::{CounterExhausted, SealEpoch};
use crate::types::limits::{DATA_HEADER_BYTES, PADDING_BYTES, TAG_BYTES};
use crate::wire::transport::{Counter, RecordKind};

/// One record as a datagram of its own: what the control side seals in lane 0. An empty `Data` is a keepalive.
///
/// # Errors
/// [`CounterExhausted`] if the lane may seal no more under this epoch.
pub fn seal_record(
    epoch: &SealEpoch,
    lane: u8,
    kind: RecordKind,
    plaintext: &[u8],
) -> Result<Vec<u8>, CounterExhausted> {
    let counter = epoch.take_counters(lane, 1)?.next().ok_or(CounterExhausted)?;
    let mut out = Vec::with_capacity(datagram_len(kind, plaintext.len(), epoch.inner_mtu()));
    write_record(epoch, counter, kind, plaintext, &mut out);
    Ok(out)
}

/// Writes header, plaintext, padding (of `Data` only) and tag into `out`, sealing in place. Each counter once.
pub fn write_record(epoch: &SealEpoch, counter: Counter, kind: RecordKind, plaintext: &[u8], out: &mut Vec<u8>) {
    out.clear();
    epoch.count_bytes(
        counter.lane() as u8,
        append_record(epoch, counter, kind, out, |out| out.extend_from_slice(plaintext)),
    );
}

/// Appends a record of which `write` appends the plaintext. Returns the bytes that were sealed, padding included, which
/// the caller counts. Each counter once.
pub fn append_record(
    epoch: &SealEpoch,
    counter: Counter,
    kind: RecordKind,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) -> u64 {
    let start = out.len();
    let text_at = start + DATA_HEADER_BYTES;
    out.resize(text_at, 0);
    write(out);
    if kind == RecordKind::Data {
        let padded = padded_len(out.len() - text_at, epoch.inner_mtu());
        out.resize(text_at + padded, 0);
    }
    let sealed = (out.len() - text_at) as u64;
    let record = out.get_mut(start..).and_then(|record| record.split_first_chunk_mut::<DATA_HEADER_BYTES>());
    if let Some((head, text)) = record {
        let (header, tag) = epoch.seal(kind, counter, text);
        *head = header;
        out.extend_from_slice(&tag);
    }
    sealed
}

/// Bytes of the datagram that carries so many bytes of plaintext.
pub fn datagram_len(kind: RecordKind, length: usize, inner_mtu: u16) -> usize {
    let text = if kind == RecordKind::Data { padded_len(length, inner_mtu) } else { length };
    DATA_HEADER_BYTES + text + TAG_BYTES
}

/// Length of a packet with its padding: the next multiple of 16, but never above the inner MTU (PROTOCOL 2.9).
fn padded_len(length: usize, inner_mtu: u16) -> usize {
    length.next_multiple_of(PADDING_BYTES).min(usize::from(inner_mtu)).max(length)
}
