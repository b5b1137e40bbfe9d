//! One message in parts: the first copy of each part wins, and the whole comes out once (PROTOCOL 2.4).

use crate::wire::handshake::HandshakeDatagram;

/// The parts that came so far. Their number and lengths are those of the suite's message, so at most 4 KiB.
pub(super) struct Parts(Vec<Option<Box<[u8]>>>);

impl Parts {
    /// As many places as the message has parts.
    pub(super) fn new(first: &HandshakeDatagram<'_>) -> Self {
        Self(vec![None; usize::from(first.parts)])
    }

    /// Puts a part in its place if that is empty.
    pub(super) fn insert(&mut self, datagram: &HandshakeDatagram<'_>) {
        if let Some(place) = self.0.get_mut(usize::from(datagram.part)) {
            place.get_or_insert_with(|| datagram.body.into());
        }
    }

    /// The whole body once every part is there.
    pub(super) fn whole(&self) -> Option<Vec<u8>> {
        let parts: Option<Vec<&[u8]>> = self.0.iter().map(Option::as_deref).collect();
        parts.map(|parts| parts.concat())
    }
}
