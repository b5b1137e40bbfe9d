//! What goes in and comes out of the engine, besides packets and keys: commands, effects, events.

use std::sync::Arc;

use super::overriding::OverrideOrder;
use crate::dataplane::snapshot::{Endpoint, Snapshot};
use crate::keys::request::KeyRequest;
use crate::types::id::{KeyId, PeerId, SourceId};
use crate::types::policy::Reason;
use crate::types::secret::SecretBytes;
use crate::types::time::{Instant, UnixTime};

/// The two clocks a call is told: the one that decides and the one for the log.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Decides (PROTOCOL 1: no timestamps decide anything).
    pub at: Instant,
    /// Is written down.
    pub unix: UnixTime,
}

/// One durable write, so that its completion finds what waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreId(pub u64);

/// Which file of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateFile {
    /// The ratchet store.
    Ratchet,
    /// The policy clock.
    Clock,
    /// The request budget.
    Budget,
    /// The seen table.
    Seen,
}

/// One effect. After every `handle_*` all of them are taken, in order.
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// Where to, and from which of our addresses.
        to: Endpoint,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Ask a key source; the answer is due within the request's deadline.
    WantKeys(KeyRequest),
    /// Write a peer's file durably, then say so by `handle_stored`.
    Store {
        /// Echoed.
        id: StoreId,
        /// Whose file.
        peer: PeerId,
        /// Which file.
        file: StateFile,
        /// The whole new content; empty removes the file.
        bytes: SecretBytes,
    },
    /// The data path is to use this from here on.
    Publish(Arc<Snapshot>),
    /// The longest inner packet that every peer takes is another, in bytes; before the first of these it is the configured
    /// inner MTU. The interface should not let longer ones in.
    InnerMtu(u16),
    /// Tell people.
    Event(Event),
}

/// What an operator asks of a running engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Rekey now, one peer or all.
    Rekey(Option<PeerId>),
    /// Fast rekeys of a peer come at this interval from now on, at most the configured one.
    Pace {
        /// Which.
        peer: PeerId,
        /// The interval.
        interval: std::time::Duration,
    },
    /// Whether new sessions and epochs may be made, by either end; those in use go on to their end.
    Admit(bool),
    /// Close every session and stop.
    Stop,
}

/// The state of a peer (the words of `status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Every epoch has its QKD keys.
    Hybrid,
    /// QKD is off at both ends.
    Off,
    /// Required and short, until the deadline.
    Holdover,
    /// Preferred and short, until the deadline.
    Degraded,
    /// No session, no clock: waiting.
    Holding,
    /// The policy stopped the traffic.
    Blocked,
    /// Nothing authentic came.
    Down,
}

impl State {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "HYBRID",
            Self::Off => "OFF",
            Self::Holdover => "HOLDOVER",
            Self::Degraded => "DEGRADED",
            Self::Holding => "HOLDING",
            Self::Blocked => "BLOCKED",
            Self::Down => "DOWN",
        }
    }
}

/// What wakes someone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The two KMEs gave different keys (PROTOCOL 2.5).
    QkdMismatch {
        /// The sources concerned and the key_IDs, where known.
        keys: Vec<(SourceId, Option<KeyId>)>,
    },
    /// Required, and too few keys for a session (PROTOCOL 2.5 Finish).
    QkdRequiredMissing,
    /// No common ratchet entry (PROTOCOL 2.7).
    RatchetLost,
    /// The ratchet file cannot be written (PROTOCOL 2.7).
    RatchetNotWritten,
    /// A handshake opened as this peer's but its payload did not: PSK or identity differs (PROTOCOL 2.2).
    PskOrIdentity,
}

/// What became of an override of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideChange {
    /// It holds from now on.
    Began {
        /// As ordered.
        order: OverrideOrder,
        /// When it ends.
        ends: UnixTime,
    },
    /// The configured policy holds again.
    Ended {
        /// Before its time.
        early: bool,
    },
}

/// Something worth a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which peer.
    pub peer: PeerId,
    /// What happened.
    pub what: EventKind,
}

/// The kinds of [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The state changed.
    State {
        /// Before.
        from: State,
        /// After.
        to: State,
    },
    /// An epoch was confirmed.
    Epoch {
        /// Confirmed epochs since the start.
        number: u64,
        /// By a full handshake, else by a fast rekey.
        full: bool,
        /// The sources mixed into it.
        sources: Vec<(SourceId, KeyId)>,
    },
    /// An exchange in which the other end took part came to nothing.
    ExchangeFailed {
        /// A full handshake, else a fast rekey.
        full: bool,
    },
    /// A source gave no key.
    SourceFailed {
        /// Which.
        source: SourceId,
        /// The class.
        reason: Reason,
        /// Words, empty if the other end reported it.
        text: String,
    },
    /// The peer runs another QKD policy; the stricter holds.
    PolicyDiffers,
    /// An override of the policy began or ended.
    Override(OverrideChange),
    /// The endpoint moved.
    Roamed(Endpoint),
    /// Wakes someone.
    Alarm(Alarm),
}
