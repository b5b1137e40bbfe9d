//! Names of things: each its own type, so that none can be passed for another.

use std::fmt;

use super::limits::{KEY_ID_BYTES_MAX, QKD_SOURCES_MAX, SAE_ID_BYTES_MAX};

/// A configured peer of this interface: its place in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u16);

/// Number of a key source of one peer, 0..=5, the same at both sites (PROTOCOL 2.5, `[[qkd]] id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u8);

impl SourceId {
    /// `None` above 5.
    pub fn new(number: u8) -> Option<Self> {
        (usize::from(number) < QKD_SOURCES_MAX).then_some(Self(number))
    }

    /// The number, 0..=5.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The number as an index into a table of six slots.
    pub fn slot(self) -> usize {
        usize::from(self.0)
    }

    /// All six, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..QKD_SOURCES_MAX as u8).map(Self)
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of key sources: bit `s` stands for source `s` (PROTOCOL 2.5, `source_mask` and the bitmap of R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SourceMask(u8);

impl SourceMask {
    /// No source.
    pub const EMPTY: Self = Self(0);

    /// `None` if a bit above 5 is set.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits >> QKD_SOURCES_MAX == 0).then_some(Self(bits))
    }

    /// The bits as on the wire.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether the source is in the set.
    pub fn has(self, source: SourceId) -> bool {
        self.0 >> source.0 & 1 == 1
    }

    /// The set with one more source.
    #[must_use]
    pub fn with(self, source: SourceId) -> Self {
        Self(self.0 | 1 << source.0)
    }

    /// The sources in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// How many sources are in the set.
    pub fn count(self) -> u8 {
        self.0.count_ones() as u8
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, ascending.
    pub fn iter(self) -> impl Iterator<Item = SourceId> {
        SourceId::all().filter(move |&s| self.has(s))
    }
}

/// The opaque text that names a QKD key, exactly as a KME gave it: 1..=64 bytes of printable ASCII without space
/// (PROTOCOL 2.5 payload3). Not secret. Compared byte for byte: two KMEs in the field are case-sensitive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// `None` if the text is empty, longer than 64 bytes or holds a byte outside 0x21..=0x7e.
    pub fn new(text: &[u8]) -> Option<Self> {
        let fits = (1..=KEY_ID_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        fits.then(|| String::from_utf8(text.to_vec()).ok().map(Self)).flatten()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight characters: enough to recognise in a log, not the whole id.
    pub fn prefix(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({}..)", self.prefix())
    }
}

/// A 32-bit demultiplexing number, random and never 0 (PROTOCOL 2.4 handshake index, 2.5 data receiver index).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionIndex(std::num::NonZeroU32);

impl SessionIndex {
    /// `None` for 0.
    pub fn new(value: u32) -> Option<Self> {
        std::num::NonZeroU32::new(value).map(Self)
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0.get()
    }

    /// The four bytes on the wire, big-endian.
    pub fn to_bytes(self) -> [u8; 4] {
        self.value().to_be_bytes()
    }
}

impl fmt::Debug for SessionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.value())
    }
}

/// The number of an epoch within one session: 0 is the handshake's, each fast rekey adds one (PROTOCOL 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u32);

/// Name of a secure application entity, as a KME knows us (ETSI GS QKD 014 V1.1.1, 3.1). Any text of 1..=128 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaeId(String);

impl SaeId {
    /// `None` if the text is empty, too long or holds a control character.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=SAE_ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SaeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_are_printable_ascii_of_1_to_64_bytes() {
        assert!(KeyId::new(b"").is_none());
        assert!(KeyId::new(&[b'a'; 65]).is_none());
        assert!(KeyId::new(b"a b").is_none());
        assert!(KeyId::new(b"a\x7f").is_none());
        assert!(KeyId::new(&[b'a', 0xe9]).is_none());
        assert_eq!(KeyId::new(&[b'!'; 64]).map(|k| k.as_str().len()), Some(64));
    }

    #[test]
    fn a_mask_has_six_bits() {
        assert!(SourceMask::from_bits(0x40).is_none());
        let mask = SourceMask::from_bits(0b10_0101).unwrap();
        assert_eq!(mask.iter().map(SourceId::number).collect::<Vec<_>>(), [0, 2, 5]);
        assert_eq!(mask.count(), 3);
        assert!(SourceId::new(6).is_none());
    }
}
