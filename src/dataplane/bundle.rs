//! Bundle records: several small packets of one burst in one record, one seal and one datagram for all (PROTOCOL 2.9).
//!
//! ```text
//! entry, again and again:  u16 big-endian: bit 15 form, bits 0..14 length in bytes    length bytes
//! form 0: a whole IP packet, not padded    form 1: the plaintext of a segment record that is first and last at once
//! ```

use std::ops::Range;

use crate::dataplane::segment::Segment;
use crate::wire::field::{Malformed, u16_at};
use crate::wire::ip::InnerPacket;

/// Set in the head of an entry in the form of a segment record.
const SEGMENT_FORM: u16 = 0x8000;
/// Bytes in front of each entry.
pub(super) const ENTRY_HEAD_BYTES: usize = 2;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole IP packet.
    Packet,
    /// A packet whose checksums are left out, as in a segment record.
    Segment,
}

/// Appends an entry to the plaintext of a bundle. False, and nothing is appended, if the entry is longer than 32 767 bytes
/// or the plaintext would become longer than `limit` bytes.
pub fn append(bundle: &mut Vec<u8>, form: Form, packet: &[u8], limit: usize) -> bool {
    append_with(bundle, form, packet.len(), limit, |out| out.extend_from_slice(packet))
}

/// The same for an entry that `write` appends, of exactly `length` bytes.
pub fn append_with(
    bundle: &mut Vec<u8>,
    form: Form,
    length: usize,
    limit: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> bool {
    if !fits(bundle, length, limit) {
        return false;
    }
    let Some(length) = u16::try_from(length).ok().filter(|length| *length < SEGMENT_FORM) else { return false };
    let head = length | if form == Form::Segment { SEGMENT_FORM } else { 0 };
    bundle.extend_from_slice(&head.to_be_bytes());
    write(bundle);
    true
}

/// Whether an entry of that length makes the plaintext no longer than `limit` bytes.
pub(super) fn fits(bundle: &[u8], length: usize, limit: usize) -> bool {
    bundle.len() + ENTRY_HEAD_BYTES + length <= limit
}

/// The plaintext of a bundle record whose every entry has been looked at.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a>(&'a [u8]);

impl<'a> Bundle<'a> {
    /// Looks at all entries: a bundle with one bad entry is bad as a whole.
    ///
    /// # Errors
    /// [`Malformed`] if there are fewer than two entries, if one is longer than what follows its head, no IP packet of
    /// exactly its length, or in segment form and not first and last at once.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        let bundle = Self(text);
        let (mut end, mut count) = (0, 0_usize);
        for (form, range) in entries(text) {
            end = range.end;
            count += 1;
            check(form, text.get(range).ok_or(Malformed::Length)?)?;
        }
        match count {
            _ if end != text.len() => Err(Malformed::Length),
            0 | 1 => Err(Malformed::Value("number of bundled packets")),
            _ => Ok(bundle),
        }
    }

    /// Where the entries lie in the plaintext, in order.
    pub fn entries(self) -> impl Iterator<Item = (Form, Range<usize>)> {
        entries(self.0)
    }

    /// Takes the first entry off a plaintext that was looked at; `None` at its end.
    pub fn split_first(text: &mut [u8]) -> Option<(Form, &mut [u8], &mut [u8])> {
        let (form, range) = entry(text, 0)?;
        let (head, rest) = text.split_at_mut(range.end);
        Some((form, head.get_mut(range.start..)?, rest))
    }
}

/// The entries of a plaintext that nobody has looked at, up to the first that does not lie within it.
pub(super) fn entries(text: &[u8]) -> impl Iterator<Item = (Form, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (form, range) = entry(text, at)?;
        at = range.end;
        Some((form, range))
    })
}

