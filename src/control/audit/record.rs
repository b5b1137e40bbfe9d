//! What one line of the audit says.

use serde::{Deserialize, Serialize};

use crate::control::report::KeyIdReport;

/// One line's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts up by one a line, over files and restarts, from 1 on.
    pub n: u64,
    /// RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A daemon began to write.
    Start {
        /// Of the program.
        version: String,
        /// Public fingerprint of this end.
        fingerprint: String,
    },
    /// It ended in order.
    Stop,
    /// The policy state of a peer changed.
    State {
        /// Whose.
        peer: String,
        /// The word before.
        from: String,
        /// The word after.
        to: String,
    },
    /// From here on traffic is protected by these keys.
    Epoch(Epoch),
    /// From here on it is not any more.
    EpochEnd {
        /// Whose.
        peer: String,
        /// Number of the epoch.
        epoch: u64,
        /// Inner bytes delivered since the peer's last epoch ended, or since the start.
        received_bytes: u64,
        /// Inner bytes sealed, likewise.
        sent_bytes: u64,
        /// The policy state in which it ended.
        state: String,
    },
    /// The policy for a peer is weaker than configured from here on.
    Override {
        /// Whose.
        peer: String,
        /// The policy in place of the configured one.
        qkd: String,
        /// RFC 3339.
        until: String,
        /// What the operator gave.
        reason: String,
    },
    /// The configured policy holds again.
    OverrideEnd {
        /// Whose.
        peer: String,
        /// Before its time.
        early: bool,
    },
    /// What could not be written.
    Gap {
        /// So many lines.
        lost: u64,
    },
    /// The daemon found at its start that earlier lines do not end as they should, and went on after them.
    Broken {
        /// What it found.
        text: String,
    },
}

/// The keys of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Whose.
    pub peer: String,
    /// Confirmed epochs since the start of the daemon.
    pub epoch: u64,
    /// Made by a full handshake, else by a fast rekey.
    pub full: bool,
    /// What its key rests on, as in `status`.
    pub mixed: Vec<String>,
    /// The QKD keys mixed into this very epoch, whole.
    pub key_ids: Vec<KeyIdReport>,
    /// Of its packets.
    pub cipher: String,
    /// The policy that holds: the stricter of both ends.
    pub policy: String,
    /// The state when it began.
    pub state: String,
}
