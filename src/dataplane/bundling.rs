//! Small packets that wait for companions: the plaintext of a bundle record under construction.

use crate::dataplane::bundle::{self, Form};
use crate::types::id::PeerId;
use crate::wire::transport::RecordKind;

/// Packets of one peer and one DS field, in order. Its memory is used again and again.
#[derive(Default)]
pub(super) struct Bundling {
    whose: Option<(PeerId, u8)>,
    text: Vec<u8>,
    /// The form of the only entry.
    form: Option<Form>,
    packets: u64,
    packet_bytes: u64,
}

impl Bundling {
    /// Whose packets wait, and their DS field and ECN; `None`: nothing waits.
    pub(super) fn whose(&self) -> Option<(PeerId, u8)> {
        self.whose
    }

    /// Whether a packet can wait with those that are there. The first one always can; `limit` is the longest plaintext.
    pub(super) fn has_room(&self, peer: PeerId, tos: u8, length: usize, limit: usize) -> bool {
        match self.whose {
            None => true,
            Some(whose) => whose == (peer, tos) && bundle::fits(&self.text, length, limit),
        }
    }

    /// Adds a packet for which there is room. `write` appends exactly `length` bytes.
    pub(super) fn add(&mut self, peer: PeerId, tos: u8, form: Form, length: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if bundle::append_with(&mut self.text, form, length, usize::MAX, write) {
            self.form = self.whose.is_none().then_some(form);
            self.whose = Some((peer, tos));
            self.packets += 1;
            self.packet_bytes += length as u64;
        }
    }

    /// The record that carries them. One alone needs no bundle.
    pub(super) fn record(&self) -> (RecordKind, &[u8]) {
        let single = |kind| (kind, self.text.get(bundle::ENTRY_HEAD_BYTES..).unwrap_or_default());
        match self.form {
            Some(Form::Packet) => single(RecordKind::Data),
            Some(Form::Segment) => single(RecordKind::Segment),
            None => (RecordKind::Bundle, &self.text),
        }
    }

    /// All entries, each behind its head.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// How many packets wait.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Their bytes together.
    pub(super) fn packet_bytes(&self) -> u64 {
        self.packet_bytes
    }

    /// Nothing waits any more.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        (self.whose, self.form, self.packets, self.packet_bytes) = (None, None, 0, 0);
    }
}
