//! What the packet threads tell the engine.

use std::net::{IpAddr, SocketAddr};

use crate::session::epoch::EpochTag;
use crate::types::id::PeerId;

/// One thing learnt from a packet. All but `Handshake` and `NoEpoch` come from an authentic record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PumpEvent {
    /// A datagram of types 1..6: unread but for its first byte and its length.
    Handshake {
        /// Where it came from.
        from: SocketAddr,
        /// Our address that it came to.
        local: Option<IpAddr>,
        /// The whole datagram, at most 1232 bytes.
        bytes: Vec<u8>,
    },
    /// The plaintext of a control record (PROTOCOL 2.8).
    Control {
        /// The epoch that it opened under.
        tag: EpochTag,
        /// Where it came from.
        from: SocketAddr,
        /// Our address that it came to.
        local: Option<IpAddr>,
        /// The message, at most an inner MTU long.
        bytes: Vec<u8>,
    },
    /// The first record opened under this epoch, of whatever kind. Comes before all else from that record.
    FirstOpened {
        /// The epoch.
        tag: EpochTag,
        /// Where it came from.
        from: SocketAddr,
        /// Our address that it came to.
        local: Option<IpAddr>,
    },
    /// A record of the current epoch that raised the top of its window came from elsewhere (PROTOCOL 2.9 "Roaming").
    Roamed {
        /// The epoch.
        tag: EpochTag,
        /// Where it came from.
        from: SocketAddr,
        /// Our address that it came to.
        local: Option<IpAddr>,
    },
    /// A record opened under an epoch older than the current one; at most one report in 250 ms a peer.
    OldEpoch {
        /// The epoch.
        tag: EpochTag,
    },
    /// An empty record opened under the current epoch; at most one report in 250 ms a peer.
    Empty {
        /// The epoch.
        tag: EpochTag,
    },
    /// A packet that could not be sealed: the engine stages it and starts a handshake.
    NoEpoch {
        /// Whose packet it is.
        peer: PeerId,
        /// The inner packet.
        packet: Vec<u8>,
    },
}

/// Takes a report and says whether it was taken: a full queue refuses. What matters is then reported again with the next packet.
pub type Report<'a> = &'a mut dyn FnMut(PumpEvent) -> bool;