/// The entry whose head is there, if both head and entry lie within the text.
fn entry(text: &[u8], at: usize) -> Option<(Form, Range<usize>)> {
    let head = u16_at(text, at)?;
    let form = if head & SEGMENT_FORM == 0 { Form::Packet } else { Form::Segment };
    let start = at + ENTRY_HEAD_BYTES;
    let end = start + usize::from(head & !SEGMENT_FORM);
    (end <= text.len()).then_some((form, start..end))
}

fn check(form: Form, entry: &[u8]) -> Result<(), Malformed> {
    match form {
        Form::Packet if InnerPacket::parse(entry)?.bytes().len() == entry.len() => Ok(()),
        Form::Packet => Err(Malformed::Length),
        Form::Segment => match Segment::parse(entry)? {
            Segment { index: 0, is_last: true, .. } => Ok(()),
            Segment { .. } => Err(Malformed::Value("bundled segment")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28 + payload, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend_from_slice(&[0, 1, 0, 2, 0, 8 + payload, 0x80, 0]);
        packet.extend(std::iter::repeat_n(payload, usize::from(payload)));
        packet
    }

    fn bundle(entries: &[(Form, Vec<u8>)]) -> Vec<u8> {
        let mut text = Vec::new();
        for (form, packet) in entries {
            assert!(append(&mut text, *form, packet, 1420));
        }
        text
    }

    #[test]
    fn entries_come_out_as_they_went_in() {
        let entries = [(Form::Packet, packet(0)), (Form::Segment, packet(9)), (Form::Packet, packet(100))];
        let text = bundle(&entries);
        assert_eq!(text[..2], [0, 28]);
        assert_eq!(text[30..32], [0x80, 37]);
        let out: Vec<_> = Bundle::parse(&text).unwrap().entries().map(|(f, range)| (f, text[range].to_vec())).collect();
        assert_eq!(out, entries);
    }

    #[test]
    fn what_does_not_fit_is_not_appended() {
        let mut text = Vec::new();
        assert!(append(&mut text, Form::Packet, &packet(0), 30));
        assert!(!append(&mut text, Form::Packet, &packet(0), 59));
        assert_eq!(text.len(), 30);
        assert!(append(&mut text, Form::Packet, &packet(0), 60));
        assert!(!append(&mut text, Form::Packet, &[0; 32_768], usize::MAX), "its length has no bit left for the form");
    }

    #[test]
    fn one_bad_entry_spoils_the_bundle() {
        let good = bundle(&[(Form::Packet, packet(0)), (Form::Segment, packet(9))]);
        let changed = |at: usize, to: u8| {
            let mut text = good.clone();
            text[at] = to;
            Bundle::parse(&text).map(|_| ())
        };
        assert!(Bundle::parse(&good).is_ok());
        for length in (0..good.len()).filter(|length| *length != 30) {
            assert!(Bundle::parse(&good[..length]).is_err(), "cut to {length}");
        }
        assert_eq!(changed(1, 27), Err(Malformed::Length), "shorter than its packet");
        assert_eq!(changed(1, 29), Err(Malformed::Length), "longer than its packet");
        assert_eq!(changed(2, 0x75), Err(Malformed::Value("IP version")));
        assert_eq!(changed(59, 1), Err(Malformed::Value("bundled segment")), "not the first segment");
        assert_eq!(changed(58, 0), Err(Malformed::Value("bundled segment")), "not the last segment");
        assert_eq!(changed(42, 1), Err(Malformed::NotZero), "a checksum in a segment");
    }

    #[test]
    fn fewer_than_two_packets_are_no_bundle() {
        let few = Err(Malformed::Value("number of bundled packets"));
        assert_eq!(Bundle::parse(&[]).map(|_| ()), few);
        assert_eq!(Bundle::parse(&bundle(&[(Form::Packet, packet(0))])).map(|_| ()), few);
        assert_eq!(Bundle::parse(&[0, 0, 0, 0]).map(|_| ()), Err(Malformed::Length), "an empty entry is no packet");
    }
}
